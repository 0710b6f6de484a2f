//! Everything that can be checked before anything changes: a pure function of what was seen.

use std::collections::BTreeSet;

use ken_config::{Policy, SizingMode};
use ken_secrets::{Origin, SecretName, SecretState, Status};

use crate::database::{DatabaseSeen, OLDEST_SERVER};
use crate::engine::{COMPOSE_OLDEST, Container, Health, ImageState, PortState, major_minor};
use crate::inventory::Inventory;
use crate::journal::State;
use crate::report::{Check, Finding, bytes};
use crate::site::Site;
use crate::stack::{Network, Stack};

/// Oldest engine that knows everything that the generated file asks of it.
const OLDEST_ENGINE: (u32, u32) = (20, 10);
/// Clocks further apart than this make traces vanish from a time range that is looked at.
const CLOCK_SKEW_LIMIT: f64 = 5.0;
/// Room for our own folder: files, journal, backups.
const SITE_ROOM: u64 = 16 * 1024 * 1024;

/// What preflight looks at.
#[derive(Debug)]
pub struct PreflightInput<'a> {
    /// What is wanted.
    pub policy: &'a Policy,
    /// What was seen.
    pub inventory: &'a Inventory,
    /// What is remembered.
    pub state: &'a State,
    /// What the plan leads to.
    pub stack: &'a Stack,
    /// Where things lie.
    pub site: &'a Site,
    /// How each secret that the policy needs is.
    pub secrets: &'a [Status],
}

/// All checks, in the order in which they are shown.
#[must_use]
pub fn preflight(input: &PreflightInput<'_>) -> Vec<Check> {
    if !input.stack.is_whole() {
        return vec![port(input), images(input), secrets(input), own_folder(input)];
    }
    let mut checks = vec![engine_version(input), compose_version(input)];
    checks.extend(machine(input));
    checks.push(clock(input));
    checks.extend([
        ken(input),
        independent(input),
        postgres(input),
        postgres_version(input),
        database(input),
    ]);
    checks.extend([names(input), port(input), images(input), secrets(input), own_folder(input)]);
    checks
}

fn engine_version(input: &PreflightInput<'_>) -> Check {
    let version = &input.inventory.engine.version;
    Check::that(
        major_minor(version).is_none_or(|v| v >= OLDEST_ENGINE),
        "engine-version",
        "Docker Engine is recent enough",
        version,
        format!("at least {}.{}", OLDEST_ENGINE.0, OLDEST_ENGINE.1),
        "update Docker Engine",
    )
}

fn compose_version(input: &PreflightInput<'_>) -> Check {
    let version = &input.inventory.engine.compose_version;
    Check::that(
        major_minor(version).is_none_or(|v| v >= COMPOSE_OLDEST),
        "compose-version",
        "Compose is recent enough",
        version,
        format!("at least {}.{}", COMPOSE_OLDEST.0, COMPOSE_OLDEST.1),
        "update the Compose plugin (package docker-compose-plugin)",
    )
}

fn machine(input: &PreflightInput<'_>) -> Vec<Check> {
    let (engine, sizing) = (&input.inventory.engine, &input.policy.sizing);
    let sized = |check: Check| if sizing.mode == SizingMode::Enforce { check } else { check.advised() };
    // A machine sold as 16 GiB shows a little less.
    let memory_floor = sizing.memory.0 / 100 * 95;
    let limits: u64 = input.stack.services.iter().filter(|s| !s.is_one_shot()).map(|s| s.memory).sum();
    let mut checks = vec![
        match engine.avx {
            Some(avx) => Check::that(
                avx || !runs_clickhouse(input),
                "cpu-avx",
                "the CPU has AVX, which ClickHouse needs",
                if avx { "AVX" } else { "no AVX" },
                "AVX",
                "use a machine, or a virtual CPU type, with AVX; or an external ClickHouse (clickhouse.url)",
            ),
            None => Check::skipped("cpu-avx", "the CPU has AVX", "cannot be seen from here"),
        },
        sized(Check::that(
            engine.cpus >= sizing.cpus,
            "cpu-count",
            "enough cores",
            format!("{} cores", engine.cpus),
            format!("at least {}", sizing.cpus),
            "use a larger machine, or set sizing.cpus to what you accept",
        )),
        sized(Check::that(
            engine.memory >= memory_floor,
            "memory",
            "enough memory",
            bytes(engine.memory),
            format!("at least {}", sizing.memory),
            "use a larger machine, or set sizing.memory to what you accept",
        )),
        Check::that(
            limits <= engine.memory,
            "memory-limits",
            "the services' memory limits fit the machine beside each other",
            bytes(limits),
            format!("at most {}", bytes(engine.memory)),
            "lower resources.*.memory in the policy",
        )
        .advised(),
    ];
    checks.push(match engine.disk_free {
        Some(free) => sized(Check::that(
            free >= sizing.disk.0 || has_data(input),
            "disk",
            "enough room for images and data",
            format!("{} free under {}", bytes(free), engine.root.display()),
            format!("at least {}", sizing.disk),
            "free space or attach a larger disk, or set sizing.disk to what you accept",
        )),
        None => Check::skipped("disk", "enough room for images and data", "cannot be seen from here"),
    });
    checks
}

