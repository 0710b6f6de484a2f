//! ClickHouse: one node, memory capped, without the system logs that fill disks.

use std::collections::BTreeMap;

use ken_secrets::SecretName;

use super::healthcheck;
use crate::stack::assemble::Context;
use crate::stack::{ConfigFile, EnvValue, Mount, Role, Service};

/// System tables that grow without bound and that Langfuse never reads.
const GROWING_LOGS: [&str; 8] = [
    "asynchronous_insert_log",
    "asynchronous_metric_log",
    "latency_log",
    "metric_log",
    "opentelemetry_span_log",
    "processors_profile_log",
    "text_log",
    "trace_log",
];

fn server_config(memory: u64) -> String {
    let removed: String = GROWING_LOGS.iter().map(|log| format!("    <{log} remove=\"1\"/>\n")).collect();
    // 80 % of the container's limit: the rest is for allocations that the server does not track.
    let cap = memory / 5 * 4;
    let mark_cache = (memory / 16).min(1024 * 1024 * 1024);
    format!(
        "<clickhouse>\n\
         \x20   <timezone>UTC</timezone>\n\
         \x20   <max_server_memory_usage>{cap}</max_server_memory_usage>\n\
         \x20   <mark_cache_size>{mark_cache}</mark_cache_size>\n\
         \x20   <logger>\n\
         \x20       <level>warning</level>\n\
         \x20       <console>1</console>\n\
         \x20       <size>50M</size>\n\
         \x20       <count>2</count>\n\
         \x20   </logger>\n\
         {removed}\
         \x20   <query_log>\n\
         \x20       <ttl>event_date + INTERVAL 7 DAY DELETE</ttl>\n\
         \x20   </query_log>\n\
         \x20   <part_log>\n\
         \x20       <ttl>event_date + INTERVAL 7 DAY DELETE</ttl>\n\
         \x20   </part_log>\n\
         </clickhouse>\n"
    )
}

const PROFILE: &str = "<clickhouse>
    <profiles>
        <default>
            <query_profiler_real_time_period_ns>0</query_profiler_real_time_period_ns>
            <query_profiler_cpu_time_period_ns>0</query_profiler_cpu_time_period_ns>
            <memory_profiler_step>0</memory_profiler_step>
        </default>
    </profiles>
</clickhouse>
";

pub(in crate::stack) fn clickhouse(context: &Context<'_>) -> Option<Service> {
    let ken_config::Clickhouse::Container { user, database } = &context.policy.clickhouse else {
        return None;
    };
    let limits = &context.policy.resources.clickhouse;
    let plain = |text: &str| EnvValue::Plain(text.to_owned());
    Some(Service {
        name: context.name(Role::Clickhouse),
        role: Role::Clickhouse,
        image: context.image(&context.policy.images.clickhouse),
        entrypoint: None,
        command: None,
        user: Some("101:101".to_owned()),
        environment: BTreeMap::from([
            ("CLICKHOUSE_DB".to_owned(), plain(database)),
            ("CLICKHOUSE_USER".to_owned(), plain(user)),
            ("CLICKHOUSE_PASSWORD".to_owned(), EnvValue::Secret(SecretName::ClickhousePassword)),
            ("TZ".to_owned(), plain("UTC")),
        ]),
        ports: Vec::new(),
        mounts: vec![Mount { volume: context.key("clickhouse"), target: "/var/lib/clickhouse".to_owned() }],
        configs: vec![
            ConfigFile {
                key: context.key("clickhouse-server"),
                target: "/etc/clickhouse-server/config.d/langfuse.xml".to_owned(),
                content: server_config(limits.memory.0),
            },
            ConfigFile {
                key: context.key("clickhouse-profile"),
                target: "/etc/clickhouse-server/users.d/langfuse.xml".to_owned(),
                content: PROFILE.to_owned(),
            },
        ],
        tmpfs: Vec::new(),
        healthcheck: Some(healthcheck(
            &["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8123/ping"],
            30,
        )),
        depends_on: Vec::new(),
        restart: "unless-stopped",
        memory: limits.memory.0,
        cpus: limits.cpus,
        stop_grace_period: 60,
        nofile: Some(u64::from(context.policy.resources.open_files)),
        networks: vec![context.own_network.clone()],
        extra_hosts: Vec::new(),
    })
}
