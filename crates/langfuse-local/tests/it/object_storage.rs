//! Every accepted batch goes to the event bucket first.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestServer, answer, export, http_receiver};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn server_with_bucket(address: SocketAddr) -> TestServer {
    TestServer::start(&[
        ("LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT", &format!("http://{address}")),
        ("LANGFUSE_S3_EVENT_UPLOAD_BUCKET", "langfuse"),
        ("LANGFUSE_S3_EVENT_UPLOAD_PREFIX", "events/"),
        ("LANGFUSE_S3_EVENT_UPLOAD_REGION", "auto"),
        ("LANGFUSE_S3_EVENT_UPLOAD_ACCESS_KEY_ID", "minio"),
        ("LANGFUSE_S3_EVENT_UPLOAD_SECRET_ACCESS_KEY", "geheim-s3"),
        ("LANGFUSE_S3_EVENT_UPLOAD_FORCE_PATH_STYLE", "true"),
    ])
    .await
}

#[tokio::test]
async fn a_batch_is_put_as_json_under_its_file_key() {
    let (address, seen) = http_receiver(200).await;
    let server = server_with_bucket(address).await;
    let mut sent = export(TRACE, &json!({ "k": "v" }));
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["links"] = json!([{ "traceId": "kept" }]);
    let (status, body) = server.send(&sent).await;
    assert_eq!(status, 200, "{body}");
    let file_key = body["data"]["payload"]["data"]["fileKey"].as_str().unwrap();
    let (folder, file) = file_key.rsplit_once('/').unwrap();
    assert!(folder.starts_with("events/otel/my-project/20") && folder.split('/').count() == 8, "{file_key}");
    assert!(file.len() == 41 && file.ends_with(".json"), "{file_key}");

    let request = seen.lock().unwrap()[0].clone();
    let line = request.head.lines().next().unwrap();
    assert!(line.starts_with(&format!("PUT /langfuse/{file_key}?")), "{line}");
    assert!(line.contains("X-Amz-Signature=") && line.contains("%2Fauto%2Fs3%2F"), "{line}");
    assert!(request.head.to_lowercase().contains("content-type: application/json"), "{}", request.head);
    assert!(!request.head.contains("geheim"), "{}", request.head);
    let stored: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(stored, sent["resourceSpans"], "ignored members are kept in the raw file");
    assert_eq!(server.trace(TRACE).await.len(), 1);

    // The protobuf flavour is put as JSON too.
    let body = [
        &[0x0a, 0x22, 0x12, 0x20, 0x12, 0x1e, 0x0a, 0x10][..],
        &[0xab; 16],
        &[0x12, 0x08],
        &[0xcd; 8],
        &[0x30, 0x02],
    ]
    .concat();
    let call = server.request(Method::POST, "/api/public/otel/v1/traces");
    let (status, body) = answer(call.header("content-type", "application/x-protobuf").body(body)).await;
    assert_eq!(status, 200, "{body}");
    let stored: Value = serde_json::from_slice(&seen.lock().unwrap()[1].body).unwrap();
    let span = json!({ "traceId": "ab".repeat(16), "spanId": "cd".repeat(8), "kind": 2 });
    assert_eq!(stored, json!([{ "scopeSpans": [{ "spans": [span] }] }]));
}

/// Refused, unreachable: 500 for a retry, and no row that no file backs.
#[tokio::test]
async fn a_failed_upload_stores_nothing() {
    let (refusing, seen) = http_receiver(403).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for address in [refusing, closed] {
        let server = server_with_bucket(address).await;
        let (status, body) = server.send(&export(TRACE, &json!({}))).await;
        assert_eq!(status, 500);
        assert_eq!(body["message"], "Internal Server Error");
        assert!(body["error"].as_str().unwrap().contains("event bucket"), "{body}");
        assert!(server.trace(TRACE).await.is_empty());
        let notices = server.notices.lock().unwrap().clone();
        assert_eq!(notices, ["batch refused: upload failed"]);
    }
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_or_empty_export_uploads_nothing() {
    let (address, seen) = http_receiver(200).await;
    let server = server_with_bucket(address).await;
    assert_eq!(server.send(&json!({ "resourceSpans": [] })).await, (200, json!({})));
    assert_eq!(server.send(&json!({ "resourceSpans": 1 })).await.0, 400);
    assert!(seen.lock().unwrap().is_empty());
}
