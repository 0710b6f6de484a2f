//! Spans of other crates, and trace context in and out.

use std::collections::HashMap;

use ken_tracing::{ForeignSpans, Tracer, TracingLayer, attach, extract, inject, keys};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Status, TraceContextExt, Tracer as _, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tempfile::TempDir;
use tracing_subscriber::layer::SubscriberExt;

use crate::sink::{Mood, Sink, config};

fn with_sink(act: impl FnOnce(&Tracer)) -> Sink {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Well);
    let (config, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config).unwrap();
    act(&tracer);
    drop(tracer);
    sink
}

#[test]
fn spans_of_opentelemetry_come_with_scope_events_and_status() {
    let sink = with_sink(|tracer| {
        let provider = SdkTracerProvider::builder().with_span_processor(ForeignSpans::new(tracer)).build();
        let other = provider.tracer("http-client");
        other.in_span("GET /search", |context| {
            let span = context.span();
            span.set_attribute(KeyValue::new("http.status", 503_i64));
            span.set_attribute(KeyValue::new("ratio", 0.5));
            span.add_event("retry", vec![KeyValue::new("attempt", 2_i64)]);
            span.set_status(Status::error("upstream said 503"));
            other.in_span("connect", |_| {});
        });
        provider.shutdown().unwrap();
    });
    let seen = sink.seen("GET /search");
    assert_eq!((seen.scope.as_str(), seen.attributes["http.status"].as_str()), ("http-client", "503"));
    assert_eq!(seen.attributes[keys::LEVEL], "ERROR");
    assert_eq!(seen.attributes[keys::STATUS_MESSAGE], "upstream said 503");
    assert!(!sink.seen("connect").parent.is_empty());
}

#[test]
fn spans_of_tracing_join_the_turn_that_is_attached() {
    let sink = with_sink(|tracer| {
        let subscriber = tracing_subscriber::registry().with(TracingLayer::new(tracer));
        tracing::subscriber::with_default(subscriber, || {
            let turn = tracer.turn("turn").session_id("s-1").start();
            attach(turn.scope(), || {
                let span = tracing::info_span!("query", table = "invoices", rows = tracing::field::Empty);
                let _entered = span.enter();
                span.record("rows", 3);
                tracing::info_span!("parse").in_scope(|| tracing::error!(line = 7, "bad row"));
            });
            tracing::info_span!("alone").in_scope(|| {});
        });
    });
    let query = sink.seen("query");
    assert_eq!((query.attributes["table"].as_str(), query.attributes["rows"].as_str()), ("invoices", "3"));
    assert_eq!(query.attributes[keys::SESSION_ID], "s-1", "what the turn says is on it too");
    let parse = sink.seen("parse");
    assert_eq!(
        (parse.attributes[keys::LEVEL].as_str(), parse.attributes[keys::STATUS_MESSAGE].as_str()),
        ("ERROR", "bad row")
    );
    assert_eq!(sink.seen("alone").parent, "");
    let spans = sink.inside.spans.lock().unwrap();
    let traces: std::collections::HashSet<_> = spans.keys().map(|(trace, _)| trace).collect();
    assert_eq!((spans.len(), traces.len()), (4, 2));
}

#[test]
fn a_trace_goes_on_elsewhere() {
    let sink = with_sink(|tracer| {
        let mut headers: HashMap<String, String> = HashMap::new();
        let turn = tracer.turn("here").start();
        let tool = turn.tool("mcp");
        inject(tool.scope(), &mut headers);
        assert_eq!(
            headers["traceparent"],
            format!("00-{}-{}-01", tool.trace_id().unwrap(), tool.span_id().unwrap())
        );
        tool.end();
        let there = tracer.turn("there").parent(&extract(&headers)).start();
        assert_eq!(there.trace_id(), turn.trace_id());
        drop(there);
        // A caller that does not sample is followed; nonsense begins a trace of its own.
        let not = headers["traceparent"].replace("-01", "-00");
        headers.insert("traceparent".to_owned(), not);
        assert!(!tracer.turn("unsampled").parent(&extract(&headers)).start().is_recorded());
        headers.insert("traceparent".to_owned(), "00-zz".to_owned());
        assert_ne!(tracer.turn("own").parent(&extract(&headers)).start().trace_id(), turn.trace_id());
        let mut none: HashMap<String, String> = HashMap::new();
        inject(Tracer::off().turn("off").start().scope(), &mut none);
        assert!(none.is_empty());
    });
    let there = sink.seen("there");
    assert!(!there.parent.is_empty());
    assert_eq!(there.attributes[keys::IS_APP_ROOT], "true");
    assert_eq!(sink.n_spans(), 4);
}
