//! The one-shot that migrates: the web image's entry point runs the migrations and then `true`, which ends it.

use super::langfuse;
use crate::stack::assemble::Context;
use crate::stack::{Role, Service};

pub(in crate::stack) fn migrate(context: &Context<'_>) -> Service {
    let limits = &context.policy.resources.web;
    let mut depends_on = context.stores();
    depends_on.extend(context.postgres_dependency.clone());
    Service {
        name: context.name(Role::Migrate),
        role: Role::Migrate,
        image: context.image(&context.policy.images.web),
        entrypoint: None,
        command: Some(vec!["true".to_owned()]),
        user: None,
        environment: langfuse::databases(context),
        ports: Vec::new(),
        mounts: Vec::new(),
        configs: Vec::new(),
        tmpfs: Vec::new(),
        healthcheck: None,
        depends_on,
        // A migration that failed must stay failed and be looked at: a restart loop on a dirty schema helps nobody.
        restart: "no",
        memory: limits.memory.0,
        cpus: limits.cpus,
        // A migration killed halfway leaves ClickHouse's schema dirty.
        stop_grace_period: 300,
        nofile: None,
        networks: langfuse::networks(context),
        extra_hosts: langfuse::extra_hosts(context),
    }
}
