//! Several runs on one stack: two at once, and back to an earlier one.

use std::time::Duration;

use anyhow::Context as _;
use ken_tests::rig_or_skip;

use crate::stack::{Stack, until};

#[test]
fn of_two_deploys_at_once_the_second_is_told_who_works() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;
    xtask.unlock(&[])?.exits(0)?.says(&["the lock is free"])?;
    let first = xtask.start_deploy(&[])?;
    let pid = format!("pid {}", first.pid());
    until("the first run begins", Duration::from_secs(30), || stack.journal_lines() > 0)?;
    let lock = std::fs::read_to_string(stack.langfuse().join("state/lock"))?;
    let lock: serde_json::Value = serde_json::from_str(&lock)?;
    let since = lock["since"].as_str().context("since when")?;
    // The holder's time to the second, as people write it.
    let since = since.get(..19).context("a time")?.replace('T', " ");

    let held = [pid.as_str(), since.as_str(), "deploy run-0001"];
    xtask.deploy(&[])?.exits(5)?.says(&held)?.says(&["hint"])?;
    xtask.rollback(&[])?.exits(5)?.says(&held)?;
    xtask.unlock(&[])?.exits(5)?.says(&held)?;
    xtask.secrets("init", &[])?.exits(5)?.says(&held)?;
    xtask.status(&[])?.exits(0)?.says(&held)?;
    let told = xtask.deploy(&["--json"])?.exits(5)?;
    assert!(told.text().contains(&pid), "{told:?}");
    assert!(!first.has_ended()?, "the first one still worked while the others were refused");

    first.wait()?.exits(0)?;
    xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    xtask.unlock(&[])?.exits(0)?;
    stack.untouched()?;
    stack.finish()
}

#[test]
fn rollback_goes_back_to_what_an_earlier_run_deployed() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;
    let compose = stack.langfuse().join("compose.yml");
    let first_policy = std::fs::read(stack.policy_file())?;
    xtask.deploy(&[])?.exits(0)?;
    let first = std::fs::read_to_string(&compose)?;
    assert!(first.contains(r#"TELEMETRY_ENABLED: "false""#));

    let (before, moved) = (stack.langfuse_address(), free_port()?);
    stack.set_policy("exposure.port", i64::from(moved))?;
    stack.set_policy("langfuse.telemetry", true)?;
    let stores = stack.state("langfuse-clickhouse")?;
    xtask.plan(&[])?.exits(2)?;
    xtask.deploy(&[])?.exits(0)?;
    let second = std::fs::read_to_string(&compose)?;
    assert!(second.contains(r#"TELEMETRY_ENABLED: "true""#) && second.contains(&format!(":{moved}:3000")));
    let at_moved = stack.api(([127, 0, 0, 1], moved).into(), "GET", "/api/public/projects", "")?;
    assert_eq!(at_moved.status, 200);
    assert!(!stores.is_empty());

    let world = stack.world()?;
    let refused =
        xtask.rollback(&["--to", "run-0009"])?.exits(3)?.says(&["run-0009", "run-0001, run-0002"])?;
    assert_eq!(refused.stdout, "", "{refused:?}");
    assert_eq!(stack.world()?, world);

    xtask.rollback(&["--to", "run-0001"])?.exits(0)?;
    assert_eq!(std::fs::read_to_string(&compose)?, first);
    assert_eq!(stack.langfuse_address(), before);
    assert_eq!(stack.project()?, "ken");
    assert!(std::net::TcpListener::bind(("127.0.0.1", moved)).is_ok(), "the second port is free again");
    // What runs is what the first policy says, and no longer what the file says.
    xtask.plan(&[])?.exits(2)?;
    std::fs::write(stack.policy_file(), first_policy)?;
    xtask.plan(&[])?.exits(0)?;
    stack.untouched()?;
    stack.finish()
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
