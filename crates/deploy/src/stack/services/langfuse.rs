//! What migrate, worker and web share.

use std::collections::BTreeMap;

use ken_secrets::SecretName;

use super::{MINIO_ACCESS_KEY, MINIO_PORT, POOL_CONNECTIONS};
use crate::stack::assemble::Context;
use crate::stack::{EnvValue, Part, Role};

pub(in crate::stack) type Environment = BTreeMap<String, EnvValue>;

pub(in crate::stack) fn set(environment: &mut Environment, name: &str, value: impl Into<String>) {
    environment.insert(name.to_owned(), EnvValue::Plain(value.into()));
}

pub(in crate::stack) fn set_secret(environment: &mut Environment, name: &str, secret: SecretName) {
    environment.insert(name.to_owned(), EnvValue::Secret(secret));
}

/// The two databases, as the entry points and both processes read them.
pub(super) fn databases(context: &Context<'_>) -> Environment {
    let mut env = Environment::new();
    let (database, role, tls) = match &context.policy.postgres {
        ken_config::Postgres::Ken { database, role } => (database, role, false),
        ken_config::Postgres::External { database, role, tls, .. } => (database, role, *tls),
    };
    let tls = if tls { "&sslmode=require" } else { "" };
    env.insert(
        "DATABASE_URL".to_owned(),
        EnvValue::Template(vec![
            Part::Text(format!("postgresql://{role}:")),
            Part::PercentEncoded(SecretName::PostgresPassword),
            Part::Text(format!(
                "@{}/{database}?connection_limit={POOL_CONNECTIONS}{tls}",
                context.postgres_host
            )),
        ]),
    );
    let (http, native, user, database) = match &context.policy.clickhouse {
        ken_config::Clickhouse::Container { user, database } => {
            let host = context.name(Role::Clickhouse);
            (format!("http://{host}:8123"), format!("clickhouse://{host}:9000"), user, database)
        }
        ken_config::Clickhouse::External { http_url, native_url, user, database } => {
            let trim = |url: &url::Url| url.as_str().trim_end_matches('/').to_owned();
            if http_url.scheme() == "https" {
                set(&mut env, "CLICKHOUSE_MIGRATION_SSL", "true");
            }
            (trim(http_url), trim(native_url), user, database)
        }
    };
    set(&mut env, "CLICKHOUSE_URL", http);
    set(&mut env, "CLICKHOUSE_MIGRATION_URL", native);
    set(&mut env, "CLICKHOUSE_USER", user);
    set(&mut env, "CLICKHOUSE_DB", database);
    set_secret(&mut env, "CLICKHOUSE_PASSWORD", SecretName::ClickhousePassword);
    // The default is `true`, which needs a Keeper that one node does not have.
    set(&mut env, "CLICKHOUSE_CLUSTER_ENABLED", "false");
    set(&mut env, "TZ", "UTC");
    env
}

/// What web and worker both read; upstream gives them one block for the same reason.
pub(super) fn common(context: &Context<'_>) -> Environment {
    let policy = context.policy;
    let mut env = databases(context);
    set(&mut env, "NEXTAUTH_URL", ken_config::origin_url(policy));
    set_secret(&mut env, "SALT", SecretName::Salt);
    set_secret(&mut env, "ENCRYPTION_KEY", SecretName::EncryptionKey);
    set(&mut env, "TELEMETRY_ENABLED", policy.langfuse.telemetry.to_string());
    // Docker sets HOSTNAME to the container's id, on which nothing but that one address would answer.
    set(&mut env, "HOSTNAME", "0.0.0.0");
    // Only the one-shot migrates: ClickHouse's migrations have no lock against a second runner.
    set(&mut env, "LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED", "true");
    set(&mut env, "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED", "true");
    let clickhouse_memory = policy.resources.clickhouse.memory.0;
    if matches!(policy.clickhouse, ken_config::Clickhouse::Container { .. }) {
        // The default of 32 GB never spills to disk on a small host.
        set(&mut env, "CLICKHOUSE_MAX_BYTES_BEFORE_EXTERNAL_GROUP_BY", (clickhouse_memory / 3).to_string());
    }
    redis(context, &mut env);
    storage(context, &mut env);
    for (name, value) in &policy.langfuse.environment_extra {
        set(&mut env, name, value);
    }
    env
}

