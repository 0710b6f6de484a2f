//! Flush and shutdown end in time, whatever the server does; a fork and the lack of a runtime do no harm.

use std::time::{Duration, Instant};

use ken_tracing::{Config, Flushed, Tracer};
use tempfile::TempDir;

use crate::sink::{Mood, Sink, config, example, turn};

#[test]
fn a_healthy_server_has_all_after_a_flush() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Well);
    let (config, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config).unwrap();
    for round in 1..=5 {
        (0..50).for_each(|_| turn(&tracer, "x"));
        assert_eq!(tracer.flush(Duration::from_secs(5)), Flushed::Sent);
        assert_eq!(sink.n_spans(), round * 100);
    }
    assert_eq!(tracer.shutdown(Duration::from_secs(5)), Flushed::Sent);
}

#[test]
fn a_server_that_never_answers_cannot_hold_the_end_up() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Silent);
    let (config, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config.clone()).unwrap();
    (0..50).for_each(|_| turn(&tracer, "x"));
    let started = Instant::now();
    assert!(matches!(tracer.flush(Duration::from_millis(300)), Flushed::TimedOut(_)));
    assert_eq!(tracer.shutdown(Duration::from_millis(700)), Flushed::Spilled(100));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // The last handle does the same by itself.
    let other = Tracer::new(config).unwrap();
    let started = Instant::now();
    drop(other);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_shutdown_within_a_runtime_does_not_panic() {
    let sink = Sink::start(Mood::Well);
    let folder = TempDir::new().unwrap();
    let (config, _) = config(sink.address, Some(folder.path()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tracer = Tracer::new(config).unwrap();
        turn(&tracer, "x");
        assert_eq!(tracer.flush(Duration::from_secs(5)), Flushed::Sent);
        drop(tracer);
    });
    assert_eq!(sink.n_spans(), 2);
}

/// A child of a fork has no threads but its own: it starts one, with ids of its own.
#[test]
fn a_forked_child_sends_too() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Well);
    let status = std::process::Command::new(example("forks"))
        .env("LANGFUSE_BASE_URL", format!("http://{}", sink.address))
        .env("LANGFUSE_PUBLIC_KEY", "pk-lf-test")
        .env("LANGFUSE_SECRET_KEY", "sk-lf-test-secret")
        .env("KEN_TRACING_SPILL", folder.path().join("spill"))
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let spans = sink.inside.spans.lock().unwrap();
    assert_eq!(spans.len(), 6);
    assert!(spans.values().all(|(count, _)| *count == 1), "no id came twice");
}

#[test]
fn what_is_off_is_off() {
    let mut config = Config::read(&|_name| None).unwrap();
    assert!(!config.enabled);
    config.on_notice = std::sync::Arc::new(|notice| panic!("{notice}"));
    let tracer = Tracer::new(config).unwrap();
    turn(&tracer, "x");
    assert!(!tracer.is_on() && tracer.stats().made == 0);
    assert_eq!(tracer.shutdown(Duration::ZERO), Flushed::Sent);
}
