//! Who asks: Basic authentication with a project's key pair, and the route that proves it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::app::App;
use crate::settings::Sensitive;
use crate::store::KeyHolder;

use super::respond::{self, message};

const INVALID: &str = "Invalid credentials. Confirm that you've configured the correct host.";

/// The key's holder, or the answer that ends the request.
pub(crate) async fn project_key(app: &App, headers: &HeaderMap) -> Result<KeyHolder, Box<Response>> {
    let unauthorized = |text: &str| Box::new(message(StatusCode::UNAUTHORIZED, text));
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Err(unauthorized("No authorization header"));
    };
    let unavailable = |_error| Box::new(message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"));
    let header = header.to_str().map_err(|_cause| unauthorized("Invalid authorization header"))?;
    if let Some(public) = header.strip_prefix("Bearer ") {
        let public = public.to_owned();
        let known =
            app.with_store(move |store| store.knows_public_key(&public)).await.map_err(unavailable)?;
        return Err(if known {
            Box::new(message(
                StatusCode::FORBIDDEN,
                "Access denied - need to use basic auth with secret key for this route",
            ))
        } else {
            unauthorized(INVALID)
        });
    }
    let (public, secret) = basic_pair(header).ok_or_else(|| unauthorized("Invalid authorization header"))?;
    let holder =
        app.with_store(move |store| store.key_holder(&public, secret.reveal())).await.map_err(unavailable)?;
    holder.ok_or_else(|| unauthorized(INVALID))
}

/// Both halves must be there; the base64 must be canonical.
fn basic_pair(header: &str) -> Option<(String, Sensitive)> {
    let bytes = STANDARD.decode(header.strip_prefix("Basic ")?.trim()).ok()?;
    let pair = String::from_utf8(bytes).ok()?;
    let (public, secret) = pair.split_once(':')?;
    let filled = !public.is_empty() && !secret.is_empty();
    filled.then(|| (public.to_owned(), Sensitive::new(secret.to_owned())))
}

/// `GET /projects`: the key's own project.
pub(super) async fn projects(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let holder = match project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let project = holder.project;
    let organization = json!({ "id": project.org_id, "name": project.org_name });
    let entry =
        json!({ "id": project.id, "name": project.name, "organization": organization, "metadata": {} });
    respond::json(StatusCode::OK, &json!({ "data": [entry] }))
}
