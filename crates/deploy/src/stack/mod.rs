//! The target: the services, volumes, networks and files that make up Langfuse beside Ken.
//!
//! A [`Stack`] is plain data made by [`assemble`] from a policy and what was read of Ken. Nothing here does I/O,
//! reads a clock or holds a secret's value: secrets appear as [`SecretName`] only.

mod alone;
mod assemble;
mod names;
pub mod services;

use std::collections::BTreeMap;
use std::fmt;

use ken_secrets::{Secret, SecretName, SecretSet};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use alone::{LOCAL_IMAGE, LOCAL_VERSION};
pub use assemble::{Layout, assemble};
pub use names::{Names, Taken};

/// The label that marks every container, volume and network of ours; its value is Ken's Compose project.
pub const STACK_LABEL: &str = "dev.ken-langfuse.stack";
/// The label that carries the digest of a service's definition, so that a running container tells what made it.
pub const REVISION_LABEL: &str = "dev.ken-langfuse.revision";

/// What a service is for. The order is the order in which services start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Queues and caches.
    Redis,
    /// Traces, observations and scores.
    Clickhouse,
    /// Raw events, media and exports.
    Minio,
    /// The one-shot that brings Postgres and ClickHouse to the images' schema.
    Migrate,
    /// Takes events from the queue into ClickHouse.
    Worker,
    /// UI, public API and OTLP.
    Web,
}

impl Role {
    /// Every role, in start order.
    pub const ALL: [Self; 6] =
        [Self::Redis, Self::Clickhouse, Self::Minio, Self::Migrate, Self::Worker, Self::Web];

    /// The word used in names, labels and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Clickhouse => "clickhouse",
            Self::Minio => "minio",
            Self::Migrate => "migrate",
            Self::Worker => "worker",
            Self::Web => "web",
        }
    }

    /// Whether the role keeps state that the others need before they start.
    #[must_use]
    pub fn is_store(self) -> bool {
        matches!(self, Self::Redis | Self::Clickhouse | Self::Minio)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A value in a container's environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvValue {
    /// Known to everybody: written into the Compose file.
    Plain(String),
    /// A secret alone: written into the service's environment file only.
    Secret(SecretName),
    /// Text around secrets, such as a connection URL: environment file only.
    Template(Vec<Part>),
}

/// A piece of an [`EnvValue::Template`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Literal text.
    Text(String),
    /// A secret as it is. Only for secrets whose rule admits nothing that a URL would escape.
    Secret(SecretName),
    /// A secret, percent-encoded for the user-information part of a URL.
    PercentEncoded(SecretName),
}

impl EnvValue {
    /// Whether the value must stay out of the Compose file.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// The value with its secrets filled in; the name of the first one that is missing otherwise.
    ///
    /// # Errors
    /// The secret that `secrets` does not hold.
    pub fn resolve(&self, secrets: &SecretSet) -> Result<Secret, SecretName> {
        let get = |name: SecretName| secrets.get(name).ok_or(name);
        Ok(match self {
            Self::Plain(text) => Secret::new(text.clone()),
            Self::Secret(name) => get(*name)?.clone(),
            Self::Template(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(t) => text.push_str(t),
                        Part::Secret(name) => text.push_str(get(*name)?.expose()),
                        Part::PercentEncoded(name) => {
                            text.push_str(&percent_encode(get(*name)?.expose()));
                        }
                    }
                }
                Secret::new(text)
            }
        })
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// What a dependent waits for, in Compose's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The container runs.
    ServiceStarted,
    /// The container's health check passes.
    ServiceHealthy,
    /// The one-shot ended with status 0.
    ServiceCompletedSuccessfully,
}

/// One entry of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// The service waited for.
    pub service: String,
    /// What about it is waited for.
    pub condition: Condition,
    /// False where the other may be left out by a profile of its owner.
    pub required: bool,
}

/// A container's health check. Commands are tried inside the image and never mention `localhost`, which some
/// images resolve to `::1` where nothing listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Healthcheck {
    /// `CMD …` or `CMD-SHELL …`.
    pub test: Vec<String>,
    /// Seconds between probes.
    pub interval: u32,
    /// Seconds after which a probe has failed.
    pub timeout: u32,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Seconds during which failures do not count.
    pub start_period: u32,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedPort {
    /// The host's address.
    pub address: String,
    /// The host's port.
    pub published: u16,
    /// The container's port.
    pub target: u16,
}

/// A named volume in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Key of the volume in the Compose file.
    pub volume: String,
    /// Path in the container.
    pub target: String,
}

/// A file that Compose puts into the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigFile {
    /// Key of the config in the Compose file.
    pub key: String,
    /// Path in the container.
    pub target: String,
    /// The file's text; never a secret.
    pub content: String,
}

