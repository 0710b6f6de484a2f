//! A sink with moods.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ken_tracing::{Config, Notice, Tracer};
use langfuse_local::otlp::{AnyValue, decode_protobuf};
use tokio::runtime::Runtime;

/// How the sink feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Status(u16),
    /// 429 with `Retry-After` of so many seconds.
    Busy(u64),
    /// Answers well, after this.
    Slow(Duration),
    /// Refuses bodies above this for their size.
    Narrow(usize),
    /// Refuses batches with a span of this name.
    Picky(&'static str),
    /// Reads and never answers.
    Silent,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) parent: String,
    pub(crate) scope: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

pub(crate) struct Inside {
    pub(crate) mood: Mutex<Mood>,
    /// By trace and span id; how often each came.
    pub(crate) spans: Mutex<HashMap<(String, String), (usize, Seen)>>,
    pub(crate) scores: Mutex<Vec<serde_json::Value>>,
    pub(crate) n_requests: AtomicUsize,
    pub(crate) largest: AtomicUsize,
    pub(crate) times: Mutex<Vec<Instant>>,
    pub(crate) headers: Mutex<HeaderMap>,
}

pub(crate) struct Sink {
    pub(crate) inside: Arc<Inside>,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Sink {
    pub(crate) fn start(mood: Mood) -> Self {
        Self::at(mood, "127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn at(mood: Mood, address: SocketAddr) -> Self {
        let inside = Arc::new(Inside {
            mood: Mutex::new(mood),
            spans: Mutex::default(),
            scores: Mutex::default(),
            n_requests: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            times: Mutex::default(),
            headers: Mutex::default(),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new()
            .route("/api/public/otel/v1/traces", post(traces))
            .route("/api/public/scores", post(scores))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inside));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { inside, address, runtime: Some(runtime) }
    }

    pub(crate) fn feel(&self, mood: Mood) {
        *self.inside.mood.lock().unwrap() = mood;
    }

    pub(crate) fn n_spans(&self) -> usize {
        self.inside.spans.lock().unwrap().len()
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.inside.n_requests.load(Ordering::Relaxed)
    }

    pub(crate) fn seen(&self, name: &str) -> Seen {
        let spans = self.inside.spans.lock().unwrap();
        let mut found = spans.values().filter(|(_, seen)| seen.name == name);
        let seen = found.next().unwrap_or_else(|| panic!("no span {name}")).1.clone();
        assert!(found.next().is_none(), "several spans {name}");
        seen
    }

    /// The port is closed; what came is kept.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(200));
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

fn shown(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.clone(),
        AnyValue::Bool(value) => value.to_string(),
        AnyValue::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

async fn traces(State(sink): State<Arc<Inside>>, headers: HeaderMap, body: Bytes) -> Response {
    sink.n_requests.fetch_add(1, Ordering::Relaxed);
    sink.largest.fetch_max(body.len(), Ordering::Relaxed);
    sink.times.lock().unwrap().push(Instant::now());
    let mood = *sink.mood.lock().unwrap();
    let body = if headers.get("content-encoding").is_some_and(|it| it == "gzip") {
        let mut plain = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).unwrap();
        plain.into()
    } else {
        body
    };
    *sink.headers.lock().unwrap() = headers;
    let (export, _) = decode_protobuf(&body, false).expect("what is sent is OTLP");
    match mood {
        Mood::Status(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Busy(seconds) => {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response();
        }
        Mood::Silent => std::future::pending().await,
        Mood::Slow(wait) => tokio::time::sleep(wait).await,
        Mood::Narrow(most) if body.len() > most => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Mood::Picky(name)
            if export.groups.iter().any(|group| group.2.iter().any(|span| span.name == name)) =>
        {
            return StatusCode::BAD_REQUEST.into_response();
        }
        Mood::Well | Mood::Narrow(_) | Mood::Picky(_) => {}
    }
    let mut spans = sink.spans.lock().unwrap();
    for (resource, scope, group) in export.groups {
        assert!(resource.attributes.iter().any(|it| it.key == "service.name"));
        for span in group {
            let attributes = span.attributes.iter().map(|it| {
                let value = it.value.as_ref().expect("an attribute without a value breaks the whole batch");
                (it.key.clone(), shown(value))
            });
            let seen = Seen {
                name: span.name.clone(),
                parent: span.parent_span_id.clone(),
                scope: scope.name.clone(),
                attributes: attributes.collect(),
            };
            spans.entry((span.trace_id, span.span_id)).or_insert((0, seen)).0 += 1;
        }
    }
    drop(spans);
    axum::Json(serde_json::json!({})).into_response()
}

async fn scores(State(sink): State<Arc<Inside>>, body: Bytes) -> Response {
    if let Mood::Status(status) = *sink.mood.lock().unwrap() {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    sink.scores.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    axum::Json(serde_json::json!({ "id": "x" })).into_response()
}

/// A configuration for a sink, with a spill folder, and where its notices go.
pub(crate) fn config(address: SocketAddr, spill: Option<&Path>) -> (Config, Arc<Mutex<Vec<Notice>>>) {
    let url = format!("http://{address}").parse().unwrap();
    let mut config = Config::new(url, "pk-lf-test", ken_secrets::Secret::new("sk-lf-test-secret".to_owned()));
    config.spill = spill.map(|folder| folder.join("spill"));
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notices);
    config.on_notice = Arc::new(move |notice| heard.lock().unwrap().push(notice.clone()));
    (config, notices)
}

/// One turn of two spans; their numbers make them unlike all others.
pub(crate) fn turn(tracer: &Tracer, payload: &str) {
    let mut turn = tracer.turn("chat-turn").thread_id("thread-1").channel("cli").start();
    let mut tool = turn.tool("search");
    tool.arguments(payload).result(payload);
    drop(tool);
    turn.output("done");
}

/// Waits for what must come about.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An example of this package, which is built with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(program.exists(), "{} is not built", program.display());
    program
}
