//! What is refused before anything changes: one clear error, an exit code of its class, and the world as it was.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Context as _;
use ken_tests::{Outcome, command, http, rig_or_skip};

use crate::stack::Stack;

/// The failed checks of a deploy that preflight stopped.
fn failed(outcome: &Outcome) -> anyhow::Result<Vec<String>> {
    let checks = outcome.checks()?.into_iter();
    Ok(checks.filter(|(_, finding)| finding == "failed").map(|(id, _)| id).collect())
}

#[test]
fn a_stopped_postgres_is_refused_before_anything_changes() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;
    command::read(&stack.compose(["stop", "-t", "5", "postgres"]))?;
    let world = stack.world()?;
    let refused = xtask.deploy(&["--json"])?.exits(4)?;
    assert!(failed(&refused)?.contains(&"postgres-healthy".to_owned()), "{refused:?}");
    assert_eq!(refused.events_of("run-began")?, Vec::<serde_json::Value>::new());
    let told = ["FAIL  postgres-healthy", "stopped before anything changed", "hint"];
    xtask.deploy(&[])?.exits(4)?.says(&told)?;
    xtask.plan(&[])?.exits(2)?.says(&["deploy would stop at preflight"])?;
    assert_eq!(stack.world()?, world);
    assert!(!stack.langfuse().exists());

    // Once it is back everything goes: here it is started by its own people.
    stack.up_ken()?;
    xtask.deploy(&["--until", "preflight"])?.exits(0)?.says(&["no impact so far"])?;
    assert!(!stack.langfuse().exists());
    assert_eq!(stack.conversations()?, 42);
    stack.finish()
}

#[test]
fn a_taken_port_a_foreign_folder_and_open_secrets_are_refused() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;

    let listener = TcpListener::bind(stack.langfuse_address())?;
    let world = stack.world()?;
    let owner = format!("(pid {})", std::process::id());
    let refused = xtask.deploy(&["--json"])?.exits(4)?;
    assert_eq!(failed(&refused)?, ["port"]);
    xtask.deploy(&[])?.exits(4)?.says(&["FAIL  port", &owner, "exposure.port"])?;
    assert_eq!(stack.world()?, world);
    drop(listener);

    // A file system that is mounted read-only refuses root too.
    let folder = stack.compose_file().parent().context("Ken's folder")?.to_owned();
    command::read(&duct::cmd!("mount", "--bind", &folder, &folder)).context("mounting takes root")?;
    let outcomes = command::read(&duct::cmd!("mount", "-o", "remount,bind,ro", &folder))
        .and_then(|_| Ok((xtask.deploy(&["--json"])?, xtask.deploy(&[])?, xtask.secrets("init", &[])?)));
    command::read(&duct::cmd!("umount", "-l", &folder))?;
    let (deployed, said, init) = outcomes?;
    assert_eq!(failed(&deployed.exits(4)?)?, ["own-folder"]);
    said.exits(4)?.says(&["FAIL  own-folder", "not writable"])?;
    init.exits(3)?.says(&["Read-only file system"])?;
    assert_eq!(stack.world()?, world);

    xtask.secrets("check", &[])?.exits(4)?.says(&["MISSING"])?;
    assert_eq!(stack.world()?, world);
    xtask.secrets("init", &[])?.exits(0)?.says(&["ENCRYPTION_KEY"])?;
    xtask.secrets("check", &[])?.exits(0)?;
    let file = stack.langfuse().join("secrets/secrets.env");
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    let world = stack.world()?;
    let told = ["can be read by others", "0644", "chmod 600"];
    xtask.deploy(&[])?.exits(3)?.says(&told)?;
    xtask.plan(&[])?.exits(3)?.says(&told)?;
    xtask.secrets("check", &[])?.exits(3)?.says(&told)?;
    xtask.deploy(&["--json"])?.exits(3)?.says(&told)?;
    assert_eq!(stack.world()?, world);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    xtask.plan(&[])?.exits(2)?;
    stack.as_before()?;
    assert_eq!(http::get(stack.ken_address(), "/healthz")?.status, 200);
    stack.finish()
}
