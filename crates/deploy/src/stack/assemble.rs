//! From a policy and what was read of Ken to the target [`Stack`]. Pure.

use std::collections::BTreeMap;

use ken_config::Policy;
use serde::{Deserialize, Serialize};

use super::{
    Bucket, BucketEndpoint, Condition, Database, Dependency, Names, Network, Role, Service, Stack, Volume,
    services,
};
use crate::ken::KenView;

/// How our services are joined to Ken's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// One `include:` entry in Ken's file.
    Include,
    /// Written into Ken's file.
    Merge,
    /// A Compose project of its own.
    Separate,
}

impl From<ken_config::Layout> for Layout {
    fn from(layout: ken_config::Layout) -> Self {
        match layout {
            ken_config::Layout::Include => Self::Include,
            ken_config::Layout::Merge => Self::Merge,
            ken_config::Layout::Separate => Self::Separate,
        }
    }
}

/// What the service definitions need to know beside the policy.
pub(super) struct Context<'a> {
    pub(super) policy: &'a Policy,
    pub(super) names: &'a Names,
    /// Keys of the networks on which the stores are reached.
    pub(super) own_network: String,
    /// Keys of the networks on which Ken and its Postgres are reached.
    pub(super) ken_networks: Vec<String>,
    /// Host and port under which containers reach Postgres.
    pub(super) postgres_host: String,
    /// Whether Postgres sits in the host's own network.
    pub(super) postgres_on_host: bool,
    /// Dependency on Ken's Postgres where Compose can express it.
    pub(super) postgres_dependency: Option<Dependency>,
    /// Digest by image reference, as far as known.
    pub(super) digests: &'a BTreeMap<String, String>,
}

impl Context<'_> {
    pub(super) fn name(&self, role: Role) -> String {
        self.names.services.get(&role).cloned().unwrap_or_default()
    }

    /// The image as it is written: with its digest once that is known.
    pub(super) fn image(&self, image: &ken_config::ImageRef) -> String {
        let reference = image.to_string();
        match self.digests.get(&reference) {
            Some(digest) if !reference.contains('@') => format!("{reference}@{digest}"),
            _ => reference,
        }
    }

    pub(super) fn key(&self, word: &str) -> String {
        format!("{}-{word}", self.names.key)
    }

    pub(super) fn healthy(&self, role: Role) -> Dependency {
        Dependency { service: self.name(role), condition: Condition::ServiceHealthy, required: true }
    }

    /// The containers that must be healthy before anything of Langfuse itself starts.
    pub(super) fn stores(&self) -> Vec<Dependency> {
        let mut stores = Vec::new();
        if matches!(self.policy.redis, ken_config::Redis::Container) {
            stores.push(self.healthy(Role::Redis));
        }
        if matches!(self.policy.clickhouse, ken_config::Clickhouse::Container { .. }) {
            stores.push(self.healthy(Role::Clickhouse));
        }
        if matches!(self.policy.storage, ken_config::Storage::Minio { .. }) {
            stores.push(self.healthy(Role::Minio));
        }
        stores
    }
}

