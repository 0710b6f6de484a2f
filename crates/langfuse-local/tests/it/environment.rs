//! The environment: what is required, what is refused, and that no value is ever repeated.

use std::process::Command;

use langfuse_local::settings::{Role, Settings, SettingsError};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What web requires, as in a Compose file.
pub(crate) const PRODUCTION: [(&str, &str); 7] = [
    ("DATABASE_URL", "postgresql://langfuse:geheim@127.0.0.1:5432/langfuse"),
    ("NEXTAUTH_URL", "http://localhost:3000"),
    ("NEXTAUTH_SECRET", "geheim-session"),
    ("SALT", "geheim-salt"),
    ("ENCRYPTION_KEY", KEY),
    ("CLICKHOUSE_URL", "http://clickhouse:8123"),
    ("LANGFUSE_S3_EVENT_UPLOAD_BUCKET", "langfuse"),
];

fn read(role: Role, changes: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::read(role, &|name| {
        let mut known = changes.iter().chain(&PRODUCTION);
        known.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn production_form_is_enough() {
    let web = read(Role::Web, &[]).unwrap();
    assert_eq!((web.host.as_str(), web.port), ("127.0.0.1", 3000));
    assert_eq!(web.data.to_str(), Some("/var/lib/langfuse-local"));
    assert!(web.event_storage.is_none() && web.init.is_none());
    assert_eq!(web.postgres.unwrap().host, "127.0.0.1");
    assert_eq!(read(Role::Worker, &[]).unwrap().port, 3030);
    Settings::read(Role::Standalone, &|_name| None).unwrap();
}

/// Each row: what is changed, and the variable that must be named.
#[test]
fn bad_values_are_named_and_never_shown() {
    let secret = "geheim-wert";
    let org = ("LANGFUSE_INIT_ORG_ID", "org");
    let s3 = |suffix: &'static str| format!("LANGFUSE_S3_EVENT_UPLOAD_{suffix}");
    let table: Vec<(Vec<(&str, &str)>, String)> = vec![
        (vec![("ENCRYPTION_KEY", secret)], "ENCRYPTION_KEY must be exactly 64 characters".into()),
        (vec![("NEXTAUTH_SECRET", "")], "NEXTAUTH_SECRET is required".into()),
        (vec![("SALT", "")], "SALT is required".into()),
        (vec![("NEXTAUTH_URL", "")], "NEXTAUTH_URL is required".into()),
        (vec![("NEXTAUTH_URL", secret)], "NEXTAUTH_URL must be a URL".into()),
        (vec![("CLICKHOUSE_URL", "")], "CLICKHOUSE_URL is required".into()),
        (vec![("DATABASE_URL", "")], "DATABASE_URL is required".into()),
        (vec![("DATABASE_URL", "postgresql://u:geheim-wert@:x/db")], "DATABASE_URL must be a URL".into()),
        (vec![("DATABASE_URL", "mysql://u:geheim-wert@h/db")], "DATABASE_URL must look like".into()),
        (vec![("PORT", secret)], "PORT must be a port number".into()),
        (vec![("PORT", "0")], "PORT must be a port number".into()),
        (vec![("TELEMETRY_ENABLED", "True")], "TELEMETRY_ENABLED must be `true` or `false`".into()),
        (vec![("REDIS_HOST", "redis"), ("REDIS_PORT", secret)], "REDIS_PORT must be".into()),
        (vec![("REDIS_CONNECTION_STRING", "geheim-wert")], "REDIS_CONNECTION_STRING must be".into()),
        (vec![("LANGFUSE_S3_EVENT_UPLOAD_BUCKET", "")], format!("{} is required", s3("BUCKET"))),
        (vec![("LANGFUSE_S3_EVENT_UPLOAD_PREFIX", secret)], format!("{} must end", s3("PREFIX"))),
        (
            vec![("LANGFUSE_S3_EVENT_UPLOAD_SECRET_ACCESS_KEY", secret)],
            format!("{} is required", s3("ACCESS_KEY_ID")),
        ),
        (
            vec![("LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT", "ftp://geheim-wert")],
            format!("{} must be", s3("ENDPOINT")),
        ),
        (
            vec![("LANGFUSE_S3_EVENT_UPLOAD_FORCE_PATH_STYLE", "1")],
            format!("{} must be", s3("FORCE_PATH_STYLE")),
        ),
        (
            vec![org, ("LANGFUSE_INIT_PROJECT_SECRET_KEY", secret)],
            "LANGFUSE_INIT_PROJECT_PUBLIC_KEY is required".into(),
        ),
        (
            vec![
                org,
                ("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", "a"),
                ("LANGFUSE_INIT_PROJECT_SECRET_KEY", "geheim-wert:x"),
            ],
            "LANGFUSE_INIT_PROJECT_SECRET_KEY must not contain a colon".into(),
        ),
        (vec![org, ("LANGFUSE_INIT_USER_EMAIL", secret)], "LANGFUSE_INIT_USER_EMAIL must be".into()),
        (
            vec![org, ("LANGFUSE_INIT_USER_PASSWORD", "geheim")],
            "LANGFUSE_INIT_USER_PASSWORD must have".into(),
        ),
    ];
    for (changes, expected) in table {
        let error = read(Role::Web, &changes).expect_err(&expected).to_string();
        assert!(error.starts_with(&expected), "{error}");
        assert!(!error.contains("geheim") && !error.contains('\n'), "{error}");
    }
    // Without the organisation the rest of its family is not looked at.
    read(Role::Web, &[("LANGFUSE_INIT_USER_EMAIL", secret)]).unwrap();
}

#[test]
fn all_findings_come_at_once() {
    let error = Settings::read(Role::Web, &|_name| None).unwrap_err();
    let names: Vec<_> = error.findings.iter().map(|finding| finding.variable.as_str()).collect();
    for (name, _) in PRODUCTION {
        assert_eq!(names.contains(&name), name != "ENCRYPTION_KEY", "{name}");
    }
}

#[test]
fn parts_of_the_database_make_a_host() {
    let parts = [
        ("DATABASE_URL", ""),
        ("DATABASE_HOST", "postgres:5433"),
        ("DATABASE_USERNAME", "u"),
        ("DATABASE_PASSWORD", "p"),
        ("DATABASE_NAME", "d"),
    ];
    let postgres = read(Role::Web, &parts).unwrap().postgres.unwrap();
    assert_eq!((postgres.host.as_str(), postgres.port), ("postgres", 5433));
}

#[test]
fn debug_output_hides_secrets() {
    let settings = read(
        Role::Web,
        &[
            ("REDIS_HOST", "redis"),
            ("REDIS_AUTH", "geheim-redis"),
            ("LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT", "http://minio:9000"),
            ("LANGFUSE_S3_EVENT_UPLOAD_ACCESS_KEY_ID", "id"),
            ("LANGFUSE_S3_EVENT_UPLOAD_SECRET_ACCESS_KEY", "geheim-s3"),
            ("LANGFUSE_INIT_ORG_ID", "org"),
            ("LANGFUSE_INIT_PROJECT_ID", "project"),
            ("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", "pk"),
            ("LANGFUSE_INIT_PROJECT_SECRET_KEY", "geheim-key"),
        ],
    );
    let shown = format!("{:?}", settings.unwrap());
    assert!(shown.contains("redis") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn the_binary_fails_with_one_line_on_stderr() {
    let run = |argument: &str, changes: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_langfuse-local"));
        command.env_clear().envs(PRODUCTION).envs(changes.iter().copied()).arg(argument);
        command.output().unwrap()
    };
    let output = run("web", &[("ENCRYPTION_KEY", "geheim"), ("SALT", "")]);
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.starts_with("langfuse-local: ENCRYPTION_KEY must be") && line.contains("SALT is required"),
        "{line}"
    );
    assert!(!line.contains("geheim"), "{line}");
    assert_eq!(run("webb", &[]).status.code(), Some(2));
}
