//! Which names our services, volumes and network take, so that none of Ken's is ever shadowed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Role;

/// Names that others hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Services, container names and network aliases in Ken's Compose files.
    pub services: BTreeSet<String>,
    /// Keys under `volumes:`, `networks:` and `configs:` in Ken's files.
    pub keys: BTreeSet<String>,
    /// Volumes at the engine that are not ours.
    pub volumes: BTreeSet<String>,
    /// Networks at the engine that are not ours.
    pub networks: BTreeSet<String>,
}

/// The names chosen for one stack. Once chosen they are kept: another volume name would be an empty volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Service name by role.
    pub services: BTreeMap<Role, String>,
    /// Volume name at the engine by role.
    pub volumes: BTreeMap<Role, String>,
    /// Network name at the engine.
    pub network: String,
    /// Prefix of our keys under `volumes:`, `networks:` and `configs:`.
    pub key: String,
}

impl Names {
    /// Chooses names beside what is taken. `kept` are those of an earlier run.
    ///
    /// Services always carry the prefix `langfuse-`: a bare `redis` would break Ken's file on the day Ken adds one.
    #[must_use]
    pub fn choose(project: &str, taken: &Taken, kept: Option<&Self>) -> Self {
        let mut services = BTreeMap::new();
        let mut volumes = BTreeMap::new();
        for role in Role::ALL {
            let word = role.word();
            let kept_service =
                kept.and_then(|k| k.services.get(&role)).filter(|n| !taken.services.contains(*n));
            let service = kept_service
                .cloned()
                .unwrap_or_else(|| first_free(&format!("langfuse-{word}"), "ken-", &taken.services));
            services.insert(role, service);
            if role.is_store() {
                let volume = kept.and_then(|k| k.volumes.get(&role)).cloned().unwrap_or_else(|| {
                    first_free(&format!("{project}-langfuse-{word}"), "ken-", &taken.volumes)
                });
                volumes.insert(role, volume);
            }
        }
        let network = kept.map_or_else(
            || first_free(&format!("{project}-langfuse"), "ken-", &taken.networks),
            |k| k.network.clone(),
        );
        let key = kept.map(|k| k.key.clone()).filter(|k| !key_is_taken(k, taken)).unwrap_or_else(|| {
            candidates("langfuse", "ken-").find(|k| !key_is_taken(k, taken)).unwrap_or_default()
        });
        Self { services, volumes, network, key }
    }
}

fn key_is_taken(key: &str, taken: &Taken) -> bool {
    taken.keys.contains(key)
        || taken.keys.iter().any(|k| k.strip_prefix(key).is_some_and(|r| r.starts_with('-')))
}

fn candidates(base: &str, prefix: &str) -> impl Iterator<Item = String> {
    let (base, prefix) = (base.to_owned(), prefix.to_owned());
    let numbered = {
        let stem = format!("{prefix}{base}");
        (2u32..).map(move |n| format!("{stem}-{n}"))
    };
    [base.clone(), format!("{prefix}{base}")].into_iter().chain(numbered)
}

fn first_free(base: &str, prefix: &str, taken: &BTreeSet<String>) -> String {
    candidates(base, prefix).find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(services: &[&str], keys: &[&str], volumes: &[&str]) -> Taken {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Taken { services: set(services), keys: set(keys), volumes: set(volumes), networks: BTreeSet::new() }
    }

    #[test]
    fn ours_take_other_names_and_kens_stay() {
        let names = Names::choose(
            "docker",
            &taken(&["ken", "redis", "langfuse-redis"], &["langfuse-redis"], &["docker-langfuse-minio"]),
            None,
        );
        assert_eq!(names.services[&Role::Redis], "ken-langfuse-redis");
        assert_eq!(names.services[&Role::Web], "langfuse-web");
        assert_eq!(names.volumes[&Role::Minio], "ken-docker-langfuse-minio");
        assert_eq!(names.key, "ken-langfuse");
    }

    #[test]
    fn volume_names_once_chosen_are_kept() {
        let first = Names::choose("docker", &Taken::default(), None);
        let renamed = Names::choose("other", &Taken::default(), Some(&first));
        assert_eq!(renamed.volumes, first.volumes);
        assert_eq!(renamed.network, first.network);
    }
}
