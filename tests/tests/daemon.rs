//! The engine itself goes away in the middle of a deploy.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ken_tests::{KenStack, Sharing, Xtask, command, http, rig_or_skip};

/// Waits for a state, and fails when it does not come.
fn until(what: &str, mut test: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !test() {
        ensure!(began.elapsed() < Duration::from_secs(120), "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn an_engine_restarted_midway_is_no_more_than_an_interruption() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::prepare(rig, Sharing::Alone)?;
    ken.up_ken()?;
    let xtask = Xtask::beside(&ken)?;
    let before = (ken.fingerprint()?, ken.container("ken")?.id, ken.container("postgres")?.id);
    let journal = ken.compose_file().with_file_name("langfuse").join("state/journal.jsonl");

    let running = xtask.start_deploy(&[])?;
    until("the stage of the stores", || {
        fs::read_to_string(&journal)
            .is_ok_and(|text| text.contains(r#""kind":"stage-began","stage":"stores""#))
    })?;
    let pid = command::read(&duct::cmd("pidof", ["dockerd"]))?;
    command::read(&duct::cmd("kill", [pid.trim()]))?;
    until("the engine's end", || {
        duct::cmd("pidof", ["dockerd"]).stdout_null().unchecked().run().is_ok_and(|o| !o.status.success())
    })?;
    // Without an engine the run cannot do its work, and says so instead of hanging.
    let interrupted = running.wait()?;
    ensure!(interrupted.code != Some(0), "{}", interrupted.text());
    duct::cmd("bash", [rig.folder().join("setup")])
        .stdout_null()
        .run()
        .context("the engine does not come back")?;

    // Ken comes back by its own restart policy; it is the same Ken with the same data.
    until("Ken", || http::get(ken.ken_address(), "/healthz").is_ok_and(|answer| answer.status == 200))?;
    until("Ken's health", || ken.container("ken").is_ok_and(|c| c.health == "healthy"))?;
    until("Postgres' health", || ken.container("postgres").is_ok_and(|c| c.health == "healthy"))?;
    assert_eq!((ken.container("ken")?.id, ken.container("postgres")?.id), (before.1, before.2));

    xtask.deploy(&[])?.exits(0)?.says(&["Langfuse runs beside an untouched Ken"])?;
    xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    xtask.validate(&[])?.exits(0)?;
    xtask.purge()?.exits(0)?;
    assert_eq!(ken.fingerprint()?, before.0);
    assert_eq!(ken.conversations()?, 42);
    ken.finish()
}
