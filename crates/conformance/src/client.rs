//! Sends requests and reads answers, as plainly as a recording has them.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use url::Url;

use crate::keys::Keys;
use crate::names::{Identity, Names};
use crate::recording::{Answer, Auth, BYTES, Request, TEXT};

/// No recorded answer is near this.
const BODY_LIMIT: usize = 64 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct ApiClient {
    client: reqwest::Client,
    base: Url,
    keys: Keys,
}

impl ApiClient {
    pub(crate) fn new(base: Url, keys: Keys) -> Result<Self, reqwest::Error> {
        // A second installation is refused, which is fine: the first one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(TIMEOUT)
            .user_agent(concat!("ken-langfuse/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, base, keys })
    }

    pub(crate) fn public_key(&self) -> &str {
        self.keys.public.expose()
    }

    /// Reads a path with the project's keys.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, String> {
        let request = Request {
            method: "GET".to_owned(),
            path: path.to_owned(),
            auth: Auth::Project,
            headers: [].into(),
            body: Value::Null,
        };
        self.send(&request, &Names::of(Identity::recorded())).await
    }

    /// Sends a recorded request in the names of the server under test; the error is for people.
    pub(crate) async fn send(&self, request: &Request, names: &Names) -> Result<Answer, String> {
        let failed = |error: reqwest::Error| reason(&error);
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_invalid| format!("{} is no method", request.method))?;
        let base = self.base.as_str().trim_end_matches('/');
        let mut call = self.client.request(method, base.to_owned() + &names.translate(&request.path));
        call = match request.auth {
            Auth::Project => call.basic_auth(self.keys.public.expose(), Some(self.keys.secret.expose())),
            Auth::Unknown => call.basic_auth("pk-lf-unknown", Some("sk-lf-unknown")),
            Auth::None => call,
        };
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        call = match &request.body {
            Value::Null => call,
            body => match body.get(BYTES).and_then(Value::as_str) {
                Some(text) => {
                    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                    call.body(bytes.map_err(|error| format!("the recorded bytes are no base64: {error}"))?)
                }
                None => {
                    call.header("content-type", "application/json").body(names.translate(&body.to_string()))
                }
            },
        };
        let mut response = call.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BODY_LIMIT {
                return Err(format!("the answer is longer than {BODY_LIMIT} bytes"));
            }
        }
        // What is no JSON is kept as a text, whatever its type says.
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_other| json!({ TEXT: String::from_utf8_lossy(&bytes) }));
        Ok(Answer { status, headers: [("content-type".to_owned(), content_type)].into(), body })
    }
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
