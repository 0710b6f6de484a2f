//! What Ken's own people do with plain Compose commands, without us.

use anyhow::Context as _;
use ken_tests::{command, rig_or_skip};

use crate::stack::{SERVICES, Stack};

/// `docker compose VERB… langfuse-…` in Ken's folder.
fn compose(stack: &Stack, verb: &[&'static str]) -> anyhow::Result<String> {
    command::read(&stack.compose(verb.iter().copied().chain(SERVICES)))
}

fn time(stack: &Stack, service: &str, field: &str) -> anyhow::Result<String> {
    let id = command::read(&stack.compose(["ps", "-aq", service]))?;
    command::docker(["container", "inspect", "--format", &format!("{{{{.State.{field}}}}}"), &id])
}

#[test]
fn a_plain_compose_up_brings_it_all_back_in_the_right_order() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;
    xtask.deploy(&[])?.exits(0)?;

    // As on the first day: no container, no data, an empty database.
    compose(&stack, &["rm", "-sfv"])?;
    let volumes = ["redis", "clickhouse", "minio"].map(|role| format!("{}-langfuse-{role}", stack.name()));
    command::docker(["volume", "rm"].into_iter().chain(volumes.iter().map(String::as_str)))?;
    stack.sql("postgres", "DROP DATABASE langfuse WITH (FORCE)")?;
    stack.sql("postgres", "CREATE DATABASE langfuse OWNER langfuse")?;
    stack.sql("postgres", "REVOKE ALL ON DATABASE langfuse FROM PUBLIC")?;

    command::read(&stack.compose(["up", "-d", "--wait"]))?;
    let migrated = time(&stack, "langfuse-migrate", "FinishedAt")?;
    let worker = time(&stack, "langfuse-worker", "StartedAt")?;
    let web = time(&stack, "langfuse-web", "StartedAt")?;
    assert!(migrated < worker && worker < web, "migrated {migrated}, worker {worker}, web {web}");
    assert_eq!(stack.project()?, "ken");
    // A worker that starts before the migration loses the prices of the models.
    assert_ne!(stack.sql("langfuse", "SELECT count(*) FROM models")?, "0");
    xtask.validate(&[])?.exits(0)?;
    xtask.plan(&[])?.exits(0)?;
    // Once more changes nothing, Ken's containers least of all.
    let engine = stack.world()?;
    command::read(&stack.compose(["up", "-d", "--wait"]))?;
    let again = stack.world()?;
    let steady = |world: &crate::stack::World| -> Vec<String> {
        // The one-shot may run again; it has nothing left to do.
        world.engine().iter().filter(|line| !line.contains("langfuse-migrate")).cloned().collect()
    };
    assert_eq!(steady(&again), steady(&engine));
    stack.untouched()?;
    stack.finish()
}

#[test]
fn ken_needs_nothing_of_ours() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let mut stack = Stack::start(rig)?;
    stack.xtask()?.deploy(&[])?.exits(0)?;

    compose(&stack, &["stop", "-t", "5"])?;
    command::read(&stack.compose(["restart", "-t", "5", "postgres", "ken"]))?;
    stack.up_ken()?;
    stack.restarted()?;
    stack.untouched()?;

    compose(&stack, &["rm", "-sf"])?;
    command::read(&stack.compose(["restart", "-t", "5", "postgres", "ken"]))?;
    stack.up_ken()?;
    stack.restarted()?;
    stack.untouched()?;

    // Without the environment files, and from nothing.
    let secrets = stack.langfuse().join("secrets");
    let kept = std::fs::read(secrets.join("secrets.env"))?;
    for entry in std::fs::read_dir(&secrets)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "env") {
            std::fs::remove_file(path)?;
        }
    }
    command::read(&stack.compose(["config", "--quiet"]))?;
    command::read(&stack.compose(["up", "-d", "--wait", "ken"]))?;
    stack.untouched()?;
    command::read(&stack.compose(["rm", "-sf", "ken", "postgres"]))?;
    command::read(&stack.compose(["up", "-d", "--wait", "ken"]))?;
    assert_eq!(stack.conversations()?, 42);
    stack.recreated()?;

    // Data without its secrets is never given new ones.
    let xtask = stack.xtask()?;
    let world = stack.world()?;
    xtask.deploy(&[])?.exits(4)?.says(&["ENCRYPTION_KEY", "backup"])?;
    assert_eq!(stack.world()?, world);
    let path = secrets.join("secrets.env");
    std::fs::write(&path, kept)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).context("chmod")?;
    xtask.deploy(&[])?.exits(0)?;
    xtask.validate(&[])?.exits(0)?;
    stack.untouched()?;
    stack.finish()
}
