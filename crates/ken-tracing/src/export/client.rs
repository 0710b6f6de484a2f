//! Requests to the server, and what their answers mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode};

use crate::config::Config;
use crate::export::spill::Content;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// Again later, and not before this has passed.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// Divide it.
    TooLarge,
    /// Never again with this body.
    Refused {
        why: String,
    },
    /// The keys are not this server's.
    WrongKey,
    /// Something else answers there.
    WrongHost {
        found: String,
    },
}

/// The server.
#[derive(Clone)]
pub(super) struct Sink {
    client: Client,
    traces: Arc<str>,
    scores: Arc<str>,
    public_key: Arc<str>,
    config: Arc<Config>,
}

impl Sink {
    /// # Errors
    /// Without a source of certificates there is no client; the text says why.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        // Another part of the process may have chosen a provider already.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert("x-langfuse-ingestion-version", HeaderValue::from_static("4"));
        headers.insert("x-langfuse-sdk-name", HeaderValue::from_static("rust-ken-tracing"));
        headers.insert("x-langfuse-sdk-version", HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .timeout(config.request_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("ken-tracing/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| chain(&error))?;
        let base = config.base_url.as_str().trim_end_matches('/');
        Ok(Self {
            client,
            traces: format!("{base}/api/public/otel/v1/traces").into(),
            scores: format!("{base}/api/public/scores").into(),
            public_key: config.public_key.as_str().into(),
            config: Arc::new(config.clone()),
        })
    }

    /// Sends a body and reads what the answer means.
    pub(super) async fn send(&self, content: Content, body: Bytes) -> Outcome {
        let (url, kind) = match content {
            Content::Spans => (&self.traces, "application/x-protobuf"),
            Content::Score => (&self.scores, "application/json"),
        };
        let mut request = self
            .client
            .post(&**url)
            .basic_auth(&*self.public_key, Some(self.config.secret_key.expose()))
            .header(CONTENT_TYPE, kind);
        request = match (self.config.gzip && content == Content::Spans, gzip(&body, self.config.gzip)) {
            (true, Some(small)) => request.header(CONTENT_ENCODING, "gzip").body(small),
            _ => request.body(body),
        };
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                let after =
                    response.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()).and_then(wait_of);
                // The connection is used again only when the body was read; it is short.
                let text = response.text().await.unwrap_or_default();
                meaning(status, after, &text)
            }
            Err(error) => Outcome::Later { why: chain(&error), after: None },
        }
    }
}

fn gzip(body: &[u8], wanted: bool) -> Option<Vec<u8>> {
    use std::io::Write;
    if !wanted {
        return None;
    }
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// The answers are those of Langfuse v4's ingestion; what a proxy says for it is taken by its status.
fn meaning(status: StatusCode, after: Option<Duration>, text: &str) -> Outcome {
    let said = || {
        let line: String = text.chars().filter(|it| !it.is_control()).take(200).collect();
        format!("{status}: {line}")
    };
    match status.as_u16() {
        // A page in the place of an answer is some other server, or a captive one.
        200..=299 if text.trim_start().starts_with('<') => Outcome::WrongHost { found: said() },
        200..=299 => Outcome::Taken,
        401 | 403 => Outcome::WrongKey,
        413 => Outcome::TooLarge,
        408 | 425 | 429 | 500..=599 => Outcome::Later { why: said(), after },
        300..=399 | 404 | 405 | 410 => Outcome::WrongHost { found: said() },
        _ => Outcome::Refused { why: said() },
    }
}

/// `Retry-After` in seconds. The form with a date is not used by Langfuse nor by common proxies.
fn wait_of(text: &str) -> Option<Duration> {
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// An error with its causes, without its URL: that may hold a password.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "no answer in time".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let of = |status: u16, text: &str| meaning(StatusCode::from_u16(status).unwrap(), None, text);
        assert_eq!(of(200, "{}"), Outcome::Taken);
        assert!(matches!(of(200, "<!doctype html>"), Outcome::WrongHost { .. }));
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(of(status, ""), Outcome::Later { .. }), "{status}");
        }
        for status in [401, 403] {
            assert_eq!(of(status, ""), Outcome::WrongKey);
        }
        for status in [301, 404, 405] {
            assert!(matches!(of(status, ""), Outcome::WrongHost { .. }), "{status}");
        }
        assert_eq!(of(413, ""), Outcome::TooLarge);
        for status in [400, 415, 422] {
            assert!(matches!(of(status, "bad"), Outcome::Refused { .. }), "{status}");
        }
        assert_eq!(wait_of(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(wait_of("999999999"), Some(LONGEST_WAIT));
        assert_eq!(wait_of("soon"), None);
    }
}
