//! `cargo xtask conformance`

use std::time::Duration;

use ken_conformance::{Exchanged, Keys, KeysError, RunError, Suite};
use ken_deploy::clock::SystemClock;
use ken_deploy::report::Event;
use ken_secrets::{Redactor, Secret};
use serde::Serialize;

use super::deploy::elapsed;
use crate::exit::{Exit, Failure};
use crate::flags::ConformanceArgs;
use crate::printer::{Printer, json, out};

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'r> {
    Exchange(&'r Exchanged),
    Late { text: &'r str },
    Counts { same: usize, different: usize, not_supported: usize },
}

pub(crate) async fn run(args: ConformanceArgs) -> Result<Exit, Failure> {
    let keys = match &args.keys {
        Some(path) => Keys::read(path),
        None => Keys::find("the environment", |name| std::env::var(name).ok().map(Secret::new)),
    };
    let keys = keys.map_err(|error| {
        let hint = match &error {
            KeysError::Missing { .. } if args.keys.is_none() => {
                "give a private file with --keys, such as the secrets.env of a deployment, or set the variables"
            }
            KeysError::Missing { .. } | KeysError::Unfit { .. } => "write them as NAME=value lines",
            KeysError::NoFile { .. } | KeysError::File(_) => "nothing was sent",
        };
        Failure::new(Exit::Input, error.into()).hint(hint)
    })?;
    let (redactor, clock) = (Redactor::new(&keys.secrets()), SystemClock::default());
    let mut printer = Printer::new(args.json, redactor.clone());
    let suite = Suite { patience: Duration::from_secs(args.patience), ..Suite::default() };
    let said = suite.run(&args.base_url, keys, |exchanged| {
        if args.json {
            json(&Line::Exchange(exchanged), &redactor);
        } else {
            out(&redactor.mask(&exchanged.to_string()));
        }
    });
    let report = said.await.map_err(refused)?;
    for text in &report.late {
        if args.json {
            json(&Line::Late { text }, &redactor);
        } else {
            out(&format!("late: {text}"));
        }
    }
    let (same, different, not_supported) = report.counts();
    if args.json {
        json(&Line::Counts { same, different, not_supported }, &redactor);
    }
    let (text, ok) = (report.summary(), report.is_same());
    printer.say(&Event::Finished { text, ok, elapsed_ms: elapsed(&clock), next: Vec::new() });
    Ok(if ok { Exit::Done } else { Exit::Gate })
}

fn refused(error: RunError) -> Failure {
    let (exit, hint) = match &error {
        RunError::Client(_) => (Exit::Unexpected, "nothing was sent"),
        RunError::Address { .. } => (Exit::Input, "give the address alone, such as http://127.0.0.1:3000"),
        RunError::Unreachable { .. } => {
            (Exit::Input, "start the server, or mend --base-url; nothing was sent")
        }
        RunError::Refused { .. } => (
            Exit::Input,
            "use the keys of a project of this server; a key that was tried before it existed is refused for five minutes",
        ),
        RunError::NotLangfuse { .. } => (Exit::Input, "give the address of web, without a path"),
        RunError::InUse { .. } => (
            Exit::Input,
            "make an empty project for the suite and use its keys; nothing was sent into this one",
        ),
    };
    Failure::new(exit, error.into()).hint(hint)
}