/// Makes the target. `digests` maps an image reference of the policy to its `sha256:…` digest, as far as known.
#[must_use]
pub fn assemble(policy: &Policy, ken: &KenView, names: &Names, digests: &BTreeMap<String, String>) -> Stack {
    if policy.engine == ken_config::Engine::Local {
        return super::alone::assemble(policy, &ken.project, names);
    }
    let layout = Layout::from(policy.ken.layout);
    let own = Network::Own { key: names.key.clone(), name: names.network.clone() };
    let postgres = ken.services.get(&policy.ken.postgres_service);
    let on_host = postgres.is_some_and(|p| p.network_mode.as_deref() == Some("host"));
    let mut wanted: Vec<String> = Vec::new();
    for service in [&policy.ken.postgres_service, &policy.ken.service] {
        for key in ken.services.get(service).into_iter().flat_map(|s| &s.networks) {
            if !wanted.contains(key) {
                wanted.push(key.clone());
            }
        }
    }
    let ken_networks: Vec<Network> = wanted
        .iter()
        .map(|key| match layout {
            Layout::Separate => Network::External {
                key: format!("ken-{key}"),
                name: ken.networks.get(key).unwrap_or(key).clone(),
            },
            _ => Network::Ken { key: key.clone() },
        })
        .collect();
    let dependency =
        postgres.filter(|_| layout != Layout::Separate && uses_kens_postgres(policy)).map(|p| Dependency {
            service: policy.ken.postgres_service.clone(),
            condition: if p.has_healthcheck { Condition::ServiceHealthy } else { Condition::ServiceStarted },
            required: !p.has_profiles,
        });
    let (host, on_host) = match &policy.postgres {
        ken_config::Postgres::External { host, port, .. } => (format!("{host}:{port}"), false),
        ken_config::Postgres::Ken { .. } if on_host => ("host.docker.internal:5432".to_owned(), true),
        ken_config::Postgres::Ken { .. } => (format!("{}:5432", policy.ken.postgres_service), false),
    };
    let context = Context {
        policy,
        names,
        own_network: names.key.clone(),
        ken_networks: ken_networks.iter().map(|n| n.key().to_owned()).collect(),
        postgres_host: host,
        postgres_on_host: on_host,
        postgres_dependency: dependency,
        digests,
    };
    let services: Vec<Service> = [
        services::redis(&context),
        services::clickhouse(&context),
        services::minio(&context),
        Some(services::migrate(&context)),
        Some(services::worker(&context)),
        Some(services::web(&context)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let volumes = services
        .iter()
        .flat_map(|s| &s.mounts)
        .filter_map(|mount| {
            let role = Role::ALL.into_iter().find(|r| context.key(r.word()) == mount.volume)?;
            Some(Volume { key: mount.volume.clone(), name: names.volumes.get(&role)?.clone() })
        })
        .collect();
    let (web_address, web_port) = match &policy.exposure {
        ken_config::Exposure::Private { bind, port, .. } | ken_config::Exposure::Proxy { bind, port, .. } => {
            (bind.to_string(), *port)
        }
    };
    Stack {
        ken_project: ken.project.clone(),
        project: match layout {
            Layout::Separate => format!("{}-langfuse", ken.project),
            _ => ken.project.clone(),
        },
        layout,
        services,
        volumes,
        networks: std::iter::once(own).chain(ken_networks).collect(),
        database: match &policy.postgres {
            ken_config::Postgres::Ken { database, role } => Some(Database {
                database: database.clone(),
                role: role.clone(),
                connection_limit: services::ROLE_CONNECTIONS,
            }),
            ken_config::Postgres::External { .. } => None,
        },
        bucket: Some(bucket(policy, &context)),
        keeps_canary: false,
        project_id: policy.langfuse.project_id.clone(),
        web_port,
        web_address,
        version: policy.images.web.langfuse_version().map_or_else(String::new, |v| v.to_string()),
    }
}

fn uses_kens_postgres(policy: &Policy) -> bool {
    matches!(policy.postgres, ken_config::Postgres::Ken { .. })
}

fn bucket(policy: &Policy, context: &Context<'_>) -> Bucket {
    match &policy.storage {
        ken_config::Storage::Minio { bucket } => Bucket {
            name: bucket.clone(),
            event_prefix: "events/".to_owned(),
            region: "us-east-1".to_owned(),
            path_style: true,
            endpoint: BucketEndpoint::Container {
                service: context.name(Role::Minio),
                port: services::MINIO_PORT,
            },
        },
        ken_config::Storage::S3 { bucket, endpoint, region, path_style, prefix } => Bucket {
            name: bucket.clone(),
            event_prefix: format!("{prefix}events/"),
            region: region.clone(),
            path_style: *path_style,
            endpoint: BucketEndpoint::Url(endpoint.as_ref().map_or_else(
                || format!("https://s3.{region}.amazonaws.com"),
                |url| url.as_str().trim_end_matches('/').to_owned(),
            )),
        },
    }
}
