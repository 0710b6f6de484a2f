//! The page that says that a page is not here, as Langfuse says it.

use axum::http::StatusCode;
use axum::response::Response;

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
