//! Web: UI, public API and OTLP; the only service with a published port.

use ken_config::Exposure;
use ken_secrets::SecretName;

use super::langfuse::{set, set_secret};
use super::{WEB_PORT, healthcheck, langfuse};
use crate::stack::assemble::Context;
use crate::stack::{PublishedPort, Role, Service};

pub(in crate::stack) fn web(context: &Context<'_>) -> Service {
    let policy = context.policy;
    let limits = &policy.resources.web;
    let mut env = langfuse::common(context);
    set(&mut env, "PORT", WEB_PORT.to_string());
    langfuse::node_options(&mut env, limits);
    set_secret(&mut env, "NEXTAUTH_SECRET", SecretName::NextauthSecret);
    set(&mut env, "AUTH_DISABLE_SIGNUP", (!policy.langfuse.sign_up).to_string());
    // All or nothing: without the organisation's id every other name is ignored.
    set(&mut env, "LANGFUSE_INIT_ORG_ID", &policy.langfuse.org_id);
    set(&mut env, "LANGFUSE_INIT_ORG_NAME", &policy.langfuse.org_name);
    set(&mut env, "LANGFUSE_INIT_PROJECT_ID", &policy.langfuse.project_id);
    set(&mut env, "LANGFUSE_INIT_PROJECT_NAME", &policy.langfuse.project_name);
    set_secret(&mut env, "LANGFUSE_INIT_PROJECT_PUBLIC_KEY", SecretName::ProjectPublicKey);
    set_secret(&mut env, "LANGFUSE_INIT_PROJECT_SECRET_KEY", SecretName::ProjectSecretKey);
    set(&mut env, "LANGFUSE_INIT_USER_EMAIL", &policy.langfuse.user_email);
    set(&mut env, "LANGFUSE_INIT_USER_NAME", &policy.langfuse.user_name);
    set_secret(&mut env, "LANGFUSE_INIT_USER_PASSWORD", SecretName::UserPassword);
    let (address, published) = match &policy.exposure {
        Exposure::Private { bind, port, .. } => (bind.to_string(), *port),
        Exposure::Proxy { bind, port, sso, .. } => {
            if let Some(sso) = sso {
                for (name, value) in sso.env() {
                    set(&mut env, &name, value);
                }
                set_secret(&mut env, &sso.client_secret_env(), SecretName::SsoClientSecret);
                if sso.disable_password_login {
                    set(&mut env, "AUTH_DISABLE_USERNAME_PASSWORD", "true");
                }
            }
            (bind.to_string(), *port)
        }
    };
    let mut depends_on = vec![context.healthy(Role::Worker)];
    depends_on.extend(context.stores());
    depends_on.extend(context.postgres_dependency.clone());
    Service {
        name: context.name(Role::Web),
        role: Role::Web,
        image: context.image(&policy.images.web),
        entrypoint: None,
        command: None,
        user: None,
        environment: env,
        ports: vec![PublishedPort { address, published, target: WEB_PORT }],
        mounts: Vec::new(),
        configs: Vec::new(),
        tmpfs: Vec::new(),
        // Without the parameter the answer is 200 while Postgres is down.
        healthcheck: Some(healthcheck(
            &[
                "CMD",
                "wget",
                "-q",
                "-O",
                "/dev/null",
                "http://127.0.0.1:3000/api/public/health?failIfDatabaseUnavailable=true",
            ],
            60,
        )),
        depends_on,
        restart: "unless-stopped",
        memory: limits.memory.0,
        cpus: limits.cpus,
        // Web serves on for 110 s after SIGTERM whatever happens; what it accepted is already in the object store.
        stop_grace_period: 20,
        nofile: None,
        networks: langfuse::networks(context),
        extra_hosts: langfuse::extra_hosts(context),
    }
}
