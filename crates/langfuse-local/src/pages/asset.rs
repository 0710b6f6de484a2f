//! The style sheet, the script and the icon, compiled in. Their addresses change with their content.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::layout;

const STYLE: &str = include_str!("assets/pages.css");
const SCRIPT: &str = include_str!("assets/pages.js");
const ICON: &str = include_str!("assets/icon.svg");

/// What the addresses of assets end with.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::new().chain_update(STYLE).chain_update(SCRIPT).chain_update(ICON).finalize();
    hex::encode(&digest[..6])
});

/// `GET /assets/{name}`. There is nothing of anybody in them, so everybody may have them.
pub(super) async fn asset(name: Option<Path<String>>) -> Response {
    let (content_type, content) = match name.as_ref().map(|Path(name)| name.as_str()) {
        Some("pages.css") => ("text/css; charset=utf-8", STYLE),
        Some("pages.js") => ("text/javascript; charset=utf-8", SCRIPT),
        Some("icon.svg") => ("image/svg+xml", ICON),
        _ => return layout::plain(StatusCode::NOT_FOUND, "there is no such file\n".to_owned()),
    };
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
