//! The server over real HTTP, on free ports and in folders of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

mod dashboards;
mod durability;
mod environment;
mod ingestion;
mod listing;
mod metrics;
mod models;
mod object_storage;
mod properties;
mod scores;
mod space;
mod support;
mod worker_health;
