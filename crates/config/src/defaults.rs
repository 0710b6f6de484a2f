//! The value of every key that is not given.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::policy::{
    Clickhouse, Engine, Exposure, Gates, Images, Ken, Langfuse, Layout, Limits, Policy, Postgres, Profile,
    PullPolicy, Redis, Resources, Retention, Sizing, SizingMode, Storage,
};
use crate::{Bytes, ImageRef};

/// Where web is published unless the policy says otherwise.
pub(crate) const BIND: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const PORT: u16 = 3000;
pub(crate) const BUCKET: &str = "langfuse";

impl Policy {
    /// The policy of an empty file with this profile.
    #[must_use]
    pub fn default_for(profile: Profile) -> Self {
        Self {
            profile,
            engine: if profile == Profile::Dev { Engine::Auto } else { Engine::Docker },
            ken: Ken {
                compose_file: "docker/docker-compose.yml".into(),
                layout: Layout::Include,
                service: "ken".into(),
                postgres_service: "postgres".into(),
            },
            images: images(),
            exposure: Exposure::Private { bind: BIND, port: PORT, ssh_target: None },
            storage: Storage::Minio { bucket: BUCKET.into() },
            postgres: Postgres::Ken { database: "langfuse".into(), role: "langfuse".into() },
            clickhouse: Clickhouse::Container { user: "langfuse".into(), database: "default".into() },
            redis: Redis::Container,
            langfuse: Langfuse {
                org_id: "ken".into(),
                org_name: "Ken".into(),
                project_id: "ken".into(),
                project_name: "Ken".into(),
                user_email: "admin@ken.local".into(),
                user_name: "Ken admin".into(),
                telemetry: false,
                sign_up: false,
                environment_extra: BTreeMap::new(),
            },
            retention: Retention::default(),
            resources: resources(profile),
            sizing: Sizing {
                mode: if profile == Profile::Production { SizingMode::Enforce } else { SizingMode::Advise },
                cpus: 4,
                memory: Bytes::from_gib(16),
                disk: Bytes::from_gib(100),
            },
            gates: gates(),
        }
    }
}

fn images() -> Images {
    let image = |registry: &str, repository: &str, tag: &str| ImageRef {
        registry: Some(registry.into()),
        repository: repository.into(),
        tag: Some(tag.into()),
        digest: None,
    };
    Images {
        web: image("docker.io", "langfuse/langfuse", "4.16.0"),
        worker: image("docker.io", "langfuse/langfuse-worker", "4.16.0"),
        clickhouse: image("docker.io", "clickhouse/clickhouse-server", "25.12.3.21"),
        // Spelt out, because a mirror knows nothing of Docker Hub's `library/`.
        redis: image("docker.io", "library/redis", "7.2.11"),
        // Not Docker Hub: MinIO's repository there is gone.
        minio: image("quay.io", "minio/minio", "RELEASE.2025-09-07T16-13-09Z"),
        pull: PullPolicy::Missing,
    }
}

/// Together they stay within the machine that [`Sizing`] asks for; limits are ceilings, not reservations.
/// What Langfuse advises for ClickHouse.
const OPEN_FILES: u32 = 262_144;

fn resources(profile: Profile) -> Resources {
    let limits = |mib, cpus| Limits { memory: Bytes::from_mib(mib), cpus };
    match profile {
        Profile::Production => Resources {
            web: limits(4096, 2.0),
            worker: limits(4096, 2.0),
            clickhouse: limits(6144, 3.0),
            redis: limits(1024, 1.0),
            minio: limits(1024, 1.0),
            open_files: OPEN_FILES,
        },
        Profile::Staging => Resources {
            web: limits(2048, 2.0),
            worker: limits(2048, 2.0),
            clickhouse: limits(4096, 2.0),
            redis: limits(512, 1.0),
            minio: limits(512, 1.0),
            open_files: OPEN_FILES,
        },
        Profile::Dev => Resources {
            web: limits(1536, 2.0),
            worker: limits(1536, 2.0),
            clickhouse: limits(2048, 2.0),
            redis: limits(256, 0.5),
            minio: limits(512, 0.5),
            open_files: OPEN_FILES,
        },
    }
}

fn gates() -> Gates {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    Gates {
        images: minutes(30),
        stores: minutes(5),
        database: minutes(1),
        buckets: minutes(2),
        migrate: minutes(15),
        worker: minutes(3),
        web: minutes(5),
        project: minutes(1),
        verify: minutes(2),
    }
}
