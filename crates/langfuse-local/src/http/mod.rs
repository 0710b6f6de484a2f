//! The HTTP surface: routes, and the answers that belong to no single route.

pub(crate) mod auth;
mod body;
mod dashboards;
mod health;
mod ingestion;
mod job;
mod metrics;
mod models;
mod observations;
mod page;
mod paging;
mod respond;
mod scores;
mod traces;
pub(crate) mod worker;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, any, delete, get, on, patch, post};
use serde_json::json;

use crate::app::App;
use crate::pages;

use respond::{html, json};

pub(crate) use ingestion::kind as received;

type Routes = MethodRouter<Arc<App>>;

/// Langfuse's routes that are not offered here yet, by their beginnings.
const NOT_OFFERED: [&str; 19] = [
    "v2/prompts",
    "v2/datasets",
    "datasets",
    "dataset-items",
    "dataset-run-items",
    "experiments",
    "experiment-items",
    "media",
    "comments",
    "annotation-queues",
    "score-configs",
    "llm-connections",
    "unstable/evaluators",
    "unstable/evaluation-rules",
    "feedback",
    "organizations",
    "integrations",
    "mcp",
    "scim",
];

/// All routes of web.
pub(crate) fn web(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/health", only(get(health::health)))
        .route("/ready", only(get(health::ready)))
        .route("/projects", get(auth::projects).fallback(method_not_allowed_plain))
        .route("/otel/v1/traces", only(post(traces::export)))
        .route("/otel/v1/metrics", only(post(traces::metrics)))
        .route("/ingestion", only(post(ingestion::ingest)))
        .route("/v2/observations", only(get(observations::list)))
        .route("/v2/metrics", only(get(metrics::list)))
        .route("/scores", only(post(scores::create).on(MethodFilter::GET, gone)))
        .route("/scores/{id}", only(delete(scores::delete).on(MethodFilter::GET, gone)))
        .route("/v3/scores", only(get(scores::list)))
        .route("/models", only(get(models::list).post(models::create)))
        .route("/models/{id}", only(get(models::get).delete(models::delete)))
        .route(
            "/unstable/dashboard-widgets",
            unstable(get(dashboards::widgets).post(dashboards::create_widget)),
        )
        .route(
            "/unstable/dashboard-widgets/{id}",
            unstable(
                get(dashboards::widget).patch(dashboards::change_widget).delete(dashboards::delete_widget),
            ),
        )
        .route(
            "/unstable/dashboards",
            unstable(get(dashboards::dashboards).post(dashboards::create_dashboard)),
        )
        .route(
            "/unstable/dashboards/{id}",
            unstable(
                get(dashboards::dashboard)
                    .patch(dashboards::change_dashboard)
                    .delete(dashboards::delete_dashboard),
            ),
        )
        .route("/unstable/dashboards/{id}/placements", unstable(post(dashboards::place)))
        .route(
            "/unstable/dashboards/{id}/placements/{placement}",
            unstable(patch(dashboards::move_placement).delete(dashboards::remove_placement)),
        )
        .route(
            "/traces",
            only(delete(traces::delete_many).on(MethodFilter::GET.or(MethodFilter::POST), gone)),
        )
        .route("/traces/{id}", only(delete(traces::delete_one).on(MethodFilter::GET, gone)));
    let api = GONE.iter().fold(api, |api, (path, methods)| {
        let routes = on(*methods, gone);
        // Other methods live on there in Langfuse.
        let lives_on = *path == "/dataset-run-items";
        api.route(path, if lives_on { routes.fallback(not_offered) } else { only(routes) })
    });
    Router::new()
        .merge(pages::routes())
        .nest("/api/public", api)
        .route("/api/public/{*rest}", any(unknown_api))
        .fallback(page::not_found)
        .with_state(app)
}

/// Routes that the write mode `events_only` takes away, besides those of traces.
const GONE: [(&str, MethodFilter); 14] = [
    ("/observations", MethodFilter::GET),
    ("/observations/{id}", MethodFilter::GET),
    ("/sessions", MethodFilter::GET),
    ("/sessions/{id}", MethodFilter::GET),
    ("/v2/scores", MethodFilter::GET),
    ("/v2/scores/{id}", MethodFilter::GET),
    ("/metrics", MethodFilter::GET),
    ("/metrics/daily", MethodFilter::GET),
    ("/events", MethodFilter::POST),
    ("/spans", MethodFilter::POST.or(MethodFilter::PATCH)),
    ("/generations", MethodFilter::POST.or(MethodFilter::PATCH)),
    ("/dataset-run-items", MethodFilter::GET),
    ("/datasets/{name}/runs", MethodFilter::GET),
    ("/datasets/{name}/runs/{run}", MethodFilter::GET.or(MethodFilter::DELETE)),
];

fn only(routes: Routes) -> Routes {
    routes.fallback(method_not_allowed)
}

fn unstable(routes: Routes) -> Routes {
    routes.fallback(dashboards::method_not_allowed)
}

/// Answered before any look at the key.
async fn gone() -> Response {
    json(
        StatusCode::NOT_FOUND,
        &json!({ "message": "This endpoint is not available on deployments running in Langfuse v4 events_only mode. Learn more about Langfuse v4 at: https://langfuse.com/docs/v4" }),
    )
}

async fn method_not_allowed() -> Response {
    json(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({ "message": "Method not allowed", "error": "MethodNotAllowedError" }),
    )
}

/// The older routes answer in the older shape.
async fn method_not_allowed_plain() -> Response {
    json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "message": "Method not allowed" }))
}

/// Tells what Langfuse has and we have not from what nobody has.
async fn unknown_api(uri: Uri) -> Response {
    let rest = uri.path().strip_prefix("/api/public/").unwrap_or_default();
    let is_langfuse = NOT_OFFERED
        .iter()
        .any(|known| rest.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if !is_langfuse {
        return html(StatusCode::NOT_FOUND, page::NOT_FOUND.to_owned());
    }
    not_offered().await
}

async fn not_offered() -> Response {
    json(
        StatusCode::NOT_IMPLEMENTED,
        &json!({ "message": "langfuse-local does not offer this route", "error": "NotImplementedError" }),
    )
}
