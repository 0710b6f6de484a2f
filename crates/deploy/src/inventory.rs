//! What was seen, once, before a plan is made. It may be stale by the time it is read: whoever acts looks again.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use ken_compose_file::{ComposeFile, Ours};
use ken_config::Policy;
use ken_secrets::{SecretName, SecretSet};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::database::{self, DatabaseSeen};
use crate::engine::{
    ComposeProject, Container, Engine, EngineError, EngineFacts, ImageState, PortState, SqlTarget,
};
use crate::journal::{KenLives, State};
use crate::ken::{KenView, owners_part};
use crate::object_store::{BucketSeen, ObjectStore};
use crate::site::Site;
use crate::stack::{Names, Role, STACK_LABEL, Stack, Taken, assemble};

/// Everything that planner and preflight look at.
#[derive(Debug)]
pub struct Inventory {
    /// Engine, Compose, machine.
    pub engine: EngineFacts,
    /// Ken's stack without ours.
    pub ken: KenView,
    /// How Ken was started.
    pub ken_project: ComposeProject,
    /// Ken's Compose file; none where no Ken is.
    pub ken_file: Option<ComposeFile>,
    /// Ken's part of the model as Compose resolved it; holds Ken's secrets, so it is compared and never shown.
    pub ken_model: Value,
    /// Ken's container.
    pub ken_container: Option<Container>,
    /// Postgres' container.
    pub postgres_container: Option<Container>,
    /// The lives of both.
    pub lives: KenLives,
    /// Containers of ours.
    pub ours: Vec<Container>,
    /// Names that others hold.
    pub taken: Taken,
    /// Names for ours.
    pub names: Names,
    /// Volumes of ours.
    pub our_volumes: Vec<String>,
    /// Networks of ours.
    pub our_networks: Vec<String>,
    /// Digest of each file of ours that exists.
    pub files: BTreeMap<PathBuf, String>,
    /// Images by reference as the policy writes it.
    pub images: BTreeMap<String, ImageState>,
    /// Role and database.
    pub database: DatabaseSeen,
    /// The bucket.
    pub bucket: BucketSeen,
    /// The port for web.
    pub port: PortState,
    /// Our own folder.
    pub folder: FolderSeen,
}

/// What was seen of our folder and of Ken's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSeen {
    /// Free bytes on its file system.
    pub free: Option<u64>,
    /// Whether it, or the folder that it would be made in, can be written.
    pub writable: bool,
    /// Whether something is there that no run of ours made.
    pub foreign: bool,
    /// User id that owns Ken's Compose file.
    pub ken_owner: Option<u32>,
    /// User id that we run as.
    pub me: u32,
}

/// Why nothing could be seen.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The engine or Compose.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Ken's Compose file.
    #[error(transparent)]
    KenFile(#[from] ken_compose_file::ReadError),
}

/// The lower-case hex SHA-256 of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Finds how Ken was started: by the labels of its container where there is one, else from the file alone.
#[must_use]
pub fn ken_project(site: &Site, service: &str, containers: &[Container]) -> Option<ComposeProject> {
    let file = site.ken_file();
    let same =
        |path: &Path| Some(path) == file || path.canonicalize().is_ok_and(|p| Some(p.as_path()) == file);
    let container = containers
        .iter()
        .filter(|c| c.service() == Some(service))
        .find(|c| c.config_files().iter().any(|path| same(path)))?;
    let label = |key: &str| container.labels.get(&format!("com.docker.compose.project.{key}")).cloned();
    let env_files = label("environment_file").unwrap_or_default();
    Some(ComposeProject {
        name: container.project()?.to_owned(),
        editable: container.config_files().iter().position(|path| same(path)).unwrap_or(0),
        files: container.config_files(),
        directory: label("working_dir").map_or_else(|| site.ken_directory().to_owned(), PathBuf::from),
        env_files: env_files.split(',').filter(|p| !p.is_empty()).map(PathBuf::from).collect(),
    })
}

/// Ken's file by itself, for a Ken that does not run. The empty name lets Compose find the project's name.
#[must_use]
pub fn bare_project(site: &Site) -> ComposeProject {
    ComposeProject {
        name: String::new(),
        files: site.ken_file().map(Path::to_owned).into_iter().collect(),
        editable: 0,
        directory: site.ken_directory().to_owned(),
        env_files: Vec::new(),
    }
}

