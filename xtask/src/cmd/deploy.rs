//! `cargo xtask deploy`

use ken_config::Exposure;
use ken_deploy::clock::{Clock, SystemClock};
use ken_deploy::engine::HostEngine;
use ken_deploy::plan::StageName;
use ken_deploy::report::{Event, Finding, NextStep};
use ken_deploy::rollout::{Ended, Prepared, Session};
use ken_deploy::validate::web_url;

use super::target::Target;
use crate::exit::{Exit, Failure};
use crate::flags::{DeployArgs, TargetArgs};
use crate::printer::{self, Printer};

pub(crate) async fn run(args: DeployArgs) -> Result<Exit, Failure> {
    let (target, engine) = Target::open(&args.target).await?;
    let clock = SystemClock::default();
    let choice = target.choice.clone();
    let session = target.session(&engine, &clock);
    if let Some(text) = choice {
        Printer::new(args.target.json, session.redactor()).say(&Event::Note { text });
    }
    roll_out(&session, &engine, &clock, &args.target, args.until, args.yes).await
}

/// Plans, checks, asks and carries out; `rollback --to` comes here too, with another policy.
pub(super) async fn roll_out(
    session: &Session<'_, HostEngine, SystemClock>,
    engine: &HostEngine,
    clock: &SystemClock,
    args: &TargetArgs,
    until: Option<StageName>,
    yes: bool,
) -> Result<Exit, Failure> {
    let json = args.json;
    session.refuse_when_locked()?;
    let prepared = session.prepare().await?;
    let mut printer = Printer::new(json, session.redactor());
    if prepared.is_reached() {
        printer.say(&Event::Finished {
            text: "nothing to do: everything runs as the policy wants it".to_owned(),
            ok: true,
            elapsed_ms: elapsed(clock),
            next: where_it_is(session, &prepared, args),
        });
        return Ok(Exit::Done);
    }
    for event in session.warnings() {
        printer.say(&event);
    }
    printer.say(&Event::Note { text: "preflight (no impact yet)".to_owned() });
    let checks = session.preflight(&prepared);
    let failed: Vec<&str> = checks.iter().filter(|c| c.finding == Finding::Failed).map(|c| c.id).collect();
    for check in &checks {
        printer.say(&Event::Checked { check: check.clone() });
    }
    if !failed.is_empty() {
        printer.say(&Event::Finished {
            text: format!("stopped before anything changed: {} failed", failed.join(", ")),
            ok: false,
            elapsed_ms: elapsed(clock),
            next: vec![step("when it is mended", &command("deploy", args))],
        });
        return Ok(Exit::Gate);
    }
    let plan = &prepared.plan;
    printer.say(&Event::Planned {
        plan: plan.id.clone(),
        empty: plan.is_empty(),
        lines: plan.lines(&session.site),
        summary: plan.summary(),
    });
    if until == Some(StageName::Preflight) {
        printer.say(&Event::Finished {
            text: "preflight passed; no impact so far".to_owned(),
            ok: true,
            elapsed_ms: elapsed(clock),
            next: vec![step("go on", &command("deploy", args))],
        });
        return Ok(Exit::Done);
    }
    confirm(yes, &printer, "Do this? [y/N]")?;
    let ended = session.execute(&prepared, until, &mut printer, |file| engine.hold_lock(file)).await?;
    let (text, ok, next) = match &ended {
        Ended::Done => {
            let text = if session.site.ken_file().is_some() {
                "Langfuse runs beside an untouched Ken"
            } else {
                "Langfuse answers on this machine"
            };
            (text.to_owned(), true, where_it_is(session, &prepared, args))
        }
        Ended::Stopped(stage) => (
            format!("stopped after {stage}, as asked"),
            true,
            vec![step("go on", &command("deploy", args)), step("undo", &command("rollback", args))],
        ),
        Ended::Failed(stage, _) => (
            match session.site.ken_file() {
                Some(_) => format!("stopped at {stage}; Ken serves on"),
                None => format!("stopped at {stage}"),
            },
            false,
            vec![
                step("mend and go on", &command("deploy", args)),
                step("take it all back", &command("rollback", args)),
            ],
        ),
    };
    printer.say(&Event::Finished { text, ok, elapsed_ms: elapsed(clock), next });
    Ok(if ok { Exit::Done } else { Exit::Gate })
}

