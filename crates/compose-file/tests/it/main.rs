//! Tests of the editor through its public face.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail by panicking, as the test itself does")]

mod compose;
mod edit;
mod generator;
mod parse;
mod properties;
mod read;
mod scale;
mod support;
mod tampering;
mod undo;
