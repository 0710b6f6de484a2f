//! The worker's port: health only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use crate::probe;
use crate::settings::{Endpoint, Redis};

use super::respond;

/// What the worker's health depends on.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) postgres: Option<Endpoint>,
    pub(crate) redis: Option<Redis>,
    pub(crate) stopping: Arc<AtomicBool>,
}

/// All routes of the worker.
pub(crate) fn routes(worker: Arc<Worker>) -> Router {
    Router::new()
        .route("/", get(greeting))
        .route("/api/health", get(health))
        .route("/api/ready", get(ready))
        .with_state(worker)
}

async fn greeting() -> Response {
    respond::message(StatusCode::OK, "langfuse-local worker")
}

async fn health(State(worker): State<Arc<Worker>>) -> Response {
    answer(is_healthy(&worker).await)
}

async fn ready(State(worker): State<Arc<Worker>>) -> Response {
    answer(!worker.stopping.load(Ordering::Relaxed) && is_healthy(&worker).await)
}

async fn is_healthy(worker: &Worker) -> bool {
    let postgres = async {
        match &worker.postgres {
            Some(postgres) => probe::connects(postgres).await.is_ok(),
            None => true,
        }
    };
    let redis = async {
        match &worker.redis {
            Some(redis) => probe::redis_answers(redis).await.is_ok(),
            None => true,
        }
    };
    let (postgres, redis) = tokio::join!(postgres, redis);
    postgres && redis
}

fn answer(healthy: bool) -> Response {
    if healthy {
        respond::json(StatusCode::OK, &json!({ "status": "ok" }))
    } else {
        respond::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "status": "error" }))
    }
}
