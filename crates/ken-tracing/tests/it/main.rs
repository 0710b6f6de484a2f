//! The library against a server that can be well, slow, or gone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

mod delivery;
mod endings;
mod foreign;
mod mapping;
mod sink;
mod stopping;
