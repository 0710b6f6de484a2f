//! `[images]`: what runs, by exact version.

use crate::field::{Field, Place};
use crate::image::{ImageRef, Version};
use crate::policy::{Images, Profile, PullPolicy};
use crate::read::{Reader, Section};

/// The first version that this project was built for; see also [`supported`].
const FIRST_LANGFUSE: Version = Version { major: 4, minor: 16, patch: 0 };
/// Older ones cannot parse Langfuse's migration 39 and leave its schema dirty.
const FIRST_CLICKHOUSE: Version = Version { major: 25, minor: 12, patch: 0 };
/// Langfuse's queues need it.
const FIRST_REDIS: Version = Version { major: 7, minor: 0, patch: 0 };

const FORM: &str = "an image such as registry.example.com/langfuse/langfuse:4.16.0";

pub(super) fn images(
    reader: &mut Reader<'_>,
    root: &mut Section<'_>,
    profile: Profile,
    default: Images,
) -> Images {
    let mut section = reader.section(root, "images");
    let registry = reader.text(
        &mut section,
        "registry",
        "a host name, with a port and folders if need be: mirror.example.com:5000/hub",
        |text| match format!("{text}/x").parse::<ImageRef>() {
            Ok(image) if image.registry.is_some() && image.tag.is_none() => Ok(text.to_owned()),
            _ => Err("is not the address of a registry".to_owned()),
        },
    );
    let mut image = |key| {
        reader.text(&mut section, key, FORM, |text| {
            text.parse::<ImageRef>().map_err(|why| format!("is not an image reference: {why}"))
        })
    };
    let (web, worker, clickhouse, redis, minio) =
        (image("web"), image("worker"), image("clickhouse"), image("redis"), image("minio"));
    let pull = reader.choice(
        &mut section,
        "pull",
        &[("missing", PullPolicy::Missing), ("never", PullPolicy::Never), ("always", PullPolicy::Always)],
    );
    reader.finish(&section);

    for field in [&web, &worker, &clickhouse, &redis, &minio] {
        pinned(reader, profile, field);
    }
    for field in [&web, &worker] {
        langfuse(reader, profile, field);
    }
    at_least(reader, &clickhouse, FIRST_CLICKHOUSE, "ClickHouse", "cannot run Langfuse's migrations");
    at_least(reader, &redis, FIRST_REDIS, "Redis or Valkey", "is too old for Langfuse's queues");

    let registry = registry.into_option();
    // Beside one that is refused the other cannot be judged.
    let judged = !web.is_refused() && !worker.is_refused();
    let place = web.place().or(worker.place()).filter(|_| judged).cloned();
    let or = |field: Field<ImageRef>, default| field.or(mirrored(registry.as_deref(), default));
    let images = Images {
        web: or(web, default.web),
        worker: or(worker, default.worker),
        clickhouse: or(clickhouse, default.clickhouse),
        redis: or(redis, default.redis),
        minio: or(minio, default.minio),
        pull: pull.or(default.pull),
    };
    if let Some(place) = place.filter(|_| images.web.tag != images.worker.tag) {
        let of = |image: &ImageRef| image.tag.clone().unwrap_or_else(|| "none".into());
        reader.fault(
            &place,
            format!(
                "does not fit the other: web has tag {} and worker has tag {}",
                of(&images.web),
                of(&images.worker)
            ),
            "the same version for images.web and images.worker",
        );
    }
    images
}

/// A default image from another registry.
fn mirrored(registry: Option<&str>, default: ImageRef) -> ImageRef {
    let Some(registry) = registry else { return default };
    let below = ImageRef { registry: None, ..default.clone() };
    // The registry may have folders, which belong to the repository.
    format!("{registry}/{below}").parse().unwrap_or(default)
}

fn pinned(reader: &mut Reader<'_>, profile: Profile, field: &Field<ImageRef>) {
    let (Some(image), Some(place)) = (field.given(), field.place()) else { return };
    if image.is_floating() && profile != Profile::Dev {
        reader.fault(
            place,
            "floats: tomorrow the same tag may be another image, and databases do not migrate back",
            "an exact version (x.y.z) or a digest (@sha256:…); only profile = \"dev\" may float",
        );
    }
}

fn langfuse(reader: &mut Reader<'_>, profile: Profile, field: &Field<ImageRef>) {
    let (Some(image), Some(place)) = (field.given(), field.place()) else { return };
    match image.langfuse_version() {
        Some(version) if supported(version) => {}
        Some(version) => reader.fault(
            place,
            format!("is Langfuse {version}, which this project does not deploy"),
            format!("{FIRST_LANGFUSE} or a later 4.x"),
        ),
        // Floating has been noted already; with a digest alone nobody can tell whether web and worker fit.
        None if profile != Profile::Dev && !image.is_floating() => {
            reader.fault(place, "does not say its version", "a tag x.y.z, before the digest if there is one");
        }
        None => {}
    }
}

fn supported(version: Version) -> bool {
    version.major == FIRST_LANGFUSE.major && version >= FIRST_LANGFUSE
}

fn at_least(reader: &mut Reader<'_>, field: &Field<ImageRef>, first: Version, name: &str, why: &str) {
    let (Some(version), Some(place)) = (field.given().and_then(ImageRef::version), field.place()) else {
        return;
    };
    if version < first {
        old(reader, place, version, first, name, why);
    }
}

fn old(reader: &mut Reader<'_>, place: &Place, version: Version, first: Version, name: &str, why: &str) {
    reader.fault(
        place,
        format!("is version {version}, which {why}"),
        format!("{name} {}.{} or later", first.major, first.minor),
    );
}
