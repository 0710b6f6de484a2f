//! What happens, as one vocabulary; text and JSON are two renderings of it. Nothing here prints.

mod check;
mod event;
mod text;

pub use check::{Check, Finding};
pub use event::{Event, NextStep, SCHEMA, Sink};
pub use text::{Style, bytes, duration, text};
