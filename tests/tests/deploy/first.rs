//! The first deploy, and the second, which has nothing to do.

use ken_tests::rig_or_skip;

use crate::stack::{SERVICES, Stack};

/// The validation list, by the ids that machines know.
const VALIDATION: [&str; 13] = [
    "ui-reachable",
    "web-healthy",
    "worker-healthy",
    "clickhouse-healthy",
    "redis-healthy",
    "minio-healthy",
    "clickhouse-settings",
    "project-key",
    "canary-accepted",
    "canary-stored",
    "canary-readable",
    "exposure",
    "ken-untouched",
];

const STAGES: [&str; 11] = [
    "preflight",
    "files",
    "images",
    "stores",
    "database",
    "buckets",
    "migrate",
    "worker",
    "web",
    "project",
    "verify",
];

#[test]
fn the_first_deploy_does_it_all_and_the_second_touches_nothing() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;

    let before = stack.world()?;
    let planned = xtask.plan(&["--json"])?.exits(2)?;
    assert_eq!(planned.events_of("planned")?[0]["empty"], false);
    xtask.status(&[])?.exits(0)?.says(&["last run  none", "lock      free"])?;
    xtask.validate(&[])?.exits(3)?.says(&["no Langfuse is deployed"])?;
    assert_eq!(stack.world()?, before, "looking changes nothing");
    assert!(!stack.langfuse().exists());

    let first = xtask.deploy(&["--json"])?.exits(0)?;
    let events = first.events()?;
    assert_eq!((&events[0]["event"], &events[0]["version"]), (&"schema".into(), &1.into()));
    let done: Vec<_> =
        first.events_of("stage-done")?.into_iter().map(|event| event["stage"].clone()).collect();
    assert_eq!(done, STAGES);
    let last = &events[events.len() - 1];
    assert_eq!((&last["event"], &last["ok"]), (&"finished".into(), &true.into()));
    let checks = first.checks()?;
    let verified = &checks[checks.len() - VALIDATION.len()..];
    assert_eq!(verified.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), VALIDATION);
    assert!(verified.iter().all(|(_, finding)| finding == "ok"), "{verified:?}");
    assert_eq!(stack.project()?, "ken");
    for service in SERVICES {
        let expected = if service == "langfuse-migrate" { "Exited (0)" } else { "(healthy)" };
        let state = stack.state(service)?;
        assert!(state.contains(expected), "{service}: {state}");
    }
    stack.untouched()?;

    let deployed = stack.world()?;
    xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    let second = xtask.deploy(&["--json"])?.exits(0)?;
    assert_eq!(second.events_of("stage-began")?, Vec::<serde_json::Value>::new());
    let planned = xtask.plan(&["--json"])?.exits(0)?;
    assert_eq!(planned.events_of("planned")?[0]["empty"], true);
    xtask.status(&["--json"])?.exits(0)?;
    xtask.validate(&["--json"])?.exits(0)?;
    assert_eq!(stack.world()?, deployed, "the second run touches nothing");
    stack.untouched()?;
    stack.finish()
}
