//! The journal on disk: append-only lines, each synced before its append is over.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Entry, FORMAT};

/// A journal that grows beyond this is not ours.
const LIMIT: u64 = 64 * 1024 * 1024;

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("cannot {operation} the journal {}", path.display())]
    Io {
        /// A verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A line in the middle that is none of ours. A torn last line is no error.
    #[error("line {line} of the journal {} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a later version of this tool.
    #[error("line {line} of the journal {} has format {found}; this version reads up to {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Its format.
        found: u32,
    },
}

/// The journal's file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    entries: Vec<Entry>,
    /// Where whole lines end; what follows is a torn write.
    whole: u64,
    /// After how many more appends the next one fails, as on a disk that is full.
    fails_after: Option<usize>,
}

impl Journal {
    /// Reads the journal; one that does not exist is empty. Nothing is written.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be read or is not ours.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { operation: "read", path: path.to_owned(), source };
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => {
                file.take(LIMIT).read_to_end(&mut bytes).map_err(io)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
        let mut entries = Vec::new();
        let mut whole = 0;
        for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let torn = line.last() != Some(&b'\n');
            if torn {
                break;
            }
            let number = index + 1;
            let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), line: number, why };
            let value: serde_json::Value =
                serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
            let format = value["v"].as_u64().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
            if format > FORMAT {
                return Err(JournalError::Newer { path: path.to_owned(), line: number, found: format });
            }
            entries.push(serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?);
            whole += line.len() as u64;
        }
        Ok(Self { path: path.to_owned(), file: None, entries, whole, fails_after: None })
    }

    /// Lets `appends` lines through and refuses the next one: to a run that is the same as being killed there.
    pub(crate) fn fail_after(&mut self, appends: usize) {
        self.fails_after = Some(appends);
    }

    /// All whole lines, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The position that the next line takes.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.entries.last().map_or(1, |e| e.seq + 1)
    }

    /// Appends a line and syncs it. A torn last line of a killed run is cut off first.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what could not be written whole is cut off again.
    pub fn append(&mut self, entry: Entry) -> Result<(), JournalError> {
        let path = self.path.clone();
        let io = |operation: &'static str| {
            let path = path.clone();
            move |source| JournalError::Io { operation, path, source }
        };
        if let Some(left) = &mut self.fails_after {
            if *left == 0 {
                return Err(io("write to")(std::io::Error::from(std::io::ErrorKind::StorageFull)));
            }
            *left -= 1;
        }
        if self.file.is_none() {
            let file =
                OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(io("open"))?;
            file.set_len(self.whole).map_err(io("repair"))?;
            file.sync_all().map_err(io("sync"))?;
            if let Some(folder) = path.parent() {
                File::open(folder).and_then(|f| f.sync_all()).map_err(io("sync the folder of"))?;
            }
            self.file = Some(file);
        }
        let Some(file) = self.file.as_mut() else { return Ok(()) };
        let mut line =
            serde_json::to_vec(&entry).map_err(|error| io("write")(std::io::Error::other(error)))?;
        line.push(b'\n');
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Half a line is worse than none for whoever reads the file with other tools.
            let _ = file.set_len(self.whole);
            return Err(io("write to")(error));
        }
        self.whole += line.len() as u64;
        self.entries.push(entry);
        Ok(())
    }
}
