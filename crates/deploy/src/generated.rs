//! The Compose files of the standard policies beside a plain Ken, kept in the repository so that every change of a
//! rendering is seen in a review.

use std::collections::BTreeMap;

use ken_config::{Policy, Profile};
use serde_json::json;

use crate::ken::KenView;
use crate::render;
use crate::stack::{Names, Taken, assemble};

/// File name and text of each.
#[must_use]
pub fn standard() -> Vec<(String, String)> {
    [(Profile::Dev, "dev"), (Profile::Staging, "staging"), (Profile::Production, "production")]
        .into_iter()
        .map(|(profile, name)| (format!("{name}.yaml"), rendered(&Policy::default_for(profile))))
        .collect()
}

fn rendered(policy: &Policy) -> String {
    let ken = plain_ken();
    let names = Names::choose(&ken.project, &Taken::default(), None);
    render::compose_file(&assemble(policy, &ken, &names, &BTreeMap::new())).text
}

/// Ken as its own repository has it: two services on the default network.
#[must_use]
pub fn plain_ken() -> KenView {
    KenView::from_resolved(&json!({
        "name": "docker",
        "services": {
            "ken": { "networks": { "default": null }, "depends_on": { "postgres": { "condition": "service_healthy" } } },
            "postgres": { "networks": { "default": null }, "healthcheck": { "test": ["CMD", "pg_isready"] } },
        },
        "networks": { "default": { "name": "docker_default" } },
        "volumes": { "postgres-data": { "name": "docker_postgres-data" } },
    }))
}
