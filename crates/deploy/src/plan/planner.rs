//! Makes a plan. Pure: equal input gives an equal plan, and planning from the state that a plan leads to gives none.

use std::collections::BTreeMap;
use std::path::Path;

use ken_compose_file::{ComposeFile, EditError, Edited, Ours};
use ken_config::Policy;
use ken_secrets::{Need, SecretSet};
use sha2::{Digest, Sha256};

use super::{Action, Contents, Note, Plan, Stage, StageName};
use crate::database::{self, DatabaseSeen};
use crate::engine::{Activity, Container, Health, ImageState};
use crate::gate::Gate;
use crate::inventory::{Inventory, image_references, sha256};
use crate::journal::State;
use crate::object_store::BucketSeen;
use crate::render;
use crate::site::Site;
use crate::stack::{Layout, REVISION_LABEL, Role, Service, Stack, assemble};

/// Everything that a plan follows from.
#[derive(Debug)]
pub struct PlanInput<'a> {
    /// What is wanted.
    pub policy: &'a Policy,
    /// What was seen.
    pub inventory: &'a Inventory,
    /// What is remembered.
    pub state: &'a State,
    /// The secrets that exist.
    pub secrets: &'a SecretSet,
    /// Where things lie.
    pub site: &'a Site,
}

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Ken's Compose file cannot take our lines.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Our own lines, once taken out, leave something that is no Compose file.
    #[error(transparent)]
    Parse(#[from] ken_compose_file::ParseError),
    /// A value that an environment file cannot hold.
    #[error(transparent)]
    Environment(render::EnvironmentFileError),
}

/// Makes the plan of a deployment.
///
/// # Errors
/// [`PlanError`] when Ken's file cannot be edited so that it can be given back exactly.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    let PlanInput { policy, inventory, state, .. } = input;
    let digests = digests(policy, inventory, state);
    let stack = assemble(policy, &inventory.ken, &inventory.names, &digests);
    let mut notes = Vec::new();
    let files = files(input, &stack)?;
    let environment_changes: Vec<Role> = files
        .iter()
        .filter_map(|action| match action {
            Action::WriteEnvironment { role, .. } => Some(*role),
            _ => None,
        })
        .collect();
    let look = |service: &Service| Look::at(service, &stack, inventory, state, &environment_changes);
    let mut group = |roles: &dyn Fn(Role) -> bool| {
        let mut actions = Vec::new();
        let (mut up, mut wait) = (Vec::new(), Vec::new());
        for service in stack.services.iter().filter(|s| roles(s.role)) {
            match look(service) {
                Look::Well => notes.push(Note {
                    subject: format!("service {}", service.name),
                    text: "runs as the plan wants it".to_owned(),
                }),
                Look::Waiting => wait.push(service.name.clone()),
                Look::Start(reason) => up.push((service, reason)),
            }
        }
        if !up.is_empty() {
            actions.push(Action::Up {
                roles: up.iter().map(|(s, _)| s.role).collect(),
                services: up.iter().map(|(s, _)| s.name.clone()).collect(),
                reasons: up.into_iter().map(|(_, reason)| reason).collect(),
            });
        }
        if !wait.is_empty() {
            actions.push(Action::Await { services: wait });
        }
        actions
    };
    let mut stores = strangers(&stack, inventory);
    stores.extend(group(&Role::is_store));
    let migrate = group(&|role| role == Role::Migrate);
    let worker = group(&|role| role == Role::Worker);
    let web = group(&|role| role == Role::Web);
    let url = local_url(&stack);
    let healthy = |roles: &dyn Fn(Role) -> bool| Gate::Healthy { services: stack.names(roles) };
    let migrate_name = stack.names(|role| role == Role::Migrate).pop().unwrap_or_default();
    let stage = |name, actions, gate| Stage { name, actions, gate };
    let beside_ken = if inventory.ken_file.is_some() { Gate::KenUnchanged } else { Gate::Open };
    let mut stages = vec![
        stage(StageName::Preflight, Vec::new(), Gate::Preflight),
        stage(StageName::Files, files, beside_ken),
        stage(
            StageName::Images,
            pulls(policy, inventory, &digests),
            Gate::ImagesPresent {
                references: stack
                    .services
                    .iter()
                    .map(|s| s.image.clone())
                    .collect::<std::collections::BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            },
        ),
        stage(StageName::Stores, stores, healthy(&Role::is_store)),
        stage(StageName::Database, database(&stack, inventory), Gate::DatabaseReady),
        stage(StageName::Buckets, buckets(&stack, inventory), Gate::BucketProven),
        stage(StageName::Migrate, migrate, Gate::Completed { service: migrate_name }),
        stage(StageName::Worker, worker, healthy(&|role| role == Role::Worker)),
        stage(StageName::Web, web, Gate::WebAnswers { url: url.clone(), version: stack.version.clone() }),
        stage(
            StageName::Project,
            Vec::new(),
            Gate::ProjectReached { url, project: stack.project_id.clone() },
        ),
        stage(StageName::Verify, Vec::new(), Gate::Verified),
    ];
    if !stack.is_whole() {
        // One process has nothing to wait for.
        stages.retain(|stage| !StageName::OF_PARTS.contains(&stage.name));
    }
    if inventory.ken_file.is_some() {
        notes.push(Note {
            subject: format!("services {}, {}", policy.ken.service, policy.ken.postgres_service),
            text: "untouched".to_owned(),
        });
    }
    let mut plan = Plan {
        id: String::new(),
        command: "deploy",
        ken_project: inventory.ken.project.clone(),
        stack: Some(stack),
        stages,
        notes,
    };
    plan.id = identify(&plan);
    Ok(plan)
}

