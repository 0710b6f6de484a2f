//! Whole rollouts over an engine in memory: every stage, every gate, every fault, every place to be killed at.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::result_large_err, reason = "an error of a whole command is made once")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use ken_config::{Layout, Policy, Profile};
use ken_deploy::engine::fake::Fault;
use ken_deploy::engine::{Activity, Health};
use ken_deploy::journal::{Journal, State};
use ken_deploy::plan::{Action, StageName};
use ken_deploy::report::{Event, Finding};
use ken_deploy::rollout::{Ended, SessionError};
use proptest::prelude::*;
use support::{KEN, World, image, is_compose_error, stage_of, tree};

const ALL_RUNNING: [&str; 5] =
    ["langfuse-clickhouse", "langfuse-minio", "langfuse-redis", "langfuse-web", "langfuse-worker"];

fn world(layout: Layout) -> World {
    let mut policy = Policy::default_for(Profile::Dev);
    policy.ken.layout = layout;
    World::with(KEN, policy)
}

fn is_converged(world: &World) {
    assert_eq!(world.running(), ALL_RUNNING);
    let prepared = world.prepare().unwrap();
    let left: Vec<_> = prepared.plan.actions().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_first_deploy_ends_converged_and_a_second_does_nothing() {
    for layout in [Layout::Include, Layout::Merge, Layout::Separate] {
        let world = world(layout);
        assert_eq!(world.deploy().unwrap(), Ended::Done, "{layout:?}: {}", world.heard.borrow().text);
        is_converged(&world);
        let log = world.engine.log.borrow().len();
        let before = tree(world.folder.path());
        assert!(world.prepare().unwrap().plan.is_empty());
        assert_eq!(world.engine.log.borrow().len(), log, "looking changes nothing");
        assert_eq!(tree(world.folder.path()), before);
    }
}

#[test]
fn stages_come_in_their_order_and_each_says_how_it_went() {
    let world = World::new();
    world.deploy().unwrap();
    let heard = world.heard.borrow();
    let done: Vec<StageName> = heard
        .events
        .iter()
        .filter_map(|e| match e {
            Event::StageDone { stage, .. } => Some(*stage),
            _ => None,
        })
        .collect();
    assert_eq!(done, StageName::DEPLOY);
    let checks: Vec<&str> = heard
        .events
        .iter()
        .filter_map(|e| match e {
            Event::Checked { check } if check.finding == Finding::Ok => Some(check.id),
            _ => None,
        })
        .collect();
    for id in [
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
    ] {
        assert!(checks.contains(&id), "{id} is missing in {checks:?}");
    }
    assert_eq!(
        *world.engine.log.borrow(),
        [
            "up langfuse-redis langfuse-clickhouse langfuse-minio",
            "create database",
            "up langfuse-migrate",
            "up langfuse-worker",
            "up langfuse-web",
        ]
    );
}

#[test]
fn rollback_gives_kens_file_back_byte_for_byte_and_keeps_the_data() {
    for layout in [Layout::Include, Layout::Merge, Layout::Separate] {
        for ken in [KEN.to_owned(), KEN.replace('\n', "\r\n"), KEN.trim_end().to_owned()] {
            let mut world = World::with(&ken, Policy::default_for(Profile::Dev));
            world.policy.ken.layout = layout;
            world.deploy().unwrap();
            if layout != Layout::Separate {
                assert_ne!(world.ken_text(), ken);
            }
            assert_eq!(world.rollback(false).unwrap(), Ended::Done);
            assert_eq!(world.ken_text(), ken, "{layout:?}");
            assert!(world.running().is_empty());
            assert_eq!(world.engine.volumes.borrow().len(), 3, "data is kept");
            assert!(world.site().secrets().join("secrets.env").exists());
            assert!(!world.site().compose().exists());
            // Brought back, it uses the same secrets and the same volumes.
            let values = world.values();
            assert_eq!(world.deploy().unwrap(), Ended::Done);
            assert_eq!(world.values(), values);
            is_converged(&world);
        }
    }
}

#[test]
fn purge_leaves_nothing() {
    let world = World::new();
    let before = tree(world.folder.path());
    world.deploy().unwrap();
    assert_eq!(world.rollback(true).unwrap(), Ended::Done);
    assert_eq!(tree(world.folder.path()), before);
    assert!(!world.site().folder().exists());
    assert!(world.engine.volumes.borrow().is_empty() && world.engine.networks.borrow().is_empty());
    assert!(world.engine.log.borrow().iter().any(|l| l == "drop database"));
    assert_eq!(world.deploy().unwrap(), Ended::Done, "and it can be deployed again");
}

#[test]
fn an_owner_s_edit_between_deploy_and_rollback_survives() {
    let world = World::new();
    world.deploy().unwrap();
    let edited = world.ken_text().replace("restart: unless-stopped", "restart: always");
    fs::write(world.file(), edited).unwrap();
    world.rollback(false).unwrap();
    assert_eq!(world.ken_text(), KEN.replace("restart: unless-stopped", "restart: always"));
}

#[test]
fn files_of_ours_that_somebody_removed_are_made_again_or_rolled_back() {
    let world = World::new();
    world.deploy().unwrap();
    fs::remove_file(world.site().compose()).unwrap();
    fs::remove_file(world.site().secrets().join("web.env")).unwrap();
    assert_eq!(world.deploy().unwrap(), Ended::Done, "{}", world.heard.borrow().text);
    is_converged(&world);
    fs::remove_file(world.site().compose()).unwrap();
    assert_eq!(world.rollback(true).unwrap(), Ended::Done);
    assert_eq!(world.ken_text(), KEN);
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone() {
    let world = World::new();
    fs::create_dir(world.site().folder()).unwrap();
    fs::write(world.site().compose(), "theirs").unwrap();
    let ended = world.deploy().unwrap();
    assert_eq!(stage_of(&ended), Some(StageName::Preflight), "{ended:?}");
    assert_eq!(fs::read_to_string(world.site().compose()).unwrap(), "theirs");
    assert_eq!(world.ken_text(), KEN);
}

#[test]
fn a_layout_can_be_changed() {
    let mut world = world(Layout::Include);
    world.deploy().unwrap();
    for layout in [Layout::Merge, Layout::Separate, Layout::Include] {
        world.policy.ken.layout = layout;
        assert_eq!(world.deploy().unwrap(), Ended::Done, "{layout:?}: {}", world.heard.borrow().text);
        is_converged(&world);
    }
    world.rollback(false).unwrap();
    assert_eq!(world.ken_text(), KEN);
}

/// Each fault stops at its own stage with a reason; mended, the same command goes on to the end.
#[test]
fn every_fault_stops_at_its_stage_and_can_be_resumed() {
    let table = [
        (Fault::NeverHealthy("redis"), StageName::Stores, "unhealthy"),
        (Fault::Ends("clickhouse", 132), StageName::Stores, "status 132"),
        (Fault::NoObjectStore, StageName::Buckets, "503"),
        (Fault::LosesObjects, StageName::Buckets, "404"),
        (Fault::Ends("migrate", 1), StageName::Migrate, "status 1"),
        (Fault::NeverHealthy("worker"), StageName::Worker, "unhealthy"),
        (Fault::NeverHealthy("web"), StageName::Web, "unhealthy"),
        (Fault::OtherVersion, StageName::Web, "3.9.9"),
        (Fault::RefusesKey, StageName::Project, "refused"),
        (Fault::LosesSpans, StageName::Verify, "canary-readable"),
        (Fault::KenRestarts, StageName::Web, "ken was restarted"),
    ];
    for (fault, stage, words) in table {
        let world = World::new();
        world.engine.break_(fault.clone());
        let ended = world.deploy().unwrap();
        assert_eq!(stage_of(&ended), Some(stage), "{fault:?}: {}", world.heard.borrow().text);
        let Ended::Failed(_, closed) = ended else { unreachable!() };
        assert!(closed.reason.contains(words), "{fault:?}: {}", closed.reason);
        assert!(!closed.next.is_empty());
        if matches!(fault, Fault::NeverHealthy(_) | Fault::Ends(..)) {
            assert!(closed.culprit.is_some() && !closed.logs.is_empty(), "{closed:?}");
        }
        world.engine.mend();
        // What was started unhealthy recovers as it would in the field.
        for container in world.engine.containers.borrow_mut().iter_mut() {
            if container.activity == Activity::Running {
                container.health = Health::Healthy;
            }
        }
        assert_eq!(world.deploy().unwrap(), Ended::Done, "{fault:?}: {}", world.heard.borrow().text);
        is_converged(&world);
    }
}

#[test]
fn after_any_fault_a_rollback_is_clean() {
    for fault in [Fault::NeverHealthy("web"), Fault::Ends("migrate", 1), Fault::NoObjectStore] {
        let world = World::new();
        world.engine.break_(fault);
        world.deploy().unwrap();
        assert_eq!(world.rollback(true).unwrap(), Ended::Done);
        assert_eq!(world.ken_text(), KEN);
        assert!(world.running().is_empty() && !world.site().folder().exists());
    }
}

#[test]
fn preflight_sees_what_would_go_wrong() {
    type Break = fn(&mut World);
    let table: [(&str, Break); 10] = [
        ("port", |w| w.engine.break_(Fault::PortTaken)),
        ("cpu-avx", |w| w.engine.facts.borrow_mut().avx = Some(false)),
        ("clock", |w| w.engine.facts.borrow_mut().clock_skew = Some(-90.0)),
        ("engine-version", |w| w.engine.facts.borrow_mut().version = "19.3.1".to_owned()),
        ("compose-version", |w| w.engine.facts.borrow_mut().compose_version = "2.10.0".to_owned()),
        ("postgres-version", |w| w.engine.postgres_version.set(140_011)),
        ("postgres-version", |w| w.engine.break_(Fault::NoPostgres)),
        ("images", |w| w.engine.images.borrow_mut().clear()),
        ("ken-healthy", |w| w.engine.containers.borrow_mut().retain(|c| c.service() != Some("ken"))),
        ("postgres-healthy", |w| {
            for container in w.engine.containers.borrow_mut().iter_mut() {
                container.health = Health::Unhealthy;
            }
        }),
    ];
    for (id, break_) in table {
        let mut world = World::new();
        break_(&mut world);
        let before = tree(world.folder.path());
        let prepared = world.prepare().unwrap();
        let failed: Vec<_> = world
            .session()
            .preflight(&prepared)
            .into_iter()
            .filter(|c| c.finding == Finding::Failed)
            .collect();
        let found =
            failed.iter().find(|c| c.id == id).unwrap_or_else(|| panic!("{id} did not fail: {failed:?}"));
        assert!(!found.mend.is_empty() && !found.measured.is_empty());
        assert_eq!(tree(world.folder.path()), before, "preflight changes nothing");
        assert!(world.engine.log.borrow().is_empty());
    }
}

#[test]
fn a_ken_that_waits_for_us_is_told_so() {
    let world = World::new();
    world.deploy().unwrap();
    let waiting = world.ken_text().replace("depends_on: [postgres]", "depends_on: [postgres, langfuse-web]");
    fs::write(world.file(), waiting).unwrap();
    let prepared = world.prepare().unwrap();
    let checks = world.session().preflight(&prepared);
    let check = checks.iter().find(|c| c.id == "ken-independent").unwrap();
    assert_eq!((check.finding, check.measured.as_str()), (Finding::Failed, "ken waits for langfuse-web"));
}

#[test]
fn a_run_that_failed_its_checks_is_not_taken_for_done() {
    let world = World::new();
    world.engine.break_(Fault::LosesSpans);
    assert_eq!(stage_of(&world.deploy().unwrap()), Some(StageName::Verify));
    let prepared = world.prepare().unwrap();
    assert!(prepared.plan.is_empty() && !prepared.is_reached());
    world.engine.mend();
    assert_eq!(world.deploy().unwrap(), Ended::Done);
    assert!(world.prepare().unwrap().is_reached());
}

#[test]
fn sizing_is_enforced_or_advised() {
    let mut policy = Policy::default_for(Profile::Production);
    for image in [&mut policy.images.web, &mut policy.images.worker] {
        assert!(!image.is_floating());
    }
    let mut world = World::with(KEN, policy);
    world.engine.facts.borrow_mut().memory = 4 << 30;
    world.engine.facts.borrow_mut().cpus = 2;
    world.engine.facts.borrow_mut().disk_free = Some(10 << 30);
    let findings = |world: &World| -> BTreeMap<&'static str, Finding> {
        world.session().preflight(&world.prepare().unwrap()).into_iter().map(|c| (c.id, c.finding)).collect()
    };
    let found = findings(&world);
    assert_eq!(
        (found["memory"], found["cpu-count"], found["disk"]),
        (Finding::Failed, Finding::Failed, Finding::Failed)
    );
    world.policy.sizing.mode = ken_config::SizingMode::Advise;
    let found = findings(&world);
    assert_eq!(
        (found["memory"], found["cpu-count"], found["disk"]),
        (Finding::Warning, Finding::Warning, Finding::Warning)
    );
}

#[test]
fn a_role_that_somebody_else_made_is_not_taken() {
    let world = World::new();
    world.deploy_until(Some(StageName::Database)).unwrap();
    // Another site beside the same server: its own secrets do not fit the role that is there.
    let secrets = world.site().secrets();
    fs::remove_dir_all(&secrets).unwrap();
    fs::remove_dir_all(world.site().state()).unwrap();
    let prepared = world.prepare().unwrap();
    let checks = world.session().preflight(&prepared);
    let check = checks.iter().find(|c| c.id == "database-name").unwrap();
    assert_eq!(check.finding, Finding::Failed, "{check:?}");
    assert!(check.mend.contains("postgres.role"));
}

/// Killed after every single line of the journal, one more line each time, the runs end where an undisturbed one ends.
#[test]
fn killed_after_each_journal_line_it_resumes_to_the_same_end() {
    for layout in [Layout::Include, Layout::Merge, Layout::Separate] {
        let undisturbed = world(layout);
        undisturbed.deploy().unwrap();
        let lines = Journal::read(&undisturbed.site().journal()).unwrap().entries().len();
        assert!(lines > 40, "{lines}");
        // One layout is cut everywhere; the others differ from it in two files only.
        let step = if layout == Layout::Include { 1 } else { 5 };
        for cut in (0..lines).step_by(step) {
            let mut world = world(layout);
            world.cut_after = Some(cut);
            let error = world.deploy().unwrap_err();
            assert!(matches!(error, SessionError::Journal(_)), "{error}");
            world.cut_after = None;
            assert_eq!(
                world.deploy().unwrap(),
                Ended::Done,
                "cut after {cut}: {}",
                world.heard.borrow().text
            );
            is_converged(&world);
            let normal = |w: &World| w.ken_text();
            assert_eq!(normal(&world), normal(&undisturbed), "cut after {cut}");
            world.rollback(false).unwrap();
            assert_eq!(world.ken_text(), KEN, "cut after {cut}");
        }
    }
}

#[test]
fn a_rollback_killed_anywhere_can_be_run_again() {
    for cut in 0..30 {
        let mut world = World::new();
        world.deploy().unwrap();
        world.cut_after = Some(cut);
        let _ = world.rollback(true);
        world.cut_after = None;
        let session = world.session();
        let prepared = world.block(session.prepare_rollback(true)).unwrap();
        if !prepared.plan.is_empty() {
            assert_eq!(world.rollback(true).unwrap(), Ended::Done, "cut after {cut}");
        }
        session.remove_folder().unwrap();
        assert_eq!(world.ken_text(), KEN);
        assert!(world.running().is_empty() && world.engine.volumes.borrow().is_empty(), "cut after {cut}");
    }
}

#[test]
fn a_journal_torn_in_its_last_line_is_read() {
    let world = World::new();
    world.deploy().unwrap();
    let path = world.site().journal();
    let bytes = fs::read(&path).unwrap();
    let whole = Journal::read(&path).unwrap().entries().len();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    assert_eq!(Journal::read(&path).unwrap().entries().len(), whole - 1);
    assert!(State::fold(Journal::read(&path).unwrap().entries()).interrupted().is_some());
    let damaged = String::from_utf8(bytes).unwrap().replacen("run-began", "run-bogan", 1);
    fs::write(&path, damaged).unwrap();
    let error = world.prepare().unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn a_journal_of_a_later_version_is_refused() {
    let world = World::new();
    world.deploy().unwrap();
    let path = world.site().journal();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("{\"v\":1", "{\"v\":2", 1)).unwrap();
    assert!(world.prepare().unwrap_err().to_string().contains("format 2"));
}

#[test]
fn no_secret_is_in_anything_that_is_shown_or_kept_elsewhere() {
    for layout in [Layout::Include, Layout::Merge, Layout::Separate] {
        let world = world(layout);
        world.engine.break_(Fault::LosesSpans);
        world.deploy().unwrap();
        world.engine.mend();
        let prepared = world.prepare().unwrap();
        world.deploy().unwrap();
        let mut shown = world.heard.borrow().text.clone();
        shown.push_str(&format!("{prepared:?}"));
        shown.push_str(&serde_json::to_string(&prepared.plan).unwrap());
        shown.push_str(&prepared.plan.lines(&world.site()).join("\n"));
        for (path, bytes) in tree(world.folder.path()) {
            if path.parent() == Some(&world.site().secrets()) {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", path.display());
            } else {
                shown.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        let values = world.values();
        assert_eq!(values.len(), 10);
        for value in values {
            assert!(!shown.contains(&value), "{layout:?}: a secret is shown");
        }
    }
}

#[test]
fn each_service_is_told_its_own_secrets_only() {
    let world = World::new();
    world.deploy().unwrap();
    let names = |role: &str| -> Vec<String> {
        let text = fs::read_to_string(world.site().secrets().join(format!("{role}.env"))).unwrap();
        text.lines()
            .filter(|l| !l.starts_with('#'))
            .map(|l| l.split_once('=').unwrap().0.to_owned())
            .collect()
    };
    assert_eq!(names("redis"), ["REDISCLI_AUTH"]);
    assert_eq!(names("clickhouse"), ["CLICKHOUSE_PASSWORD"]);
    assert_eq!(names("minio"), ["MINIO_ROOT_PASSWORD"]);
    assert_eq!(names("migrate"), ["CLICKHOUSE_PASSWORD", "DATABASE_URL"]);
    assert!(!names("worker").iter().any(|n| n.contains("INIT") || n == "NEXTAUTH_SECRET"));
    assert!(names("web").contains(&"LANGFUSE_INIT_USER_PASSWORD".to_owned()));
}

#[test]
fn a_floating_tag_that_moves_is_not_followed() {
    let world = World::new();
    let web = world.policy.images.web.to_string();
    world.engine.images.borrow_mut().remove(&web);
    world.engine.registry.borrow_mut().insert(web.clone(), format!("sha256:{}", "a".repeat(64)));
    assert_eq!(world.deploy().unwrap(), Ended::Done, "{}", world.heard.borrow().text);
    let compose = fs::read_to_string(world.site().compose()).unwrap();
    assert!(compose.contains(&format!("{web}@sha256:{}", "a".repeat(64))), "{compose}");
    // The tag moves; what was deployed stays what it was.
    world.engine.images.borrow_mut().insert(web, Some(format!("sha256:{}", "b".repeat(64))));
    is_converged(&world);
}

#[test]
fn a_changed_policy_changes_only_what_it_is_about() {
    let mut world = World::new();
    world.deploy().unwrap();
    world.policy.langfuse.telemetry = !world.policy.langfuse.telemetry;
    let prepared = world.prepare().unwrap();
    let up: Vec<Vec<String>> = prepared
        .plan
        .actions()
        .filter_map(|(_, a)| match a {
            Action::Up { services, .. } => Some(services.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(up, [vec!["langfuse-worker".to_owned()], vec!["langfuse-web".to_owned()]]);
    assert_eq!(world.deploy().unwrap(), Ended::Done);
    is_converged(&world);
}

#[test]
fn a_changed_secret_restarts_what_uses_it_even_when_killed_in_between() {
    let world = World::new();
    world.deploy().unwrap();
    let file = world.site().secrets().join("secrets.env");
    let text = fs::read_to_string(&file).unwrap();
    let changed: String =
        text.lines()
            .map(|l| {
                if l.starts_with("SALT=") {
                    format!("SALT={}\n", "QUJD".repeat(11))
                } else {
                    format!("{l}\n")
                }
            })
            .collect();
    fs::write(&file, changed).unwrap();
    for cut in 0..12 {
        let cut_world = world.session().cut_after(Some(cut));
        let prepared = world.block(cut_world.prepare()).unwrap();
        let mut heard = support::Heard::default();
        let _ = world.block(cut_world.execute(&prepared, None, &mut heard, |_| {}));
    }
    assert_eq!(world.deploy().unwrap(), Ended::Done);
    is_converged(&world);
    let log = world.engine.log.borrow();
    assert!(log.iter().filter(|l| *l == "up langfuse-web").count() >= 2, "{log:?}");
}

#[test]
fn a_broken_compose_file_stops_before_anything() {
    let world = World::new();
    world.engine.break_(Fault::NoCompose);
    let error = world.deploy().unwrap_err();
    assert!(is_compose_error(&error), "{error}");
    assert!(!world.site().folder().exists());
}

#[test]
fn a_second_run_at_the_same_time_is_told_who_is_at_work() {
    let world = World::new();
    let lock =
        ken_deploy::rollout::Lock::take(&world.site().lock(), "deploy run-0001", jiff::Timestamp::UNIX_EPOCH)
            .unwrap();
    let error = world.session().refuse_when_locked().unwrap_err();
    assert!(error.to_string().contains("deploy run-0001") && error.to_string().contains("pid"), "{error}");
    let error = world.deploy().unwrap_err();
    assert!(matches!(error, SessionError::Lock(_)), "{error}");
    assert!(world.engine.log.borrow().is_empty());
    drop(lock);
    assert_eq!(world.deploy().unwrap(), Ended::Done);
}

#[test]
fn kens_own_names_are_never_taken() {
    let ken = KEN.replace(
        "  postgres:\n",
        "  redis:\n    image: redis:7\n  langfuse-minio:\n    image: x:1\n  langfuse-web:\n    image: y:1\n  postgres:\n",
    );
    for layout in [Layout::Include, Layout::Merge] {
        let mut world = World::with(&ken, Policy::default_for(Profile::Dev));
        world.policy.ken.layout = layout;
        assert_eq!(world.deploy().unwrap(), Ended::Done, "{}", world.heard.borrow().text);
        assert_eq!(
            world.running(),
            [
                "ken-langfuse-minio",
                "ken-langfuse-web",
                "langfuse-clickhouse",
                "langfuse-redis",
                "langfuse-worker"
            ]
        );
        world.rollback(true).unwrap();
        assert_eq!(world.ken_text(), ken);
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let layout = prop_oneof![Just(Layout::Include), Just(Layout::Merge), Just(Layout::Separate)];
    (layout, 1024u16..65000, any::<bool>(), any::<bool>(), 0u8..4).prop_map(
        |(layout, port, sign_up, telemetry, image_version)| {
            let mut policy = Policy::default_for(Profile::Dev);
            policy.ken.layout = layout;
            if let ken_config::Exposure::Private { port: p, .. } = &mut policy.exposure {
                *p = port;
            }
            policy.langfuse.sign_up = sign_up;
            policy.langfuse.telemetry = telemetry;
            policy.images.redis = image(&format!("mirror.example.com/redis:7.2.{image_version}"));
            policy
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// From any policy to any other, interrupted anywhere: the next plan is empty, and undo gives the file back.
    #[test]
    fn planning_from_where_a_plan_leads_is_empty(first in any_policy(), second in any_policy(), cut in 0usize..60) {
        let mut world = World::with(KEN, first.clone());
        for reference in ken_deploy::inventory::image_references(&second) {
            world.engine.images.borrow_mut().insert(reference, None);
        }
        world.cut_after = Some(cut);
        let _ = world.deploy();
        world.cut_after = None;
        world.policy = second;
        prop_assert_eq!(world.deploy().unwrap(), Ended::Done);
        let once = world.prepare().unwrap().plan;
        prop_assert!(once.is_empty());
        prop_assert_eq!(&once.id, &world.prepare().unwrap().plan.id, "equal input gives an equal plan");
        world.rollback(false).unwrap();
        prop_assert_eq!(world.ken_text(), KEN);
    }
}
