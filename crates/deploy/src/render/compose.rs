//! The Compose file, or the fragments that go into Ken's.

use std::collections::BTreeMap;

use ken_compose_file::Fragment;
use serde_json::{Map, Value, json};

use crate::stack::{Network, REVISION_LABEL, STACK_LABEL, Service, Stack};

/// A rendered Compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The file's text, LF, with a last newline.
    pub text: String,
}

const HEADER: &str = "\
# Langfuse beside Ken. Generated; edits are overwritten by the next `cargo xtask deploy`.
# Change the policy instead. No secret stands here: see the environment files in secrets/.
#
# `docker compose up -d --wait` by hand works too, in the right order: stores, migrate, worker, web.
";

/// The Compose file of the layouts `include` and `separate`. Paths in it are relative to its own folder.
#[must_use]
pub fn compose_file(stack: &Stack) -> Rendered {
    let mut root = Map::new();
    if stack.layout == crate::stack::Layout::Separate {
        root.insert("name".to_owned(), json!(stack.project));
    }
    root.insert(
        "services".to_owned(),
        map(stack.services.iter().map(|s| (s.name.clone(), service(stack, s, "")))),
    );
    let networks = networks(stack);
    root.insert("networks".to_owned(), map(networks));
    let volumes: Vec<_> = volumes(stack).collect();
    if !volumes.is_empty() {
        root.insert("volumes".to_owned(), map(volumes));
    }
    let configs: Vec<_> = configs(stack).collect();
    if !configs.is_empty() {
        root.insert("configs".to_owned(), map(configs));
    }
    Rendered { text: format!("{HEADER}{}", yaml(&Value::Object(root))) }
}

/// Tells Compose that Ken's networks are there and nobody's to manage.
///
/// Compose would otherwise stop containers and make a network anew when its definition was edited since it was made.
#[must_use]
pub fn ken_networks(stack: &Stack, names: &BTreeMap<String, String>) -> String {
    let mut text = String::from("networks:\n");
    for network in &stack.networks {
        if let Network::Ken { key } = network {
            let name = names.get(key).unwrap_or(key);
            let quoted = |text: &str| Value::String(text.replace('$', "$$")).to_string();
            // JSON's strings are YAML's; the tag replaces what Ken's file says instead of adding to it.
            text.push_str(&format!(
                "  {}: !override\n    name: {}\n    external: true\n",
                quoted(key),
                quoted(name)
            ));
        }
    }
    text
}

/// The same services as pieces for Ken's own file (layout `merge`). Paths are relative to Ken's file.
#[must_use]
pub fn fragment(stack: &Stack) -> Fragment {
    let bodies =
        |entries: Vec<(String, Value)>| entries.into_iter().map(|(name, body)| (name, yaml(&body))).collect();
    Fragment {
        services: bodies(
            stack.services.iter().map(|s| (s.name.clone(), service(stack, s, "langfuse/"))).collect(),
        ),
        volumes: bodies(volumes(stack).collect()),
        networks: bodies(networks(stack)),
        configs: bodies(configs(stack).collect()),
        secrets: Vec::new(),
    }
}

fn yaml(value: &Value) -> String {
    // The tree holds strings, numbers, booleans and nulls only, which the serializer never refuses.
    serde_saphyr::to_string(value).unwrap_or_default()
}

fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.into_iter().collect())
}

/// Compose would take a `$` for the start of a variable.
fn text(text: &str) -> Value {
    Value::String(text.replace('$', "$$"))
}

fn texts(list: &[String]) -> Value {
    Value::Array(list.iter().map(|t| text(t)).collect())
}

fn networks(stack: &Stack) -> Vec<(String, Value)> {
    let label = json!({ STACK_LABEL: stack.ken_project });
    stack
        .networks
        .iter()
        .filter_map(|network| match network {
            Network::Own { key, name } => Some((key.clone(), json!({ "name": name, "labels": label }))),
            // Declared by its owner; a second declaration would be a conflict.
            Network::Ken { .. } => None,
            Network::External { key, name } => Some((key.clone(), json!({ "name": name, "external": true }))),
        })
        .collect()
}

