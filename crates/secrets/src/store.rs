//! The file of secrets: written once, kept for ever, refused when others could read it.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::generate::{NoRandomness, generate};
use crate::write::remove_leftovers;
use crate::{GitState, Need, Origin, Secret, SecretName, SecretSet, WriteError, git_tracked, write_private};

const FILE: &str = "secrets.env";
/// Fourteen lines are never this long.
const LIMIT: u64 = 64 * 1024;
const HEADER: &str = "\
# The secrets of Langfuse beside Ken. Kept on every run; never made anew over existing data.
# Back this file up: the data cannot be used without it. Never commit it.
";

/// Why the secrets could not be read. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not a plain file of ours.
    #[error("{} is {what}; move it away", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Others could read it.
    #[error("{} can be read by others (mode {mode:04o}); mend it with: chmod 600 {0}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}; run this as that user, or chown it", path.display())]
    Owner {
        /// The path.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
    },
    /// Git has it.
    #[error(
        "{} is tracked by Git; untrack it with: git rm --cached {0}; and change every secret in it",
        path.display()
    )]
    TrackedByGit {
        /// The path.
        path: PathBuf,
    },
    /// A line that is no assignment.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The path.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// Why secrets could not be made. What was there is there still.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The existing file.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Some belong to other systems, and are not there.
    #[error("write these into {} as NAME=value lines: {}", file.display(), keys(names))]
    Provide {
        /// Where to.
        file: PathBuf,
        /// Which.
        names: Vec<SecretName>,
    },
    /// Data exists that was written with secrets that are gone.
    #[error(
        "{} were lost, and data exists that needs them; restore {} from your backup, or destroy the data with: cargo xtask rollback --purge",
        keys(names), file.display()
    )]
    Lost {
        /// Where they were.
        file: PathBuf,
        /// Which.
        names: Vec<SecretName>,
    },
    /// One that is ours to make was chosen by somebody, and our own services cannot take it.
    #[error("the value of {name} in {} does not fit: {rule}", file.display())]
    Unfit {
        /// Where it is.
        file: PathBuf,
        /// Which.
        name: SecretName,
        /// What is asked of it.
        rule: &'static str,
    },
    /// No randomness.
    #[error("cannot make secrets: {0}")]
    Randomness(String),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<NoRandomness> for InitError {
    fn from(error: NoRandomness) -> Self {
        Self::Randomness(error.to_string())
    }
}

fn keys(names: &[SecretName]) -> String {
    names.iter().map(|n| n.key()).collect::<Vec<_>>().join(", ")
}

/// What became of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeState {
    /// It was made now.
    Created,
    /// It was there.
    Kept,
}

impl OutcomeState {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Kept => "kept",
        }
    }
}

/// A secret after [`SecretStore::init`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub name: SecretName,
    /// What became of it.
    pub state: OutcomeState,
}

/// How a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretState {
    /// There, and as it must be.
    Present,
    /// Not there.
    Missing,
    /// There, and not as it should be.
    Weak {
        /// Why.
        why: String,
    },
}

/// A secret after [`SecretStore::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which.
    pub name: SecretName,
    /// Where it comes from.
    pub origin: Origin,
    /// How it is.
    pub state: SecretState,
}

/// Reads a file of secrets that is a plain file, ours, and closed to others; none when there is no file.
///
/// # Errors
/// [`LoadError`].
pub fn read_private(path: &Path) -> Result<Option<Zeroizing<String>>, LoadError> {
    let path = path.to_owned();
    let io = |source| LoadError::Io { path: path.clone(), source };
    // Not following a link is the check: between a look and an open the file could be swapped.
    let flags =
        i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()) => {
            drop(error);
            return Err(LoadError::NotAFile { path, what: "a symbolic link" });
        }
        Err(error) => return Err(io(error)),
    };
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(LoadError::NotAFile { path, what: "a folder or a device" });
    }
    if found.mode() & 0o077 != 0 {
        return Err(LoadError::Open { path, mode: found.mode() & 0o7777 });
    }
    let me = rustix::process::geteuid();
    if found.uid() != me.as_raw() && !me.is_root() {
        return Err(LoadError::Owner { path, owner: found.uid() });
    }
    if found.len() > LIMIT {
        return Err(LoadError::NotAFile { path, what: "larger than a file of secrets can be" });
    }
    // Room for everything at once: a growing buffer would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT as usize + 2));
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(io)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
        Err(_) => Err(LoadError::NotAFile { path, what: "not text" }),
    }
}

