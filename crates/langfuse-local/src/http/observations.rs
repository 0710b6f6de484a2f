//! `GET /v2/observations`: rows as the API shows them.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::models::{Model, decimal_text};
use crate::observation::js_number;
use crate::query::{Cursor, Fields, ObservationQuery, QueryError};
use crate::store::StoredObservation;
use crate::time::iso;

use super::auth;
use super::respond::{internal, json};

/// Metadata values are cut to this many characters unless their key is expanded.
const MAX_METADATA_CHARS: usize = 200;

pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let query = match ObservationQuery::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return refused(&error),
    };
    let catalog = Arc::clone(&app.catalog);
    let read = move |store: &crate::store::Store| {
        let rows = store.observations(&holder.project.id, &query)?;
        let prices = |model_id: &str| catalog.get(&holder.project.id, model_id);
        Ok(page(rows, &query, &prices))
    };
    match app.with_store(read).await {
        Ok(page) => json(StatusCode::OK, &page),
        Err(_error) => internal("Failed to read observations"),
    }
}

pub(super) fn refused(error: &QueryError) -> Response {
    let body = match error {
        QueryError::Invalid(issues) => json!({ "message": "Invalid request data", "error": issues }),
        QueryError::Request(text) => json!({ "message": text, "error": "InvalidRequestError" }),
    };
    json(StatusCode::BAD_REQUEST, &body)
}

/// One row more than the limit was read, to know whether a page follows.
fn page(
    mut rows: Vec<StoredObservation>,
    query: &ObservationQuery,
    model: &dyn Fn(&str) -> Option<Arc<Model>>,
) -> Value {
    let limit = query.limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut meta = Map::new();
    if let (true, Some(last)) = (more, rows.last()) {
        let cursor = Cursor { start_ms: last.start_ms, trace_id: last.trace_id.clone(), id: last.id.clone() };
        meta.insert("cursor".to_owned(), cursor.encode().into());
    }
    let data: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            let priced = if query.fields.model { model(&row.model_id) } else { None };
            Value::Object(render(row, query, priced.as_deref()))
        })
        .collect();
    json!({ "data": data, "meta": meta })
}

/// The fields in the order in which Langfuse writes them.
fn render(row: StoredObservation, query: &ObservationQuery, priced: Option<&Model>) -> Map<String, Value> {
    let Fields { basic, time, io, metadata, model, usage, prompt, metrics, trace_context } = query.fields;
    let mut out = Map::new();
    let mut put = |wanted: bool, members: Value| {
        if let (true, Value::Object(members)) = (wanted, members) {
            out.extend(members);
        }
    };
    let seconds = |from: i64, to: i64| js_number((to - from) as f64 / 1_000.0);
    let filled = |text: String| if text.is_empty() { Value::Null } else { Value::String(text) };
    let is_root = row.parent_id.is_empty() || row.is_app_root;
    put(
        true,
        json!({ "id": row.id, "traceId": row.trace_id, "startTime": iso(row.start_ms),
            "endTime": iso(row.end_ms), "projectId": row.project_id,
            "parentObservationId": filled(row.parent_id), "type": row.kind }),
    );
    put(
        basic,
        json!({ "name": row.name, "level": row.level, "statusMessage": row.status_message,
            "version": row.version, "environment": row.environment }),
    );
    put(
        time,
        json!({ "completionStartTime": row.completion_start_ms.and_then(iso),
            "createdAt": iso(row.created_ms), "updatedAt": iso(row.updated_ms) }),
    );
    put(io, json!({ "input": filled(row.input), "output": filled(row.output) }));
    if metadata {
        put(true, json!({ "metadata": shown_metadata(&row.metadata, &query.expand_metadata) }));
    }
    put(
        model,
        json!({ "model": row.model, "internalModelId": row.model_id, "modelParameters": object(&row.model_parameters) }),
    );
    put(
        usage,
        json!({ "usageDetails": object(&row.usage), "inputUsage": js_number(row.input_usage),
            "outputUsage": js_number(row.output_usage), "totalUsage": js_number(row.total_usage),
            "costDetails": object(&row.cost), "inputCost": row.input_cost.map(js_number),
            "outputCost": row.output_cost.map(js_number), "totalCost": js_number(row.total_cost) }),
    );
    put(
        prompt,
        json!({ "promptId": "", "promptName": row.prompt_name, "promptVersion": row.prompt_version }),
    );
    put(usage, json!({ "usagePricingTierId": row.tier_id, "usagePricingTierName": row.tier_name }));
    let first_token = if metrics { row.completion_start_ms } else { None };
    put(
        true,
        json!({ "latency": seconds(row.start_ms, row.end_ms),
            "timeToFirstToken": first_token.map(|first| seconds(row.start_ms, first)) }),
    );
    put(basic, json!({ "userId": row.user_id, "sessionId": row.session_id, "isRootObservation": is_root }));
    put(
        trace_context,
        json!({ "traceName": row.trace_name, "release": row.release, "tags": parsed(&row.tags, json!([])) }),
    );
    put(basic, json!({ "bookmarked": false, "public": row.public }));
    let price = |name: &str| priced.and_then(|model| decimal_text(&model.shown[name]));
    put(
        true,
        json!({ "modelId": priced.map(|model| &model.id), "inputPrice": price("inputPrice"),
            "outputPrice": price("outputPrice"), "totalPrice": price("totalPrice") }),
    );
    out
}

fn parsed(text: &str, otherwise: Value) -> Value {
    serde_json::from_str(text).unwrap_or(otherwise)
}

fn object(text: &str) -> Value {
    parsed(text, json!({}))
}

/// Last stored first; values that hold JSON come as JSON, others as text.
fn shown_metadata(stored: &str, expanded: &[String]) -> Value {
    let Value::Object(members) = object(stored) else { return json!({}) };
    let shown = members.into_iter().rev().map(|(key, value)| {
        let Value::String(mut text) = value else { return (key, value) };
        if !expanded.contains(&key)
            && let Some((end, _)) = text.char_indices().nth(MAX_METADATA_CHARS)
        {
            text.truncate(end);
        }
        let value = as_json(&text).unwrap_or(Value::String(text));
        (key, value)
    });
    Value::Object(shown.collect())
}

/// A number that would lose digits stays text.
fn as_json(text: &str) -> Option<Value> {
    match serde_json::from_str(text).ok()? {
        Value::Number(number) => {
            let number = js_number(number.as_f64()?);
            let canonical = number.to_string();
            (canonical == text).then_some(number)
        }
        other => Some(other),
    }
}
