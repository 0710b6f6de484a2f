//! Tests of the editor through its public face.

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
