//! `kill -9` after each line of the journal, and on from there, until a run comes through.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use ken_tests::rig_or_skip;

use crate::stack::{SERVICES, Stack};

/// What the last whole line of the journal is about: its stage and its kind.
fn last_entry(stack: &Stack) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(stack.journal())?;
    let whole = text.rfind('\n').context("no line")?;
    let line: serde_json::Value =
        serde_json::from_str(text[..whole].rsplit('\n').next().unwrap_or_default())?;
    Ok(format!("{} {} {}", line["entry"]["kind"], line["entry"]["stage"], line["entry"]["action"]["action"]))
}

#[test]
fn a_deploy_killed_again_and_again_comes_to_the_same_end() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;
    let original = std::fs::read(stack.compose_file())?;

    let mut places = Vec::new();
    let mut lines = 1;
    loop {
        let begun = stack.journal_lines();
        let running = xtask.start_deploy(&[])?;
        let ended = loop {
            if stack.journal_lines() >= begun + lines {
                break false;
            }
            if running.has_ended()? {
                break true;
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        if ended {
            running.wait()?.exits(0)?;
            break;
        }
        let killed = running.kill()?;
        // It may have been quicker than the signal.
        if killed.code == Some(0) {
            break;
        }
        ensure!(killed.code.is_none(), "run {lines} ended by itself: {killed:?}");
        assert_eq!(stack.conversations()?, 42, "Ken serves on");
        places.push(last_entry(&stack)?);
        lines += 1;
    }
    let different: BTreeSet<&String> = places.iter().collect();
    assert!(places.len() >= 20 && different.len() >= 15, "killed at {places:#?}");

    // The same end as that of a run that nobody disturbed.
    let world = stack.world()?;
    xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    assert_eq!(stack.world()?, world);
    xtask.plan(&[])?.exits(0)?;
    xtask.validate(&[])?.exits(0)?;
    xtask.unlock(&[])?.exits(0)?;
    for service in SERVICES {
        assert_eq!(stack.state(service)?.lines().count(), 1, "{service}");
    }
    assert_eq!(stack.project()?, "ken");
    assert_ne!(stack.sql("langfuse", "SELECT count(*) FROM models")?, "0");
    stack.untouched()?;
    xtask.rollback(&[])?.exits(0)?;
    assert_eq!(std::fs::read(stack.compose_file())?, original, "byte for byte");
    stack.as_before()?;
    xtask.purge()?.exits(0)?;
    stack.nothing_left()?;
    stack.finish()
}
