//! The only door to the world outside our own files: the container engine, Compose, Postgres and HTTP.
//!
//! [`Engine`] is narrow on purpose. [`DockerEngine`] speaks to a real one; with the feature `fake`,
//! [`FakeEngine`](fake::FakeEngine) keeps containers in memory. One suite of contract tests runs against both.

mod compose;
mod docker;
mod either;
#[cfg(feature = "fake")]
pub mod fake;
mod host;
pub(crate) use host::disk_free;
mod http;
pub mod local;
mod postgres;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ken_secrets::Secret;
use serde::Serialize;
use serde_json::Value;

pub(crate) use compose::{OLDEST as COMPOSE_OLDEST, major_minor};
pub use docker::DockerEngine;
pub use either::HostEngine;
pub use local::LocalEngine;

/// The engine itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EngineFacts {
    /// Version, such as `20.10.24`.
    pub version: String,
    /// Version of the Compose plugin, such as `5.6.1`.
    pub compose_version: String,
    /// `linux`.
    pub os: String,
    /// `x86_64` or `aarch64`.
    pub architecture: String,
    /// Cores that containers may use.
    pub cpus: u32,
    /// Memory that containers may use, in bytes.
    pub memory: u64,
    /// The engine's clock minus ours, in seconds; none when it says no time.
    pub clock_skew: Option<f64>,
    /// Where the engine keeps images and volumes.
    pub root: PathBuf,
    /// Free bytes under [`root`](Self::root); none when the engine is on another machine.
    pub disk_free: Option<u64>,
    /// Whether the CPU has AVX, which ClickHouse needs on x86-64; none when it cannot be seen.
    pub avx: Option<bool>,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Made, never started.
    Created,
    /// Runs.
    Running,
    /// Between two runs of a restart policy.
    Restarting,
    /// Frozen.
    Paused,
    /// Ended with this status.
    Exited(i64),
    /// Being removed, or could not be.
    Dead,
}

/// What the container's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// There is no health check.
    Unchecked,
    /// No result yet.
    Starting,
    /// The last probe passed.
    Healthy,
    /// Enough probes in a row failed.
    Unhealthy,
}

/// A container, as one listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Labels, Compose's among them.
    pub labels: BTreeMap<String, String>,
    /// What it does.
    pub activity: Activity,
    /// What its health check says.
    pub health: Health,
    /// Address by network name.
    pub addresses: BTreeMap<String, String>,
    /// Published ports: host address, host port, container port.
    pub published: Vec<(String, u16, u16)>,
}

impl Container {
    /// The Compose project it belongs to.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.project").map(String::as_str)
    }

    /// The Compose service it runs.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.service").map(String::as_str)
    }

    /// The Compose files it was made from.
    #[must_use]
    pub fn config_files(&self) -> Vec<PathBuf> {
        let list = self.labels.get("com.docker.compose.project.config_files").map_or("", String::as_str);
        list.split(',').filter(|p| !p.is_empty()).map(PathBuf::from).collect()
    }

    /// Running, and healthy where that is checked.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.activity == Activity::Running && matches!(self.health, Health::Healthy | Health::Unchecked)
    }
}

/// What identifies one life of a container: a recreated or restarted one differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Life {
    /// Full id.
    pub id: String,
    /// When it was last started, in the engine's words.
    pub started_at: String,
}

/// An image, as far as it can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageState {
    /// Here. Locally built images have no digest.
    Present {
        /// `sha256:…` of the registry's manifest.
        digest: Option<String>,
    },
    /// Not here, and the registry offers it.
    Resolvable {
        /// `sha256:…` of the registry's manifest.
        digest: Option<String>,
    },
    /// Not here, and nobody offers it.
    Unresolvable {
        /// What the engine said.
        why: String,
    },
}

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes fetched.
    pub current: u64,
    /// Bytes to fetch, as far as known.
    pub total: u64,
}

/// Which Compose files make up a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComposeProject {
    /// Project name.
    pub name: String,
    /// Position in `files` of the one that we may edit.
    pub editable: usize,
    /// Files in the order of `-f`.
    pub files: Vec<PathBuf>,
    /// `--project-directory`.
    pub directory: PathBuf,
    /// `--env-file`, where the project was started with some.
    pub env_files: Vec<PathBuf>,
}

/// Who is asked to run SQL.
#[derive(Clone, Debug)]
pub enum SqlTarget {
    /// The superuser of the server in this container, over its own socket.
    Superuser {
        /// Container id.
        container: String,
        /// Database to connect to.
        database: String,
    },
    /// Somebody on a server elsewhere, by the client in this container.
    Remote {
        /// Container id whose `psql` is used.
        container: String,
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// Role.
        role: String,
        /// Database.
        database: String,
        /// Password, handed over by standard input.
        password: Secret,
        /// Whether TLS is required.
        tls: bool,
    },
}

