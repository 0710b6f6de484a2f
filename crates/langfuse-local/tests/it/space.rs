//! The file does not grow without bound: retention, a bound with a clear refusal, and vacuum.

use langfuse_local::settings::Role;
use langfuse_local::store::Store;
use serde_json::{Value, json};

use crate::support::{TestServer, settings};

fn spans(trace: &str, start: &str, n_spans: usize, n_bytes: usize) -> Value {
    let input = "x".repeat(n_bytes);
    let spans: Vec<Value> = (0..n_spans)
        .map(|number| {
            json!({ "traceId": trace, "spanId": format!("span-{number}"), "name": "n", "startTimeUnixNano": start,
                "attributes": [{ "key": "langfuse.observation.input", "value": { "stringValue": input } }] })
        })
        .collect();
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] })
}

fn ns(ms: i64) -> String {
    format!("{ms}000000")
}

const MAX: (&str, &str) = ("LANGFUSE_LOCAL_MAX_BYTES", "2000000");

#[tokio::test]
async fn a_full_store_refuses_says_how_to_go_on_and_still_reads() {
    let server = TestServer::start(&[MAX]).await;
    let now = ns(jiff::Timestamp::now().as_millisecond());
    let mut answers = Vec::new();
    for number in 0..8 {
        answers.push(server.send(&spans(&format!("trace-{number}"), &now, 10, 50_000)).await);
    }
    assert_eq!(answers[0].0, 200);
    let (status, body) = answers.pop().unwrap();
    assert_eq!(status, 507, "{body}");
    let text = body["error"].as_str().unwrap();
    assert!(text.contains("LANGFUSE_LOCAL_MAX_BYTES") && text.contains("2000000"), "{text}");
    assert_eq!(server.trace("trace-0").await.len(), 10);
    assert_eq!(server.trace("trace-7").await.len(), 0);

    // Deleting makes room again, although the file is as long as before.
    for number in 0..8 {
        server
            .request(reqwest::Method::DELETE, &format!("/api/public/traces/trace-{number}"))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(server.send(&spans("after", &now, 10, 50_000)).await.0, 200);
    assert_eq!(server.trace("after").await.len(), 10);
}

#[tokio::test]
async fn what_is_past_its_time_goes_at_the_next_start_and_nothing_else() {
    let server = TestServer::start(&[]).await;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let day_ms = 86_400_000;
    for (trace, age_days) in [("old", 31), ("young", 29)] {
        let start = ns(now_ms - age_days * day_ms);
        // More than is removed at once.
        assert_eq!(server.send(&spans(trace, &start, 6_000, 10)).await.0, 200);
    }
    let folder = server.stop().await;
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.count().unwrap(), 12_000);
    drop(store);

    let days = [("LANGFUSE_LOCAL_RETENTION_DAYS", "30")];
    let server = langfuse_local::Server::start(
        settings(Role::Standalone, folder.path(), &days),
        std::sync::Arc::new(|_notice: &langfuse_local::Notice| ()),
    )
    .await
    .unwrap();
    let client = crate::support::client();
    let url = format!("http://{}/api/public/v2/observations?limit=1&traceId=", server.web_address().unwrap());
    let left = async |trace: &str| {
        let call = client
            .get(format!("{url}{trace}"))
            .basic_auth(crate::support::PUBLIC, Some(crate::support::SECRET));
        crate::support::answer(call).await.1["data"].as_array().unwrap().len()
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while left("old").await > 0 {
        assert!(std::time::Instant::now() < deadline, "the old trace stays");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.stop().await;
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.count().unwrap(), 6_000);
}

#[tokio::test]
async fn vacuum_gives_space_back_and_keeps_rows_with_their_content() {
    let server = TestServer::start(&[]).await;
    let now = ns(jiff::Timestamp::now().as_millisecond());
    for trace in ["gone", "kept"] {
        assert_eq!(server.send(&spans(trace, &now, 40, 50_000)).await.0, 200);
    }
    server.request(reqwest::Method::DELETE, "/api/public/traces/gone").send().await.unwrap();
    let folder = server.stop().await;
    let path = folder.path().join("langfuse-local.sqlite");
    let before = std::fs::metadata(&path).unwrap().len();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_langfuse-local"))
        .arg("vacuum")
        .env_clear()
        .env("LANGFUSE_LOCAL_DATA", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after < before * 6 / 10, "{before} bytes became {after}");
    let query = langfuse_local::query::ObservationQuery::parse("fields=io&limit=100").unwrap();
    let rows = Store::open(folder.path()).unwrap().observations("my-project", &query).unwrap();
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row.trace_id == "kept" && row.input.len() == 50_000));
}
