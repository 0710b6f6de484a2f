//! What is known of a service between commands: its definition, its run, its log. All files are 0600.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::process::Process;

/// A log is looked at from here at most, in bytes before its end.
const TAIL: u64 = 64 * 1024;

/// What a service is, without a secret: those stay in its environment files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Definition {
    /// Identifies this container; a changed definition gets another.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) labels: BTreeMap<String, String>,
    /// Host address, host port, the service's port.
    pub(super) published: Vec<(String, u16, u16)>,
    /// Answers 200 when it is healthy.
    pub(super) health: Option<String>,
    /// The server's program and its arguments.
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) env_files: Vec<PathBuf>,
    /// Over the environment files, so that a change of a secret is seen.
    pub(super) env_digest: String,
    /// Folders that must be there.
    pub(super) volumes: Vec<PathBuf>,
    /// Seconds between SIGTERM and SIGKILL.
    pub(super) stop_grace: u64,
}

/// What a supervisor says of itself and its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) supervisor: Process,
    pub(super) server: Option<Process>,
    /// When the server was last started.
    pub(super) started_at: Timestamp,
    pub(super) restarts: u32,
    /// How the server last ended.
    pub(super) last_status: Option<i64>,
}

impl Definition {
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("definition.json")
    }

    pub(super) fn read(folder: &Path) -> Option<Self> {
        read(&Self::path(folder))
    }

    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        write(&Self::path(folder), self)
    }

    /// Equal but for the id.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        Self { id: other.id.clone(), ..self.clone() } == *other
    }
}

impl Run {
    fn path(folder: &Path) -> PathBuf {
        folder.join("run.json")
    }

    pub(super) fn read(folder: &Path) -> Option<Self> {
        read(&Self::path(folder))
    }

    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        write(&Self::path(folder), self)
    }
}

/// The log of both processes.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Whole or not at all.
fn write<T: Serialize>(path: &Path, value: &T) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    let mut staged = tempfile::NamedTempFile::new_in(folder)?;
    staged.write_all(&serde_json::to_vec_pretty(value)?)?;
    staged.as_file().sync_all()?;
    staged.persist(path)?;
    Ok(())
}

/// Makes a folder that is its owner's alone.
pub(super) fn make_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file to append, 0600 when it is new.
pub(super) fn private_append(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The last lines.
pub(super) fn tail(path: &Path, n_lines: usize) -> Vec<String> {
    let text = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = text().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(n_lines)..].iter().map(|line| (*line).to_owned()).collect()
}
