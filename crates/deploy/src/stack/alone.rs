//! The target without Ken and without Docker: one process that answers as Langfuse does.

use ken_config::{Exposure, Policy};
use ken_secrets::SecretName;

use super::services::{Environment, set, set_secret};
use super::{Layout, Mount, Names, PublishedPort, Role, Service, Stack, Volume};

/// The Langfuse version that the local server answers as.
pub const LOCAL_VERSION: &str = "4.16.0";
/// What stands where an image would: the server inside the running program.
pub const LOCAL_IMAGE: &str = "langfuse-local:4.16.0";
/// Where the service believes its data to be.
const DATA: &str = "/var/lib/langfuse-local";

/// Makes the target.
pub(super) fn assemble(policy: &Policy, project: &str, names: &Names) -> Stack {
    let (bind, port) = match &policy.exposure {
        Exposure::Private { bind, port, .. } | Exposure::Proxy { bind, port, .. } => {
            (bind.to_string(), *port)
        }
    };
    let mut env = Environment::new();
    set(&mut env, "HOSTNAME", &bind);
    set(&mut env, "PORT", port.to_string());
    set(&mut env, "NEXTAUTH_URL", ken_config::origin_url(policy));
    set(&mut env, "LANGFUSE_LOCAL_DATA", DATA);
    if let Some(days) = policy.retention.traces_days {
        set(&mut env, "LANGFUSE_LOCAL_RETENTION_DAYS", days.to_string());
    }
    set(&mut env, "LANGFUSE_INIT_ORG_ID", &policy.langfuse.org_id);
    set(&mut env, "LANGFUSE_INIT_ORG_NAME", &policy.langfuse.org_name);
    set(&mut env, "LANGFUSE_INIT_PROJECT_ID", &policy.langfuse.project_id);
    set(&mut env, "LANGFUSE_INIT_PROJECT_NAME", &policy.langfuse.project_name);
    set_secret(&mut env, "LANGFUSE_INIT_PROJECT_PUBLIC_KEY", SecretName::ProjectPublicKey);
    set_secret(&mut env, "LANGFUSE_INIT_PROJECT_SECRET_KEY", SecretName::ProjectSecretKey);
    for (name, value) in &policy.langfuse.environment_extra {
        set(&mut env, name, value);
    }
    let volume = format!("{}-data", names.key);
    let service = Service {
        name: names.services.get(&Role::Web).cloned().unwrap_or_default(),
        role: Role::Web,
        image: LOCAL_IMAGE.to_owned(),
        entrypoint: None,
        command: None,
        user: None,
        environment: env,
        ports: vec![PublishedPort { address: bind.clone(), published: port, target: port }],
        mounts: vec![Mount { volume: volume.clone(), target: DATA.to_owned() }],
        configs: Vec::new(),
        tmpfs: Vec::new(),
        healthcheck: None,
        depends_on: Vec::new(),
        restart: "unless-stopped",
        memory: policy.resources.web.memory.0,
        cpus: policy.resources.web.cpus,
        stop_grace_period: 10,
        nofile: None,
        networks: Vec::new(),
        extra_hosts: Vec::new(),
    };
    Stack {
        ken_project: project.to_owned(),
        project: project.to_owned(),
        layout: Layout::Separate,
        services: vec![service],
        volumes: vec![Volume { key: volume, name: format!("{project}-data") }],
        networks: Vec::new(),
        database: None,
        bucket: None,
        keeps_canary: true,
        project_id: policy.langfuse.project_id.clone(),
        web_port: port,
        web_address: bind,
        version: LOCAL_VERSION.to_owned(),
    }
}
