//! The events of a run, in order.

use ken_secrets::Redactor;
use serde::Serialize;

use super::Check;
use crate::gate::Closed;
use crate::plan::StageName;

/// Version of the event stream: the first line of `--json` says it.
pub const SCHEMA: u32 = 1;

/// A command worth running next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextStep {
    /// What it is good for.
    pub purpose: String,
    /// The command or address.
    pub command: String,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// First of all.
    Schema {
        /// `ken-langfuse`.
        name: &'static str,
        /// [`SCHEMA`].
        version: u32,
        /// Version of this tool.
        tool: &'static str,
    },
    /// A remark.
    Note {
        /// Text.
        text: String,
    },
    /// Something to look at, which stops nothing.
    Warning {
        /// Text.
        text: String,
        /// How to mend it.
        mend: String,
    },
    /// The plan as made.
    Planned {
        /// Its id.
        plan: String,
        /// Whether there is nothing to do.
        empty: bool,
        /// Its lines for people.
        lines: Vec<String>,
        /// `7 to add, …`.
        summary: String,
    },
    /// A run begins.
    RunBegan {
        /// Its id.
        run: String,
        /// The command.
        command: String,
        /// The stage that an interrupted run had reached.
        resumes: Option<String>,
    },
    /// A stage begins.
    StageBegan {
        /// Its name.
        stage: StageName,
        /// Its position, from 1.
        number: usize,
        /// Of how many.
        of: usize,
    },
    /// A check was made.
    Checked {
        /// The check.
        #[serde(flatten)]
        check: Check,
    },
    /// From here on things change.
    Impact {
        /// The command that undoes it.
        undo: String,
    },
    /// An action begins.
    ActionBegan {
        /// Its stage.
        stage: StageName,
        /// What it does.
        text: String,
    },
    /// How far a pull is.
    Pulling {
        /// Image reference.
        reference: String,
        /// Bytes fetched.
        current: u64,
        /// Bytes to fetch, as far as known.
        total: u64,
    },
    /// An image is here.
    Pulled {
        /// Image reference.
        reference: String,
    },
    /// A gate is waited for.
    Waiting {
        /// Its stage.
        stage: StageName,
        /// What is waited for.
        reason: String,
        /// How long so far, in milliseconds.
        elapsed_ms: u64,
        /// After how long it is given up, in milliseconds.
        limit_ms: u64,
    },
    /// A stage is over.
    StageDone {
        /// Its name.
        stage: StageName,
        /// What was seen.
        evidence: String,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// Whether it had nothing to do.
        unchanged: bool,
    },
    /// A stage failed.
    StageFailed {
        /// Its name.
        stage: StageName,
        /// Why, with the culprit's last words.
        #[serde(flatten)]
        closed: Closed,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// What is in place now.
        in_place: Vec<String>,
    },
    /// The end.
    Finished {
        /// One sentence.
        text: String,
        /// Whether all is well.
        ok: bool,
        /// How long everything took, in milliseconds.
        elapsed_ms: u64,
        /// Where to go from here.
        next: Vec<NextStep>,
    },
}

/// Where events go. Whoever shows one passes every text through the redactor.
pub trait Sink {
    /// Takes an event.
    fn emit(&mut self, event: &Event, redactor: &Redactor);
}
