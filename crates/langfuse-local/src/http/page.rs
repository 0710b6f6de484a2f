//! The two pages for people: what this is, and that a page is not here.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::{App, LANGFUSE_VERSION};

use super::respond::html;

pub(super) const NOT_FOUND: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>404: This page could not be found.</title></head>
<body><h1>404</h1><p>This page could not be found.</p></body>
</html>
";

/// Anything that no route answers.
pub(super) async fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, NOT_FOUND.to_owned())
}

/// `GET /`: name, version and how much is stored.
pub(super) async fn status(State(app): State<Arc<App>>) -> Response {
    let (status, observations) = match app.with_store(|store| store.count()).await {
        Ok(count) => (StatusCode::OK, count.to_string()),
        Err(_error) => (StatusCode::INTERNAL_SERVER_ERROR, "the store cannot be read".to_owned()),
    };
    let page = format!(
        "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>langfuse-local</title>
<style>body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}
dt {{ font-weight: 600 }}</style>
</head>
<body>
<main>
<h1>langfuse-local</h1>
<p>A local server that speaks the API of Langfuse {LANGFUSE_VERSION}. It has no user interface beyond this page.</p>
<dl>
<dt>Version</dt><dd>{version}</dd>
<dt>Observations stored</dt><dd>{observations}</dd>
<dt>Batches accepted and lost because they could not be converted, since the start</dt><dd>{lost}</dd>
</dl>
</main>
</body>
</html>
",
        version = env!("CARGO_PKG_VERSION"),
        lost = app.lost_batches(),
    );
    html(status, page)
}