fn volumes(stack: &Stack) -> impl Iterator<Item = (String, Value)> {
    stack.volumes.iter().map(|volume| {
        (volume.key.clone(), json!({ "name": volume.name, "labels": { STACK_LABEL: stack.ken_project } }))
    })
}

fn configs(stack: &Stack) -> impl Iterator<Item = (String, Value)> {
    stack
        .services
        .iter()
        .flat_map(|s| &s.configs)
        .map(|c| (c.key.clone(), json!({ "content": text(&c.content) })))
}

fn service(stack: &Stack, service: &Service, folder: &str) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("image", text(&service.image));
    // What the plan resolved is what runs; nothing is fetched behind its back.
    put("restart", json!(service.restart));
    if let Some(entrypoint) = &service.entrypoint {
        put("entrypoint", texts(entrypoint));
    }
    if let Some(command) = &service.command {
        put("command", texts(command));
    }
    if let Some(user) = &service.user {
        put("user", text(user));
    }
    if !service.depends_on.is_empty() {
        put(
            "depends_on",
            map(service.depends_on.iter().map(|d| {
                let mut entry = json!({ "condition": d.condition });
                if !d.required {
                    entry["required"] = json!(false);
                }
                (d.service.clone(), entry)
            })),
        );
    }
    if service.secret_environment().next().is_some() {
        // Not required, so that Ken's own `docker compose up` never fails for a file of ours that somebody removed.
        let path = format!("{folder}secrets/{}.env", service.role);
        put("env_file", json!([{ "path": path, "required": false }]));
    }
    let plain: Vec<_> = service
        .environment
        .iter()
        .filter_map(|(name, value)| match value {
            crate::stack::EnvValue::Plain(plain) => Some((name.clone(), text(plain))),
            _ => None,
        })
        .collect();
    if !plain.is_empty() {
        put("environment", map(plain));
    }
    if !service.ports.is_empty() {
        let ports = service.ports.iter().map(|p| {
            let address =
                if p.address.contains(':') { format!("[{}]", p.address) } else { p.address.clone() };
            json!(format!("{address}:{}:{}", p.published, p.target))
        });
        put("ports", ports.collect());
    }
    if !service.mounts.is_empty() {
        put("volumes", service.mounts.iter().map(|m| json!(format!("{}:{}", m.volume, m.target))).collect());
    }
    if !service.configs.is_empty() {
        put(
            "configs",
            service.configs.iter().map(|c| json!({ "source": c.key, "target": c.target })).collect(),
        );
    }
    if !service.tmpfs.is_empty() {
        put("tmpfs", texts(&service.tmpfs));
    }
    if let Some(check) = &service.healthcheck {
        put(
            "healthcheck",
            json!({
                "test": texts(&check.test),
                "interval": format!("{}s", check.interval),
                "timeout": format!("{}s", check.timeout),
                "retries": check.retries,
                "start_period": format!("{}s", check.start_period),
            }),
        );
    }
    put("stop_grace_period", json!(format!("{}s", service.stop_grace_period)));
    put("mem_limit", json!(service.memory));
    put("cpus", json!(service.cpus));
    if let Some(nofile) = service.nofile {
        put("ulimits", json!({ "nofile": { "soft": nofile, "hard": nofile } }));
    }
    put("networks", json!(service.networks));
    if !service.extra_hosts.is_empty() {
        put("extra_hosts", json!(service.extra_hosts));
    }
    put("security_opt", json!(["no-new-privileges:true"]));
    put("logging", json!({ "driver": "json-file", "options": { "max-size": "20m", "max-file": "5" } }));
    put("labels", json!({ STACK_LABEL: stack.ken_project, REVISION_LABEL: service.revision() }));
    Value::Object(out)
}
