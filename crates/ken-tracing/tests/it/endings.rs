//! How observations begin, end, and go wrong.

use std::time::{Duration, SystemTime};

use ken_tracing::{Scope, SpanId, TraceId, Tracer, Usage, keys};
use tempfile::TempDir;

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
fn what_is_not_finished_is_marked_and_a_panic_is_an_error() {
    let sink = with_sink(|tracer| {
        let turn = tracer.turn("turn").start();
        drop(turn.generation("cancelled"));
        drop(turn.tool("forgotten"));
        turn.tool("ended").end();
        turn.step("a step").metadata("k", "v");
        let scope = turn.scope().clone();
        let thread = std::thread::spawn(move || {
            let _tool = scope.tool("panicking");
            // Without the message that a panic prints.
            std::panic::resume_unwind(Box::new("boom"));
        });
        assert!(thread.join().is_err());
        turn.tool("failing").error("upstream said 503");
        turn.generation("late").output("cut").warning("the answer was cut");
    });
    let level = |name: &str| {
        let attributes = sink.seen(name).attributes;
        (attributes.get(keys::LEVEL).cloned(), attributes.get(keys::STATUS_MESSAGE).cloned())
    };
    let told = |level: &str, message: &str| (Some(level.to_owned()), Some(message.to_owned()));
    assert_eq!(level("cancelled"), told("WARNING", "dropped before it was finished"));
    assert_eq!(level("forgotten"), told("WARNING", "dropped before it was finished"));
    assert_eq!(level("ended"), (None, None));
    assert_eq!(level("a step"), (None, None));
    assert_eq!(level("turn"), (None, None));
    assert_eq!(level("panicking"), told("ERROR", "a panic ended it"));
    assert_eq!(level("failing"), told("ERROR", "upstream said 503"));
    assert_eq!(level("late"), told("WARNING", "the answer was cut"));
}

#[test]
fn scopes_go_across_tasks_and_threads() {
    let sink = with_sink(|tracer| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let turn = tracer.turn("turn").start();
        let agent = turn.agent("planner");
        let scope = agent.scope().clone();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..4)
                .map(|number| {
                    let scope = scope.clone();
                    tokio::spawn(async move {
                        let mut tool = scope.tool(format!("tool-{number}"));
                        tokio::task::yield_now().await;
                        tool.result("{}");
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        drop(agent);
        drop(turn);
        // The turn is over; what comes late still belongs to it.
        scope.step("late").end();
    });
    let spans = sink.inside.spans.lock().unwrap();
    assert_eq!(spans.len(), 7);
    let traces: std::collections::HashSet<_> = spans.keys().map(|(trace, _)| trace).collect();
    assert_eq!(traces.len(), 1);
    let id_of = |name: &str| spans.iter().find(|(_, (_, seen))| seen.name == name).unwrap().0.1.clone();
    for (_, seen) in spans.values().filter(|(_, seen)| seen.name.starts_with("tool-") || seen.name == "late")
    {
        assert_eq!(seen.parent, id_of("planner"));
    }
}

#[test]
fn ids_and_times_can_be_given() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_168_800_123);
    let sink = with_sink(|tracer| {
        let turn = tracer
            .turn("turn")
            .trace_id(TraceId::from_seed("ken-turn-7"))
            .span_id(SpanId::from_seed("root"))
            .started_at(start)
            .start();
        assert_eq!(turn.trace_id(), Some(TraceId::from_seed("ken-turn-7")));
        let mut call = turn.generation("answer").with_span_id(SpanId::from_seed("call")).started_at(start);
        call.first_token_at(start + Duration::from_millis(400)).output("x");
        call.end_at(start + Duration::from_millis(900));
        turn.end_at(start + Duration::from_secs(2));
    });
    let seen = sink.seen("answer");
    assert_eq!(seen.parent, SpanId::from_seed("root").to_string());
    assert_eq!(seen.attributes[keys::COMPLETION_START], "2026-11-20T10:00:00.523Z");
    let spans = sink.inside.spans.lock().unwrap();
    let key = (TraceId::from_seed("ken-turn-7").to_string(), SpanId::from_seed("call").to_string());
    assert!(spans.contains_key(&key));
}

#[test]
fn a_share_of_the_turns_is_sampled_whole() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Well);
    let (mut config, _) = config(sink.address, Some(folder.path()));
    config.sample_rate = 0.25;
    let tracer = Tracer::new(config).unwrap();
    let n_recorded = (0..2_000)
        .filter(|_| {
            let turn = tracer.turn("turn").start();
            let step = turn.step("step");
            assert_eq!(turn.is_recorded(), step.is_recorded());
            turn.is_recorded()
        })
        .count();
    assert!((350..650).contains(&n_recorded), "{n_recorded}");
    drop(tracer);
    assert_eq!(sink.n_spans(), n_recorded * 2);
}

#[test]
fn scores_are_sent_and_repetitions_have_one_id() {
    let sink = with_sink(|tracer| {
        let turn = tracer.turn("turn").start();
        let answer = turn.generation("answer");
        answer.score("helpful", 0.5);
        answer.score("helpful", 1.0);
        answer.score_with("tone", "friendly", "thanked the user");
        turn.score_trace("resolved", true);
        turn.score("broken", f64::NAN);
        Scope::off().score("nowhere", 1.0);
    });
    let scores = sink.inside.scores.lock().unwrap();
    assert_eq!(scores.len(), 4, "{scores:?}");
    let of = |name: &str| scores.iter().filter(|it| it["name"] == name).collect::<Vec<_>>();
    assert_eq!(of("helpful")[0]["id"], of("helpful")[1]["id"]);
    assert_eq!(
        (&of("tone")[0]["dataType"], &of("tone")[0]["comment"]),
        (&"CATEGORICAL".into(), &"thanked the user".into())
    );
    assert_eq!((&of("resolved")[0]["value"], &of("resolved")[0]["dataType"]), (&1.into(), &"BOOLEAN".into()));
    assert!(
        of("resolved")[0].get("observationId").is_none() && of("helpful")[0]["observationId"].is_string()
    );
}

/// A field that cannot be made is left out; the span comes all the same.
#[test]
fn a_closure_that_panics_costs_its_field() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let sink = with_sink(|tracer| {
        let turn = tracer.turn("turn").start();
        let mut answer = turn.generation("answer");
        answer.input(ken_tracing::Payload::later(|| panic!("cannot serialise")));
        answer.output(ken_tracing::Payload::json(serde_json::json!({ "a": [1, 2] })));
        answer.usage(Usage::new(1, 2));
    });
    std::panic::set_hook(hook);
    let seen = sink.seen("answer");
    assert!(!seen.attributes.contains_key(keys::INPUT));
    assert_eq!(seen.attributes[keys::OUTPUT], "{\"a\":[1,2]}");
}
