//! The server over real HTTP, on free ports and in folders of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

mod browser;
mod dashboards;
mod durability;
mod environment;
mod fuzz;
mod ingestion;
mod listing;
mod metrics;
mod models;
mod object_storage;
mod pages;
mod pages_browser;
mod pages_charts;
mod pages_guard;
mod pages_hostile;
mod properties;
mod scores;
mod space;
mod support;
#[path = "../../examples/seed/traces.rs"]
mod traces_seed;
mod worker_health;
