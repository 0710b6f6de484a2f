//! The layouts: each deploys, comes to rest, goes back byte for byte, comes again with its data, and goes for good.

use std::time::Duration;

use anyhow::ensure;
use ken_tests::{command, http, rig_or_skip};
use serde_json::json;

use crate::stack::{Stack, until};

/// What is put into each store before a rollback, to be found after the next deploy.
struct Marks {
    object: String,
}

/// A ClickHouse query with the password of our own user.
fn clickhouse(stack: &Stack, sql: &str) -> anyhow::Result<String> {
    let secrets = stack.secrets()?;
    let headers = [("X-ClickHouse-User", "langfuse"), ("X-ClickHouse-Key", &secrets["CLICKHOUSE_PASSWORD"])];
    let answer = http::send(stack.address_of("langfuse-clickhouse", 8123)?, "POST", "/", &headers, sql)?;
    ensure!(answer.status == 200, "{sql}: {answer:?}");
    Ok(answer.body)
}

/// Sends a trace, and gives its id and the object that its raw event is kept in.
fn trace(stack: &Stack, id: &str) -> anyhow::Result<String> {
    let span = json!({ "traceId": id, "spanId": &id[..16], "name": "kept", "kind": 1,
        "startTimeUnixNano": "1750000000000000000", "endTimeUnixNano": "1750000001000000000" });
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string();
    let web = stack.langfuse_address();
    let answer = stack.api(web, "POST", "/api/public/otel/v1/traces", &body)?;
    ensure!(answer.status == 200, "{answer:?}");
    until("the trace is readable", Duration::from_secs(20), || readable(stack, id).unwrap_or(false))?;
    let body: serde_json::Value = serde_json::from_str(&answer.body)?;
    Ok(body["data"]["payload"]["data"]["fileKey"].as_str().unwrap_or_default().to_owned())
}

fn readable(stack: &Stack, id: &str) -> anyhow::Result<bool> {
    let path = format!("/api/public/v2/observations?traceId={id}&limit=1");
    let answer = stack.api(stack.langfuse_address(), "GET", &path, "")?;
    let body: serde_json::Value = serde_json::from_str(&answer.body)?;
    Ok(answer.status == 200 && body["data"].as_array().is_some_and(|rows| !rows.is_empty()))
}

impl Marks {
    fn set(stack: &Stack) -> anyhow::Result<Self> {
        let object = trace(stack, "00112233445566778899aabbccddeeff")?;
        clickhouse(stack, "CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")?;
        clickhouse(stack, "INSERT INTO kept VALUES (7)")?;
        stack.exec_of("langfuse-redis", &["redis-cli", "set", "kept", "queued"])?;
        stack.sql("langfuse", "CREATE TABLE kept AS SELECT 7 AS n")?;
        let marks = Self { object };
        marks.hold(stack)?;
        Ok(marks)
    }

    fn hold(&self, stack: &Stack) -> anyhow::Result<()> {
        assert_eq!(clickhouse(stack, "SELECT n FROM kept")?, "7\n");
        assert_eq!(stack.exec_of("langfuse-redis", &["redis-cli", "get", "kept"])?, "queued");
        assert_eq!(stack.sql("langfuse", "SELECT n FROM kept")?, "7");
        // The store keeps a bucket as a folder and an object as a file.
        let path = format!("/data/langfuse/{}", self.object);
        assert!(!self.object.is_empty());
        stack.exec_of("langfuse-minio", &["sh", "-c", &format!("test -e '{path}'")])?;
        Ok(())
    }
}

fn there_and_back(stack: Stack, layout: &str) -> anyhow::Result<()> {
    let original = std::fs::read(stack.compose_file())?;
    stack.set_policy("ken.layout", layout)?;
    let xtask = stack.xtask()?;
    xtask.deploy(&[])?.exits(0)?;
    stack.untouched()?;
    let edited = std::fs::read_to_string(stack.compose_file())?;
    match layout {
        "merge" => {
            assert!(edited.contains("langfuse-web:") && !stack.langfuse().join("compose.yml").exists())
        }
        "include" => assert!(edited.contains("langfuse/compose.yml") && !edited.contains("langfuse-web:")),
        _ => assert_eq!(edited.as_bytes(), original, "Ken's file is not edited at all"),
    }
    let world = stack.world()?;
    xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    assert_eq!(stack.world()?, world);
    let marks = Marks::set(&stack)?;
    let secrets = stack.secrets()?;

    xtask.rollback(&[])?.exits(0)?.says(&["Ken is as it was"])?;
    assert_eq!(std::fs::read(stack.compose_file())?, original, "byte for byte");
    stack.as_before()?;
    let filter = format!("name={}", stack.name());
    let containers =
        command::docker(["container", "ls", "-a", "--filter", &filter, "--format", "{{.Names}}"])?;
    assert!(!containers.contains("langfuse"), "{containers}");
    let volumes = command::docker_lines(["volume", "ls", "-q", "--filter", &filter])?;
    assert_eq!(volumes.iter().filter(|name| name.contains("langfuse")).count(), 3, "{volumes:?}");
    xtask.rollback(&[])?.exits(0)?;

    xtask.deploy(&[])?.exits(0)?;
    marks.hold(&stack)?;
    assert_eq!(stack.secrets()?, secrets, "secrets are never made anew over existing data");
    assert_eq!(stack.project()?, "ken");
    stack.untouched()?;

    // Destroying is asked for twice.
    let world = stack.world()?;
    xtask.rollback(&["--purge"])?.exits(7)?.says(&["--confirm-purge", stack.name()])?;
    xtask.rollback(&["--purge", "--confirm-purge", "another"])?.exits(7)?;
    assert_eq!(stack.world()?, world);
    xtask.purge()?.exits(0)?;
    assert_eq!(std::fs::read(stack.compose_file())?, original);
    stack.nothing_left()?;
    stack.finish()
}

#[test]
fn include_goes_back_byte_for_byte_and_keeps_its_data() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    there_and_back(Stack::start(rig)?, "include")
}

#[test]
fn merge_goes_back_byte_for_byte_and_keeps_its_data() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    there_and_back(Stack::start(rig)?, "merge")
}

#[test]
fn separate_goes_back_byte_for_byte_and_keeps_its_data() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    there_and_back(Stack::start(rig)?, "separate")
}
