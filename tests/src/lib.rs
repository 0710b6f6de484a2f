//! Support for the end-to-end tests: a real engine, real stores, a small Ken, no registry.
//!
//! A test begins with [`rig_or_skip!`], which gives it the [`Rig`] or ends it with a line that says what is
//! missing, and then starts a [`KenStack`], which cleans up after itself whatever happens.

pub mod command;
pub mod http;
mod ken;
mod leftovers;
mod local;
mod ports;
mod project;
mod rig;
mod xtask;

pub use ken::{Fingerprint, KenStack};
pub use local::Local;
pub use project::{ContainerState, Project, Sharing};
pub use rig::{Rig, Unavailable, rig_or_skip};
pub use xtask::{Outcome, Running, Xtask};

/// Gives the [`Rig`], or returns from the calling test with a line on standard error.
///
/// Where skipping would hide a fault (`CI=true` or `KEN_E2E=require`) it panics instead. Use it once in a
/// test, at its start: the count of its uses is what continuous integration expects to have run.
#[macro_export]
macro_rules! rig_or_skip {
    () => {{
        fn here() {}
        match $crate::rig_or_skip(std::any::type_name_of_val(&here)) {
            Some(rig) => rig,
            None => return Ok(()),
        }
    }};
}
