//! What the environment asks for, read once at the start.
//!
//! The variables are Langfuse's own, checked as the real images check them: an empty string is unset,
//! truth values are `true` and `false`, and every finding names its variable and never the value.
//! `LANGFUSE_LOCAL_DATA`, `LANGFUSE_LOCAL_RETENTION_DAYS`, `LANGFUSE_LOCAL_MAX_BYTES` and
//! `LANGFUSE_LOCAL_MODELS` and `LANGFUSE_LOCAL_PAGES_NEED_KEY` are ours alone.

mod dependency;
mod init;
mod lookup;
mod storage;

use std::path::PathBuf;

use thiserror::Error;

pub use dependency::{Endpoint, Redis};
pub use init::{Init, InitKey};
pub use storage::EventStorage;

use lookup::Lookup;

/// What the process is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Langfuse's web container: everything that it requires is required.
    Web,
    /// Langfuse's worker container: health only.
    Worker,
    /// Both in one process, with nothing required.
    Standalone,
}

/// All settings of one process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to be.
    pub role: Role,
    /// Where to listen; the loopback unless `HOSTNAME` is set.
    pub host: String,
    /// The port of web, or of the worker when it is alone.
    pub port: u16,
    /// The worker's port beside web, when standalone.
    pub worker_port: u16,
    /// The folder that holds the data; the worker has none.
    pub data: PathBuf,
    /// Observations that are older are removed; `None` keeps them.
    pub retention_days: Option<u32>,
    /// The file takes no more observations beyond this.
    pub max_bytes: Option<u64>,
    /// A list of models and prices instead of the built-in one.
    pub models: Option<PathBuf>,
    /// The URL that users open, when the operator has named one.
    pub public_url: Option<url::Url>,
    /// Pages ask for a project key even where they need not.
    pub pages_need_key: bool,
    /// The project to provision.
    pub init: Option<Init>,
    /// Where accepted batches are uploaded first.
    pub event_storage: Option<EventStorage>,
    /// The Postgres server that health checks ask for.
    pub postgres: Option<Endpoint>,
    /// The Redis server that the worker's health checks ask for.
    pub redis: Option<Redis>,
    /// What a request may bring.
    pub limits: Limits,
}

/// Limits against bodies that would exhaust memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on the wire.
    pub body: usize,
    /// Bytes after decompression.
    pub decompressed: usize,
    /// Exports that are decoded at one time.
    pub concurrent_exports: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 64 << 20, decompressed: 256 << 20, concurrent_exports: 8 }
    }
}

/// Why the process does not start: everything that is wrong with the environment at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SettingsError {
    /// One finding per variable.
    pub findings: Vec<Finding>,
}

/// What is wrong with one variable. Its value is not here, it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{variable} {problem}")]
pub struct Finding {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what would be right.
    pub problem: &'static str,
}

impl Settings {
    /// Reads the settings of a role. `variable` gives the value of a variable when it is set.
    pub fn read(role: Role, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut lookup = Lookup::new(variable);
        let web = role == Role::Web;
        let default_port = if role == Role::Worker { 3030 } else { 3000 };
        let port = lookup.port("PORT", default_port);
        let host = lookup.get("HOSTNAME").unwrap_or_else(|| "127.0.0.1".to_owned());
        let encryption_key = lookup.get("ENCRYPTION_KEY");
        if encryption_key.is_some_and(|key| key.chars().count() != 64) {
            lookup.finding("ENCRYPTION_KEY", "must be exactly 64 characters (32 bytes as hex digits)");
        }
        for (name, what) in [
            ("NEXTAUTH_SECRET", "is required: any random string"),
            ("SALT", "is required: any random string"),
            ("NEXTAUTH_URL", "is required: the URL that users open"),
            ("CLICKHOUSE_URL", "is required: the URL of ClickHouse's HTTP interface"),
        ] {
            if web && lookup.get(name).is_none() {
                lookup.finding(name, what);
            }
        }
        let public_url = lookup.url("NEXTAUTH_URL");
        lookup.url("CLICKHOUSE_URL");
        let pages_need_key = lookup.truth("LANGFUSE_LOCAL_PAGES_NEED_KEY");
        for name in ["TELEMETRY_ENABLED", "AUTH_DISABLE_SIGNUP", "CLICKHOUSE_CLUSTER_ENABLED"] {
            lookup.truth(name);
        }
        let postgres = dependency::postgres(&mut lookup, role != Role::Standalone);
        let redis = dependency::redis(&mut lookup);
        let event_storage = storage::event_storage(&mut lookup, role != Role::Standalone);
        let init = init::init(&mut lookup);
        let data = lookup.get("LANGFUSE_LOCAL_DATA").unwrap_or_else(|| "/var/lib/langfuse-local".to_owned());
        let retention_days = lookup.positive("LANGFUSE_LOCAL_RETENTION_DAYS", 36_500);
        let max_bytes = lookup.positive("LANGFUSE_LOCAL_MAX_BYTES", u64::MAX);
        let models = lookup.get("LANGFUSE_LOCAL_MODELS").map(PathBuf::from);
        lookup.finish()?;
        let retention_days = retention_days.and_then(|days| u32::try_from(days).ok());
        let limits = Limits::default();
        let data = PathBuf::from(data);
        Ok(Self {
            role,
            host,
            port,
            worker_port: 3030,
            data,
            retention_days,
            max_bytes,
            models,
            public_url,
            pages_need_key,
            init,
            event_storage,
            postgres,
            redis,
            limits,
        })
    }
}

/// A value that never shows itself: no display, and a debug form without content.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(String);

impl Sensitive {
    /// Takes a value into custody.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one place that must send or hash it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}
