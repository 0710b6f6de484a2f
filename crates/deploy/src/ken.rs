//! What we know of Ken's stack: Compose's own resolved model of it, read and compared but never changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::stack::{STACK_LABEL, Taken};

/// One service of Ken's, as Compose resolved it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KenService {
    /// Keys of the networks it joins; empty with a `network_mode`.
    pub networks: Vec<String>,
    /// `network_mode`, such as `host`.
    pub network_mode: Option<String>,
    /// `container_name`.
    pub container_name: Option<String>,
    /// Whether Compose knows a health check for it. One in the image alone is not visible here.
    pub has_healthcheck: bool,
    /// Whether profiles decide if it runs.
    pub has_profiles: bool,
    /// Published host ports.
    pub published: Vec<u16>,
    /// Services it waits for.
    pub depends_on: Vec<String>,
}

/// Ken's stack without anything of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KenView {
    /// Compose's project name.
    pub project: String,
    /// Ken's services by name.
    pub services: BTreeMap<String, KenService>,
    /// Networks: key in the file and name at the engine.
    pub networks: BTreeMap<String, String>,
    /// Keys under `volumes:`, `configs:` and `secrets:`.
    pub other_keys: BTreeSet<String>,
}

impl KenView {
    /// Reads what `docker compose config --format json` says, leaving out the services and resources of ours.
    #[must_use]
    pub fn from_resolved(resolved: &Value) -> Self {
        let mut view = Self { project: text(&resolved["name"]).unwrap_or_default(), ..Self::default() };
        for (name, service) in entries(&resolved["services"]) {
            if is_ours(service) {
                continue;
            }
            view.services.insert(
                name.clone(),
                KenService {
                    networks: entries(&service["networks"]).map(|(key, _)| key.clone()).collect(),
                    network_mode: text(&service["network_mode"]),
                    container_name: text(&service["container_name"]),
                    has_healthcheck: service["healthcheck"]["test"].is_array()
                        && service["healthcheck"]["test"][0] != "NONE"
                        && service["healthcheck"]["disable"] != true,
                    has_profiles: service["profiles"].as_array().is_some_and(|p| !p.is_empty()),
                    published: service["ports"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|port| match &port["published"] {
                            Value::String(text) => text.parse().ok(),
                            other => other.as_u64().and_then(|n| u16::try_from(n).ok()),
                        })
                        .collect(),
                    depends_on: entries(&service["depends_on"]).map(|(key, _)| key.clone()).collect(),
                },
            );
        }
        for (key, network) in entries(&resolved["networks"]) {
            if !is_ours(network) {
                view.networks.insert(key.clone(), text(&network["name"]).unwrap_or_else(|| key.clone()));
            }
        }
        let configs = our_configs(resolved);
        for section in ["volumes", "configs", "secrets"] {
            for (key, value) in entries(&resolved[section]) {
                if !is_ours(value) && !configs.contains(key) {
                    view.other_keys.insert(key.clone());
                }
            }
        }
        view
    }

    /// What of this stack's names ours must not take.
    #[must_use]
    pub fn taken(&self) -> Taken {
        let mut taken = Taken::default();
        for (name, service) in &self.services {
            taken.services.insert(name.clone());
            taken.services.extend(service.container_name.clone());
        }
        taken.keys.extend(self.networks.keys().cloned());
        taken.keys.extend(self.other_keys.iter().cloned());
        taken.networks.extend(self.networks.values().cloned());
        taken
    }
}

/// Ken's part of a resolved model, for comparison: what is not ours, and nothing that an added file changes.
#[must_use]
pub fn owners_part(resolved: &Value) -> Value {
    let configs = our_configs(resolved);
    let mut out = serde_json::Map::new();
    for section in ["name", "services", "networks", "volumes", "configs", "secrets"] {
        match &resolved[section] {
            Value::Object(map) => {
                let kept: serde_json::Map<_, _> = map
                    .iter()
                    .filter(|(key, value)| {
                        !(is_ours(value) || section == "configs" && configs.contains(*key))
                    })
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                // A section that holds only ours is, to its owner, an absent one.
                if !kept.is_empty() {
                    out.insert(section.to_owned(), Value::Object(kept));
                }
            }
            Value::Null => {}
            other => {
                out.insert(section.to_owned(), other.clone());
            }
        }
    }
    Value::Object(out)
}

/// The dotted paths at which two resolved models differ; never their values, which may be secrets.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(before, after, "", &mut found);
    found
}

fn walk(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), &path, found);
            }
        }
        (a, b) if a == b => {}
        _ => found.push(path.to_owned()),
    }
}

fn is_ours(value: &Value) -> bool {
    value["labels"].get(STACK_LABEL).is_some()
}

/// Keys of our configs. Compose warns about a label on one, so they are known by the services that use them.
fn our_configs(resolved: &Value) -> BTreeSet<String> {
    entries(&resolved["services"])
        .filter(|(_, service)| is_ours(service))
        .flat_map(|(_, service)| service["configs"].as_array().into_iter().flatten())
        .filter_map(|config| text(&config["source"]))
        .collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|t| !t.is_empty()).map(str::to_owned)
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved() -> Value {
        json!({
            "name": "docker",
            "services": {
                "ken": {"networks": {"default": null}, "depends_on": {"postgres": {"condition": "service_healthy"}}},
                "postgres": {"container_name": "pg", "healthcheck": {"test": ["CMD", "pg_isready"]}, "networks": {"default": null},
                    "ports": [{"published": "5432", "target": 5432}]},
            },
            "networks": {"default": {"name": "docker_default"}},
            "volumes": {"data": {"name": "docker_data"}},
        })
    }

    #[test]
    fn compose_s_model_is_read() {
        let view = KenView::from_resolved(&resolved());
        assert_eq!(view.project, "docker");
        assert_eq!(view.services["ken"].depends_on, ["postgres"]);
        assert!(view.services["postgres"].has_healthcheck);
        assert_eq!(view.services["postgres"].published, [5432]);
        assert_eq!(view.networks["default"], "docker_default");
        assert!(view.taken().services.contains("pg"));
    }

    #[test]
    fn ours_is_left_out_and_a_change_of_kens_is_named() {
        let before = resolved();
        let mut after = resolved();
        after["services"]["langfuse-redis"] =
            json!({"labels": {STACK_LABEL: "docker"}, "configs": [{"source": "langfuse-redis"}]});
        after["configs"] = json!({"langfuse-redis": {"content": "x"}});
        assert_eq!(differences(&owners_part(&before), &owners_part(&after)), Vec::<String>::new());
        assert_eq!(KenView::from_resolved(&after), KenView::from_resolved(&before));
        after["services"]["ken"]["environment"] = json!({"A": "secret"});
        assert_eq!(differences(&owners_part(&before), &owners_part(&after)), ["services.ken.environment"]);
    }
}