/// One HTTP request of a gate or a check.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `GET`, `POST`, `PUT`, `DELETE`, `HEAD`.
    pub method: &'static str,
    /// Where to; the query may be a signature, so only host and path are ever shown.
    pub url: String,
    /// User and password of Basic authentication.
    pub basic: Option<(Secret, Secret)>,
    /// Other headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

impl HttpRequest {
    /// A plain GET with 5 s of patience.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET",
            url: url.into(),
            basic: None,
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Body, at most 4 MiB of it.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Who holds a port of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortState {
    /// Nobody.
    Free,
    /// Somebody, named as well as can be.
    Taken {
        /// A process or a container.
        owner: String,
    },
}

/// Why the engine could not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers where the engine should be.
    #[error("no Docker engine answers at {address}: {why}")]
    Unreachable {
        /// Socket or URL.
        address: String,
        /// The system's words.
        why: String,
    },
    /// The socket is there, and we may not use it.
    #[error("no rights on the Docker socket {address}")]
    Forbidden {
        /// Socket path.
        address: String,
    },
    /// There is no Compose plugin.
    #[error("`docker compose` is not there: {why}")]
    NoCompose {
        /// What was tried and said.
        why: String,
    },
    /// Compose refused or failed.
    #[error("`docker compose {command}` ended with status {status}: {stderr}")]
    Compose {
        /// The verb and its arguments.
        command: String,
        /// Exit status.
        status: i32,
        /// What it said last.
        stderr: String,
    },
    /// The engine refused or failed.
    #[error("the engine failed to {operation}: {why}")]
    Api {
        /// A verb phrase.
        operation: String,
        /// The engine's words.
        why: String,
    },
    /// `psql` refused or failed.
    #[error("psql ended with status {status}: {stderr}")]
    Sql {
        /// Exit status.
        status: i64,
        /// What it said last.
        stderr: String,
    },
    /// A request got no answer.
    #[error("no answer from {target}: {why}")]
    Http {
        /// Host and path, never the query.
        target: String,
        /// The cause.
        why: String,
    },
}

/// What a rollout needs of the world. Every method may be called again after a crash with the same end.
#[expect(async_fn_in_trait, reason = "one thread runs the whole rollout; nothing needs a Send bound")]
pub trait Engine {
    /// The engine, Compose, and the machine below them.
    async fn facts(&self) -> Result<EngineFacts, EngineError>;

    /// All containers, running or not.
    async fn containers(&self) -> Result<Vec<Container>, EngineError>;

    /// Which life a container is in; none when it is gone.
    async fn life(&self, id: &str) -> Result<Option<Life>, EngineError>;

    /// The last lines that a container wrote.
    async fn logs(&self, id: &str, lines: u32) -> Result<Vec<String>, EngineError>;

    /// Whether an image is here or could be; `ask_registry` false asks nobody outside.
    async fn image(&self, reference: &str, ask_registry: bool) -> Result<ImageState, EngineError>;

    /// Fetches an image.
    async fn pull(&self, reference: &str, progress: &mut dyn FnMut(PullProgress)) -> Result<(), EngineError>;

    /// Volumes: name and the value of our stack label.
    async fn volumes(&self) -> Result<BTreeMap<String, Option<String>>, EngineError>;

    /// Networks: name and the value of our stack label.
    async fn networks(&self) -> Result<BTreeMap<String, Option<String>>, EngineError>;

    /// The project as Compose resolves it, all profiles on, with the editable file's text replaced by `candidate`.
    async fn resolve(&self, project: &ComposeProject, candidate: Option<&[u8]>)
    -> Result<Value, EngineError>;

    /// Creates or recreates and starts exactly these services, nothing that they depend on, and fetches nothing.
    async fn up(&self, project: &ComposeProject, services: &[String]) -> Result<(), EngineError>;

    /// Stops a container within `grace` and removes it; gone already is fine.
    async fn remove(&self, id: &str, grace: Duration) -> Result<(), EngineError>;

    /// Removes a volume; gone already is fine.
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;

    /// Removes a network; gone already is fine.
    async fn remove_network(&self, name: &str) -> Result<(), EngineError>;

    /// Runs SQL in one session that stops at the first error; gives what it printed, unaligned and without headers.
    async fn sql(&self, target: &SqlTarget, script: &Secret) -> Result<String, EngineError>;

    /// Sends one request.
    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, EngineError>;

    /// Who holds a TCP port of the host.
    async fn port(&self, address: &str, port: u16) -> Result<PortState, EngineError>;

    /// Returns when a container of the project starts, ends or changes its health, or after `patience`.
    async fn changed(&self, project: &str, patience: Duration) -> Result<(), EngineError>;
}