fn redis(context: &Context<'_>, env: &mut Environment) {
    match &context.policy.redis {
        ken_config::Redis::Container => {
            set(env, "REDIS_HOST", context.name(Role::Redis));
            set(env, "REDIS_PORT", "6379");
        }
        ken_config::Redis::External { host, port, tls, username } => {
            set(env, "REDIS_HOST", host);
            set(env, "REDIS_PORT", port.to_string());
            if *tls {
                set(env, "REDIS_TLS_ENABLED", "true");
            }
            if let Some(username) = username {
                set(env, "REDIS_USERNAME", username);
            }
        }
    }
    set_secret(env, "REDIS_AUTH", SecretName::RedisPassword);
}

fn storage(context: &Context<'_>, env: &mut Environment) {
    for (kind, folder) in
        [("EVENT_UPLOAD", "events/"), ("MEDIA_UPLOAD", "media/"), ("BATCH_EXPORT", "exports/")]
    {
        let name = |suffix: &str| format!("LANGFUSE_S3_{kind}_{suffix}");
        match &context.policy.storage {
            ken_config::Storage::Minio { bucket } => {
                set(env, &name("BUCKET"), bucket);
                set(env, &name("PREFIX"), folder);
                set(env, &name("REGION"), "us-east-1");
                set(env, &name("ENDPOINT"), format!("http://{}:{MINIO_PORT}", context.name(Role::Minio)));
                set(env, &name("FORCE_PATH_STYLE"), "true");
                set(env, &name("ACCESS_KEY_ID"), MINIO_ACCESS_KEY);
                set_secret(env, &name("SECRET_ACCESS_KEY"), SecretName::MinioPassword);
            }
            ken_config::Storage::S3 { bucket, endpoint, region, path_style, prefix } => {
                set(env, &name("BUCKET"), bucket);
                set(env, &name("PREFIX"), format!("{prefix}{folder}"));
                set(env, &name("REGION"), region);
                if let Some(endpoint) = endpoint {
                    set(env, &name("ENDPOINT"), endpoint.as_str().trim_end_matches('/'));
                }
                set(env, &name("FORCE_PATH_STYLE"), path_style.to_string());
                set_secret(env, &name("ACCESS_KEY_ID"), SecretName::S3AccessKeyId);
                set_secret(env, &name("SECRET_ACCESS_KEY"), SecretName::S3SecretAccessKey);
            }
        }
    }
    if matches!(context.policy.storage, ken_config::Storage::Minio { .. }) {
        // MinIO keeps a key as a file name, and ext4 and xfs end those at 255 bytes.
        set(env, "LANGFUSE_S3_EVENT_KEY_MAX_SEGMENT_BYTES", "255");
    }
    set(env, "LANGFUSE_S3_BATCH_EXPORT_ENABLED", "false");
}

/// Node's heap does not follow the container's limit by itself; 75 % leaves room for buffers and native memory.
pub(super) fn node_options(env: &mut Environment, limits: &ken_config::Limits) {
    set(env, "NODE_OPTIONS", format!("--max-old-space-size={}", limits.node_heap_mib()));
}

/// Networks that a Langfuse process joins: the stores' and Ken's.
pub(super) fn networks(context: &Context<'_>) -> Vec<String> {
    std::iter::once(context.own_network.clone()).chain(context.ken_networks.iter().cloned()).collect()
}

pub(super) fn extra_hosts(context: &Context<'_>) -> Vec<String> {
    if context.postgres_on_host { vec!["host.docker.internal:host-gateway".to_owned()] } else { Vec::new() }
}
