//! Proof of likeness: asks a server again what a real Langfuse 4.16.0 was asked, and compares the answers.
//!
//! A [`Recording`] is one exchange with the real server; [`Suite::run`] sends all of them in their order to a
//! server under test. [`compare`] is the one comparer: it allows nothing to differ but what a [`Rule`] of
//! [`RULES`] names. Every answer is held against Langfuse's own OpenAPI file too, where that is right ([`openapi`]).
//! Nothing here prints.

mod bundled;
mod client;
mod compare;
mod keys;
mod names;
pub mod openapi;
mod recording;
mod report;
mod rules;
mod suite;
mod template;
mod waits;

pub use compare::{Difference, DifferenceKind, compare};
pub use keys::{KEY_NAMES, Keys, KeysError};
pub use names::{Identity, Names};
pub use recording::{Answer, Auth, Recording, RecordingError, Request};
pub use report::{Exchanged, Outcome, Report};
pub use rules::{Allowance, RULES, Rule};
pub use suite::{RunError, Suite};
pub use url::Url;
