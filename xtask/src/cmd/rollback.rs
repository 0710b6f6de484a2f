//! `cargo xtask rollback`

use ken_deploy::clock::SystemClock;
use ken_deploy::report::Event;
use ken_deploy::rollout::{Ended, Session};

use super::deploy::{command, confirm, elapsed, roll_out, step};
use super::target::Target;
use crate::exit::{Exit, Failure};
use crate::flags::RollbackArgs;
use crate::printer::{self, Printer};

pub(crate) async fn run(args: RollbackArgs) -> Result<Exit, Failure> {
    let (target, engine) = Target::open(&args.target).await?;
    let clock = SystemClock::default();
    let session = target.session(&engine, &clock);
    if let Some(run) = &args.to {
        let text = session.policy_of(run)?;
        let mut policy = ken_config::parse(&text, &session.site.run_policy(run))
            .map_err(|error| Failure::new(Exit::Input, error.into()))?;
        policy.engine = session.policy.engine;
        let session = Session::new(&engine, &clock, policy, text, session.site.clone());
        return roll_out(&session, &engine, &clock, &args.target, None, args.yes).await;
    }
    session.refuse_when_locked()?;
    let prepared = session.prepare_rollback(args.purge).await?;
    let mut printer = Printer::new(args.target.json, session.redactor());
    let plan = &prepared.plan;
    if plan.is_empty() {
        if args.purge {
            session.remove_folder()?;
        }
        printer.say(&Event::Finished {
            text: "nothing to take back: nothing of ours is there".to_owned(),
            ok: true,
            elapsed_ms: elapsed(&clock),
            next: Vec::new(),
        });
        return Ok(Exit::Done);
    }
    printer.say(&Event::Planned {
        plan: plan.id.clone(),
        empty: false,
        lines: plan.lines(&session.site),
        summary: plan.summary(),
    });
    confirm(args.yes, &printer, "Take it back? [y/N]")?;
    if args.purge {
        confirm_purge(args.confirm_purge.as_deref(), &plan.ken_project, &printer)?;
    }
    let ended = session.execute(&prepared, None, &mut printer, |file| engine.hold_lock(file)).await?;
    let ken = if session.site.ken_file().is_some() { "Ken is as it was; " } else { "" };
    let (text, ok, next) = match ended {
        Ended::Done if args.purge => {
            session.remove_folder()?;
            (format!("{ken}nothing of Langfuse is left"), true, Vec::new())
        }
        Ended::Done | Ended::Stopped(_) => (
            format!("{ken}Langfuse's data and secrets are kept"),
            true,
            vec![
                step("bring it back", &command("deploy", &args.target)),
                step("destroy the data too", &format!("{} --purge", command("rollback", &args.target))),
            ],
        ),
        Ended::Failed(stage, _) => (
            format!("stopped at {stage}; run it again, it goes on from here"),
            false,
            vec![step("mend and go on", &command("rollback", &args.target))],
        ),
    };
    printer.say(&Event::Finished { text, ok, elapsed_ms: elapsed(&clock), next });
    Ok(if ok { Exit::Done } else { Exit::Gate })
}

/// The second question: the project's name, typed.
fn confirm_purge(given: Option<&str>, project: &str, printer: &Printer) -> Result<(), Failure> {
    let unconfirmed = |text: String| Failure::new(Exit::Unconfirmed, anyhow::anyhow!(text));
    let answer = match given {
        Some(name) => name.to_owned(),
        None if !printer.is_json() && printer::can_ask() => printer::ask(&format!(
            "All traces, the database and the secrets will be destroyed. Type {project} to go on:"
        )),
        None => {
            return Err(unconfirmed("destroying data must be confirmed a second time".to_owned())
                .hint(format!("say --confirm-purge {project}")));
        }
    };
    if answer == project {
        Ok(())
    } else {
        Err(unconfirmed(format!("`{answer}` is not the project's name; nothing was changed"))
            .hint(format!("the project is {project}")))
    }
}
