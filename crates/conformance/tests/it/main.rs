//! The suite against its own recordings, and against servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

mod local;
mod mutations;
mod refusals;
mod twin;
