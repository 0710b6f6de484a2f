//! Writes a private file whole or not at all.

use std::fs::{DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a private file could not be written. The old one, if any, is untouched.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something else than a file is there; a symbolic link is never followed.
    #[error("{} is {what}, not a plain file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The system refused.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// A verb.
        operation: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// How the files begin that are not in their place yet.
const STAGED: &str = ".new-";

/// Removes what killed writers left in a folder: such files hold secrets too. No writer may be at work.
pub(crate) fn remove_leftovers(folder: &Path) -> Result<(), WriteError> {
    let io = |source| WriteError::Io { operation: "tidy", path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io)?,
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        if entry.file_name().as_encoded_bytes().starts_with(STAGED.as_bytes()) {
            std::fs::remove_file(entry.path()).map_err(io)?;
        }
    }
    Ok(())
}

/// Writes `bytes` to a file with mode 0600 in a folder with mode 0700, which is made if need be.
///
/// Killed at any instant it leaves the old file or the new one, never a part.
///
/// # Errors
/// [`WriteError`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let io =
        |operation: &'static str| move |source| WriteError::Io { operation, path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            return Err(WriteError::NotAFile { path: path.to_owned(), what: "a symbolic link" });
        }
        Ok(found) if !found.is_file() => {
            return Err(WriteError::NotAFile { path: path.to_owned(), what: "a folder or a device" });
        }
        _ => {}
    }
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(above) = folder.parent() {
        std::fs::create_dir_all(above).map_err(io("make the folder of"))?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("make the folder of"))?;
    let mut staged = tempfile::Builder::new()
        .prefix(STAGED)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(io("write beside"))?;
    staged.write_all(bytes).map_err(io("write"))?;
    staged.as_file().sync_all().map_err(io("sync"))?;
    staged.persist(path).map_err(|error| io("replace")(error.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(io("sync the folder of"))
}