/// 16 hex digits over everything in the plan.
pub(super) fn identify(plan: &Plan) -> String {
    let text = serde_json::to_string(plan).unwrap_or_default();
    hex::encode(Sha256::digest(text))[..16].to_owned()
}

/// The address at which web answers from this machine.
pub(crate) fn local_url(stack: &Stack) -> String {
    let host = match stack.web_address.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        address if address.contains(':') => format!("[{address}]"),
        address => address.to_owned(),
    };
    format!("http://{host}:{}", stack.web_port)
}

/// The digests to write: those of earlier runs first, so that a tag that moved is never followed unasked.
fn digests(policy: &Policy, inventory: &Inventory, state: &State) -> BTreeMap<String, String> {
    image_references(policy)
        .into_iter()
        .filter_map(|reference| {
            let seen = || match inventory.images.get(&reference) {
                Some(ImageState::Present { digest } | ImageState::Resolvable { digest }) => digest.clone(),
                _ => None,
            };
            let digest = state.digests.get(&reference).cloned().or_else(seen)?;
            Some((reference, digest))
        })
        .collect()
}

fn files(input: &PlanInput<'_>, stack: &Stack) -> Result<Vec<Action>, PlanError> {
    let PlanInput { policy, inventory, secrets, site, .. } = input;
    let mut actions = Vec::new();
    let missing: Vec<String> = ken_config::secrets_needed(policy)
        .iter()
        .map(|need: &Need| need.name)
        .filter(|name| secrets.get(*name).is_none())
        .map(|name| name.key().to_owned())
        .collect();
    if !missing.is_empty() {
        actions.push(Action::InitSecrets { keys: missing });
    }
    for service in &stack.services {
        if service.secret_environment().next().is_none() {
            continue;
        }
        let path = site.environment_file(service.role);
        let wanted = match render::environment_file(service, secrets) {
            Ok(text) => text.map(|t| sha256(t.expose().as_bytes())),
            // Its secret is made by the action above.
            Err(render::EnvironmentFileError::Missing { .. }) => None,
            Err(error) => return Err(PlanError::Environment(error)),
        };
        if wanted.is_none() || inventory.files.get(&path) != wanted.as_ref() {
            actions.push(Action::WriteEnvironment { role: service.role, path });
        }
    }
    let path = site.compose();
    if stack.layout == Layout::Merge {
        if inventory.files.contains_key(&path) {
            actions.push(Action::RemoveFile { path });
        }
    } else {
        let contents = Contents(render::compose_file(stack).text.into_bytes());
        let digest = sha256(&contents.0);
        if inventory.files.get(&path) != Some(&digest) {
            actions.push(Action::WriteFile { path, sha256: digest, contents });
        }
    }
    let (Some(ken_file), Some(ken_path)) = (&inventory.ken_file, site.ken_file()) else {
        return Ok(actions);
    };
    let edited = edited(ken_file, ken_path, site, stack)?;
    if edited.bytes != ken_file.bytes() {
        let action = Action::EditKenFile {
            path: ken_path.to_owned(),
            before: sha256(ken_file.bytes()),
            after: sha256(&edited.bytes),
            changes: edited.changes,
            contents: Contents(edited.bytes),
        };
        // A merged layout's file goes only after Ken's no longer includes it.
        let at = actions.iter().position(|a| matches!(a, Action::RemoveFile { .. })).unwrap_or(actions.len());
        actions.insert(at, action);
    }
    Ok(actions)
}