/// Looks at everything. Changes nothing.
///
/// # Errors
/// [`ObserveError`] when engine, Compose or Ken's file cannot be read at all; everything smaller is part of the answer.
pub async fn observe<E: Engine>(
    engine: &E,
    site: &Site,
    policy: &Policy,
    state: &State,
    secrets: &SecretSet,
) -> Result<Inventory, ObserveError> {
    let ken_file = site.ken_file().map(ComposeFile::read).transpose()?;
    let (facts, containers) = futures_util::future::try_join(engine.facts(), engine.containers()).await?;
    let project = ken_project(site, &policy.ken.service, &containers).unwrap_or_else(|| bare_project(site));
    // Ken by itself: neither a missing nor a broken file of ours can then keep us from mending it.
    let edited = ken_file.as_ref().filter(|file| !matches!(file.ours(), Ours::NotThere));
    let owners_text = edited.and_then(|file| file.without_ours().ok()).map(|edited| edited.bytes);
    let resolve = async || match engine.resolve(&project, owners_text.as_deref()).await {
        // Ken's people may have made a service of theirs wait for ours, which preflight explains better.
        Err(_) if owners_text.is_some() => engine.resolve(&project, None).await,
        answer => answer,
    };
    let (resolved, volumes, networks) =
        futures_util::future::try_join3(resolve(), engine.volumes(), engine.networks()).await?;
    let ken = KenView::from_resolved(&resolved);
    let project = ComposeProject { name: ken.project.clone(), ..project };
    let of_ken = |service: &str| {
        let found = containers
            .iter()
            .find(|c| c.project() == Some(&ken.project) && c.service() == Some(service) && !is_one_off(c));
        found.cloned()
    };
    let ken_container = of_ken(&policy.ken.service);
    let postgres_container = of_ken(&policy.ken.postgres_service);
    let life = async |container: &Option<Container>| match container {
        Some(container) => engine.life(&container.id).await,
        None => Ok(None),
    };
    let lives = KenLives { ken: life(&ken_container).await?, postgres: life(&postgres_container).await? };
    let ours: Vec<Container> =
        containers.iter().filter(|c| c.labels.get(STACK_LABEL) == Some(&ken.project)).cloned().collect();
    let project_name = ken.project.clone();
    let is_ours = |label: &Option<String>| label.as_ref() == Some(&project_name);
    let mut taken = ken.taken();
    taken.volumes.extend(volumes.iter().filter(|(_, label)| !is_ours(label)).map(|(name, _)| name.clone()));
    taken.networks.extend(networks.iter().filter(|(_, label)| !is_ours(label)).map(|(name, _)| name.clone()));
    let names = Names::choose(&ken.project, &taken, state.names.as_ref());
    let stack = assemble(policy, &ken, &names, &BTreeMap::new());
    let web_runs = ours.iter().any(|c| {
        c.service() == stack.service(Role::Web).map(|s| s.name.as_str())
            && c.published.iter().any(|(_, port, _)| *port == stack.web_port)
    });
    let port = async {
        if web_runs { Ok(PortState::Free) } else { engine.port(&stack.web_address, stack.web_port).await }
    };
    // Side by side: an exec into Postgres takes as long as all the rest.
    let (images, database, bucket, port) = futures_util::future::join4(
        images(engine, policy, state),
        database_seen(engine, &stack, postgres_container.as_ref(), secrets),
        bucket_seen(engine, &stack, &ours, secrets),
        port,
    )
    .await;
    let (images, port) = (images?, port?);
    Ok(Inventory {
        engine: facts,
        ken_model: owners_part(&resolved),
        ken,
        ken_project: project,
        ken_file,
        ken_container,
        postgres_container,
        lives,
        ours,
        taken,
        names,
        our_volumes: volumes.iter().filter(|(_, l)| is_ours(l)).map(|(n, _)| n.clone()).collect(),
        our_networks: networks.iter().filter(|(_, l)| is_ours(l)).map(|(n, _)| n.clone()).collect(),
        files: files(site),
        images,
        database,
        bucket,
        port,
        folder: folder(site, state),
    })
}

