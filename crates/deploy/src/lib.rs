//! Deploys Langfuse v4 beside a running Ken, and takes it away again.
//!
//! A policy and an inventory make a plan, a plan is stages, a stage ends in a gate, the journal remembers, the report
//! tells.
//!
//! | module | is | does I/O |
//! |---|---|---|
//! | [`stack`] | the target as data | no |
//! | [`render`] | the target as text | no |
//! | [`ken`] | Ken's stack, read | no |
//! | [`inventory`] | what was seen, and how to look | through the engine |
//! | [`plan`] | what to do | no |
//! | [`preflight`] | what must be true before | no |
//! | [`gate`] | what must be true after each stage | through the engine |
//! | [`validate`] | the validation list | through the engine |
//! | [`engine`] | the door to the world | yes |
//! | [`journal`] | the memory | its own file |
//! | [`rollout`] | carries a plan out | yes |
//! | [`report`] | events, as text and JSON | no |
//!
//! Nothing here prints or knows the command line.

pub mod clock;
pub mod database;
pub mod engine;
pub mod gate;
pub mod generated;
pub mod inventory;
pub mod journal;
pub mod ken;
pub mod object_store;
pub mod plan;
pub mod preflight;
pub mod render;
pub mod report;
pub mod rollout;
pub mod site;
pub mod stack;
pub mod validate;