/// One container of the stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Service {
    /// Name in the Compose file, and its DNS name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Image reference as written to the Compose file, by digest once that is known.
    pub image: String,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// `uid:gid`.
    pub user: Option<String>,
    /// Environment, by name.
    pub environment: BTreeMap<String, EnvValue>,
    /// Ports published on the host.
    pub ports: Vec<PublishedPort>,
    /// Named volumes.
    pub mounts: Vec<Mount>,
    /// Files put into the container.
    pub configs: Vec<ConfigFile>,
    /// In-memory file systems, as `path:options`.
    pub tmpfs: Vec<String>,
    /// Health check; none for the one-shot.
    pub healthcheck: Option<Healthcheck>,
    /// What must be there first.
    pub depends_on: Vec<Dependency>,
    /// Compose's restart policy.
    pub restart: &'static str,
    /// Memory limit in bytes.
    pub memory: u64,
    /// CPU limit in cores.
    pub cpus: f64,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_grace_period: u32,
    /// Open files.
    pub nofile: Option<u64>,
    /// Keys of the networks it joins.
    pub networks: Vec<String>,
    /// `host:address` lines for the container's hosts file.
    pub extra_hosts: Vec<String>,
}

impl Service {
    /// Whether the service ends by itself.
    #[must_use]
    pub fn is_one_shot(&self) -> bool {
        self.role == Role::Migrate
    }

    /// The names in this service's environment file, with their values' recipes.
    pub fn secret_environment(&self) -> impl Iterator<Item = (&String, &EnvValue)> {
        self.environment.iter().filter(|(_, value)| value.is_secret())
    }

    /// The digest of everything that the Compose file says of this service: 16 hex digits.
    ///
    /// Values of secrets take no part in it.
    #[must_use]
    pub fn revision(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        hex::encode(Sha256::digest(text))[..16].to_owned()
    }
}

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Key in the Compose file.
    pub key: String,
    /// Fixed name at the engine, so that no other folder or project name makes a second, empty one.
    pub name: String,
}

/// A network that our services join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Ours, created by Compose.
    Own {
        /// Key in the Compose file.
        key: String,
        /// Fixed name at the engine.
        name: String,
    },
    /// One of Ken's, declared in Ken's file: we only refer to its key.
    Ken {
        /// Key in Ken's Compose file.
        key: String,
    },
    /// One of Ken's, joined from a project of our own by its name at the engine.
    External {
        /// Key in our Compose file.
        key: String,
        /// Name at the engine.
        name: String,
    },
}

impl Network {
    /// The key by which services refer to it.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Own { key, .. } | Self::Ken { key } | Self::External { key, .. } => key,
        }
    }
}

/// The database and role inside Ken's own Postgres.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Database {
    /// The database's name.
    pub database: String,
    /// The role that owns it.
    pub role: String,
    /// Connections that the role may hold, so that Langfuse never takes Ken's.
    pub connection_limit: u32,
}

/// Where raw events and media go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Bucket name.
    pub name: String,
    /// Prefix of raw events, ends with `/`.
    pub event_prefix: String,
    /// Region to sign for.
    pub region: String,
    /// Path-style addressing.
    pub path_style: bool,
    /// How to get there.
    pub endpoint: BucketEndpoint,
}

/// How the object store is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BucketEndpoint {
    /// Our own container; its address is asked of the engine.
    Container {
        /// Service name.
        service: String,
        /// Port in the container.
        port: u16,
    },
    /// A managed store.
    Url(String),
}

/// The whole target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stack {
    /// Ken's Compose project; the value of our label.
    pub ken_project: String,
    /// The Compose project that our services belong to.
    pub project: String,
    /// How the services are joined to Ken's.
    pub layout: Layout,
    /// Services in start order.
    pub services: Vec<Service>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Networks.
    pub networks: Vec<Network>,
    /// The database in Ken's Postgres; none when an external one is used.
    pub database: Option<Database>,
    /// The bucket; none where raw events are not kept.
    pub bucket: Option<Bucket>,
    /// Whether the span that proves the way stays, as something to look at.
    pub keeps_canary: bool,
    /// Project id that the generated key must reach.
    pub project_id: String,
    /// Port on which web is published.
    pub web_port: u16,
    /// Address on which web is published.
    pub web_address: String,
    /// Version that web must report; empty when a floating tag of a `dev` policy does not tell.
    pub version: String,
}

impl Stack {
    /// Whether it is the whole of Langfuse, with stores and a worker; and not one process that does all.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.service(Role::Worker).is_some()
    }

    /// The service of a role, if the stack has one (an external store has none).
    #[must_use]
    pub fn service(&self, role: Role) -> Option<&Service> {
        self.services.iter().find(|service| service.role == role)
    }

    /// Names of the services of these roles, in start order.
    #[must_use]
    pub fn names(&self, roles: impl Fn(Role) -> bool) -> Vec<String> {
        self.services.iter().filter(|s| roles(s.role)).map(|s| s.name.clone()).collect()
    }
}
