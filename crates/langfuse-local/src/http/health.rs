//! Web's own health.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::probe;
use crate::time::now_ms;

use super::respond;

const RECENT_MS: i64 = 3 * 60 * 1_000;

/// `GET /health`, with its two stricter questions.
pub(super) async fn health(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let asks = |name: &str| {
        let query = query.as_deref().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).any(|(key, value)| key == name && value == "true")
    };
    if asks("failIfDatabaseUnavailable") {
        let reachable = match &app.settings.postgres {
            Some(postgres) => probe::connects(postgres).await.is_ok(),
            None => true,
        };
        // Our own database stands for Postgres too.
        if !reachable || app.with_store(|store| store.has_since(i64::MAX)).await.is_err() {
            return respond::health(StatusCode::SERVICE_UNAVAILABLE, "Database not available");
        }
    }
    if asks("failIfNoRecentEvents") {
        let since = now_ms() - RECENT_MS;
        match app.with_store(move |store| store.has_since(since)).await {
            Ok(true) => {}
            Ok(false) => {
                return respond::health(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "No events within the last 3 minutes",
                );
            }
            Err(_error) => {
                return respond::health(StatusCode::SERVICE_UNAVAILABLE, "Couldn't fetch recent events");
            }
        }
    }
    respond::health(StatusCode::OK, "OK")
}

/// `GET /ready`: until a signal asks for the end.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.stopping.load(Ordering::Relaxed) {
        return respond::health(
            StatusCode::INTERNAL_SERVER_ERROR,
            "SIGTERM / SIGINT received, shutting down",
        );
    }
    respond::health(StatusCode::OK, "OK")
}
