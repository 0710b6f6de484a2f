//! The policy: complete, valid, and without a secret.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use crate::{Bytes, ImageRef, Sso};

/// All that an operator can wish. Made by [`crate::parse`] or [`Policy::default_for`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// How strict to be, and where the defaults come from.
    pub profile: Profile,
    /// What carries the deployment.
    pub engine: Engine,
    /// The stack that is already there.
    pub ken: Ken,
    /// What runs.
    pub images: Images,
    /// Who can reach the web interface, and how.
    pub exposure: Exposure,
    /// Where objects are kept.
    pub storage: Storage,
    /// Where users, projects and prompts are kept.
    pub postgres: Postgres,
    /// Where traces are kept.
    pub clickhouse: Clickhouse,
    /// Where queues are kept.
    pub redis: Redis,
    /// The first organisation, project and user, and Langfuse's own switches.
    pub langfuse: Langfuse,
    /// How long data is kept.
    pub retention: Retention,
    /// Limits of each container.
    pub resources: Resources,
    /// What the machine must have.
    pub sizing: Sizing,
    /// How long each stage's gate may take.
    pub gates: Gates,
}

/// Where a policy is meant to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A developer's machine: small, and floating tags are allowed.
    Dev,
    /// A rehearsal.
    Staging,
    /// The real thing.
    Production,
}

/// What carries the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Docker, beside Ken's own containers.
    Docker,
    /// Processes of this machine: one server in place of the whole stack, and no Ken.
    Local,
    /// Docker when a daemon answers, local otherwise.
    Auto,
}

/// How our services come to stand beside Ken's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// One `include:` entry in Ken's file; all else in a folder `langfuse/` beside it.
    Include,
    /// Our services written into Ken's own file.
    Merge,
    /// A Compose project of its own, joined to Ken's network.
    Separate,
}

/// The stack that is already there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ken {
    /// Its Compose file.
    pub compose_file: PathBuf,
    /// How we come to stand beside it.
    pub layout: Layout,
    /// The service that is Ken.
    pub service: String,
    /// The service that is Ken's Postgres.
    pub postgres_service: String,
}

/// When images are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// When the engine does not have them.
    Missing,
    /// Not at all: they must be there.
    Never,
    /// At every deploy.
    Always,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Images {
    /// Langfuse's web interface and API, and the one-shot that migrates.
    pub web: ImageRef,
    /// Langfuse's worker; of the same version.
    pub worker: ImageRef,
    /// ClickHouse.
    pub clickhouse: ImageRef,
    /// Redis or Valkey.
    pub redis: ImageRef,
    /// MinIO.
    pub minio: ImageRef,
    /// When they are asked for.
    pub pull: PullPolicy,
}

/// Who can reach the web interface, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exposure {
    /// This machine alone; others by an SSH tunnel.
    Private {
        /// A loopback address.
        bind: IpAddr,
        /// The port, here and at the tunnel's other end.
        port: u16,
        /// `user@host` for the printed tunnel command.
        ssh_target: Option<String>,
    },
    /// A reverse proxy that ends TLS.
    Proxy {
        /// Where the proxy finds us.
        bind: IpAddr,
        /// The port where the proxy finds us.
        port: u16,
        /// Where people find the proxy: `https`, a host, and no path.
        public_url: Url,
        /// Single sign-on.
        sso: Option<Sso>,
    },
}

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// A container of ours.
    Minio {
        /// The bucket, which we create.
        bucket: String,
    },
    /// A managed store.
    S3 {
        /// The bucket, which exists.
        bucket: String,
        /// The store's address; AWS by the region when there is none.
        endpoint: Option<Url>,
        /// The region.
        region: String,
        /// Whether the bucket stands in the path instead of the host name.
        path_style: bool,
        /// In front of every key: empty, or ending in `/`.
        prefix: String,
    },
}

/// Where users, projects and prompts are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Postgres {
    /// In Ken's own server, in a database and under a role of our own.
    Ken {
        /// The database.
        database: String,
        /// The role that owns it.
        role: String,
    },
    /// In another server, where database and role exist.
    External {
        /// Host name or address, an IPv6 one in brackets.
        host: String,
        /// Port.
        port: u16,
        /// The database.
        database: String,
        /// The role.
        role: String,
        /// Whether the connection must be encrypted.
        tls: bool,
    },
}

/// Where traces are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clickhouse {
    /// A container of ours.
    Container {
        /// The user.
        user: String,
        /// The database.
        database: String,
    },
    /// Another server.
    External {
        /// The HTTP interface.
        http_url: Url,
        /// The native interface, which migrations use.
        native_url: Url,
        /// The user.
        user: String,
        /// The database, which exists.
        database: String,
    },
}

/// Where queues are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redis {
    /// A container of ours.
    Container,
    /// Another server.
    External {
        /// Host name or address, an IPv6 one in brackets.
        host: String,
        /// Port.
        port: u16,
        /// Whether the connection is encrypted.
        tls: bool,
        /// The user, where the server knows users.
        username: Option<String>,
    },
}

/// The first organisation, project and user, and Langfuse's own switches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Langfuse {
    /// The organisation's id.
    pub org_id: String,
    /// Its name.
    pub org_name: String,
    /// The project's id.
    pub project_id: String,
    /// Its name.
    pub project_name: String,
    /// The first user's e-mail address.
    pub user_email: String,
    /// Their name.
    pub user_name: String,
    /// Whether Langfuse reports its use to its makers.
    pub telemetry: bool,
    /// Whether anybody who reaches the page may make an account.
    pub sign_up: bool,
    /// Further `LANGFUSE_*` variables for web and worker.
    pub environment_extra: BTreeMap<String, String>,
}

/// How long data is kept; none means for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Days for traces.
    pub traces_days: Option<u32>,
    /// Days for uploaded media.
    pub media_days: Option<u32>,
}

/// Limits of each container.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resources {
    /// Web, and the one-shot that migrates.
    pub web: Limits,
    /// Worker.
    pub worker: Limits,
    /// ClickHouse.
    pub clickhouse: Limits,
    /// Redis.
    pub redis: Limits,
    /// MinIO.
    pub minio: Limits,
    /// Files that ClickHouse may hold open; its merges need many.
    pub open_files: u32,
}

/// Limits of one container.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Memory beyond which it is killed.
    pub memory: Bytes,
    /// Cores' worth of time.
    pub cpus: f64,
}

impl Limits {
    /// Node's heap in MiB: 75 % of the limit, because buffers and native memory need the rest.
    #[must_use]
    pub fn node_heap_mib(&self) -> u64 {
        self.memory.mib() / 4 * 3 + self.memory.mib() % 4 * 3 / 4
    }
}

/// What is done when the machine is smaller than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SizingMode {
    /// The deploy is refused.
    Enforce,
    /// It is remarked.
    Advise,
}

/// What the machine must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sizing {
    /// What is done when it has less.
    pub mode: SizingMode,
    /// Cores.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// Free disk.
    pub disk: Bytes,
}

/// How long each stage's gate may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gates {
    /// All images are here.
    pub images: Duration,
    /// ClickHouse, Redis and MinIO are healthy.
    pub stores: Duration,
    /// Langfuse's database and role are in Postgres.
    pub database: Duration,
    /// The bucket takes, gives and deletes.
    pub buckets: Duration,
    /// Migrations have run.
    pub migrate: Duration,
    /// The worker is healthy.
    pub worker: Duration,
    /// Web is healthy.
    pub web: Duration,
    /// The API key reaches its own project.
    pub project: Duration,
    /// A trace has gone through.
    pub verify: Duration,
}