fn runs_clickhouse(input: &PreflightInput<'_>) -> bool {
    input.stack.service(crate::stack::Role::Clickhouse).is_some()
}

/// A stack that already holds data has used some of the room that a new one needs.
fn has_data(input: &PreflightInput<'_>) -> bool {
    !input.inventory.our_volumes.is_empty()
}

fn clock(input: &PreflightInput<'_>) -> Check {
    match input.inventory.engine.clock_skew {
        Some(skew) => Check::that(
            skew.abs() <= CLOCK_SKEW_LIMIT,
            "clock",
            "the engine's clock agrees with ours",
            format!("{skew:+.1} s"),
            format!("within {CLOCK_SKEW_LIMIT:.0} s"),
            "let both machines follow a time server (timedatectl set-ntp true)",
        ),
        None => Check::skipped("clock", "the engine's clock agrees with ours", "the engine says no time"),
    }
}

fn well(container: Option<&Container>) -> (bool, String) {
    match container {
        None => (false, "not there".to_owned()),
        Some(c) if c.is_well() && c.health == Health::Unchecked => {
            (true, "runs (no health check)".to_owned())
        }
        Some(c) if c.is_well() => (true, "runs, healthy".to_owned()),
        Some(c) => (false, format!("{:?}, {:?}", c.activity, c.health).to_lowercase()),
    }
}

fn ken(input: &PreflightInput<'_>) -> Check {
    let (holds, measured) = well(input.inventory.ken_container.as_ref());
    let service = &input.policy.ken.service;
    let known = input.inventory.ken.services.contains_key(service);
    let mend = if known {
        format!(
            "start Ken first: docker compose -f {} up -d --wait",
            input.site.shown(input.site.ken_file().unwrap_or(std::path::Path::new("docker-compose.yml")))
        )
    } else {
        let all: Vec<_> = input.inventory.ken.services.keys().map(String::as_str).collect();
        format!("ken.service in the policy is `{service}`; the file has {}", all.join(", "))
    };
    Check::that(holds, "ken-healthy", "Ken runs and is healthy", measured, "running and healthy", mend)
}

/// Ken must start with Langfuse down, slow or absent.
fn independent(input: &PreflightInput<'_>) -> Check {
    let ours = |name: &String| input.stack.services.iter().any(|s| s.name == *name);
    let waiting: Vec<String> = input
        .inventory
        .ken
        .services
        .iter()
        .flat_map(|(name, service)| {
            service
                .depends_on
                .iter()
                .filter(|other| ours(other))
                .map(move |other| format!("{name} waits for {other}"))
        })
        .collect();
    Check::that(
        waiting.is_empty(),
        "ken-independent",
        "no service of Ken's waits for one of ours",
        if waiting.is_empty() { "none waits".to_owned() } else { waiting.join(", ") },
        "none waits",
        "take it out of depends_on in Ken's file: Ken must start without Langfuse",
    )
}