/// `docker compose run` makes containers that carry a service's name and are none.
fn is_one_off(container: &Container) -> bool {
    container.labels.get("com.docker.compose.oneoff").is_some_and(|v| v == "True")
}

async fn images<E: Engine>(
    engine: &E,
    policy: &Policy,
    state: &State,
) -> Result<BTreeMap<String, ImageState>, EngineError> {
    let names = image_references(policy);
    let ask = policy.images.pull != ken_config::PullPolicy::Never;
    let looks = names.iter().map(async |reference| {
        let pinned = state.digests.get(reference).map(|digest| format!("{reference}@{digest}"));
        engine.image(pinned.as_deref().unwrap_or(reference), ask).await
    });
    let states = join_all(looks).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(names.into_iter().zip(states).collect())
}

/// The images that the policy's stack runs, each once.
#[must_use]
pub fn image_references(policy: &Policy) -> Vec<String> {
    if policy.engine == ken_config::Engine::Local {
        return vec![crate::stack::LOCAL_IMAGE.to_owned()];
    }
    let mut names = vec![policy.images.web.to_string(), policy.images.worker.to_string()];
    if matches!(policy.clickhouse, ken_config::Clickhouse::Container { .. }) {
        names.push(policy.images.clickhouse.to_string());
    }
    if matches!(policy.redis, ken_config::Redis::Container) {
        names.push(policy.images.redis.to_string());
    }
    if matches!(policy.storage, ken_config::Storage::Minio { .. }) {
        names.push(policy.images.minio.to_string());
    }
    names.sort();
    names.dedup();
    names
}

/// Asks Ken's Postgres for role and database.
pub async fn database_seen<E: Engine>(
    engine: &E,
    stack: &Stack,
    container: Option<&Container>,
    secrets: &SecretSet,
) -> DatabaseSeen {
    let Some(target) = &stack.database else { return DatabaseSeen::External };
    let Some(container) = container.filter(|c| c.activity == crate::engine::Activity::Running) else {
        return DatabaseSeen::Unknown { why: "Ken's Postgres does not run".to_owned() };
    };
    let who = SqlTarget::Superuser { container: container.id.clone(), database: "postgres".to_owned() };
    match engine.sql(&who, &database::facts_sql(target)).await {
        Ok(answer) => database::read_facts(&answer, secrets.get(SecretName::PostgresPassword)),
        Err(error) => DatabaseSeen::Unknown { why: error.to_string() },
    }
}

async fn bucket_seen<E: Engine>(
    engine: &E,
    stack: &Stack,
    ours: &[Container],
    secrets: &SecretSet,
) -> BucketSeen {
    let running: Vec<Container> = ours.iter().filter(|c| c.is_well()).cloned().collect();
    let Some(bucket) = &stack.bucket else {
        return BucketSeen::Unknown { why: "the stack has none".to_owned() };
    };
    match ObjectStore::open(engine, bucket, &running, secrets) {
        Ok(store) => store.seen().await,
        Err(error) => BucketSeen::Unknown { why: error.to_string() },
    }
}

fn folder(site: &Site, state: &State) -> FolderSeen {
    let folder = site.folder();
    let existing = folder.ancestors().find(|p| p.exists()).unwrap_or(site.ken_directory());
    // Before the first run there are secrets at most, made by `secrets init`.
    let known =
        |name: &std::ffi::OsStr| ["secrets", "state", ".gitignore"].iter().any(|known| name == *known);
    let foreign = state.runs.is_empty()
        && std::fs::read_dir(&folder)
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|e| !known(&e.file_name()))));
    FolderSeen {
        free: crate::engine::disk_free(&folder),
        writable: rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_ok(),
        foreign,
        ken_owner: site.ken_file().and_then(|file| std::fs::metadata(file).ok()).map(|m| m.uid()),
        me: rustix::process::geteuid().as_raw(),
    }
}

/// Digests of our files. One that cannot be read counts as absent, and is written anew.
fn files(site: &Site) -> BTreeMap<PathBuf, String> {
    std::iter::once(site.compose())
        .chain(Role::ALL.into_iter().map(|role| site.environment_file(role)))
        .filter_map(|path| {
            let bytes = std::fs::read(&path).ok()?;
            Some((path, sha256(&bytes)))
        })
        .collect()
}
