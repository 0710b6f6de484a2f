//! `cargo xtask validate`

use ken_deploy::clock::SystemClock;
use ken_deploy::report::{Event, Finding};

use super::deploy::{command, elapsed, step};
use super::target::Target;
use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;
use crate::printer::Printer;

pub(crate) async fn run(args: TargetArgs) -> Result<Exit, Failure> {
    let (target, engine) = Target::open(&args).await?;
    let clock = SystemClock::default();
    let session = target.session(&engine, &clock);
    let checks = session.validate().await?;
    let mut printer = Printer::new(args.json, session.redactor());
    let count = |finding| checks.iter().filter(|c| c.finding == finding).count();
    let (passed, failed, skipped) = (count(Finding::Ok), count(Finding::Failed), count(Finding::Skipped));
    for check in &checks {
        printer.say(&Event::Checked { check: check.clone() });
    }
    let text = match checks.iter().find(|c| c.finding == Finding::Failed) {
        None => {
            format!("Ken serves, traces arrive and can be read: {passed} checks pass, {skipped} do not apply")
        }
        Some(first) => format!("{failed} of {} checks fail, the first is {}", checks.len(), first.id),
    };
    let next = if failed == 0 { Vec::new() } else { vec![step("see what runs", &command("status", &args))] };
    printer.say(&Event::Finished { text, ok: failed == 0, elapsed_ms: elapsed(&clock), next });
    Ok(if failed == 0 { Exit::Done } else { Exit::Gate })
}
