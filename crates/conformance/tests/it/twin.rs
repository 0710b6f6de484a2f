//! A server that answers as recorded, but makes ids of its own and takes its time: the suite finds it the same.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ken_conformance::{Auth, Outcome, Recording, Suite};
use serde_json::{Value, json};
use url::Url;

use crate::local::{PUBLIC, SECRET, keys};

static RECORDINGS: LazyLock<Vec<Recording>> = LazyLock::new(Recording::bundled);

/// From recorded ids to those of the twin.
const IDS: [(&str, &str); 3] = [
    ("cmwtyhzw100035g7db0iekkrw", "c00000000000000000widget1"),
    ("cmwtyhzx700055g7d575r7zxu", "c000000000000000dashboard"),
    ("28593f30-1ca2-4a98-bda9-43e808876b34", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
];
/// Reads of a queue that find nothing yet.
const N_EARLY: usize = 2;

#[derive(Default)]
struct Twin {
    used: BTreeSet<u8>,
    n_reads: usize,
    unknown: Vec<String>,
}

impl Twin {
    fn answer(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let path = translate(&uri.to_string(), true);
        if let Some(ids) = self.queue(&path) {
            return (StatusCode::OK, axum::Json(json!({ "data": ids }))).into_response();
        }
        let mut fitting = RECORDINGS.iter().filter(|recording| {
            let request = &recording.request;
            request.method == method.as_str()
                && request.path == path
                && header(headers, "authorization") == authorization(request.auth)
                && request.headers.iter().all(|(name, value)| header(headers, name) == *value)
                && is_body(&request.body, headers, body)
        });
        // The same request may have been answered otherwise the second time.
        let Some(recording) =
            fitting.clone().find(|fitting| !self.used.contains(&fitting.number)).or_else(|| fitting.next())
        else {
            self.unknown.push(format!("{method} {path}"));
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        self.used.insert(recording.number);
        let answer = &recording.answer;
        let text = match answer.body.get("_text") {
            Some(text) => text.as_str().unwrap().to_owned(),
            None => translate(&answer.body.to_string(), false),
        };
        let status = StatusCode::from_u16(answer.status).unwrap();
        (status, [("content-type", answer.content_type().to_owned())], text).into_response()
    }

    /// What the suite reads to see whether what it sent has arrived; nothing at first.
    fn queue(&mut self, path: &str) -> Option<Vec<Value>> {
        if path.contains("unstable") && path.ends_with("?limit=1") {
            return Some(Vec::new());
        }
        let ids: Vec<Value> = match path {
            "/api/public/v2/observations?limit=1000&fields=core" => {
                let spans = RECORDINGS[..3].iter().flat_map(|sent| spans(&sent.request.body));
                spans.map(|span| json!({ "id": span["spanId"] })).collect()
            }
            "/api/public/v3/scores?limit=100" => vec![json!({ "id": "12047f860d053d64" })],
            _ => return None,
        };
        self.n_reads += 1;
        Some(if self.n_reads <= N_EARLY { Vec::new() } else { ids })
    }
}

fn spans(export: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    for resource in export["resourceSpans"].as_array().unwrap() {
        for scope in resource["scopeSpans"].as_array().unwrap() {
            found.extend(scope["spans"].as_array().unwrap().iter().cloned());
        }
    }
    found
}

fn translate(text: &str, back: bool) -> String {
    IDS.iter().fold(text.to_owned(), |text, (recorded, ours)| {
        if back { text.replace(ours, recorded) } else { text.replace(recorded, ours) }
    })
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn authorization(auth: Auth) -> String {
    match auth {
        Auth::Project => format!("Basic {}", STANDARD.encode(format!("{PUBLIC}:{SECRET}"))),
        Auth::Unknown => format!("Basic {}", STANDARD.encode("pk-lf-unknown:sk-lf-unknown")),
        Auth::None => String::new(),
    }
}

fn is_body(recorded: &Value, headers: &HeaderMap, sent: &Bytes) -> bool {
    match recorded {
        Value::Null => sent.is_empty(),
        body => match body.get("_bytes_base64") {
            Some(bytes) => STANDARD.decode(bytes.as_str().unwrap()).unwrap() == sent.as_ref(),
            None => {
                let text = translate(&String::from_utf8_lossy(sent), true);
                header(headers, "content-type") == "application/json"
                    && serde_json::from_str::<Value>(&text).is_ok_and(|sent| sent == *body)
            }
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_with_other_ids_and_a_queue_is_the_same() {
    let twin = Arc::new(Mutex::new(Twin::default()));
    let state = Arc::clone(&twin);
    let router =
        Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
            state.lock().unwrap().answer(&method, &uri, &headers, &body)
        });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let suite = Suite { patience: Duration::from_secs(30), ..Suite::default() };
    let report = suite.run(&base, keys(PUBLIC, SECRET), |_| {}).await.unwrap();
    let wrong: Vec<String> = report
        .exchanges
        .iter()
        .filter(|exchanged| exchanged.outcome != Outcome::Same)
        .map(ToString::to_string)
        .collect();
    let twin = twin.lock().unwrap();
    assert!(wrong.is_empty(), "{wrong:?} {:?}", twin.unknown);
    assert!(report.is_same() && report.late.is_empty(), "{:?}", report.late);
    assert_eq!(twin.unknown, Vec::<String>::new(), "nothing else was asked");
    assert_eq!(twin.used.len(), 88, "everything was asked");
    assert!(twin.n_reads > N_EARLY, "it was asked again until it was there");
}
