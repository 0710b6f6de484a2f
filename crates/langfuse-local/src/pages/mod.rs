//! Pages for people: traces, one trace, sessions, charts.
//!
//! Rendered here, with no build step and nothing from the network; a script adds comfort and is not
//! needed. Pages only read. Who may see them is in [`guard`]; they load and run nothing but the two files
//! in `assets`.

mod asset;
mod charts;
mod guard;
mod json_text;
mod layout;
mod line_chart;
mod observation;
mod query;
mod sessions;
mod shown;
mod trace;
mod traces;
mod tree;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;

use crate::app::App;
use crate::store::StoreError;

use guard::Viewer;
use query::Query;

/// A page, or the one that is answered instead.
type Answer = Result<Response, Box<Response>>;

/// The routes of all pages.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(front))
        .route("/traces", get(traces))
        .route("/trace/{id}", get(trace))
        .route("/trace/{id}/text", get(text))
        .route("/sessions", get(sessions))
        .route("/charts", get(charts))
        .route("/assets/{name}", get(asset::asset))
        // Where Langfuse's own pages are, which links in logs point to.
        .route("/project/{project}/traces/{id}", get(moved_trace))
        .route("/project/{project}/sessions/{id}", get(moved_session))
}

/// The newest traces, or for a stranger the way in: a monitor that asks here sees that the server answers.
async fn front(app: State<Arc<App>>, headers: HeaderMap, query: RawQuery) -> Response {
    if guard::is_stranger(&app, &headers) {
        return guard::way_in();
    }
    traces(app, headers, query).await
}

async fn traces(State(app): State<Arc<App>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref());
    given(async { traces::page(&app, &guard::enter(&app, &headers, &query).await?, &query).await }.await)
}

async fn trace(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Query::parse(query.as_deref());
    given(
        async {
            let viewer = guard::enter(&app, &headers, &query).await?;
            trace::page(&app, &viewer, &path(&viewer, id)?, &query).await
        }
        .await,
    )
}

async fn text(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Query::parse(query.as_deref());
    given(
        async {
            let viewer = guard::enter(&app, &headers, &query).await?;
            trace::text(&app, &viewer, &path(&viewer, id)?, &query).await
        }
        .await,
    )
}

async fn sessions(State(app): State<Arc<App>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref());
    given(async { sessions::page(&app, &guard::enter(&app, &headers, &query).await?, &query).await }.await)
}

async fn charts(State(app): State<Arc<App>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref());
    given(async { charts::page(&app, &guard::enter(&app, &headers, &query).await?, &query).await }.await)
}

async fn moved_trace(Path((project, id)): Path<(String, String)>) -> Response {
    moved(&query::address(&format!("/trace/{}", query::segment(&id)), &[("project", &project)]))
}

async fn moved_session(Path((project, id)): Path<(String, String)>) -> Response {
    moved(&query::address("/traces", &[("session", &id), ("project", &project)]))
}

fn moved(to: &str) -> Response {
    let mut response = layout::plain(StatusCode::TEMPORARY_REDIRECT, String::new());
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn given(answer: Answer) -> Response {
    answer.unwrap_or_else(|instead| *instead)
}

/// An id from the path that is text.
fn path(viewer: &Viewer, id: Result<Path<String>, PathRejection>) -> Result<String, Box<Response>> {
    id.map(|Path(id)| id).map_err(|_rejection| {
        Box::new(layout::message(
            StatusCode::BAD_REQUEST,
            Some(viewer),
            "This address cannot be read",
            "What stands for the trace id is not valid UTF-8 in percent-encoding.",
        ))
    })
}

/// The page for a store that cannot be read; the operator has heard of the reason.
fn unreadable(_error: StoreError) -> Box<Response> {
    Box::new(layout::message(
        StatusCode::INTERNAL_SERVER_ERROR,
        None,
        "The store cannot be read",
        "The server's log names the reason.",
    ))
}
