//! `POST /ingestion`: what the write mode `events_only` leaves of the legacy batch.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::App;
use crate::score::Score;
use crate::store::StoreError;
use crate::time::now_ms;

use super::respond::{self, json};
use super::{auth, body};

/// Langfuse's limit for this route.
pub(super) const MAX_BODY: usize = 4_500_000;

pub(super) async fn ingest(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
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
    let (mut scores, now_ms) = (Vec::new(), now_ms());
    for event in events {
        match outcome(event, now_ms, &mut scores) {
            Ok(success) => successes.push(success),
            Err(failure) => errors.push(failure),
        }
    }
    if !scores.is_empty() {
        match app.with_store(move |store| store.put_scores(&holder.project.id, scores)).await {
            Ok(()) => {}
            Err(full @ StoreError::Full { .. }) => {
                return respond::error(StatusCode::INSUFFICIENT_STORAGE, &full.to_string());
            }
            Err(_failed) => return respond::internal("Failed to store the scores"),
        }
    }
    json(StatusCode::MULTI_STATUS, &json!({ "successes": successes, "errors": errors }))
}

/// A score is put with the others, to be stored together.
fn outcome(event: &Value, now_ms: i64, scores: &mut Vec<Score>) -> Result<Value, Value> {
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
        "score-create" => match Score::parse(&event["body"], now_ms) {
            Ok(mut score) => {
                let timestamp = event["timestamp"].as_str().and_then(|it| it.parse::<Timestamp>().ok());
                score.timestamp_ms = timestamp.map_or(now_ms, Timestamp::as_millisecond);
                scores.push(score);
                Ok(json!({ "id": id, "status": 201 }))
            }
            Err(issues) => Err(failure(400, "Invalid request data", Value::Array(issues).to_string())),
        },
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
pub(crate) fn kind(value: Option<&Value>) -> &'static str {
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
