//! `[langfuse]`: the first organisation, project and user, and Langfuse's own switches.

use std::collections::BTreeMap;

use crate::field::Field;
use crate::policy::Langfuse;
use crate::read::{Reader, Section};
use crate::{mask, names};

/// Beginnings of variables that follow from other keys, with the key.
const MANAGED: [(&str, &str); 8] = [
    ("LANGFUSE_INIT_", "langfuse.org_id, project_id, user_email and the like"),
    ("LANGFUSE_S3_EVENT_UPLOAD_", "[storage]"),
    ("LANGFUSE_S3_MEDIA_UPLOAD_", "[storage]"),
    ("LANGFUSE_S3_BATCH_EXPORT_", "[storage]"),
    ("LANGFUSE_S3_EVENT_KEY_MAX_SEGMENT_BYTES", "[storage]"),
    ("LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED", "the service langfuse-migrate, the only one to migrate"),
    ("LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED", "the service langfuse-migrate, the only one to migrate"),
    ("LANGFUSE_MIGRATION_V4_", "the version: a fresh 4.x must have none of these switches"),
];

pub(super) fn langfuse(reader: &mut Reader<'_>, root: &mut Section<'_>, default: Langfuse) -> Langfuse {
    let mut section = reader.section(root, "langfuse");
    let id = "1 to 64 letters, digits, `_` and `-`";
    let name = "1 to 100 characters on one line, without spaces at the ends";
    let org_id = reader.name(&mut section, "org_id", id, names::is_id);
    let org_name = reader.name(&mut section, "org_name", name, names::is_display_name);
    let project_id = reader.name(&mut section, "project_id", id, names::is_id);
    let project_name = reader.name(&mut section, "project_name", name, names::is_display_name);
    let user_email =
        reader.name(&mut section, "user_email", "an e-mail address such as you@example.com", names::is_email);
    let user_name = reader.name(&mut section, "user_name", name, names::is_display_name);
    let telemetry = reader.boolean(&mut section, "telemetry");
    let sign_up = reader.boolean(&mut section, "sign_up");
    let extra = reader.section(&mut section, "environment_extra");
    let environment_extra = environment_extra(reader, &extra);
    reader.finish(&section);
    Langfuse {
        org_id: org_id.or(default.org_id),
        org_name: org_name.or(default.org_name),
        project_id: project_id.or(default.project_id),
        project_name: project_name.or(default.project_name),
        user_email: user_email.or(default.user_email),
        user_name: user_name.or(default.user_name),
        telemetry: telemetry.or(default.telemetry),
        sign_up: sign_up.or(default.sign_up),
        environment_extra,
    }
}

fn environment_extra(reader: &mut Reader<'_>, section: &Section<'_>) -> BTreeMap<String, String> {
    let mut extra = BTreeMap::new();
    for (key, field) in reader.entries(section, "text, true, false or a whole number") {
        let Field::Given { value, place } = field else { continue };
        let managed = MANAGED.iter().find(|(start, _)| key.starts_with(start));
        match () {
            () if mask::is_secret_name(&key) => reader.fault(
                &place.without_value(),
                "looks like a secret, and a policy holds none",
                "no such line: this project passes on the secrets of secrets.env only",
            ),
            () if !is_variable(&key) => reader.fault(
                &place,
                "is not a variable of Langfuse's own",
                "LANGFUSE_ and capital letters, digits and `_`",
            ),
            () if managed.is_some() => {
                let by = managed.map_or("", |(_, by)| by);
                reader.fault(&place, "is set by this project", format!("no such line; it follows from {by}"));
            }
            () if value.contains("://") && mask::shown(&value).as_deref() != Some(value.as_str()) => reader
                .fault(
                    &place,
                    "holds a URL with what may be credentials",
                    "a URL without user, password and query",
                ),
            () if !value.is_empty() && !names::is_line(&value) => {
                reader.fault(&place, "is not text of one line", "at most 1000 characters on one line");
            }
            () => {
                extra.insert(key, value);
            }
        }
    }
    extra
}

fn is_variable(key: &str) -> bool {
    key.strip_prefix("LANGFUSE_").is_some_and(|rest| {
        (1..=100).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    })
}
