//! Makes turns at a steady pace until it is killed, and tells after each one how many there were: what the
//! tests kill, and a first program to copy from.
//!
//! `emit TURNS_PER_SECOND`, configured by the environment.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ken_tracing::{SpanId, Tracer, Usage};

fn main() -> ExitCode {
    let tracer = match Tracer::from_env() {
        Ok(tracer) => tracer,
        Err(error) => {
            let _closed = writeln!(std::io::stderr(), "emit: {error}");
            return ExitCode::FAILURE;
        }
    };
    let rate: f64 = std::env::args().nth(1).and_then(|rate| rate.parse().ok()).unwrap_or(100.0);
    let started = Instant::now();
    for number in 0_u64.. {
        let due = started + Duration::from_secs_f64(number as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut turn = tracer
            .turn("chat-turn")
            .conversation_id("conversation-1")
            .channel("cli")
            .span_id(SpanId::from_seed(&format!("turn-{number}")))
            .start();
        let mut answer =
            turn.generation("answer").with_span_id(SpanId::from_seed(&format!("answer-{number}")));
        answer.model("gpt-5.2").input("What is new?").output("Nothing.").usage(Usage::new(10, 2));
        drop(answer);
        turn.output("Nothing.");
        drop(turn);
        if writeln!(std::io::stdout(), "{number}").is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
