//! What a secret is, how each is made, where it lies, and how it is kept out of everything that people read.
//!
//! One file, `secrets.env`, is the single source of truth; whoever needs a value asks [`SecretStore::load`].
//! A [`Secret`] is revealed by [`Secret::expose`] alone, so that `grep -rn 'expose()'` lists every place.
//! Nothing here prints, logs, or puts a value into an error.

mod generate;
mod git;
pub mod ken_env;
mod name;
mod redact;
mod secret;
mod store;
mod write;

pub use git::{GitState, git_tracked};
pub use name::{Need, Origin, Requirement, SecretName};
pub use redact::Redactor;
pub use secret::{Secret, SecretSet};
pub use store::{
    InitError, LoadError, Outcome, OutcomeState, SecretState, SecretStore, Status, read_private,
};
pub use write::{WriteError, write_private};
