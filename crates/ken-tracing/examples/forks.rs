//! Forks between two turns; each side sends its own. Ends with status 0 when both could.

use std::process::ExitCode;
use std::time::Duration;

use fork::{Fork, fork, waitpid};
use ken_tracing::{Flushed, Tracer};

fn main() -> ExitCode {
    let Ok(tracer) = Tracer::from_env() else { return ExitCode::FAILURE };
    let turn = |text: &str| {
        let mut turn = tracer.turn("chat-turn").start();
        turn.input(text);
        turn.step("work").end();
    };
    let is_sent = || tracer.flush(Duration::from_secs(10)) == Flushed::Sent;
    turn("before");
    if !is_sent() {
        return ExitCode::FAILURE;
    }
    let ok = match fork() {
        Ok(Fork::Child) => {
            turn("of the child");
            is_sent()
        }
        Ok(Fork::Parent(child)) => {
            turn("of the parent");
            let own = is_sent();
            // A status of 0 is that of a child that ended well.
            own && waitpid(child).is_ok_and(|status| status == 0)
        }
        Err(_) => false,
    };
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
