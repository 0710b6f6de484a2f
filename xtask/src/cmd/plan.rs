//! `cargo xtask plan`

use ken_deploy::clock::SystemClock;
use ken_deploy::report::{Event, Finding};

use super::deploy::command;
use super::target::Target;
use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;
use crate::printer::Printer;

pub(crate) async fn run(args: TargetArgs) -> Result<Exit, Failure> {
    let (target, engine) = Target::open(&args).await?;
    let clock = SystemClock::default();
    let session = target.session(&engine, &clock);
    let prepared = session.prepare().await?;
    let mut printer = Printer::new(args.json, session.redactor());
    let checks = session.preflight(&prepared);
    let failed = checks.iter().filter(|c| c.finding == Finding::Failed).count();
    // What holds needs no line in a plan; machines get all.
    for check in checks.into_iter().filter(|c| args.json || c.finding != Finding::Ok) {
        printer.say(&Event::Checked { check });
    }
    let plan = &prepared.plan;
    let (empty, reached) = (plan.is_empty(), prepared.is_reached());
    printer.say(&Event::Planned {
        plan: plan.id.clone(),
        empty,
        lines: plan.lines(&session.site),
        summary: plan.summary(),
    });
    let text = match (reached, failed) {
        (true, _) => "nothing to do".to_owned(),
        (false, 0) if empty => {
            format!("all is in place, and its checks are left: {}", command("deploy", &args))
        }
        (false, 0) => format!("to do this: {}", command("deploy", &args)),
        (false, n) => format!("deploy would stop at preflight: {n} checks fail"),
    };
    printer.say(&Event::Note { text });
    Ok(if reached { Exit::Done } else { Exit::Changes })
}
