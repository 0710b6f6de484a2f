//! `[retention]`, `[resources]`, `[sizing]` and `[gates]`: numbers.

use std::time::Duration;

use crate::Bytes;
use crate::field::Field;
use crate::policy::{Gates, Limits, Resources, Retention, Sizing, SizingMode};
use crate::read::{Reader, Section};

/// Langfuse takes no less; more than ten years is a slip.
const DAYS: std::ops::RangeInclusive<u32> = 3..=3650;

pub(super) fn retention(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Retention {
    let mut section = reader.section(root, "retention");
    let traces_days = reader.integer(&mut section, "traces_days", DAYS);
    let media_days = reader.integer(&mut section, "media_days", DAYS);
    reader.finish(&section);
    Retention { traces_days: traces_days.into_option(), media_days: media_days.into_option() }
}

pub(super) fn resources(reader: &mut Reader<'_>, root: &mut Section<'_>, default: Resources) -> Resources {
    let mut section = reader.section(root, "resources");
    // Below these the service does not come up, or dies of its first real work.
    let mut limits = |key, floor, default| limits(reader, &mut section, key, Bytes::from_mib(floor), default);
    let resources = Resources {
        web: limits("web", 512, default.web),
        worker: limits("worker", 512, default.worker),
        clickhouse: limits("clickhouse", 1024, default.clickhouse),
        redis: limits("redis", 64, default.redis),
        minio: limits("minio", 128, default.minio),
        open_files: reader.integer(&mut section, "open_files", 1024..=1_048_576).or(default.open_files),
    };
    reader.finish(&section);
    resources
}

fn limits(
    reader: &mut Reader<'_>,
    parent: &mut Section<'_>,
    key: &'static str,
    floor: Bytes,
    default: Limits,
) -> Limits {
    let mut section = reader.section(parent, key);
    let memory = bytes(reader, &mut section, "memory", floor);
    let cpus = reader.number(&mut section, "cpus", 0.1..=512.0);
    reader.finish(&section);
    Limits { memory: memory.or(default.memory), cpus: cpus.or(default.cpus) }
}

pub(super) fn sizing(reader: &mut Reader<'_>, root: &mut Section<'_>, default: Sizing) -> Sizing {
    let mut section = reader.section(root, "sizing");
    let mode = reader.choice(
        &mut section,
        "mode",
        &[("enforce", SizingMode::Enforce), ("advise", SizingMode::Advise)],
    );
    let cpus = reader.integer(&mut section, "cpus", 1..=1024);
    let memory = bytes(reader, &mut section, "memory", Bytes::from_gib(1));
    let disk = bytes(reader, &mut section, "disk", Bytes::from_gib(1));
    reader.finish(&section);
    Sizing {
        mode: mode.or(default.mode),
        cpus: cpus.or(default.cpus),
        memory: memory.or(default.memory),
        disk: disk.or(default.disk),
    }
}

pub(super) fn gates(reader: &mut Reader<'_>, root: &mut Section<'_>, default: Gates) -> Gates {
    let mut section = reader.section(root, "gates");
    let bounds = Duration::from_secs(1)..=Duration::from_secs(2 * 3600);
    let mut gate = |key, default| reader.duration(&mut section, key, bounds.clone()).or(default);
    let gates = Gates {
        images: gate("images", default.images),
        stores: gate("stores", default.stores),
        database: gate("database", default.database),
        buckets: gate("buckets", default.buckets),
        migrate: gate("migrate", default.migrate),
        worker: gate("worker", default.worker),
        web: gate("web", default.web),
        project: gate("project", default.project),
        verify: gate("verify", default.verify),
    };
    reader.finish(&section);
    gates
}

fn bytes(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    key: &'static str,
    floor: Bytes,
) -> Field<Bytes> {
    let expected = format!("a size such as 512MiB or 4GiB, at least {floor}");
    reader.text(section, key, &expected, |text| match text.parse::<Bytes>() {
        Err(why) => Err(format!("is {why}")),
        // Beyond 64 TiB it is a slip of the unit.
        Ok(size) if size < floor || size > Bytes(64 << 40) => Err("is out of range".to_owned()),
        Ok(size) => Ok(size),
    })
}
