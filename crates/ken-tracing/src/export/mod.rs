//! The exporting thread: takes what callers handed over, redacts and encodes it, sends it, and keeps what
//! cannot be sent.
//!
//! ```text
//! queue ──> open batch ──full, or due──> on its way ──taken──> gone
//!               │                            │
//!               └── older than 50 ms ──> spill folder <── failed, or no slot free
//!                                            └──────── when there is a slot ──> on its way
//! ```
//!
//! What is in memory and older than [`BACKUP_AFTER`] is in the spill folder too, so that a killed process
//! loses the last moments alone.

mod client;
mod encode;
mod spill;
mod worker;

use std::sync::mpsc;
use std::time::Instant;

use crate::tracer::Flushed;

pub(crate) use worker::run;

/// What is asked of the exporting thread.
pub(crate) enum Command {
    /// Answer when everything handed over so far is sent or spilled.
    Flush { until: Instant, reply: mpsc::Sender<Flushed> },
    /// The same, and end.
    Shutdown { until: Instant, reply: mpsc::Sender<Flushed> },
}
