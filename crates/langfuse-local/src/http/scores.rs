//! Scores: `POST /scores`, `DELETE /scores/{id}` and `GET /v3/scores`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::observation::js_number;
use crate::query::{ScoreQuery, score_cursor};
use crate::score::Score;
use crate::store::StoreError;
use crate::time::{iso, now_ms};

use super::observations::refused;
use super::respond::{error, internal, json, message};
use super::{auth, body};

/// The framework's default limit for a body, in bytes.
const MAX_BODY: usize = 1_048_576;

pub(super) async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let bytes = match body::read(&headers, body, MAX_BODY).await {
        Ok(bytes) => bytes,
        Err(answer) => return *answer,
    };
    let Ok(sent) = serde_json::from_slice::<Value>(&bytes) else {
        return message(StatusCode::BAD_REQUEST, "Invalid JSON");
    };
    let score = match Score::parse(&sent, now_ms()) {
        Ok(score) => score,
        Err(issues) => {
            let body = json!({ "message": "Invalid request data", "error": issues });
            return json(StatusCode::BAD_REQUEST, &body);
        }
    };
    let id = score.id.clone();
    match app.with_store(move |store| store.put_scores(&holder.project.id, vec![score])).await {
        Ok(()) => json(StatusCode::OK, &json!({ "id": id })),
        Err(full @ StoreError::Full { .. }) => error(StatusCode::INSUFFICIENT_STORAGE, &full.to_string()),
        Err(_failed) => internal("Failed to store the score"),
    }
}

/// Langfuse takes a while for it; here it is done at once.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    match app.with_store(move |store| store.delete_score(&holder.project.id, &id)).await {
        Ok(()) => message(StatusCode::ACCEPTED, "Score deletion request received successfully"),
        Err(_failed) => internal("Failed to delete the score"),
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let query = match ScoreQuery::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return refused(&error),
    };
    let read = move |store: &crate::store::Store| {
        let project_id = holder.project.id;
        let scores = store.scores(&project_id, &query)?;
        Ok(page(&project_id, scores, &query))
    };
    match app.with_store(read).await {
        Ok(page) => json(StatusCode::OK, &page),
        Err(_error) => internal("Failed to read scores"),
    }
}

/// One score more than the limit was read, to know whether a page follows.
fn page(project_id: &str, mut scores: Vec<Score>, query: &ScoreQuery) -> Value {
    let mut meta = Map::from_iter([("limit".to_owned(), json!(query.limit))]);
    let has_more = scores.len() > query.limit as usize;
    scores.truncate(query.limit as usize);
    if let (true, Some(last)) = (has_more, scores.last()) {
        meta.insert("cursor".to_owned(), Value::from(score_cursor(last.timestamp_ms, &last.id)));
    }
    let data: Vec<Value> = scores.into_iter().map(|score| shown(project_id, score, query)).collect();
    json!({ "data": data, "meta": meta })
}

fn shown(project_id: &str, score: Score, query: &ScoreQuery) -> Value {
    let optional = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        object.insert(key.to_owned(), value);
    };
    let value = match (score.data_type.as_str(), score.value) {
        ("NUMERIC", Some(number)) => js_number(number),
        ("BOOLEAN", Some(number)) => Value::from(number == 1.0),
        _ => Value::from(score.string_value.clone()),
    };
    put("id", Value::from(score.id.clone()));
    put("projectId", Value::from(project_id));
    put("name", Value::from(score.name.clone()));
    put("source", Value::from(score.source.clone()));
    put("timestamp", json!(iso(score.timestamp_ms)));
    put("environment", Value::from(score.environment.clone()));
    put("createdAt", json!(iso(score.created_ms)));
    put("updatedAt", json!(iso(score.updated_ms)));
    if query.details {
        put("comment", json!(score.comment));
        put("configId", optional(&score.config_id));
        put("metadata", Value::Object(score.metadata.clone()));
    }
    if query.subject {
        put("subject", subject(&score));
    }
    if query.annotation {
        put("authorUserId", optional(&score.author_user_id));
        put("queueId", optional(&score.queue_id));
    }
    put("dataType", Value::from(score.data_type));
    put("value", value);
    Value::Object(object)
}

fn subject(score: &Score) -> Value {
    if !score.observation_id.is_empty() {
        json!({ "kind": "observation", "id": score.observation_id, "traceId": score.trace_id })
    } else if !score.trace_id.is_empty() {
        json!({ "kind": "trace", "id": score.trace_id })
    } else if !score.session_id.is_empty() {
        json!({ "kind": "session", "id": score.session_id })
    } else {
        json!({ "kind": "experiment", "id": score.experiment_id })
    }
}