pub(super) fn step(purpose: &str, command: &str) -> NextStep {
    NextStep { purpose: purpose.to_owned(), command: command.to_owned() }
}

/// The command line that reaches the same target.
pub(super) fn command(verb: &str, args: &TargetArgs) -> String {
    let mut line = format!("cargo xtask {verb}");
    if let Some(policy) = &args.policy {
        line.push_str(&format!(" --policy {}", policy.display()));
    }
    if let Some(stack) = &args.stack {
        line.push_str(&format!(" --stack {}", stack.display()));
    }
    if let Some(engine) = args.engine {
        line.push_str(&format!(" --engine {}", format!("{engine:?}").to_lowercase()));
    }
    line
}

pub(super) fn elapsed(clock: &SystemClock) -> u64 {
    u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Asks, unless it was said not to; refuses where nobody can be asked.
pub(super) fn confirm(yes: bool, printer: &Printer, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if printer.is_json() || !printer::can_ask() {
        return Err(Failure::new(
            Exit::Unconfirmed,
            anyhow::anyhow!("this changes things, and nobody can be asked"),
        )
        .hint("say --yes"));
    }
    match printer::ask(question).as_str() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Unconfirmed, anyhow::anyhow!("not confirmed; nothing was changed"))),
    }
}

/// Where the UI is, how to reach it, where the first password lies, and what to do next.
fn where_it_is(
    session: &Session<'_, HostEngine, SystemClock>,
    prepared: &Prepared,
    args: &TargetArgs,
) -> Vec<NextStep> {
    let Some(stack) = &prepared.plan.stack else { return Vec::new() };
    let mut next = Vec::new();
    let secrets = session.site.secrets().join("secrets.env");
    if !stack.is_whole() {
        return vec![
            step("look at it", &format!("{}/", web_url(stack))),
            step("for Ken's environment", &format!("LANGFUSE_BASE_URL={}", web_url(stack))),
            step("keys for Ken", &format!("PROJECT_PUBLIC_KEY, PROJECT_SECRET_KEY in {}", secrets.display())),
            step("see how it is", &command("status", args)),
            step("take it away", &command("rollback", args)),
        ];
    }
    match &session.policy.exposure {
        Exposure::Private { port, ssh_target, .. } => {
            next.push(step("UI on this machine", &web_url(stack)));
            let target = ssh_target.as_deref().unwrap_or("USER@THIS-VM");
            next.push(step(
                "UI from yours",
                &format!("ssh -N -L {port}:127.0.0.1:{port} {target}   then http://localhost:{port}"),
            ));
        }
        Exposure::Proxy { public_url, .. } => {
            next.push(step("UI", public_url.as_str()));
            next.push(step("the proxy forwards to", &web_url(stack)));
        }
    }
    next.push(step(
        "first user",
        &format!("{}, password: USER_PASSWORD in {}", session.policy.langfuse.user_email, secrets.display()),
    ));
    next.push(step("for Ken's environment", &format!("LANGFUSE_BASE_URL=http://{}:3000", web_name(stack))));
    next.push(step(
        "keys for Ken",
        &format!("PROJECT_PUBLIC_KEY, PROJECT_SECRET_KEY in {}", secrets.display()),
    ));
    next.push(step("check it again", &command("validate", args)));
    next
}

fn web_name(stack: &ken_deploy::stack::Stack) -> &str {
    stack.service(ken_deploy::stack::Role::Web).map_or("langfuse-web", |s| s.name.as_str())
}