/// A folder with the file of secrets in it.
#[derive(Clone, Debug)]
pub struct SecretStore {
    dir: PathBuf,
}

impl SecretStore {
    /// The store of a folder, which need not exist yet.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Reads all secrets; a file that does not exist holds none.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self) -> Result<SecretSet, LoadError> {
        let Some(text) = read_private(&self.file())? else { return Ok(SecretSet::default()) };
        let set = self.parse(&text)?;
        if git_tracked(&self.file()) == GitState::Tracked {
            return Err(LoadError::TrackedByGit { path: self.file() });
        }
        Ok(set)
    }

    fn parse(&self, text: &str) -> Result<SecretSet, LoadError> {
        let mut set = SecretSet::default();
        for (index, line) in text.lines().enumerate() {
            let wrong = |problem: String| LoadError::Line { path: self.file(), line: index + 1, problem };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // What stands before no `=` may be a value that somebody pasted: it is not repeated.
            let (key, value) =
                line.split_once('=').ok_or_else(|| wrong("this is no NAME=value line".to_owned()))?;
            let name = SecretName::from_key(key.trim())
                .ok_or_else(|| wrong("the name before `=` is none of the known ones".to_owned()))?;
            // Whose store it is stands in the policy; what its owner may choose passes here.
            if let Some(violation) = name.requirement_from(Origin::Provided).violation(value.trim()) {
                return Err(wrong(format!("the value of {name} is not right: {violation}")));
            }
            if set.get(name).is_some() {
                return Err(wrong(format!("{name} is there twice")));
            }
            set.insert(name, Secret::new(value.trim().to_owned()));
        }
        Ok(set)
    }

    /// How each needed secret is. Changes nothing.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn check(&self, needs: &[Need]) -> Result<Vec<Status>, LoadError> {
        let set = self.load()?;
        let state = |need: &Need| {
            let Some(value) = set.get(need.name) else { return SecretState::Missing };
            if let Some(why) = need.name.requirement_from(need.origin).violation(value.expose()) {
                return SecretState::Weak { why: why.to_owned() };
            }
            let twin = set.iter().find(|(name, other)| *name != need.name && *other == value);
            match twin {
                Some((name, _)) => SecretState::Weak { why: format!("it is the same as {name}") },
                None => SecretState::Present,
            }
        };
        Ok(needs
            .iter()
            .map(|need| Status { name: need.name, origin: need.origin, state: state(need) })
            .collect())
    }

    /// Makes what is missing and keeps what is there.
    ///
    /// `data_exists` says that something may have been written with the secrets that are missing now.
    ///
    /// # Errors
    /// [`InitError`]; nothing was written then.
    pub fn init(&self, needs: &[Need], data_exists: bool) -> Result<Vec<Outcome>, InitError> {
        let mut set = self.load()?;
        for need in needs {
            let rule = need.name.requirement_from(need.origin);
            if let Some(rule) = set.get(need.name).and_then(|value| rule.violation(value.expose())) {
                return Err(InitError::Unfit { file: self.file(), name: need.name, rule });
            }
        }
        let missing = |origin: Origin| -> Vec<SecretName> {
            needs.iter().filter(|n| n.origin == origin && set.get(n.name).is_none()).map(|n| n.name).collect()
        };
        let provide = missing(Origin::Provided);
        if !provide.is_empty() {
            return Err(InitError::Provide { file: self.file(), names: provide });
        }
        let make = missing(Origin::Generated);
        // Every secret is made by the first run. One that a changed policy newly needs may be made beside old ones, but an
        // empty file beside data has lost them.
        let nothing_left = set.names().next().is_none();
        let irreplaceable: Vec<SecretName> =
            make.iter().copied().filter(|name| nothing_left || *name == SecretName::EncryptionKey).collect();
        if data_exists && !irreplaceable.is_empty() {
            return Err(InitError::Lost { file: self.file(), names: irreplaceable });
        }
        for name in &make {
            set.insert(*name, generate(name.requirement())?);
        }
        remove_leftovers(&self.dir)?;
        if !make.is_empty() {
            write_private(&self.dir.join(".gitignore"), b"*\n")?;
            let mut text = Zeroizing::new(String::from(HEADER));
            for (name, value) in set.iter() {
                text.push_str(name.key());
                text.push('=');
                text.push_str(value.expose());
                text.push('\n');
            }
            write_private(&self.file(), text.as_bytes())?;
        }
        let state = |name| if make.contains(&name) { OutcomeState::Created } else { OutcomeState::Kept };
        Ok(needs.iter().map(|need| Outcome { name: need.name, state: state(need.name) }).collect())
    }
}
