//! MinIO: raw events, media and exports.

use std::collections::BTreeMap;

use ken_secrets::SecretName;

use super::{MINIO_ACCESS_KEY, healthcheck};
use crate::stack::assemble::Context;
use crate::stack::{EnvValue, Mount, Role, Service};

pub(in crate::stack) fn minio(context: &Context<'_>) -> Option<Service> {
    let ken_config::Storage::Minio { bucket } = &context.policy.storage else { return None };
    let limits = &context.policy.resources.minio;
    // Langfuse never creates its bucket. Made here too, so that a plain `docker compose up` is enough on its own.
    let start =
        format!("mkdir -p /data/{bucket} && exec minio server --address :9000 --console-address :9001 /data");
    Some(Service {
        name: context.name(Role::Minio),
        role: Role::Minio,
        image: context.image(&context.policy.images.minio),
        entrypoint: Some(vec!["sh".to_owned(), "-c".to_owned()]),
        command: Some(vec![start]),
        user: None,
        environment: BTreeMap::from([
            ("MINIO_ROOT_USER".to_owned(), EnvValue::Plain(MINIO_ACCESS_KEY.to_owned())),
            ("MINIO_ROOT_PASSWORD".to_owned(), EnvValue::Secret(SecretName::MinioPassword)),
            ("TZ".to_owned(), EnvValue::Plain("UTC".to_owned())),
        ]),
        ports: Vec::new(),
        mounts: vec![Mount { volume: context.key("minio"), target: "/data".to_owned() }],
        configs: Vec::new(),
        tmpfs: Vec::new(),
        healthcheck: Some(healthcheck(&["CMD", "mc", "ready", "local"], 10)),
        depends_on: Vec::new(),
        restart: "unless-stopped",
        memory: limits.memory.0,
        cpus: limits.cpus,
        stop_grace_period: 30,
        nofile: None,
        networks: vec![context.own_network.clone()],
        extra_hosts: Vec::new(),
    })
}
