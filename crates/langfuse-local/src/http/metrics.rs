//! `GET /v2/metrics`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::app::App;
use crate::metrics::{MetricsQuery, rows};

use super::auth;
use super::observations::refused;
use super::respond::{internal, json};

pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let query = match MetricsQuery::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return refused(&error),
    };
    let read = move |store: &crate::store::Store| {
        let groups = store.metrics(&holder.project.id, &query)?;
        Ok(rows(&query, groups))
    };
    match app.with_store(read).await {
        Ok(rows) => json(StatusCode::OK, &json!({ "data": rows })),
        Err(_error) => internal("Failed to read metrics"),
    }
}
