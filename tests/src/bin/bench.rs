//! The project's figures: `cargo run --release --package ken-tests --bin bench`.
//!
//! Each is a ratio against a peer, or a bound, in the same run: medians of several turns, peers in alternation.
//! Ends with status 1 when a bound is broken.

#![expect(clippy::print_stdout, reason = "figures are for people")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ken_config::{Layout, Policy, Profile};
use ken_deploy::clock::ManualClock;
use ken_deploy::engine::fake::FakeEngine;
use ken_deploy::inventory::image_references;
use ken_deploy::rollout::{Session, site};
use ken_tests::{KenStack, Rig, command};
use serde_json::json;

const NOTHING_TO_DO: f64 = 0.5;
const FIRST_DEPLOY: f64 = 1.25;
const PLANNING_MS: f64 = 50.0;
const PEAK_MIB: f64 = 64.0;

struct Figure {
    name: &'static str,
    measured: String,
    bound: String,
    holds: bool,
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let mut figures = vec![planning(Layout::Include)?, planning(Layout::Merge)?];
    match Rig::require() {
        Ok(rig) => {
            let xtask = xtask()?;
            figures.extend(rollouts(rig, &xtask)?);
        }
        Err(missing) => println!("only planning is measured, for want of the rig: {missing}"),
    }
    let width = figures.iter().map(|f| f.name.len()).max().unwrap_or(0);
    for figure in &figures {
        let word = if figure.holds { "ok  " } else { "FAIL" };
        println!("{word}  {:<width$}  {:<64}  {}", figure.name, figure.measured, figure.bound);
    }
    Ok(u8::from(figures.iter().any(|f| !f.holds)).into())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Reading, planning and rendering beside a Compose file of 200 services, as `plan` does it, over an engine in memory.
fn planning(layout: Layout) -> anyhow::Result<Figure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("docker-compose.yml");
    let mut text = String::from("name: large\nservices:\n");
    let mut services = serde_json::Map::new();
    for n in 0..200 {
        let name = match n {
            0 => "ken".to_owned(),
            1 => "postgres".to_owned(),
            n => format!("service-{n}"),
        };
        text.push_str(&format!(
            "  {name}: # number {n}\n    image: \"example/{name}:1.{n}.0\"\n    restart: unless-stopped\n    environment:\n      A: 'one'\n      B: \"two\"\n    networks: [default]\n    volumes:\n      - data-{n}:/data\n"
        ));
        services.insert(name, json!({ "networks": { "default": null } }));
    }
    text.push_str("volumes:\n");
    (0..200).for_each(|n| text.push_str(&format!("  data-{n}:\n")));
    std::fs::write(&file, &text)?;
    let model = json!({ "name": "large", "services": services, "networks": { "default": { "name": "large_default" } } });
    let engine = FakeEngine::new(move |_, _| Ok(model.clone()));
    let mut policy = Policy::default_for(Profile::Dev);
    policy.ken.layout = layout;
    for reference in image_references(&policy) {
        engine.images.borrow_mut().insert(reference, None);
    }
    let path = site(&file)?;
    for service in ["ken", "postgres"] {
        engine.start_ken("large", service, &path.ken_file().context("a site beside Ken")?.to_string_lossy());
    }
    let clock = ManualClock::default();
    let session = Session::new(&engine, &clock, policy, String::new(), path);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut times = Vec::new();
    for _ in 0..31 {
        let began = Instant::now();
        let prepared = runtime.block_on(session.prepare())?;
        times.push(milliseconds(began.elapsed()));
        ensure!(!prepared.plan.is_empty(), "there is something to plan");
    }
    let time = median(times);
    Ok(Figure {
        name: if layout == Layout::Include { "planning, include" } else { "planning, merge" },
        measured: format!("{time:.1} ms for 200 services ({} KiB)", text.len() / 1024),
        bound: format!("at most {PLANNING_MS} ms"),
        holds: time <= PLANNING_MS,
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The release binary, compiled if need be into the folder in which this program lies.
fn xtask() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().context("this program lies in no folder")?;
    let target = folder.parent().context("this program lies in no target folder")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    duct::cmd(cargo, ["build", "--quiet", "--release", "--package", "xtask"])
        .dir(root)
        .env("CARGO_TARGET_DIR", target)
        .run()
        .context("xtask does not compile")?;
    Ok(target.join("release/xtask"))
}

/// How a run of xtask went.
struct Run {
    took: f64,
    peak_mib: f64,
}

fn run(xtask: &Path, ken: &KenStack, words: &[&str]) -> anyhow::Result<Run> {
    let policy = ken.policy_file();
    let mut arguments: Vec<&std::ffi::OsStr> = words.iter().map(std::ffi::OsStr::new).collect();
    arguments.extend(["--policy".as_ref(), policy.as_os_str()]);
    let began = Instant::now();
    let handle = duct::cmd(xtask, arguments)
        .dir(ken.folder())
        .stdin_null()
        .stderr_to_stdout()
        .stdout_capture()
        .unchecked()
        .start()?;
    let pid = handle.pids().first().copied().unwrap_or_default();
    // The kernel keeps the high-water mark; the last look before the end has it.
    let mut peak_kib = 0;
    let output = loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mark =
            status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = peak_kib.max(mark.unwrap_or(0_u32));
        if let Some(output) = handle.wait_timeout(Duration::from_millis(5))? {
            break output;
        }
    };
    let took = began.elapsed().as_secs_f64();
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    Ok(Run { took, peak_mib: f64::from(peak_kib) / 1024.0 })
}

fn compose_up(ken: &KenStack) -> anyhow::Result<f64> {
    let began = Instant::now();
    command::read(&ken.compose(["up", "-d", "--wait"]))?;
    Ok(began.elapsed().as_secs_f64())
}

/// Removes our containers, volumes and network of a Ken; files, role and database stay.
fn clear(ken: &KenStack) -> anyhow::Result<()> {
    let label = format!("label=dev.ken-langfuse.stack={}", ken.name());
    let containers = command::docker_lines(["ps", "-aq", "--filter", &label])?;
    if !containers.is_empty() {
        let words: Vec<String> = ["rm", "-fv"].map(str::to_owned).into_iter().chain(containers).collect();
        command::docker(words)?;
    }
    for kind in ["volume", "network"] {
        for name in command::docker_lines([kind, "ls", "-q", "--filter", &label])? {
            command::docker([kind, "rm", &name])?;
        }
    }
    Ok(())
}

fn rollouts(rig: &Rig, xtask: &Path) -> anyhow::Result<Vec<Figure>> {
    let mut first: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut peak: f64 = 0.0;
    for turn in 0..3 {
        println!("first deploy, turn {} of 3", turn + 1);
        let ours = KenStack::start(rig)?;
        let done = run(xtask, &ours, &["deploy", "--yes"])?;
        first.entry("ours").or_default().push(done.took);
        peak = peak.max(done.peak_mib);
        ours.finish()?;
        // The same files, with role and database as Compose cannot make them; then everything else from nothing.
        let theirs = KenStack::start(rig)?;
        run(xtask, &theirs, &["deploy", "--yes", "--until", "database"])?;
        clear(&theirs)?;
        first.entry("compose").or_default().push(compose_up(&theirs)?);
        theirs.finish()?;
    }
    println!("nothing to do");
    let ken = KenStack::start(rig)?;
    run(xtask, &ken, &["deploy", "--yes"])?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        theirs.push(compose_up(&ken)?);
        ours.push(run(xtask, &ken, &["deploy", "--yes"])?.took);
    }
    ken.finish()?;
    let take = |name: &str| median(first.get(name).cloned().unwrap_or_default());
    let ratio = |name, ours: f64, theirs: f64, bound: f64| Figure {
        name,
        measured: format!(
            "{ours:.2} s against {theirs:.2} s of docker compose up -d --wait: {:.2}",
            ours / theirs
        ),
        bound: format!("at most {bound}"),
        holds: ours / theirs <= bound,
    };
    Ok(vec![
        ratio("nothing to do", median(ours), median(theirs), NOTHING_TO_DO),
        ratio("first deploy", take("ours"), take("compose"), FIRST_DEPLOY),
        Figure {
            name: "peak memory",
            measured: format!("{peak:.1} MiB over a whole first deploy"),
            bound: format!("at most {PEAK_MIB} MiB"),
            holds: peak <= PEAK_MIB,
        },
    ])
}
