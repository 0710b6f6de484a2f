//! The one function here that touches the world.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::{Policy, PolicyError, parse};

/// Policies have a few kilobytes.
const LIMIT: u64 = 1 << 20;

/// Why a policy could not be loaded. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing is there.
    #[error("no policy at {}; name one with --policy, or copy one of deploy/policies/", path.display())]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// A folder, a pipe or the like.
    #[error("{} is {what}, and a policy is a TOML file", path.display())]
    NotAFile {
        /// As it was given.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The system does not let us.
    #[error("{} may not be read by this user; `chmod u+r` it, or run this as its owner", path.display())]
    Forbidden {
        /// As it was given.
        path: PathBuf,
    },
    /// Larger than a policy can be.
    #[error("{} is larger than 1MiB, which no policy is; is it the right file?", path.display())]
    TooLarge {
        /// As it was given.
        path: PathBuf,
    },
    /// Not text.
    #[error("{} is not text in UTF-8; is it the right file?", path.display())]
    Binary {
        /// As it was given.
        path: PathBuf,
    },
    /// The system refused otherwise.
    #[error("cannot read {}", path.display())]
    Io {
        /// As it was given.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It was read, and is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Reads a policy from a file.
///
/// # Errors
/// [`LoadError`]; [`LoadError::Policy`] holds everything that is wrong with the text.
pub fn load(path: &Path) -> Result<Policy, LoadError> {
    let io = |source: std::io::Error| {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => LoadError::NotFound { path },
            ErrorKind::PermissionDenied => LoadError::Forbidden { path },
            _ => LoadError::Io { path, source },
        }
    };
    // Before the open: opening a pipe would wait for its writer.
    let found = std::fs::metadata(path).map_err(io)?;
    if !found.is_file() {
        let what = if found.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(LoadError::NotAFile { path: path.to_owned(), what });
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LIMIT {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(parse(&text, path)?),
        _ => Err(LoadError::Binary { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;

    #[test]
    fn each_bad_file_has_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert!(matches!(load(&folder.path().join("none")), Err(LoadError::NotFound { .. })));
        assert!(matches!(load(folder.path()), Err(LoadError::NotAFile { what: "a folder", .. })));
        assert!(matches!(load(Path::new("/dev/null")), Err(LoadError::NotAFile { .. })));
        assert!(matches!(load(&file("binary", b"\x7fELF\xff\xfe")), Err(LoadError::Binary { .. })));
        assert!(matches!(load(&file("nul", b"a = \0")), Err(LoadError::Binary { .. })));
        assert!(matches!(load(&file("large", &vec![b'#'; 1 << 21])), Err(LoadError::TooLarge { .. })));
        assert!(matches!(load(&file("wrong", b"x = 1")), Err(LoadError::Policy(_))));
        assert!(matches!(load(&file("file", b"").join("below")), Err(LoadError::Io { .. })));
        assert_eq!(load(&file("empty", b"")).unwrap(), Policy::default_for(Profile::Production));
    }
}
