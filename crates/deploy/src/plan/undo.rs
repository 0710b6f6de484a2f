//! The plan of a rollback: Ken's file as it was, nothing of ours running, data kept unless it was asked for twice.

use ken_compose_file::{EditError, Ours};

use super::planner::identify;
use super::{Action, Contents, Note, Plan, Stage, StageName};
use crate::gate::Gate;
use crate::inventory::{Inventory, sha256};
use crate::journal::State;
use crate::site::Site;
use crate::stack::{Database, Role};

/// Everything that a rollback follows from.
#[derive(Debug)]
pub struct UndoInput<'a> {
    /// What was seen.
    pub inventory: &'a Inventory,
    /// What is remembered.
    pub state: &'a State,
    /// Where things lie.
    pub site: &'a Site,
    /// The database of the policy.
    pub database: Option<Database>,
    /// Whether data and secrets are destroyed too.
    pub purge: bool,
}

/// Seconds that a container gets to stop: the worker flushes acknowledged rows; web would serve on for 110 s.
fn grace(service: Option<&str>) -> u64 {
    match service {
        Some(name) if name.ends_with("web") => 10,
        Some(name) if name.ends_with("migrate") => 300,
        _ => 120,
    }
}

/// Makes the plan of a rollback.
///
/// # Errors
/// [`EditError`] when our lines in Ken's file were changed so that they cannot be told from Ken's.
pub fn undo(input: &UndoInput<'_>) -> Result<Plan, EditError> {
    let UndoInput { inventory, state, site, database, purge } = input;
    let mut restore = Vec::new();
    let edited = inventory.ken_file.as_ref().filter(|file| !matches!(file.ours(), Ours::NotThere));
    if let (Some(file), Some(path)) = (edited, site.ken_file()) {
        let edited = file.without_ours()?;
        let after = sha256(&edited.bytes);
        restore.push(Action::RestoreKenFile {
            path: path.to_owned(),
            before: sha256(file.bytes()),
            exact: state.ken_file_before.as_ref() == Some(&after),
            after,
            changes: edited.changes,
            contents: Contents(edited.bytes),
        });
    }
    let generated =
        std::iter::once(site.compose()).chain(Role::ALL.into_iter().map(|r| site.environment_file(r)));
    restore.extend(
        generated.filter(|path| inventory.files.contains_key(path)).map(|path| Action::RemoveFile { path }),
    );
    // Web first, stores last: nobody is left talking to a store that is gone.
    let mut containers: Vec<_> = inventory.ours.iter().collect();
    let position = |service: Option<&str>| {
        let named = |role: &Role| inventory.names.services.get(role).map(String::as_str) == service;
        Role::ALL.iter().position(named)
    };
    containers.sort_by_key(|c| std::cmp::Reverse(position(c.service())));
    let mut remove: Vec<Action> = containers
        .into_iter()
        .map(|c| Action::RemoveContainer {
            id: c.id.clone(),
            name: c.name.clone(),
            grace: grace(c.service()),
        })
        .collect();
    remove.extend(inventory.our_networks.iter().map(|name| Action::RemoveNetwork { name: name.clone() }));
    let mut notes = Vec::new();
    let mut destroy = Vec::new();
    if *purge {
        destroy.extend(inventory.our_volumes.iter().map(|name| Action::RemoveVolume { name: name.clone() }));
        if let Some(target) = database.as_ref().filter(|_| state.database_made) {
            destroy
                .push(Action::DropDatabase { database: target.database.clone(), role: target.role.clone() });
        }
        if site.secrets().exists() {
            destroy.push(Action::RemoveFolder);
        }
    } else {
        for name in &inventory.our_volumes {
            notes.push(Note { subject: format!("volume {name}"), text: "kept".to_owned() });
        }
        if let Some(target) = database.as_ref().filter(|_| state.database_made) {
            notes.push(Note { subject: format!("database {}", target.database), text: "kept".to_owned() });
        }
        if site.secrets().exists() {
            notes.push(Note {
                subject: format!("secrets in {}", site.shown(&site.secrets())),
                text: "kept: the data cannot be used without them".to_owned(),
            });
        }
    }
    let has_ken = inventory.ken_file.is_some();
    let stage = |name, actions, gate| Stage { name, actions, gate };
    let mut stages = vec![
        stage(StageName::Restore, restore, if has_ken { Gate::KenUnchanged } else { Gate::Open }),
        stage(StageName::Remove, remove, Gate::Gone),
    ];
    if *purge {
        stages.push(stage(StageName::Purge, destroy, Gate::Open));
    }
    if has_ken {
        stages.push(stage(StageName::Ken, Vec::new(), Gate::KenServes));
    }
    let mut plan = Plan {
        id: String::new(),
        command: "rollback",
        stack: None,
        ken_project: inventory.ken.project.clone(),
        stages,
        notes,
    };
    plan.id = identify(&plan);
    Ok(plan)
}
