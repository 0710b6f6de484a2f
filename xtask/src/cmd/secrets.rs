//! `cargo xtask secrets init|check`

use ken_deploy::clock::{Clock, SystemClock};
use ken_deploy::journal::{Journal, State};
use ken_deploy::rollout::{Lock, SessionError};
use ken_secrets::{SecretState, SecretStore};

use super::target::Target;
use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;
use crate::printer::out;

fn input(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Exit::Input, error.into())
}

fn line(json: bool, key: &str, state: &str, detail: &str) {
    if json {
        out(&serde_json::json!({ "event": "secret", "name": key, "state": state, "detail": detail })
            .to_string());
    } else {
        out(&format!("  {state:<8} {key:<24} {detail}"));
    }
}

pub(crate) fn init(args: TargetArgs) -> Result<Exit, Failure> {
    let target = Target::read(&args)?;
    let _lock = Lock::take(&target.site.lock(), "secrets init", SystemClock::default().now())
        .map_err(SessionError::from)?;
    let journal = Journal::read(&target.site.journal()).map_err(SessionError::from)?;
    let state = State::fold(journal.entries());
    let store = SecretStore::at(target.site.secrets());
    let outcomes =
        store.init(&ken_config::secrets_needed(&target.policy), state.data_exists).map_err(input)?;
    for outcome in outcomes {
        line(args.json, outcome.name.key(), outcome.state.word(), outcome.name.describe());
    }
    if !args.json {
        out(&format!("in {} (0600)", store.file().display()));
    }
    Ok(Exit::Done)
}

pub(crate) fn check(args: TargetArgs) -> Result<Exit, Failure> {
    let target = Target::read(&args)?;
    let store = SecretStore::at(target.site.secrets());
    let statuses = store.check(&ken_config::secrets_needed(&target.policy)).map_err(input)?;
    let mut bad = 0;
    for status in statuses {
        let (word, detail) = match &status.state {
            SecretState::Present => ("ok", status.name.describe().to_owned()),
            SecretState::Missing => ("MISSING", status.name.describe().to_owned()),
            SecretState::Weak { why } => ("WEAK", why.clone()),
        };
        bad += usize::from(word != "ok");
        line(args.json, status.name.key(), word, &detail);
    }
    for event in ken_deploy::rollout::env_warnings(&target.site) {
        for (_, text) in ken_deploy::report::text(&event) {
            if !args.json {
                out(&text);
            }
        }
        if args.json {
            crate::printer::json(&event, &ken_secrets::Redactor::default());
        }
    }
    if bad > 0 {
        return Err(Failure::new(Exit::Gate, anyhow::anyhow!("{bad} secrets are missing or weak"))
            .hint("cargo xtask secrets init makes the missing ones"));
    }
    Ok(Exit::Done)
}
