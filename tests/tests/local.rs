//! A deployment without Docker, from nothing to nothing: with the real binary, real processes and real files.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use ken_tests::Local;

const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c",
    "spanId":"b7ad6b7169203331","name":"kept","startTimeUnixNano":"1795168800000000000",
    "endTimeUnixNano":"1795168801000000000"}]}]}]}"#;

fn kill(pid: Option<u32>) -> anyhow::Result<()> {
    let pid = pid.context("there is no such process")?;
    ensure!(duct::cmd!("kill", "-9", pid.to_string()).unchecked().run()?.status.success());
    Ok(())
}

fn is_alive(pid: Option<u32>) -> bool {
    let stat = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    stat.is_some_and(|text| !text.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn from_nothing_to_a_trace_and_back_to_nothing() -> anyhow::Result<()> {
    let local = Local::new()?;
    local.run(&["plan"])?.exits(2)?.says(&["langfuse-web", "to add"])?;
    ensure!(!local.site().exists(), "a plan changed something");
    local.deploy()?.says(&["canary-readable", "all checks pass", &format!("http://{}/", local.address())])?;
    ensure!(local.observations()? == ["canary"], "the canary is there to be looked at");
    let (supervisor, server) = local.processes();
    ensure!(is_alive(supervisor) && is_alive(server), "they outlive the command");

    local.deploy()?.says(&["nothing to do"])?;
    ensure!(local.processes() == (supervisor, server), "nothing was restarted");
    local.run(&["plan"])?.exits(0)?;
    local.run(&["validate"])?.exits(0)?;
    local.run(&["status"])?.exits(0)?.says(&["langfuse-web", "running, healthy", "nothing to do"])?;

    ensure!(local.ask("POST", "/api/public/otel/v1/traces", SPAN)?.status == 200);
    local.run(&["rollback", "--yes"])?.exits(0)?.says(&["kept"])?;
    ensure!(!is_alive(supervisor) && !is_alive(server) && !local.is_well());
    local.run(&["rollback", "--yes"])?.exits(0)?.says(&["nothing to take back"])?;
    local.deploy()?;
    ensure!(local.observations()?.contains(&"kept".to_owned()), "data outlive a rollback");

    local.run(&["rollback", "--yes", "--purge"])?.exits(7)?.says(&["--confirm-purge langfuse-local"])?;
    local.run(&["rollback", "--yes", "--purge", "--confirm-purge", "langfuse-local"])?.exits(0)?;
    ensure!(!local.site().exists(), "{:?}", files(&local.site()));
    Ok(())
}

#[test]
fn a_server_that_crashes_is_started_again() -> anyhow::Result<()> {
    let local = Local::new()?;
    local.deploy()?;
    ensure!(local.ask("POST", "/api/public/otel/v1/traces", SPAN)?.status == 200);
    let (supervisor, server) = local.processes();
    for _again in 0..2 {
        let (_, before) = local.processes();
        kill(before)?;
        local.until("started again", || local.processes().1 != before && local.is_well())?;
    }
    ensure!(local.processes().0 == supervisor && local.processes().1 != server);
    ensure!(local.observations()?.contains(&"kept".to_owned()), "what was answered is there");
    local.deploy()?.says(&["nothing to do"])?;
    let log = fs::read_to_string(local.service().join("log"))?;
    ensure!(log.contains("the server ended with status 137"), "{log}");
    Ok(())
}

#[test]
fn without_its_supervisor_a_server_ends_and_deploy_heals_it() -> anyhow::Result<()> {
    let local = Local::new()?;
    local.deploy()?;
    let (supervisor, server) = local.processes();
    kill(supervisor)?;
    local.until("ended", || !is_alive(server))?;
    local.run(&["status"])?.exits(0)?.says(&["exited"])?;
    local.deploy()?.says(&["does not run"])?;
    ensure!(local.is_well() && local.processes().0 != supervisor);
    Ok(())
}

#[test]
fn a_deploy_killed_at_any_moment_goes_on() -> anyhow::Result<()> {
    for after_ms in [1, 4, 8, 12, 16, 20, 25, 30, 40, 60] {
        let local = Local::new()?;
        let running = local.start(&["deploy", "--yes"])?;
        std::thread::sleep(Duration::from_millis(after_ms));
        running.kill()?;
        local.deploy().with_context(|| format!("after a kill at {after_ms} ms"))?;
        ensure!(local.observations()?.contains(&"canary".to_owned()), "{after_ms} ms");
        let running = local.start(&["rollback", "--yes"])?;
        std::thread::sleep(Duration::from_millis(after_ms));
        running.kill()?;
        local.run(&["rollback", "--yes"])?.exits(0)?;
        ensure!(!local.is_well(), "{after_ms} ms");
    }
    Ok(())
}

#[test]
fn a_taken_port_names_who_has_it() -> anyhow::Result<()> {
    let local = Local::new()?;
    let _taken = TcpListener::bind(local.address())?;
    let me = format!("(pid {})", std::process::id());
    local.run(&["deploy", "--yes"])?.exits(4)?.says(&["port", "is taken by", &me, "exposure.port"])?;
    ensure!(!local.site().join("services").exists(), "something was started");
    Ok(())
}

#[test]
fn a_second_instance_is_refused() -> anyhow::Result<()> {
    let local = Local::new()?;
    local.deploy()?;
    let service = local.service();
    let service = service.to_string_lossy();
    local.run_bare(&["local", "supervise", &service], &[])?.exits(1)?.says(&["supervised already"])?;
    let data = local.site().join("volumes/langfuse-local/langfuse-local-data");
    let variables = [("LANGFUSE_LOCAL_DATA", &*data.to_string_lossy()), ("PORT", "65531")];
    local.run_bare(&["local", "serve"], &variables)?.exits(1)?.says(&["in use by another running"])?;
    ensure!(local.is_well());
    Ok(())
}

#[test]
fn secrets_are_in_two_files_of_their_owner_and_nowhere_else() -> anyhow::Result<()> {
    let local = Local::new()?;
    let said = local.deploy()?.text();
    let again = local.run(&["status", "--json"])?.text();
    let secret = local.secret("PROJECT_SECRET_KEY")?;
    ensure!(secret.len() > 20 && !said.contains(&secret) && !again.contains(&secret));
    let (supervisor, server) = local.processes();
    for pid in [supervisor, server].into_iter().flatten() {
        let arguments = fs::read(format!("/proc/{pid}/cmdline"))?;
        ensure!(!String::from_utf8_lossy(&arguments).contains(&secret), "process {pid} shows it");
    }
    let holds = |path: &PathBuf| {
        fs::read(path).is_ok_and(|bytes| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
    };
    let mut holders: Vec<PathBuf> = files(&local.site()).into_iter().filter(holds).collect();
    holders.sort();
    let folder = local.site().join("secrets");
    ensure!(holders == [folder.join("secrets.env"), folder.join("web.env")], "{holders:?}");
    for path in files(&local.site()) {
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        let is_public = path.ends_with("compose.yml");
        ensure!(mode == if is_public { 0o644 } else { 0o600 }, "{} is {mode:o}", path.display());
    }
    Ok(())
}

#[test]
fn auto_says_what_it_took_and_production_never_falls_back() -> anyhow::Result<()> {
    let local = Local::new()?;
    let nowhere = [("DOCKER_HOST", "unix:///nowhere/docker.sock")];
    local.write_policy("auto")?;
    let words = ["deploy", "--yes", "--policy", "policy.toml"];
    let outcome = local.run_bare(&words, &nowhere)?.exits(0)?;
    let first = outcome.stdout.lines().next().unwrap_or_default();
    ensure!(first.starts_with("engine: local, because no Docker engine answers"), "{first}");
    local.run_bare(&words, &nowhere)?.exits(0)?.says(&["deployed before", "nothing to do"])?;
    // What is deployed here is meant by commands that say nothing else.
    local.run_bare(&["status"], &nowhere)?.exits(0)?.says(&["langfuse-local"])?;
    local.write_policy("local")?;

    for profile in ["staging", "production"] {
        for engine in ["local", "auto"] {
            let text = format!("profile = \"{profile}\"\nengine = \"{engine}\"\n");
            fs::write(local.folder().join("strict.toml"), text)?;
            let words = ["deploy", "--yes", "--policy", "strict.toml"];
            local.run_bare(&words, &nowhere)?.exits(3)?.says(&[
                "engine",
                "strict.toml",
                "2:10",
                "never fall back",
            ])?;
            fs::write(local.folder().join("strict.toml"), format!("profile = \"{profile}\"\n"))?;
            let words = ["deploy", "--yes", "--policy", "strict.toml", "--engine", engine];
            local.run_bare(&words, &nowhere)?.exits(3)?.says(&["never falls back"])?;
            let words = ["deploy", "--yes", "--policy", "strict.toml"];
            local.run_bare(&words, &nowhere)?.exits(6)?.says(&["no Docker engine answers"])?;
        }
    }
    Ok(())
}
