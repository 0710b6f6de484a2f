//! One command's worth of work on one site: look, plan, and carry out.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ken_config::Policy;
use ken_secrets::{GitState, Redactor, SecretSet, SecretStore};
use serde::Serialize;

use super::apply::{keep_policy, prepare_folder};
use super::{ApplyError, Ended, Lock, LockError, RunError, Runner};
use crate::clock::Clock;
use crate::engine::{Engine, EngineError};
use crate::gate::Closed;
use crate::inventory::{Inventory, ObserveError, observe};
use crate::journal::{Journal, JournalError, Outcome, State};
use crate::plan::{Plan, PlanError, PlanInput, StageName, UndoInput, plan, undo};
use crate::preflight::{PreflightInput, preflight};
use crate::report::{Check, Event, Finding, Sink};
use crate::site::Site;
use crate::stack::{Database, Role, assemble};
use crate::validate;

/// How long a command that a killed run left working is waited for.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(120);
/// Larger `.env` files are not looked into.
const ENV_LIMIT: u64 = 1024 * 1024;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Engine, Compose or Ken's file.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// No plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No rollback.
    #[error(transparent)]
    Undo(#[from] ken_compose_file::EditError),
    /// Secrets.
    #[error(transparent)]
    Secrets(#[from] ken_secrets::LoadError),
    /// Journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Lock.
    #[error("the deploy lock is {0}")]
    Lock(#[from] LockError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Our own folder.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The Compose file's path.
    #[error("no Compose file at {}", path.display())]
    NoStack {
        /// As it was given.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else changed things between look and lock.
    #[error("another run finished while this one was being planned")]
    Overtaken,
    /// There is nothing that could be validated or rolled back to.
    #[error("{0}")]
    Nothing(String),
}

impl From<RunError> for SessionError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Journal(error) => Self::Journal(error),
        }
    }
}

/// What a command sees before it acts.
#[derive(Debug)]
pub struct Prepared {
    /// The world.
    pub inventory: Inventory,
    /// The memory.
    pub state: State,
    /// The secrets that exist.
    pub secrets: SecretSet,
    /// What would be done.
    pub plan: Plan,
    /// Lines of the journal when it was read.
    journal_length: usize,
}

impl Prepared {
    /// Whether the target is reached: nothing is left to do, and the last run passed its last gate.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.plan.is_empty() && self.state.runs.last().is_some_and(|run| run.outcome == Some(Outcome::Done))
    }
}

/// One service in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its role.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: String,
    /// Image it runs.
    pub image: String,
    /// Where it is published.
    pub published: Vec<String>,
}

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Ken's project.
    pub project: String,
    /// `running, healthy`.
    pub ken: String,
    /// Our services.
    pub services: Vec<Service>,
    /// The last run: id, command, outcome, and the stage it reached.
    pub last_run: Option<String>,
    /// Who holds the lock.
    pub lock: Option<String>,
    /// Address of the UI from this machine.
    pub url: String,
    /// Things to do to reach the policy's target.
    pub drift: usize,
    /// The plan's summary.
    pub summary: String,
}

/// A site, a policy, and the world.
#[derive(Debug)]
pub struct Session<'a, E, C> {
    /// The world.
    pub engine: &'a E,
    /// The time.
    pub clock: &'a C,
    /// What is wanted.
    pub policy: Policy,
    /// The policy's text, kept with each run.
    pub policy_text: String,
    /// Where things lie.
    pub site: Site,
    cut_after: Option<usize>,
}

/// Finds the site of a Compose file.
///
/// # Errors
/// [`SessionError::NoStack`].
pub fn site(compose_file: &Path) -> Result<Site, SessionError> {
    let path = compose_file
        .canonicalize()
        .map_err(|source| SessionError::NoStack { path: compose_file.to_owned(), source })?;
    Ok(Site::of(path))
}

