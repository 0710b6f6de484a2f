//! The answer to an accepted export: the queue's job, as Langfuse gives it away.

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::store::KeyHolder;

const NAME: &str = "otel-ingestion-job";

/// What the client says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) sdk_name: String,
    pub(super) sdk_version: String,
    pub(super) ingestion_version: Option<String>,
}

impl Client {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        // Proxies that cannot pass hyphens send underscores.
        let get = |name: &str| {
            let header = headers.get(name).or_else(|| headers.get(name.replace('-', "_")))?;
            header.to_str().ok().map(str::to_owned)
        };
        Self {
            sdk_name: get("x-langfuse-sdk-name").unwrap_or_else(|| "unknown".to_owned()),
            sdk_version: get("x-langfuse-sdk-version").unwrap_or_else(|| "unknown".to_owned()),
            ingestion_version: get("x-langfuse-ingestion-version"),
        }
    }

    /// Whether the asked ingestion version is one that Langfuse 4 knows.
    pub(super) fn version_is_supported(&self) -> bool {
        self.ingestion_version.as_ref().is_none_or(|text| text.trim().parse::<i64>().is_ok_and(|it| it <= 4))
    }
}

/// Describes the job of one accepted batch.
pub(super) fn accepted(
    number: u64,
    file_key: &str,
    holder: &KeyHolder,
    client: &Client,
    now: Timestamp,
) -> Value {
    let now_ms = now.as_millisecond();
    let project = &holder.project;
    let mut payload = json!({
        "data": { "fileKey": file_key, "publicKey": holder.public_key },
        "authCheck": {
            "validKey": true,
            "scope": { "projectId": project.id, "accessLevel": "project", "orgId": project.org_id },
        },
        "sdkName": client.sdk_name,
        "sdkVersion": client.sdk_version,
    });
    if let (Some(version), Value::Object(payload)) = (&client.ingestion_version, &mut payload) {
        payload.insert("ingestionVersion".to_owned(), Value::from(version.clone()));
    }
    json!({
        "name": NAME,
        "data": {
            "id": uuid::Uuid::new_v4().to_string(),
            "timestamp": crate::time::iso(now_ms),
            "name": NAME,
            "payload": payload,
        },
        "opts": {
            "attempts": 6,
            "removeOnComplete": true,
            "removeOnFail": 100_000,
            "backoff": { "type": "exponential", "delay": 5_000 },
            "traceparent": traceparent(),
            "baggage": baggage(holder, client),
        },
        "id": number.to_string(),
        "progress": 0,
        "returnvalue": null,
        "stacktrace": null,
        "priority": 0,
        "attemptsStarted": 0,
        "attemptsMade": 0,
        "stalledCounter": 0,
        "timestamp": now_ms,
        "queueQualifiedName": "bull:otel-ingestion-queue",
    })
}

fn traceparent() -> String {
    let trace = uuid::Uuid::new_v4();
    let span = uuid::Uuid::new_v4();
    format!("00-{}-{}-01", hex::encode(trace.as_bytes()), hex::encode(&span.as_bytes()[..8]))
}

fn baggage(holder: &KeyHolder, client: &Client) -> String {
    let mut entries = Map::new();
    if let Some(version) = &client.ingestion_version {
        entries.insert("langfuse.header.x-langfuse-ingestion-version".to_owned(), version.clone().into());
    }
    let known = [
        ("langfuse.clickhouse.surface", "publicapi"),
        ("langfuse.clickhouse.route", "POST /api/public/otel/v1/traces"),
        ("langfuse.project.id", &holder.project.id),
        ("langfuse.api_key.id", &holder.key_id),
    ];
    entries.extend(known.map(|(key, value)| (key.to_owned(), Value::from(value))));
    let encoded = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    };
    entries.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect::<Vec<_>>().join(",")
}
