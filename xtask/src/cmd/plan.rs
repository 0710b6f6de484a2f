//! `cargo xtask plan`

use ken_deploy::clock::SystemClock;
use ken_deploy::report::{Event, Finding};

use super::target::{Target, engine};
use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;
use crate::printer::Printer;

pub(crate) async fn run(args: TargetArgs) -> Result<Exit, Failure> {
    let target = Target::read(&args)?;
    let (engine, clock) = (engine().await?, SystemClock::default());
    let session = target.session(&engine, &clock);
    let prepared = session.prepare().await?;
    let mut printer = Printer::new(args.json);
    let checks = session.preflight(&prepared);
    let failed = checks.iter().filter(|c| c.finding == Finding::Failed).count();
    // What holds needs no line in a plan; machines get all.
    for check in checks.into_iter().filter(|c| args.json || c.finding != Finding::Ok) {
        printer.say(&Event::Checked { check });
    }
    let plan = &prepared.plan;
    let empty = plan.is_empty();
    printer.say(&Event::Planned {
        plan: plan.id.clone(),
        empty,
        lines: plan.lines(&session.site),
        summary: plan.summary(),
    });
    let text = match (empty, failed) {
        (true, _) => "nothing to do".to_owned(),
        (false, 0) => "to do this: cargo xtask deploy".to_owned(),
        (false, n) => format!("deploy would stop at preflight: {n} checks fail"),
    };
    printer.say(&Event::Note { text });
    Ok(if empty { Exit::Done } else { Exit::Changes })
}
