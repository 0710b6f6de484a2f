//! The keys of a project: out of a private file, never out of an argument.

use std::fmt;
use std::path::{Path, PathBuf};

use ken_secrets::{GitState, LoadError, Secret, SecretName, SecretSet, git_tracked, read_private};

/// The names of the public and the secret key: as in a deployment's `secrets.env`, or as Langfuse's SDKs have them.
pub const KEY_NAMES: [(&str, &str); 2] =
    [("PROJECT_PUBLIC_KEY", "PROJECT_SECRET_KEY"), ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY")];

/// The API keys of a project.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub(crate) public: Secret,
    pub(crate) secret: Secret,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(redacted)")
    }
}

/// Why there are no keys. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file.
    #[error(transparent)]
    File(#[from] LoadError),
    /// No such file.
    #[error("there is no file {}", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// Neither pair of names is there.
    #[error(
        "{place} has no keys: PROJECT_PUBLIC_KEY and PROJECT_SECRET_KEY, or LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
    )]
    Missing {
        /// Where they were looked for.
        place: String,
    },
    /// A value that cannot be a key.
    #[error("{name} in {place} is not a key: it is empty or has other than printable characters")]
    Unfit {
        /// Which.
        name: &'static str,
        /// Where it is.
        place: String,
    },
}

impl Keys {
    /// Takes two values in.
    #[must_use]
    pub fn new(public: Secret, secret: Secret) -> Self {
        Self { public, secret }
    }

    /// Reads `NAME=value` lines out of a file that nobody else can read, such as a deployment's `secrets.env`.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let text = read_private(path)?.ok_or_else(|| KeysError::NoFile { path: path.to_owned() })?;
        if git_tracked(path) == GitState::Tracked {
            return Err(LoadError::TrackedByGit { path: path.to_owned() }.into());
        }
        let place = path.display().to_string();
        Self::find(&place, |name| {
            let assigned = text.lines().filter_map(|line| line.trim().split_once('='));
            let mut values = assigned.filter(|(key, _)| key.trim() == name);
            values.next().map(|(_, value)| Secret::new(value.trim().to_owned()))
        })
    }

    /// Finds the first pair of names that is complete; `place` is for errors.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn find(place: &str, find: impl Fn(&str) -> Option<Secret>) -> Result<Self, KeysError> {
        for (public_name, secret_name) in KEY_NAMES {
            let (Some(public), Some(secret)) = (find(public_name), find(secret_name)) else { continue };
            for (name, value) in [(public_name, &public), (secret_name, &secret)] {
                let value = value.expose();
                if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
                    return Err(KeysError::Unfit { name, place: place.to_owned() });
                }
            }
            return Ok(Self { public, secret });
        }
        Err(KeysError::Missing { place: place.to_owned() })
    }

    /// Both by name, for a [`Redactor`](ken_secrets::Redactor).
    #[must_use]
    pub fn secrets(&self) -> SecretSet {
        [
            (SecretName::ProjectPublicKey, self.public.clone()),
            (SecretName::ProjectSecretKey, self.secret.clone()),
        ]
        .into_iter()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(text: &str, mode: u32) -> Result<Keys, KeysError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.env");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Keys::read(&path)
    }

    #[test]
    fn either_pair_of_names_is_read() {
        for names in KEY_NAMES {
            let text = format!("# keys\nSALT=x\n{} = pk-lf-1 \n{}=sk-lf-2\n", names.0, names.1);
            let keys = read(&text, 0o600).unwrap();
            assert_eq!((keys.public.expose(), keys.secret.expose()), ("pk-lf-1", "sk-lf-2"));
            assert_eq!(format!("{keys:?}"), "Keys(redacted)");
        }
    }

    #[test]
    fn each_fault_has_its_own_words_and_none_a_value() {
        let pair = "PROJECT_PUBLIC_KEY=pk-lf-value\nPROJECT_SECRET_KEY=";
        let cases = [
            (format!("{pair}sk-lf-value\n"), 0o644, "can be read by others"),
            ("PROJECT_PUBLIC_KEY=pk-lf-value\n".to_owned(), 0o600, "has no keys"),
            (format!("{pair}\n"), 0o600, "PROJECT_SECRET_KEY in"),
            (format!("{pair}sk lf value\n"), 0o600, "is not a key"),
        ];
        for (text, mode, words) in cases {
            let error = read(&text, mode).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("value"), "{error}");
        }
        let error = Keys::read(Path::new("no-such-folder/keys.env")).unwrap_err();
        assert_eq!(error.to_string(), "there is no file no-such-folder/keys.env");
    }
}
