//! One file per container: what it runs, what it is told and how it is known to work.
//!
//! Facts come from Langfuse 4.16's own environment schema, entry points and upstream Compose file.

mod clickhouse;
mod langfuse;
mod migrate;
mod minio;
mod redis;
mod web;
mod worker;

use super::Healthcheck;

pub(super) use clickhouse::clickhouse;
pub(super) use langfuse::{Environment, set, set_secret};
pub(super) use migrate::migrate;
pub(super) use minio::minio;
pub(super) use redis::redis;
pub(super) use web::web;
pub(super) use worker::worker;

/// Port of the S3 API in the MinIO container.
pub const MINIO_PORT: u16 = 9000;
/// Port of ClickHouse's HTTP interface.
pub const CLICKHOUSE_HTTP_PORT: u16 = 8123;
/// Port of web in its container.
pub const WEB_PORT: u16 = 3000;
/// Port of the worker's health server in its container.
pub const WORKER_PORT: u16 = 3030;
/// Access key of the MinIO container; its secret is generated.
pub const MINIO_ACCESS_KEY: &str = "langfuse";

/// Connections of web's and of the worker's pool each. Prisma's own default is twice the cores plus one per process,
/// which could use up a small Postgres that belongs to Ken.
pub(super) const POOL_CONNECTIONS: u32 = 10;
/// Connections that the role may hold: both pools, a migration, and an operator's look.
pub(super) const ROLE_CONNECTIONS: u32 = 2 * POOL_CONNECTIONS + 5;

fn healthcheck(test: &[&str], start_period: u32) -> Healthcheck {
    Healthcheck {
        test: test.iter().map(|part| (*part).to_owned()).collect(),
        interval: 3,
        timeout: 5,
        retries: 10,
        start_period,
    }
}