fn postgres(input: &PreflightInput<'_>) -> Check {
    let (holds, measured) = well(input.inventory.postgres_container.as_ref());
    let service = &input.policy.ken.postgres_service;
    let check = Check::that(
        holds,
        "postgres-healthy",
        "Ken's Postgres runs and is healthy",
        measured,
        "running and healthy",
        format!(
            "look at: docker compose -f {} logs {service}",
            input.site.shown(input.site.ken_file().unwrap_or(std::path::Path::new("docker-compose.yml")))
        ),
    );
    if input.stack.database.is_some() { check } else { check.advised() }
}

fn postgres_version(input: &PreflightInput<'_>) -> Check {
    let (id, title) = ("postgres-version", "Ken's Postgres answers and is recent enough");
    match &input.inventory.database {
        DatabaseSeen::External => Check::skipped(id, title, "an external Postgres is used"),
        DatabaseSeen::Unknown { why } => Check {
            finding: Finding::Failed,
            mend: "make it answer to `psql` as its superuser inside its container, then run this again"
                .to_owned(),
            ..Check::ok(id, title, why, "answers to its superuser")
        },
        DatabaseSeen::Server(facts) => Check::that(
            facts.version >= OLDEST_SERVER,
            id,
            title,
            format!("PostgreSQL {}.{}", facts.version / 10_000, facts.version % 10_000),
            format!("at least {}", OLDEST_SERVER / 10_000),
            "upgrade Ken's Postgres (dump and restore), or give an external one (postgres.url)",
        ),
    }
}

/// A role or a database of our name that somebody else made is not ours to change.
fn database(input: &PreflightInput<'_>) -> Check {
    let (id, title) = ("database-name", "role and database of our name are ours, or free");
    let (DatabaseSeen::Server(facts), Some(target)) = (&input.inventory.database, &input.stack.database)
    else {
        return Check::skipped(id, title, "not asked");
    };
    let mend = "set postgres.role and postgres.database in the policy to names that are free";
    if input.state.database_made {
        return Check::ok(id, title, format!("{} is ours", target.role), "ours or free");
    }
    let foreign_role = facts.role.as_ref().is_some_and(|role| role.password_matches != Some(true));
    let foreign_database = facts.database.as_ref().is_some_and(|d| d.owner != target.role);
    let measured = match (foreign_role, foreign_database) {
        (false, false) => "free".to_owned(),
        (true, _) => format!("role {} exists and is not ours", target.role),
        (_, true) => format!("database {} exists and is not ours", target.database),
    };
    let spare = i64::from(facts.max_connections) - i64::from(target.connection_limit);
    if !foreign_role && !foreign_database && spare < 20 {
        return Check::that(
            false,
            id,
            "Ken keeps enough of its Postgres' connections",
            format!("max_connections {}", facts.max_connections),
            format!("at least {}", target.connection_limit + 20),
            "raise max_connections of Ken's Postgres, or give an external one (postgres.url)",
        )
        .advised();
    }
    Check::that(!foreign_role && !foreign_database, id, title, measured, "ours or free", mend)
}

fn names(input: &PreflightInput<'_>) -> Check {
    let theirs = &input.inventory.ken.services;
    let clash: BTreeSet<&str> = input
        .stack
        .services
        .iter()
        .map(|s| s.name.as_str())
        .filter(|name| theirs.contains_key(*name))
        .chain(input.stack.networks.iter().filter_map(|n| match n {
            Network::Own { key, .. } if input.inventory.ken.networks.contains_key(key) => Some(key.as_str()),
            _ => None,
        }))
        .collect();
    Check::that(
        clash.is_empty(),
        "names",
        "no name of ours is one of Ken's",
        if clash.is_empty() {
            "no clash".to_owned()
        } else {
            clash.into_iter().collect::<Vec<_>>().join(", ")
        },
        "no clash",
        "rename the service in Ken's file",
    )
}

fn port(input: &PreflightInput<'_>) -> Check {
    let at = format!("{}:{}", input.stack.web_address, input.stack.web_port);
    match &input.inventory.port {
        PortState::Free => Check::ok("port", "the port for web is free", format!("{at} is free"), "free"),
        PortState::Taken { owner } => Check {
            finding: Finding::Failed,
            mend: format!(
                "stop {owner}, or set exposure.port in the policy to a free port such as {}",
                input.stack.web_port.wrapping_add(1)
            ),
            ..Check::ok("port", "the port for web is free", format!("{at} is taken by {owner}"), "free")
        },
    }
}

