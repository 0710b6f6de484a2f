//! `cargo xtask conformance` as its operator runs it, against a server in this process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use langfuse_local::settings::{Role, Settings};
use langfuse_local::{Notice, Server};
use serde_json::Value;
use tempfile::TempDir;

const PUBLIC: &str = "pk-lf-of-this-test-alone";
const SECRET: &str = "sk-lf-of-this-test-alone";

async fn server(folder: &Path) -> Server {
    let find = |name: &str| {
        let value = match name {
            "LANGFUSE_INIT_ORG_ID" | "LANGFUSE_INIT_PROJECT_ID" => "fresh",
            "LANGFUSE_INIT_PROJECT_PUBLIC_KEY" => PUBLIC,
            "LANGFUSE_INIT_PROJECT_SECRET_KEY" => SECRET,
            _ => return None,
        };
        Some(value.to_owned())
    };
    let mut settings = Settings::read(Role::Standalone, &find).unwrap();
    settings.data = folder.to_owned();
    (settings.port, settings.worker_port) = (0, 0);
    Server::start(settings, Arc::new(|_: &Notice| {})).await.unwrap()
}

fn keys(folder: &TempDir, mode: u32) -> PathBuf {
    let path = folder.path().join(format!("keys-{mode:o}.env"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).unwrap();
    writeln!(file, "PROJECT_PUBLIC_KEY={PUBLIC}\nPROJECT_SECRET_KEY={SECRET}").unwrap();
    path
}

async fn xtask(arguments: Vec<String>, environment: Vec<(&'static str, &'static str)>) -> Output {
    let run = move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
        for name in ["PROJECT_PUBLIC_KEY", "PROJECT_SECRET_KEY", "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"]
        {
            command.env_remove(name);
        }
        command.arg("conformance").args(arguments).envs(environment).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    for said in [&output.stdout, &output.stderr] {
        let said = String::from_utf8_lossy(said);
        assert!(!said.contains(SECRET) && !said.contains(PUBLIC), "a key was said: {said}");
    }
    output
}

fn arguments(base: &str, keys: Option<&Path>, json: bool) -> Vec<String> {
    let mut arguments = vec!["--base-url".to_owned(), base.to_owned()];
    arguments.extend(keys.into_iter().flat_map(|path| ["--keys".to_owned(), path.display().to_string()]));
    arguments.extend(json.then(|| "--json".to_owned()));
    arguments
}

#[tokio::test(flavor = "multi_thread")]
async fn each_exchange_and_the_sum_are_reported() {
    let (data, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = server(data.path()).await;
    let base = format!("http://{}", server.web_address().unwrap());
    let keys = keys(&folder, 0o600);

    let output = xtask(arguments(&base, Some(&keys), true), Vec::new()).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    let exchanges = of("exchange");
    assert_eq!(exchanges.len(), 88, "{said}");
    let count = |outcome: &str| exchanges.iter().filter(|line| line["outcome"] == outcome).count();
    let counts = of("counts")[0];
    let counted = ["same", "different", "not-supported"].map(count);
    let summed = ["same", "different", "not_supported"].map(|key| counts[key].as_u64().unwrap());
    assert_eq!(counted.map(|count| count as u64), summed);
    assert_eq!(counted.iter().sum::<usize>(), 88);
    let is_same = counted[0] == 88;
    assert_eq!(output.status.code(), Some(if is_same { 0 } else { 4 }), "{said}");
    assert_eq!(lines.last().unwrap()["ok"], is_same);
    let health = exchanges[3];
    assert_eq!((health["number"].as_u64(), &health["outcome"]), (Some(4), &Value::from("same")));

    // The keys out of the environment, and words for people.
    let environment = vec![("LANGFUSE_PUBLIC_KEY", PUBLIC), ("LANGFUSE_SECRET_KEY", SECRET)];
    let output = xtask(arguments(&base, None, false), environment).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("\n04 health ") && said.contains("88 exchanges: "), "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_gets_one_error_and_exit_3() {
    let (data, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = server(data.path()).await;
    let base = format!("http://{}", server.web_address().unwrap());
    let (private, open) = (keys(&folder, 0o600), keys(&folder, 0o644));
    let nowhere = folder.path().join("nowhere.env");
    let cases = [
        (arguments(&base, Some(&open), false), "can be read by others"),
        (arguments(&base, Some(&nowhere), false), "there is no file"),
        (arguments(&base, None, false), "the environment has no keys"),
        (arguments("ftp://127.0.0.1/", Some(&private), false), "is not an http or https address"),
        (arguments("nonsense", Some(&private), false), "--base-url"),
        (arguments("http://127.0.0.1:1", Some(&private), false), "does not answer"),
    ];
    for (arguments, words) in cases {
        let output = xtask(arguments, Vec::new()).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(words) && said.matches("error:").count() == 1, "{words}: {said}");
        assert_eq!(output.status.code(), Some(3), "{said}");
    }
    // The keys of another server.
    let environment = vec![("LANGFUSE_PUBLIC_KEY", "pk-lf-other"), ("LANGFUSE_SECRET_KEY", "sk-lf-other")];
    let output = xtask(arguments(&base, None, true), environment).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let error: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&error["event"], error["exit"].as_u64()), (&Value::from("error"), Some(3)), "{said}");
    assert!(error["message"].as_str().unwrap().contains("does not take the keys"), "{said}");
    server.stop().await;
}
