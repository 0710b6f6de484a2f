//! Redis or Valkey: BullMQ's queues and Langfuse's caches.

use std::collections::BTreeMap;

use ken_secrets::SecretName;

use super::healthcheck;
use crate::stack::assemble::Context;
use crate::stack::{ConfigFile, EnvValue, Mount, Role, Service};

/// `noeviction` because an evicted BullMQ lock or job is lost silently; append-only because a queued job that a crash
/// forgets is a trace that was answered 200 and never appears.
fn config(memory: u64) -> String {
    // The rest of the container's limit is for the rewrite's copy-on-write and for clients' buffers.
    let megabytes = memory * 3 / 4 / (1024 * 1024);
    format!(
        "maxmemory {megabytes}mb\n\
         maxmemory-policy noeviction\n\
         appendonly yes\n\
         appendfsync everysec\n\
         dir /data\n\
         include /run/redis-auth/auth.conf\n"
    )
}

/// Writes the password into a file in memory that only root and redis can read, then hands over to the image's own entry
/// point, which drops its privileges. So the password is on no command line.
const START: &str = r#": "${REDISCLI_AUTH:?the environment file is missing}" && umask 077 && printf 'requirepass %s\n' "$REDISCLI_AUTH" > /run/redis-auth/auth.conf && chown -R "$(stat -c %u:%g /data)" /run/redis-auth && exec docker-entrypoint.sh redis-server /etc/redis/langfuse.conf"#;

pub(in crate::stack) fn redis(context: &Context<'_>) -> Option<Service> {
    if !matches!(context.policy.redis, ken_config::Redis::Container) {
        return None;
    }
    let limits = &context.policy.resources.redis;
    Some(Service {
        name: context.name(Role::Redis),
        role: Role::Redis,
        image: context.image(&context.policy.images.redis),
        entrypoint: None,
        command: Some(vec!["sh".to_owned(), "-c".to_owned(), START.to_owned()]),
        user: None,
        environment: BTreeMap::from([
            ("REDISCLI_AUTH".to_owned(), EnvValue::Secret(SecretName::RedisPassword)),
            ("TZ".to_owned(), EnvValue::Plain("UTC".to_owned())),
        ]),
        ports: Vec::new(),
        mounts: vec![Mount { volume: context.key("redis"), target: "/data".to_owned() }],
        configs: vec![ConfigFile {
            key: context.key("redis"),
            target: "/etc/redis/langfuse.conf".to_owned(),
            content: config(limits.memory.0),
        }],
        tmpfs: vec!["/run/redis-auth:mode=0700,size=64k".to_owned()],
        // A refused `redis-cli ping` prints NOAUTH and still exits 0, so the answer itself is asserted.
        healthcheck: Some(healthcheck(&["CMD-SHELL", r#"[ "$(redis-cli ping)" = PONG ]"#], 5)),
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
