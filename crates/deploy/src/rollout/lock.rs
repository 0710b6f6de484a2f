//! One deploy at a time. The kernel holds the lock, so a killed holder never leaves it behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Who started it.
    pub user: String,
    /// Since when.
    pub since: Timestamp,
    /// What for.
    pub reason: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} (pid {}) since {}, reason: {}",
            self.user,
            self.pid,
            self.since.strftime("%F %TZ"),
            self.reason
        )
    }
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("held by {}", holder.as_ref().map_or_else(|| "an unknown process".to_owned(), ToString::to_string))]
    Held {
        /// Who.
        holder: Option<Holder>,
        /// Whether that process is gone and only a command that it started still works.
        orphaned: bool,
    },
    /// The system refused.
    #[error("cannot {operation} the lock {}", path.display())]
    Io {
        /// A verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
}

/// The lock, held until it is dropped and no child that was handed it works any more.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, or says who has it. Makes the folder if need be.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path, reason: &str, now: Timestamp) -> Result<Self, LockError> {
        let io = |operation: &'static str| {
            move |source| LockError::Io { operation, path: path.to_owned(), source }
        };
        if let Some(folder) = path.parent() {
            if let Some(ours) = folder.parent() {
                std::fs::create_dir_all(ours).map_err(io("make the folder of"))?;
            }
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(io("make the folder of"))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read(&mut file);
                let orphaned = holder.as_ref().is_some_and(|h| !alive(h.pid));
                return Err(LockError::Held { holder, orphaned });
            }
            Err(TryLockError::Error(source)) => return Err(io("take")(source)),
        }
        let holder = Holder {
            pid: std::process::id(),
            user: std::env::var("USER")
                .or_else(|_| std::env::var("LOGNAME"))
                .unwrap_or_else(|_| "somebody".to_owned()),
            since: now,
            reason: reason.to_owned(),
        };
        let text = serde_json::to_vec(&holder).map_err(|e| io("write")(std::io::Error::other(e)))?;
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(&text))
            .map_err(io("write"))?;
        Ok(Self { file })
    }

    /// Who holds the lock of a path now; none when nobody does.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn holder(path: &Path) -> Result<Option<(Option<Holder>, bool)>, LockError> {
        let io = |source| LockError::Io { operation: "read", path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                let holder = read(&mut file);
                let orphaned = holder.as_ref().is_some_and(|h| !alive(h.pid));
                Ok(Some((holder, orphaned)))
            }
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// A handle for a child: the lock stays held while the child has it.
    #[must_use]
    pub fn handle(&self) -> Option<File> {
        self.file.try_clone().ok()
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn alive(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/lock");
        let first = Lock::take(&path, "deploy run-0001", Timestamp::UNIX_EPOCH).unwrap();
        let error = Lock::take(&path, "other", Timestamp::UNIX_EPOCH).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("pid {}", std::process::id())) && text.contains("deploy run-0001"),
            "{text}"
        );
        assert!(Lock::holder(&path).unwrap().is_some());
        drop(first);
        assert!(Lock::holder(&path).unwrap().is_none());
        Lock::take(&path, "other", Timestamp::UNIX_EPOCH).unwrap();
        a_child_that_was_handed_it_keeps_it();
    }

    /// Called by the test above and no test of its own: a fork of it would hold that one's file for an instant.
    fn a_child_that_was_handed_it_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path, "deploy", Timestamp::UNIX_EPOCH).unwrap();
        let child = duct::cmd("sleep", ["30"]).stdin_file(lock.handle().unwrap()).start().unwrap();
        drop(lock);
        assert!(matches!(Lock::take(&path, "again", Timestamp::UNIX_EPOCH), Err(LockError::Held { .. })));
        child.kill().unwrap();
        // The handle keeps the parent's copy of the file.
        let _ = child.wait();
        drop(child);
        Lock::take(&path, "again", Timestamp::UNIX_EPOCH).unwrap();
    }
}
