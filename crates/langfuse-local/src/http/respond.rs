//! Answers with the headers that Langfuse gives them.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::LANGFUSE_VERSION;

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    answer(status, "application/json; charset=utf-8", body.to_string())
}

/// `{"message": …}`, the older shape of errors.
pub(super) fn message(status: StatusCode, text: &str) -> Response {
    json(status, &json!({ "message": text }))
}

/// `{"error": …}`, the shape of the OTLP route.
pub(super) fn error(status: StatusCode, text: &str) -> Response {
    json(status, &json!({ "error": text }))
}

/// A failure of our own, with what failed and never a detail from inside.
pub(super) fn internal(what: &str) -> Response {
    json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": "Internal Server Error", "error": what }))
}

/// The body of health answers.
pub(super) fn health(status: StatusCode, text: &str) -> Response {
    json(status, &json!({ "status": text, "version": LANGFUSE_VERSION }))
}

/// A page.
pub(super) fn html(status: StatusCode, body: String) -> Response {
    answer(status, "text/html; charset=utf-8", body)
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
