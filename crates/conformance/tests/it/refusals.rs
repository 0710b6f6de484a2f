//! What is refused before anything is sent, and what is reported instead of failing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::{Json, Router};
use ken_conformance::{Outcome, Recording, RunError, Suite};
use serde_json::{Value, json};
use url::Url;

use crate::local::{LocalServer, PUBLIC, SECRET, keys};

async fn run(base: &str) -> Result<ken_conformance::Report, RunError> {
    let base: Url = base.parse().unwrap();
    Suite::default().run(&base, keys(PUBLIC, SECRET), |_| {}).await
}

/// A server of one answer, and how often it was asked.
async fn serve(
    answer: impl Fn(&Method, &str) -> (StatusCode, Value) + Clone + Send + Sync + 'static,
) -> (Url, Arc<AtomicUsize>) {
    let n_writes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n_writes);
    let router = Router::new().fallback(move |method: Method, uri: axum::http::Uri| async move {
        if method != Method::GET {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        let (status, body) = answer(&method, uri.path());
        (status, Json(body)).into_response()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, n_writes)
}

fn projects() -> Value {
    json!({ "data": [{ "id": "p", "name": "Busy", "organization": { "id": "o", "name": "O" }, "metadata": {} }] })
}

#[tokio::test]
async fn a_wrong_address_is_refused() {
    for base in ["ftp://localhost/", "http://localhost/?x=1"] {
        let error = run(base).await.unwrap_err();
        assert!(matches!(error, RunError::Address { .. }), "{error}");
    }
    // Bound and let go: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = run(&format!("http://user:hunter2@127.0.0.1:{port}")).await.unwrap_err().to_string();
    assert!(error.contains("does not answer") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn keys_of_nobody_are_refused() {
    let server = LocalServer::start(&[]).await;
    let unknown = keys("pk-lf-nobody", "sk-lf-hidden");
    let error = Suite::default().run(&server.base(), unknown, |_| {}).await.unwrap_err();
    assert!(matches!(error, RunError::Refused { status: 401, .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
}

#[tokio::test]
async fn another_kind_of_server_is_told() {
    let (base, n_writes) = serve(|_, _| (StatusCode::OK, json!({ "hello": "world" }))).await;
    let error = run(base.as_str()).await.unwrap_err();
    assert!(matches!(error, RunError::NotLangfuse { .. }), "{error}");
    assert_eq!(n_writes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_project_in_use_is_left_alone() {
    let cases = [
        ("/v2/observations", "observations that this suite did not send"),
        ("/v3/scores", "scores that this suite did not send"),
        ("/unstable/dashboard-widgets", "dashboard widgets"),
        ("/unstable/dashboards", "dashboards"),
    ];
    for (route, what) in cases {
        let (base, n_writes) = serve(move |_, path| {
            let full = json!({ "data": [{ "id": "somebody-elses" }] });
            let body = match path {
                path if path.ends_with("/projects") => projects(),
                path if path.ends_with(route) => full,
                _ => json!({ "data": [] }),
            };
            (StatusCode::OK, body)
        })
        .await;
        let error = run(base.as_str()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the project Busy is in use: it holds {what}"));
        assert_eq!(n_writes.load(Ordering::SeqCst), 0, "nothing was sent");
    }
}

/// A server that offers nothing gets a report, not a failure.
#[tokio::test]
async fn what_is_not_offered_is_reported_as_such() {
    let (base, _) = serve(|_, path| {
        if path.ends_with("/projects") {
            (StatusCode::OK, projects())
        } else {
            (StatusCode::NOT_IMPLEMENTED, json!({ "message": "no" }))
        }
    })
    .await;
    let report = run(base.as_str()).await.unwrap();
    let (same, different, missing) = report.counts();
    // Its page of projects is of the wrong content type; the rest is not there.
    assert_eq!((same, different, missing), (0, 4, 84), "{}", report.summary());
    let Outcome::NotSupported { reason } = &report.exchanges[0].outcome else { panic!("{report:?}") };
    assert_eq!(reason, "POST /api/public/otel/v1/traces answers 501");
    assert!(!report.is_same());
}

/// What never becomes readable is waited for once, and said.
#[tokio::test]
async fn patience_ends() {
    let (base, _) = serve(|_, path| {
        (StatusCode::OK, if path.ends_with("/projects") { projects() } else { json!({ "data": [] }) })
    })
    .await;
    let suite = Suite { patience: Duration::from_millis(1), ..Suite::default() };
    let mut n_heard = 0;
    let report = suite.run(&base, keys(PUBLIC, SECRET), |_| n_heard += 1).await.unwrap();
    assert_eq!(n_heard, Recording::bundled().len());
    assert_eq!(
        report.late,
        ["308 of 308 observations could not be read after 0 s", "1 of 1 scores could not be read after 0 s"]
    );
}
