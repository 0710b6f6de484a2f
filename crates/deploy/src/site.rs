//! Where everything of ours lies: one folder beside Ken's Compose file.

use std::path::{Path, PathBuf};

use crate::stack::Role;

/// The paths of one deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// None where no Ken is.
    compose_file: Option<PathBuf>,
    directory: PathBuf,
    folder: &'static str,
}

impl Site {
    /// The site of a Compose file, whose path must be absolute and free of symbolic links.
    #[must_use]
    pub fn of(compose_file: PathBuf) -> Self {
        let directory = compose_file.parent().unwrap_or(Path::new("/")).to_owned();
        Self { compose_file: Some(compose_file), directory, folder: "langfuse" }
    }

    /// A site without Ken, in a folder of its own under this absolute path.
    #[must_use]
    pub fn alone(directory: PathBuf) -> Self {
        Self { compose_file: None, directory, folder: ".langfuse-local" }
    }

    /// Ken's Compose file; none where no Ken is.
    #[must_use]
    pub fn ken_file(&self) -> Option<&Path> {
        self.compose_file.as_deref()
    }

    /// The folder of Ken's Compose file.
    #[must_use]
    pub fn ken_directory(&self) -> &Path {
        &self.directory
    }

    /// Ken's `.env`, whether it exists or not.
    #[must_use]
    pub fn ken_env(&self) -> PathBuf {
        self.directory.join(".env")
    }

    /// Our folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.directory.join(self.folder)
    }

    /// Our Compose file.
    #[must_use]
    pub fn compose(&self) -> PathBuf {
        self.folder().join("compose.yml")
    }

    /// Our Compose file as Ken's `include:` names it.
    #[must_use]
    pub fn include_path(&self) -> &'static str {
        "langfuse/compose.yml"
    }

    /// The folder of secrets and environment files.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.folder().join("secrets")
    }

    /// A service's environment file.
    #[must_use]
    pub fn environment_file(&self, role: Role) -> PathBuf {
        self.secrets().join(format!("{role}.env"))
    }

    /// The folder of journal, lock and backups.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder().join("state")
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.state().join("journal.jsonl")
    }

    /// The lock.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// The file that tells Compose, in our calls only, that Ken's networks are not its to manage.
    #[must_use]
    pub fn ken_networks(&self) -> PathBuf {
        self.state().join("ken-networks.yml")
    }

    /// The copy of a file that we replaced, by the digest of its bytes.
    #[must_use]
    pub fn backup(&self, sha256: &str) -> PathBuf {
        self.state().join("backup").join(sha256)
    }

    /// The policy that a run followed.
    #[must_use]
    pub fn run_policy(&self, run: &str) -> PathBuf {
        self.state().join("runs").join(format!("{run}.toml"))
    }

    /// A path for people: relative to Ken's folder where it lies there.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        let parent = self.directory.parent().filter(|_| self.compose_file.is_some());
        let base = parent.unwrap_or(&self.directory);
        path.strip_prefix(base).unwrap_or(path).display().to_string()
    }
}