/// Remarks on Ken's own `.env`: names and lines, never values.
#[must_use]
pub fn env_warnings(site: &Site) -> Vec<Event> {
    let path = site.ken_env();
    let shown = site.shown(&path);
    let readable = std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= ENV_LIMIT);
    let Some(text) = readable.then(|| std::fs::read_to_string(&path).ok()).flatten() else {
        return Vec::new();
    };
    let mut events = Vec::new();
    if ken_secrets::git_tracked(&path) == GitState::Tracked {
        events.push(Event::Warning {
            text: format!("{shown} is tracked by Git: its secrets are in every clone"),
            mend: format!("git rm --cached {shown}, add it to .gitignore, and change the secrets in it"),
        });
    }
    events.extend(ken_secrets::ken_env::inspect(&text).into_iter().map(|finding| Event::Warning {
        text: format!("{shown}:{}: {} {}", finding.line, finding.name, finding.problem),
        mend: finding.mend,
    }));
    events
}

impl<'a, E: Engine, C: Clock> Session<'a, E, C> {
    /// A session on a site.
    pub fn new(engine: &'a E, clock: &'a C, policy: Policy, policy_text: String, site: Site) -> Self {
        Self { engine, clock, policy, policy_text, site, cut_after: None }
    }

    /// Cuts the run off after so many journal lines, as if it were killed there.
    #[cfg(feature = "fake")]
    #[must_use]
    pub fn cut_after(self, lines: Option<usize>) -> Self {
        Self { cut_after: lines, ..self }
    }

    async fn look(&self) -> Result<(Inventory, State, SecretSet, usize), SessionError> {
        let journal = Journal::read(&self.site.journal())?;
        let state = State::fold(journal.entries());
        let secrets = SecretStore::at(self.site.secrets()).load()?;
        let inventory = observe(self.engine, &self.site, &self.policy, &state, &secrets).await?;
        Ok((inventory, state, secrets, journal.entries().len()))
    }

