//! Does one action. Each may have been done before, wholly or in part, by a run that was killed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ken_config::Policy;
use ken_secrets::{InitError, SecretName, SecretSet, SecretStore};

use crate::database;
use crate::engine::{ComposeProject, Engine, EngineError, PullProgress, SqlTarget};
use crate::gate::of_stack;
use crate::inventory::{Inventory, sha256};
use crate::journal::State;
use crate::ken::{differences, owners_part};
use crate::object_store::{ObjectStore, ObjectStoreError};
use crate::plan::Action;
use crate::render;
use crate::site::Site;
use crate::stack::{Database, Layout, Network, Stack};

/// Why an action failed. Nothing else was done after it.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The engine, Compose, Postgres or the network.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The object store.
    #[error(transparent)]
    ObjectStore(#[from] ObjectStoreError),
    /// Secrets could not be made.
    #[error(transparent)]
    Secrets(#[from] InitError),
    /// Secrets could not be read back.
    #[error(transparent)]
    Load(#[from] ken_secrets::LoadError),
    /// An environment file could not be made.
    #[error(transparent)]
    Environment(#[from] render::EnvironmentFileError),
    /// An environment file could not be written.
    #[error(transparent)]
    WritePrivate(#[from] ken_secrets::WriteError),
    /// A file could not be read, written or removed.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// A verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Ken's file is not the one that the plan was made for.
    #[error("{} was changed since the plan was made", path.display())]
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
    /// The edited file would make Compose see Ken differently. It was not written.
    #[error("with our lines in {}, Compose would see Ken otherwise at {}", path.display(), paths.join(", "))]
    WouldChangeKen {
        /// The file.
        path: PathBuf,
        /// Dotted paths in the resolved model.
        paths: Vec<String>,
    },
}

/// Everything that actions need beside themselves.
#[derive(Debug)]
pub(super) struct Hands<'a, E> {
    pub(super) engine: &'a E,
    pub(super) site: &'a Site,
    pub(super) policy: &'a Policy,
    pub(super) stack: Option<&'a Stack>,
    pub(super) before: &'a Inventory,
    pub(super) state: &'a State,
    pub(super) database: Option<&'a Database>,
}

impl<E: Engine> Hands<'_, E> {
    pub(super) async fn apply(
        &self,
        action: &Action,
        secrets: &mut SecretSet,
        progress: &mut dyn FnMut(&str, PullProgress),
    ) -> Result<(), ApplyError> {
        match action {
            Action::InitSecrets { .. } => {
                let store = SecretStore::at(self.site.secrets());
                store.init(&ken_config::secrets_needed(self.policy), self.state.data_exists)?;
                *secrets = store.load()?;
            }
            Action::WriteEnvironment { role, path } => {
                let service = self.stack.and_then(|stack| stack.service(*role));
                if let Some(text) =
                    service.map(|s| render::environment_file(s, secrets)).transpose()?.flatten()
                {
                    ken_secrets::write_private(path, text.expose().as_bytes())?;
                }
            }
            Action::WriteFile { path, contents, .. } => write(path, &contents.0, None)?,
            Action::EditKenFile { path, before, contents, .. } => {
                self.back_up(path, before)?;
                self.replace_ken_file(path, before, &contents.0).await?;
            }
            Action::RestoreKenFile { path, before, contents, .. } => {
                self.replace_ken_file(path, before, &contents.0).await?;
            }
            Action::Pull { reference } => {
                self.engine.pull(reference, &mut |p| progress(reference, p)).await?;
            }
            Action::Up { services, .. } => {
                if let Some(stack) = self.stack {
                    self.engine.up(&self.project(stack)?, services).await?;
                }
            }
            Action::RemoveContainer { id, grace, .. } => {
                self.engine.remove(id, Duration::from_secs(*grace)).await?;
            }
            Action::CreateDatabase { .. } => self.create_database(secrets).await?,
            Action::CreateBucket { .. } => {
                if let Some(stack) = self.stack
                    && let Some(bucket) = &stack.bucket
                {
                    let containers = of_stack(self.engine.containers().await?, stack);
                    let store = ObjectStore::open(self.engine, bucket, &containers, secrets)?;
                    store.create().await?;
                }
            }
            Action::Await { .. } => {}
            Action::RemoveFile { path } => remove_file(path)?,
            Action::RemoveNetwork { name } => self.engine.remove_network(name).await?,
            Action::RemoveVolume { name } => self.engine.remove_volume(name).await?,
            Action::DropDatabase { .. } => {
                if let (Some(target), Some(who)) = (self.database, self.superuser()) {
                    self.engine.sql(&who, &database::drop_sql(target)).await?;
                }
            }
            Action::RemoveFolder => {
                let path = self.site.secrets();
                match std::fs::remove_dir_all(&path) {
                    Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                        return Err(ApplyError::File { operation: "remove", path, source });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The Compose project in which our services are started.
    fn project(&self, stack: &Stack) -> Result<ComposeProject, ApplyError> {
        if stack.layout == Layout::Separate {
            return Ok(ComposeProject {
                name: stack.project.clone(),
                editable: 0,
                files: vec![self.site.compose()],
                directory: self.site.folder(),
                env_files: Vec::new(),
            });
        }
        let mut project = self.before.ken_project.clone();
        if stack.networks.iter().any(|network| matches!(network, Network::Ken { .. })) {
            let path = self.site.ken_networks();
            write(&path, render::ken_networks(stack, &self.before.ken.networks).as_bytes(), Some(0o600))?;
            project.files.push(path);
        }
        Ok(project)
    }

    fn superuser(&self) -> Option<SqlTarget> {
        let container = self.before.postgres_container.as_ref()?;
        Some(SqlTarget::Superuser { container: container.id.clone(), database: "postgres".to_owned() })
    }

    async fn create_database(&self, secrets: &SecretSet) -> Result<(), ApplyError> {
        let missing = |what: &str| EngineError::Api {
            operation: "create the database".to_owned(),
            why: what.to_owned(),
        };
        let who = self.superuser().ok_or_else(|| missing("Ken's Postgres does not run"))?;
        let password =
            secrets.get(SecretName::PostgresPassword).ok_or_else(|| missing("its password was not made"))?;
        if let Some(target) = self.database {
            self.engine.sql(&who, &database::create_sql(target, password)).await?;
        }
        Ok(())
    }

    /// Keeps the owner's bytes before the first of ours goes in. The newest copy may be read by its owner alone: a
    /// Compose file can hold passwords.
    fn back_up(&self, path: &Path, digest: &str) -> Result<(), ApplyError> {
        let bytes = std::fs::read(path).map_err(|source| ApplyError::File {
            operation: "read",
            path: path.to_owned(),
            source,
        })?;
        let copy = self.site.backup(digest);
        if sha256(&bytes) != digest {
            return Err(ApplyError::ChangedMeanwhile { path: path.to_owned() });
        }
        write(&copy, &bytes, Some(0o600))
    }

    /// Asks Compose what it would see, and only then swaps the file whole.
    async fn replace_ken_file(&self, path: &Path, before: &str, contents: &[u8]) -> Result<(), ApplyError> {
        let file = |operation: &'static str| {
            move |source| ApplyError::File { operation, path: path.to_owned(), source }
        };
        let unchanged = || -> Result<(), ApplyError> {
            let now = std::fs::read(path).map_err(file("read"))?;
            if sha256(&now) == before {
                Ok(())
            } else {
                Err(ApplyError::ChangedMeanwhile { path: path.to_owned() })
            }
        };
        unchanged()?;
        let resolved = self.engine.resolve(&self.before.ken_project, Some(contents)).await?;
        let paths = differences(&self.before.ken_model, &owners_part(&resolved));
        if !paths.is_empty() {
            return Err(ApplyError::WouldChangeKen { path: path.to_owned(), paths });
        }
        // Compose took its time; the owner may have saved meanwhile.
        unchanged()?;
        write(path, contents, None)
    }
}

/// Writes a file whole or not at all: a new one beside it, synced, renamed over it. An existing file keeps its mode and
/// owner; a new one gets `mode`, or 0644.
fn write(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<(), ApplyError> {
    let failed =
        |operation: &'static str| move |source| ApplyError::File { operation, path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Compose reads our folder as whoever runs Ken; only secrets and state are closed.
    let folder_mode = if mode == Some(0o600) { 0o700 } else { 0o755 };
    DirBuilder::new()
        .recursive(true)
        .mode(folder_mode)
        .create(folder)
        .map_err(failed("make the folder of"))?;
    let existing = std::fs::metadata(path).ok();
    let mut staged = tempfile::Builder::new()
        .prefix(".ken-langfuse-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(failed("write beside"))?;
    staged.write_all(bytes).map_err(failed("write"))?;
    let mode = existing.as_ref().map_or(mode.unwrap_or(0o644), |m| m.mode() & 0o7777);
    let handle = staged.as_file();
    handle.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed("set the mode of"))?;
    if let Some(existing) = existing
        && (existing.uid() != rustix::process::geteuid().as_raw()
            || existing.gid() != rustix::process::getegid().as_raw())
    {
        std::os::unix::fs::fchown(handle, Some(existing.uid()), Some(existing.gid()))
            .map_err(failed("keep the owner of"))?;
    }
    handle.sync_all().map_err(failed("sync"))?;
    staged.persist(path).map_err(|error| failed("replace")(error.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(failed("sync the folder of"))
}

fn remove_file(path: &Path) -> Result<(), ApplyError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ApplyError::File { operation: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Stores the policy that a run follows, so that a later rollback can follow it again.
pub(super) fn keep_policy(site: &Site, run: &str, text: &str) -> Result<(), ApplyError> {
    write(&site.run_policy(run), text.as_bytes(), Some(0o600))
}

/// Makes our folder and its `.gitignore`, so that neither state nor secrets are ever committed by `git add .`.
pub(super) fn prepare_folder(site: &Site) -> Result<(), ApplyError> {
    ignore(site.state())?;
    // Beside Ken our Compose file may be committed; alone nothing of ours is worth it.
    if site.ken_file().is_none() { ignore(site.folder()) } else { Ok(()) }
}

fn ignore(folder: PathBuf) -> Result<(), ApplyError> {
    let path = folder.join(".gitignore");
    if path.exists() {
        return Ok(());
    }
    let failed = |source| ApplyError::File { operation: "write", path: path.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let mut file =
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(b"*\n").map_err(failed)
}
