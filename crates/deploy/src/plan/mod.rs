//! A plan: stages in order, each with its actions and the gate it ends in.
//!
//! A plan is data. Making one changes nothing, and it leaves whoever carries it out no choice to make.

mod action;
mod display;
mod planner;
pub(crate) use planner::local_url;
mod undo;

use serde::{Deserialize, Serialize};

pub use action::{Action, Contents, Impact};
pub use planner::{PlanError, PlanInput, plan};
pub use undo::{UndoInput, undo};

use crate::gate::Gate;
use crate::stack::Stack;

/// The stages of a rollout, in order, and those of a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// Everything that can be checked before anything changes.
    Preflight,
    /// Secrets, environment files, our Compose file, the entry in Ken's.
    Files,
    /// Every image is on the machine.
    Images,
    /// Redis, ClickHouse, MinIO.
    Stores,
    /// Database and role in Ken's Postgres.
    Database,
    /// The bucket, proven.
    Buckets,
    /// Schemas.
    Migrate,
    /// The worker.
    Worker,
    /// Web.
    Web,
    /// The API key reaches its own project.
    Project,
    /// The validation list.
    Verify,
    /// Rollback: our containers and network go.
    Remove,
    /// Rollback: Ken's file is given back and our generated files go.
    Restore,
    /// Rollback, asked for twice: database, volumes, secrets.
    Purge,
    /// Rollback: Ken is checked.
    Ken,
}

impl StageName {
    /// The stages of a deployment, in order.
    pub const DEPLOY: [Self; 11] = [
        Self::Preflight,
        Self::Files,
        Self::Images,
        Self::Stores,
        Self::Database,
        Self::Buckets,
        Self::Migrate,
        Self::Worker,
        Self::Web,
        Self::Project,
        Self::Verify,
    ];

    /// The stages that only a stack of several parts has.
    pub const OF_PARTS: [Self; 5] =
        [Self::Stores, Self::Database, Self::Buckets, Self::Migrate, Self::Worker];

    /// The word used in commands and output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Files => "files",
            Self::Images => "images",
            Self::Stores => "stores",
            Self::Database => "database",
            Self::Buckets => "buckets",
            Self::Migrate => "migrate",
            Self::Worker => "worker",
            Self::Web => "web",
            Self::Project => "project",
            Self::Verify => "verify",
            Self::Remove => "remove",
            Self::Restore => "restore",
            Self::Purge => "purge",
            Self::Ken => "ken",
        }
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for StageName {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::DEPLOY.into_iter().find(|stage| stage.word() == word).ok_or_else(|| {
            let all: Vec<_> = Self::DEPLOY.iter().map(|s| s.word()).collect();
            format!("no stage is called `{word}`; the stages are {}", all.join(", "))
        })
    }
}

/// A verb phrase, its actions, one gate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// What is done, in order.
    pub actions: Vec<Action>,
    /// What must be true afterwards.
    pub gate: Gate,
}

/// Why something is, or is not, in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about.
    pub subject: String,
    /// The reason.
    pub text: String,
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Digest of everything below: equal input gives an equal id.
    pub id: String,
    /// `deploy` or `rollback`.
    pub command: &'static str,
    /// The target; none for a rollback.
    pub stack: Option<Stack>,
    /// Ken's Compose project.
    pub ken_project: String,
    /// Stages in order.
    pub stages: Vec<Stage>,
    /// Why nothing more was planned.
    pub notes: Vec<Note>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(|stage| stage.actions.is_empty())
    }

    /// All actions in order, with their stages.
    pub fn actions(&self) -> impl Iterator<Item = (StageName, &Action)> {
        self.stages.iter().flat_map(|stage| stage.actions.iter().map(|action| (stage.name, action)))
    }

    /// The stage of a name.
    #[must_use]
    pub fn stage(&self, name: StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}
