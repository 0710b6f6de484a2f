//! The worker: takes what web accepted from the queue into ClickHouse.

use super::{healthcheck, langfuse};
use crate::stack::assemble::Context;
use crate::stack::{Condition, Dependency, Role, Service};

pub(in crate::stack) fn worker(context: &Context<'_>) -> Service {
    let limits = &context.policy.resources.worker;
    let mut environment = langfuse::common(context);
    langfuse::set(&mut environment, "PORT", super::WORKER_PORT.to_string());
    langfuse::node_options(&mut environment, limits);
    // Model prices are written at the worker's start only, and only into a schema that is there.
    let mut depends_on = vec![Dependency {
        service: context.name(Role::Migrate),
        condition: Condition::ServiceCompletedSuccessfully,
        required: true,
    }];
    depends_on.extend(context.stores());
    depends_on.extend(context.postgres_dependency.clone());
    Service {
        name: context.name(Role::Worker),
        role: Role::Worker,
        image: context.image(&context.policy.images.worker),
        entrypoint: None,
        command: None,
        user: None,
        environment,
        ports: Vec::new(),
        mounts: Vec::new(),
        configs: Vec::new(),
        tmpfs: Vec::new(),
        // Beside Postgres and Redis: a worker whose queue consumers are wedged answers plain health checks for days.
        healthcheck: Some(healthcheck(
            &[
                "CMD",
                "wget",
                "-q",
                "-O",
                "/dev/null",
                "http://127.0.0.1:3030/api/health?failIfQueueConsumptionStuck=true",
            ],
            60,
        )),
        depends_on,
        restart: "unless-stopped",
        memory: limits.memory.0,
        cpus: limits.cpus,
        // A SIGKILL before the write buffer is flushed loses rows that were acknowledged.
        stop_grace_period: 120,
        nofile: None,
        networks: langfuse::networks(context),
        extra_hosts: langfuse::extra_hosts(context),
    }
}
