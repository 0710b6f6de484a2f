//! What a secret is, how each is made, where it lies, and how it is kept out of everything that people read.
//!
//! One file, `secrets.env`, is the single source of truth; whoever needs a value asks [`SecretStore::load`].
//! A [`Secret`] is revealed by [`Secret::expose`] alone, so that `grep -rn 'expose()'` lists every place.
//! Nothing here prints, logs, or puts a value into an error.

#[cfg(feature = "store")]
mod generate;
#[cfg(feature = "store")]
mod git;
#[cfg(feature = "store")]
pub mod ken_env;
mod name;
#[cfg(feature = "store")]
mod redact;
mod secret;
#[cfg(feature = "store")]
mod store;
#[cfg(feature = "store")]
mod write;

#[cfg(feature = "store")]
pub use git::{GitState, git_tracked};
pub use name::{Need, Origin, Requirement, SecretName};
#[cfg(feature = "store")]
pub use redact::Redactor;
pub use secret::{Secret, SecretSet};
#[cfg(feature = "store")]
pub use store::{
    InitError, LoadError, Outcome, OutcomeState, SecretState, SecretStore, Status, read_private,
};
#[cfg(feature = "store")]
pub use write::{WriteError, write_private};
