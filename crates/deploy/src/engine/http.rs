//! HTTP for gates and checks: to web on its published port, to stores at their containers' addresses, to a managed store.

use std::time::Duration;

use futures_util::StreamExt;

use super::{EngineError, HttpRequest, HttpResponse};

/// Bodies beyond this are cut: a check reads a line or two.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct HttpClient {
    client: reqwest::Client,
}

impl HttpClient {
    pub(super) fn new() -> Result<Self, EngineError> {
        // A second installation is refused, which is fine: the first one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("ken-langfuse/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| EngineError::Http {
                target: "this machine".to_owned(),
                why: error.to_string(),
            })?;
        Ok(Self { client })
    }

    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, EngineError> {
        let target = shown(&request.url);
        let failed =
            |error: reqwest::Error| EngineError::Http { target: target.clone(), why: reason(&error) };
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|error| EngineError::Http { target: target.clone(), why: error.to_string() })?;
        let mut call = self.client.request(method, &request.url).timeout(request.timeout);
        if let Some((user, password)) = &request.basic {
            call = call.basic_auth(user.expose(), Some(password.expose()));
        }
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        let response = call.body(request.body).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(failed)?;
            let room = BODY_LIMIT - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if room <= chunk.len() {
                break;
            }
        }
        Ok(HttpResponse { status, body })
    }
}

/// Host and path: a query may hold a signature.
fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// The innermost cause, which is the one that says something, without the URL.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
