//! What the journal's lines add up to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Entry, Kind, Outcome};
use crate::plan::{Action, StageName};
use crate::stack::{Names, Role};

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// The command.
    pub command: String,
    /// When it began.
    pub began: Timestamp,
    /// Langfuse's version in its plan.
    pub langfuse: String,
    /// The stage that it reached.
    pub stage: Option<StageName>,
    /// How it ended; none when it was killed, or is running.
    pub outcome: Option<Outcome>,
    /// Why a stage failed.
    pub reason: Option<String>,
}

/// The fold of all entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Names chosen by an earlier run.
    pub names: Option<Names>,
    /// All runs in order.
    pub runs: Vec<Run>,
    /// Services whose environment file was rewritten and that have not been started from it since.
    pub stale: BTreeSet<Role>,
    /// Digest by image reference as resolved when it was first deployed.
    pub digests: BTreeMap<String, String>,
    /// Digest of Ken's file before our first edit; its bytes are kept as a backup.
    pub ken_file_before: Option<String>,
    /// Whether database and role in Ken's Postgres were made, or begun to be made, by us.
    pub database_made: bool,
    /// Whether volumes may hold data of ours.
    pub data_exists: bool,
    /// The newest Langfuse whose migrations have begun.
    pub migrated: Option<String>,
}

impl State {
    /// Folds entries in order.
    #[must_use]
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut state = Self::default();
        for entry in entries {
            state.take(entry);
        }
        state
    }

    /// The last run that was killed before it ended.
    #[must_use]
    pub fn interrupted(&self) -> Option<&Run> {
        self.runs.last().filter(|run| run.outcome.is_none())
    }

    /// The id after the last one.
    #[must_use]
    pub fn next_run(&self) -> String {
        format!("run-{:04}", self.runs.len() + 1)
    }

    fn take(&mut self, entry: &Entry) {
        match &entry.entry {
            Kind::RunBegan { command, langfuse, .. } => self.runs.push(Run {
                id: entry.run.clone(),
                command: command.clone(),
                began: entry.at,
                langfuse: langfuse.clone(),
                stage: None,
                outcome: None,
                reason: None,
            }),
            Kind::NamesChosen { names } => self.names = Some(names.clone()),
            Kind::ImagesPinned { digests } => self.digests.extend(digests.clone()),
            Kind::StageBegan { stage } => {
                if let Some(run) = self.runs.last_mut() {
                    run.stage = Some(*stage);
                }
            }
            Kind::ActionBegan { action, .. } => self.began(action),
            Kind::ActionDone { action, .. } => self.done(action),
            Kind::GateOpened { .. } => {}
            Kind::StageFailed { reason, .. } => {
                if let Some(run) = self.runs.last_mut() {
                    run.reason = Some(reason.clone());
                }
            }
            Kind::RunEnded { outcome } => {
                if let Some(run) = self.runs.last_mut() {
                    run.outcome = Some(*outcome);
                }
            }
        }
    }

    /// What may be true from the moment before the action on.
    fn began(&mut self, action: &Action) {
        match action {
            Action::WriteEnvironment { role, .. } => {
                self.stale.insert(*role);
            }
            Action::EditKenFile { before, .. } if self.ken_file_before.is_none() => {
                self.ken_file_before = Some(before.clone());
            }
            Action::CreateDatabase { .. } => {
                self.database_made = true;
                self.data_exists = true;
            }
            Action::Up { roles, .. } => {
                self.data_exists = true;
                if roles.contains(&Role::Migrate) {
                    self.migrated = self.runs.last().map(|run| run.langfuse.clone());
                }
            }
            _ => {}
        }
    }

    /// What is true from the moment after the action on.
    fn done(&mut self, action: &Action) {
        match action {
            Action::Up { roles, .. } => self.stale.retain(|role| !roles.contains(role)),
            Action::RestoreKenFile { .. } => self.ken_file_before = None,
            Action::DropDatabase { .. } => self.database_made = false,
            Action::RemoveFolder => {
                *self = Self { runs: std::mem::take(&mut self.runs), ..Self::default() };
            }
            _ => {}
        }
    }
}
