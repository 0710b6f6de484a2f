//! Gates: what must be true at the end of a stage, as data, and the verdict on it.
//!
//! A gate waits on states, told by the engine's events; it never just sleeps.

mod check;

use serde::Serialize;

pub(crate) use check::of_stack;
pub use check::{Judge, judge};

/// What must be true.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "gate", rename_all = "kebab-case")]
pub enum Gate {
    /// Every preflight check passes.
    Preflight,
    /// Compose reads the files and sees Ken's services unchanged.
    KenUnchanged,
    /// These images are on the machine.
    ImagesPresent {
        /// References.
        references: Vec<String>,
    },
    /// These services run and their health checks pass.
    Healthy {
        /// Service names.
        services: Vec<String>,
    },
    /// The role can log in over the network and owns the database.
    DatabaseReady,
    /// An object can be put, read and deleted with the service's own credentials.
    BucketProven,
    /// The one-shot ended with status 0.
    Completed {
        /// Service name.
        service: String,
    },
    /// Web answers on its published port, with its database, and is of this version.
    WebAnswers {
        /// Where.
        url: String,
        /// Version it must report.
        version: String,
    },
    /// The generated key reaches the project of this id.
    ProjectReached {
        /// Where.
        url: String,
        /// Project id.
        project: String,
    },
    /// The validation list passes.
    Verified,
    /// No container of ours is left.
    Gone,
    /// Ken and its Postgres run, in the lives they had.
    KenServes,
    /// Nothing beyond the actions themselves.
    Open,
}

/// What a look at a gate gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// True; this is what was seen.
    Open {
        /// Evidence for people.
        evidence: String,
    },
    /// Not yet.
    Pending {
        /// How long to leave it alone before the next look, where looking itself does harm.
        not_before: Option<std::time::Duration>,
        /// What is waited for.
        reason: String,
    },
    /// It will not become true by waiting.
    Closed(Closed),
}

/// Why a gate is closed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// What is wrong.
    pub reason: String,
    /// The service that is at fault, if one is.
    pub culprit: Option<String>,
    /// Its last log lines.
    pub logs: Vec<String>,
    /// The command to run next.
    pub next: String,
}