/// Ken's file with exactly our lines of this layout.
fn edited(file: &ComposeFile, path: &Path, site: &Site, stack: &Stack) -> Result<Edited, PlanError> {
    let fits = match (file.ours(), stack.layout) {
        (Ours::NotThere, _) => true,
        (Ours::Include { path: ours, .. }, Layout::Include) => ours == site.include_path(),
        (Ours::Merged { .. }, Layout::Merge) => true,
        _ => false,
    };
    let cleaned;
    let base = if fits {
        file
    } else {
        cleaned = ComposeFile::parse(path, file.without_ours()?.bytes)?;
        &cleaned
    };
    Ok(match stack.layout {
        Layout::Include => base.with_include(site.include_path())?,
        Layout::Merge => base.with_merged(&render::fragment(stack))?,
        Layout::Separate => Edited { bytes: base.bytes().to_vec(), changes: Vec::new() },
    })
}

fn pulls(policy: &Policy, inventory: &Inventory, digests: &BTreeMap<String, String>) -> Vec<Action> {
    let always = policy.images.pull == ken_config::PullPolicy::Always;
    inventory
        .images
        .iter()
        .filter(|(reference, state)| match state {
            ImageState::Present { .. } => {
                always && !digests.contains_key(*reference) && !reference.contains('@')
            }
            _ => true,
        })
        .map(|(reference, _)| Action::Pull {
            reference: match digests.get(reference) {
                Some(digest) if !reference.contains('@') => format!("{reference}@{digest}"),
                _ => reference.clone(),
            },
        })
        .collect()
}

fn database(stack: &Stack, inventory: &Inventory) -> Vec<Action> {
    let Some(target) = &stack.database else { return Vec::new() };
    let reasons = match &inventory.database {
        DatabaseSeen::External => return Vec::new(),
        DatabaseSeen::Server(facts) => database::differences(target, facts),
        DatabaseSeen::Unknown { why } => vec![why.clone()],
    };
    if reasons.is_empty() {
        return Vec::new();
    }
    vec![Action::CreateDatabase { database: target.database.clone(), role: target.role.clone(), reasons }]
}

fn buckets(stack: &Stack, inventory: &Inventory) -> Vec<Action> {
    match (&stack.bucket, &inventory.bucket) {
        (None, _) | (_, BucketSeen::Exists) => Vec::new(),
        (Some(bucket), _) => vec![Action::CreateBucket { bucket: bucket.name.clone() }],
    }
}

/// Containers of ours that the target does not have: another layout's, another name's.
fn strangers(stack: &Stack, inventory: &Inventory) -> Vec<Action> {
    inventory
        .ours
        .iter()
        .filter(|c| {
            c.project() != Some(&stack.project)
                || !stack.services.iter().any(|s| Some(s.name.as_str()) == c.service())
        })
        .map(|c| Action::RemoveContainer { id: c.id.clone(), name: c.name.clone(), grace: 120 })
        .collect()
}

/// What one service needs.
enum Look {
    Well,
    Waiting,
    Start(String),
}

impl Look {
    fn at(
        service: &Service,
        stack: &Stack,
        inventory: &Inventory,
        state: &State,
        rewritten: &[Role],
    ) -> Self {
        let mine = |c: &&Container| c.project() == Some(&stack.project) && c.service() == Some(&service.name);
        let Some(container) = inventory.ours.iter().find(mine) else {
            return Self::Start("is not there".to_owned());
        };
        if container.labels.get(REVISION_LABEL) != Some(&service.revision()) {
            return Self::Start("was made from another definition".to_owned());
        }
        if rewritten.contains(&service.role) || state.stale.contains(&service.role) {
            return Self::Start("was made from another environment file".to_owned());
        }
        match (container.activity, service.is_one_shot()) {
            (Activity::Exited(0), true) => Self::Well,
            (Activity::Running, true) => Self::Waiting,
            (Activity::Exited(code), true) => Self::Start(format!("ended with status {code}")),
            (Activity::Running, false) => match container.health {
                Health::Healthy => Self::Well,
                Health::Unchecked | Health::Starting | Health::Unhealthy => Self::Waiting,
            },
            (Activity::Restarting, false) => Self::Waiting,
            _ => Self::Start("does not run".to_owned()),
        }
    }
}