    /// Looks, and plans a deployment. Changes nothing.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn prepare(&self) -> Result<Prepared, SessionError> {
        let (inventory, state, secrets, journal_length) = self.look().await?;
        let plan = plan(&PlanInput {
            policy: &self.policy,
            inventory: &inventory,
            state: &state,
            secrets: &secrets,
            site: &self.site,
        })?;
        Ok(Prepared { inventory, state, secrets, plan, journal_length })
    }

    fn database(&self) -> Option<Database> {
        match &self.policy.postgres {
            ken_config::Postgres::Ken { database, role } => {
                Some(Database { database: database.clone(), role: role.clone(), connection_limit: 0 })
            }
            ken_config::Postgres::External { .. } => None,
        }
    }

    /// Looks, and plans a rollback. Changes nothing.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn prepare_rollback(&self, purge: bool) -> Result<Prepared, SessionError> {
        let (inventory, state, secrets, journal_length) = self.look().await?;
        let plan = undo(&UndoInput {
            inventory: &inventory,
            state: &state,
            site: &self.site,
            database: self.database(),
            purge,
        })?;
        Ok(Prepared { inventory, state, secrets, plan, journal_length })
    }

    /// Masks every secret of this site; knows none that cannot be read.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        Redactor::new(&SecretStore::at(self.site.secrets()).load().unwrap_or_default())
    }

    /// The preflight checks on what was prepared.
    #[must_use]
    pub fn preflight(&self, prepared: &Prepared) -> Vec<Check> {
        let store = SecretStore::at(self.site.secrets());
        let secrets = store.check(&ken_config::secrets_needed(&self.policy)).unwrap_or_default();
        prepared.plan.stack.as_ref().map_or_else(Vec::new, |stack| {
            preflight(&PreflightInput {
                secrets: &secrets,
                policy: &self.policy,
                inventory: &prepared.inventory,
                state: &prepared.state,
                stack,
                site: &self.site,
            })
        })
    }

    /// Remarks on Ken's own `.env`: names and lines, never values.
    #[must_use]
    pub fn warnings(&self) -> Vec<Event> {
        env_warnings(&self.site)
    }

    /// Who holds the lock, refused early so that nobody reads a plan in vain.
    ///
    /// # Errors
    /// [`SessionError::Lock`] when a living process holds it.
    pub fn refuse_when_locked(&self) -> Result<(), SessionError> {
        match Lock::holder(&self.site.lock())? {
            Some((holder, false)) => Err(LockError::Held { holder, orphaned: false }.into()),
            _ => Ok(()),
        }
    }

    async fn lock(&self, reason: &str) -> Result<Lock, SessionError> {
        let began = self.clock.elapsed();
        loop {
            match Lock::take(&self.site.lock(), reason, self.clock.now()) {
                Ok(lock) => return Ok(lock),
                // A command of a killed run still works; it ends by itself.
                Err(LockError::Held { orphaned: true, .. })
                    if self.clock.elapsed().saturating_sub(began) < ORPHAN_PATIENCE =>
                {
                    self.clock.sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Carries out what was prepared. `hold` is given the lock's handle for children to keep.
    ///
    /// # Errors
    /// [`SessionError`]; a stage that fails is an [`Ended`].
    pub async fn execute<S: Sink>(
        &self,
        prepared: &Prepared,
        until: Option<StageName>,
        sink: &mut S,
        hold: impl Fn(Option<std::fs::File>),
    ) -> Result<Ended, SessionError> {
        if let Some(failed) = self.preflight(prepared).into_iter().find(|c| c.finding == Finding::Failed) {
            let reason = format!("{}: {}", failed.id, failed.measured);
            let closed = Closed { reason, culprit: None, logs: Vec::new(), next: failed.mend };
            return Ok(Ended::Failed(StageName::Preflight, closed));
        }
        let run = prepared.state.next_run();
        let command = prepared.plan.command;
        let lock = self.lock(&format!("{command} {run}")).await?;
        let mut journal = Journal::read(&self.site.journal())?;
        if let Some(appends) = self.cut_after {
            journal.fail_after(appends);
        }
        if journal.entries().len() != prepared.journal_length {
            return Err(SessionError::Overtaken);
        }
        hold(lock.handle());
        prepare_folder(&self.site)?;
        let redactor = Redactor::new(&prepared.secrets);
        let resumes = prepared.state.interrupted().and_then(|r| r.stage).map(|s| s.to_string());
        sink.emit(&Event::RunBegan { run: run.clone(), command: command.to_owned(), resumes }, &redactor);
        if command == "deploy" {
            keep_policy(&self.site, &run, &self.policy_text)?;
        }
        let mut runner = Runner {
            engine: self.engine,
            clock: self.clock,
            site: &self.site,
            policy: &self.policy,
            before: &prepared.inventory,
            state: &prepared.state,
            database: prepared.plan.stack.as_ref().map_or_else(|| self.database(), |s| s.database.clone()),
            run,
            journal,
            secrets: prepared.secrets.clone(),
            redactor,
            sink: RefCell::new(sink),
        };
        let ended = runner.run(&prepared.plan, until).await;
        hold(None);
        drop(lock);
        Ok(ended?)
    }

    /// After a purge: our folder goes as a whole, journal and lock included.
    ///
    /// # Errors
    /// [`SessionError::Apply`].
    pub fn remove_folder(&self) -> Result<(), SessionError> {
        let path = self.site.folder();
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(ApplyError::File { operation: "remove", path, source }.into())
            }
            _ => Ok(()),
        }
    }

    /// The policy text of an earlier run.
    ///
    /// # Errors
    /// [`SessionError::Nothing`] when there is no such run, or when its images are older than the schema.
    pub fn policy_of(&self, run: &str) -> Result<String, SessionError> {
        let journal = Journal::read(&self.site.journal())?;
        let state = State::fold(journal.entries());
        let known: Vec<&str> = state
            .runs
            .iter()
            .filter(|r| r.command == "deploy" && r.outcome == Some(Outcome::Done))
            .map(|r| r.id.as_str())
            .collect();
        let Some(target) = state.runs.iter().find(|r| r.id == run && known.contains(&r.id.as_str())) else {
            let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(SessionError::Nothing(format!(
                "there is no finished deployment `{run}` to go back to; there are: {list}"
            )));
        };
        if let Some(migrated) = &state.migrated
            && *migrated != target.langfuse
        {
            return Err(SessionError::Nothing(format!(
                "{run} ran Langfuse {}, and {migrated} has migrated the databases since: an older image cannot read \
                 them; restore a backup of that time instead",
                target.langfuse
            )));
        }
        let path = self.site.run_policy(run);
        std::fs::read_to_string(&path)
            .map_err(|source| ApplyError::File { operation: "read", path, source }.into())
    }

    /// Runs the validation list on what is deployed.
    ///
    /// # Errors
    /// [`SessionError`]; [`SessionError::Nothing`] when nothing is deployed.
    pub async fn validate(&self) -> Result<Vec<Check>, SessionError> {
        let (inventory, _, secrets, _) = self.look().await?;
        if inventory.ours.is_empty() {
            return Err(SessionError::Nothing(format!(
                "no Langfuse is deployed: {} holds none",
                self.site.folder().display()
            )));
        }
        let stack =
            assemble(&self.policy, &inventory.ken, &inventory.names, &std::collections::BTreeMap::new());
        Ok(validate::validate(&validate::Input {
            engine: self.engine,
            clock: self.clock,
            stack: &stack,
            secrets: &secrets,
            lives: &inventory.lives,
            canary_limit: self.policy.gates.verify,
        })
        .await)
    }

    /// What runs, who holds the lock, what the last run did, and how far all is from the policy.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn status(&self) -> Result<Status, SessionError> {
        let prepared = self.prepare().await?;
        let Prepared { inventory, state, plan, .. } = &prepared;
        let services = plan.stack.iter().flat_map(|s| &s.services).map(|service| {
            let container = inventory.ours.iter().find(|c| c.service() == Some(&service.name));
            Service {
                role: service.role,
                name: service.name.clone(),
                state: container.map_or_else(
                    || "not there".to_owned(),
                    |c| format!("{:?}, {:?}", c.activity, c.health).to_lowercase(),
                ),
                image: container.map_or_else(|| service.image.clone(), |c| c.image.clone()),
                published: container
                    .iter()
                    .flat_map(|c| &c.published)
                    .map(|(address, port, _)| format!("{address}:{port}"))
                    .collect(),
            }
        });
        Ok(Status {
            project: inventory.ken.project.clone(),
            ken: inventory.ken_container.as_ref().map_or_else(
                || "not there".to_owned(),
                |c| format!("{:?}, {:?}", c.activity, c.health).to_lowercase(),
            ),
            services: services.collect(),
            last_run: state.runs.last().map(|run| {
                let outcome = match run.outcome {
                    Some(Outcome::Done) => "done".to_owned(),
                    Some(Outcome::Stopped) => "stopped as asked".to_owned(),
                    Some(Outcome::Failed) => "failed".to_owned(),
                    None => "interrupted".to_owned(),
                };
                let stage = run.stage.map_or_else(String::new, |s| format!(" at {s}"));
                let at = if run.outcome == Some(Outcome::Done) { String::new() } else { stage };
                format!("{} {}, {outcome}{at}, begun {}", run.id, run.command, run.began.strftime("%F %TZ"))
            }),
            lock: Lock::holder(&self.site.lock())?.map(|(holder, _)| {
                holder.map_or_else(|| "held by an unknown process".to_owned(), |h| format!("held by {h}"))
            }),
            url: plan.stack.as_ref().map_or_else(String::new, validate::web_url),
            drift: plan.actions().count(),
            summary: plan.summary(),
        })
    }
}