fn images(input: &PreflightInput<'_>) -> Check {
    let images = &input.inventory.images;
    let missing: Vec<String> = images
        .iter()
        .filter_map(|(reference, state)| match state {
            // The last part of the engine's chain of causes is the cause.
            ImageState::Unresolvable { why } => {
                Some(format!("{reference}: {}", why.rsplit(": ").next().unwrap_or(why)))
            }
            _ => None,
        })
        .collect();
    Check::that(
        missing.is_empty(),
        "images",
        "every image is here or can be fetched",
        if missing.is_empty() { format!("{0} of {0} resolvable", images.len()) } else { missing.join("; ") },
        "all",
        "correct images.* in the policy, log in to the registry (docker login), or set images.registry to a mirror",
    )
}

/// What is to be made may be missing; what its owner must provide may not.
fn secrets(input: &PreflightInput<'_>) -> Check {
    let (id, title) = ("secrets", "every secret is there, or can be made");
    let keys = |test: &dyn Fn(&Status) -> bool| -> Vec<&str> {
        input.secrets.iter().filter(|s| test(s)).map(|s| s.name.key()).collect()
    };
    let provide = keys(&|s| s.state == SecretState::Missing && s.origin == Origin::Provided);
    let weak = keys(&|s| matches!(s.state, SecretState::Weak { .. }));
    let make = keys(&|s| s.state == SecretState::Missing && s.origin == Origin::Generated).len();
    let lost = keys(&|s| s.state == SecretState::Missing && s.name == SecretName::EncryptionKey);
    if input.state.data_exists && !lost.is_empty() {
        return Check::that(
            false,
            id,
            title,
            "ENCRYPTION_KEY is gone, and data exists that needs it",
            "as it was when the data was written",
            format!("restore secrets.env in {} from your backup", input.site.secrets().display()),
        );
    }
    if !provide.is_empty() {
        return Check::that(
            false,
            id,
            title,
            format!("{} missing", provide.join(", ")),
            "provided by you",
            format!(
                "write NAME=value lines into {} (mode 0600)",
                input.site.secrets().join("secrets.env").display()
            ),
        );
    }
    let there = input.secrets.len() - make - weak.len();
    Check::that(
        weak.is_empty(),
        id,
        title,
        if weak.is_empty() {
            format!("{there} there, {make} to be made")
        } else {
            format!("weak: {}", weak.join(", "))
        },
        "by their rules, all different",
        "cargo xtask secrets check says why",
    )
    .advised()
}

fn own_folder(input: &PreflightInput<'_>) -> Check {
    let (id, title) = ("own-folder", "our folder is ours and can be written");
    let (folder, seen) = (input.site.folder().display().to_string(), &input.inventory.folder);
    let failed =
        |measured: String, limit: String, mend: String| Check::that(false, id, title, measured, limit, mend);
    if seen.foreign {
        return failed(
            format!("{folder} is there, and no run of ours made it"),
            "ours, or not there".to_owned(),
            "move it away, or give it another name".to_owned(),
        );
    }
    if let Some(free) = seen.free.filter(|free| *free < SITE_ROOM) {
        return failed(
            format!("{} free", bytes(free)),
            format!("at least {}", bytes(SITE_ROOM)),
            format!("free space on the file system of {folder}"),
        );
    }
    if let Some(owner) = seen.ken_owner.filter(|owner| *owner != seen.me) {
        // Files of ours that Ken's people cannot read would break their own `docker compose up`.
        return failed(
            format!("Ken's Compose file belongs to user {owner}, this runs as user {}", seen.me),
            "the same user".to_owned(),
            format!("run this as user {owner} (sudo -u '#{owner}' …)"),
        );
    }
    Check::that(
        seen.writable,
        id,
        title,
        if seen.writable { "writable" } else { "not writable" },
        "writable",
        format!("make the file system of {folder} writable"),
    )
}
