//! `POST /ingestion`: what the write mode `events_only` leaves of the legacy batch.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::App;

use super::respond::json;
use super::{auth, body};

/// Langfuse's limit for this route.
pub(super) const MAX_BODY: usize = 4_500_000;

pub(super) async fn ingest(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    if let Err(answer) = auth::project_key(&app, &headers).await {
        return *answer;
    }
    let bytes = match body::read(&headers, body, MAX_BODY).await {
        Ok(bytes) => bytes,
        Err(answer) => return *answer,
    };
    let invalid = |issue: String| {
        json(StatusCode::BAD_REQUEST, &json!({ "message": "Invalid request data", "errors": [issue] }))
    };
    let Ok(envelope) = serde_json::from_slice::<Value>(&bytes) else {
        return invalid("Invalid JSON".to_owned());
    };
    if !envelope.is_object() {
        return invalid(format!("Invalid input: expected object, received {}", kind(Some(&envelope))));
    }
    let Some(Value::Array(events)) = envelope.get("batch") else {
        let received = kind(envelope.get("batch"));
        return invalid(format!("Invalid input: expected array, received {received}"));
    };
    let (mut successes, mut errors) = (Vec::new(), Vec::new());
    for event in events {
        match outcome(event) {
            Ok(success) => successes.push(success),
            Err(failure) => errors.push(failure),
        }
    }
    json(StatusCode::MULTI_STATUS, &json!({ "successes": successes, "errors": errors }))
}

fn outcome(event: &Value) -> Result<Value, Value> {
    let failure = |status: u16, message: &str, error: String| json!({ "id": event["id"].as_str().unwrap_or_default(), "status": status, "message": message, "error": error });
    let (Some(id), Some(kind)) = (event["id"].as_str(), event["type"].as_str()) else {
        return Err(failure(
            400,
            "Invalid request data",
            "an event needs the strings id and type".to_owned(),
        ));
    };
    match kind {
        // The log of a client library is for Langfuse's own eyes: taken, not kept.
        "sdk-log" => Ok(json!({ "id": id, "status": 201 })),
        "score-create" => {
            Err(failure(501, "Not implemented", "langfuse-local does not store scores".to_owned()))
        }
        _ => Err(failure(
            400,
            "Event type not accepted",
            format!(
                "Event type \"{kind}\" is not accepted by /api/public/ingestion when LANGFUSE_MIGRATION_V4_WRITE_MODE is events_only. This endpoint only accepts score and log events. Upgrade the client or integration to a v4-compatible SDK or OTLP ingestion path. As a temporary migration bridge, set LANGFUSE_MIGRATION_V4_WRITE_MODE=dual on both the web and worker services and redeploy. Docs: https://langfuse.com/self-hosting/upgrade/upgrade-guides/upgrade-v3-to-v4"
            ),
        )),
    }
}

/// A JSON type in the words of the validator.
fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    }
}
