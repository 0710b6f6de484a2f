//! What a journal line says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::Life;
use crate::plan::{Action, StageName};
use crate::stack::Names;

/// Version of the line format. A reader refuses a later one; an earlier one is read for ever.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Format version.
    pub v: u32,
    /// Position in the journal, from 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The run that wrote it, such as `run-0007`.
    pub run: String,
    /// What happened.
    pub entry: Kind,
}

/// The containers that no step of ours may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KenLives {
    /// Ken itself.
    pub ken: Option<Life>,
    /// Its Postgres.
    pub postgres: Option<Life>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All stages.
    Done,
    /// As far as `--until` said.
    Stopped,
    /// A stage failed.
    Failed,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A run began; nothing has been changed by it.
    RunBegan {
        /// `deploy` or `rollback`.
        command: String,
        /// Id of the plan that it follows.
        plan: String,
        /// Version of this tool.
        tool: String,
        /// Langfuse's version in the plan.
        langfuse: String,
        /// Ken as it was.
        ken: KenLives,
    },
    /// Names that later runs must keep.
    NamesChosen {
        /// The names.
        names: Names,
    },
    /// Digests that later runs must keep for the same references.
    ImagesPinned {
        /// `sha256:…` by image reference.
        digests: BTreeMap<String, String>,
    },
    /// A stage began.
    StageBegan {
        /// Its name.
        stage: StageName,
    },
    /// An action is about to be done. If no `action-done` follows, it may have been done, in part, or not at all.
    ActionBegan {
        /// Its stage.
        stage: StageName,
        /// The action, without file contents.
        action: Action,
    },
    /// The action was done.
    ActionDone {
        /// Its stage.
        stage: StageName,
        /// The action, without file contents.
        action: Action,
    },
    /// A stage's gate opened.
    GateOpened {
        /// The stage.
        stage: StageName,
        /// What was seen.
        evidence: String,
    },
    /// A stage failed.
    StageFailed {
        /// The stage.
        stage: StageName,
        /// Why, with secrets masked.
        reason: String,
    },
    /// The run ended.
    RunEnded {
        /// How.
        outcome: Outcome,
    },
}
