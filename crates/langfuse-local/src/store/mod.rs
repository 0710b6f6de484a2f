//! Observations, projects and keys in one SQLite file.
//!
//! One thread writes, in group commits; any number of connections read. A write is answered only after
//! its commit is on the disk. Nothing here knows HTTP or OTLP.

mod browse;
mod charts;
mod documents;
mod metrics;
mod project;
mod reader;
mod schema;
mod scores;
mod writer;

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

pub(crate) use browse::{
    Level, MAX_TRACE_ROWS, Part, SessionSummary, Sessions, TraceFilter, TracePage, TraceRow, TraceSummary,
};
pub(crate) use charts::{Charts, LatencyOfModel, LatencyStep, ToolErrors, UseOfModel};
pub(crate) use documents::Document;
pub use project::{KeyHolder, Project};
pub use reader::StoredObservation;
pub use writer::Batch;

use reader::Readers;
use writer::Writer;

const FILE_NAME: &str = "langfuse-local.sqlite";
const LOCK_NAME: &str = "lock";

/// Why a data folder could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder or a file in it is out of reach.
    #[error("cannot use data folder `{}`: {doing}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else has it open.
    #[error("data folder `{}` is in use by another running langfuse-local", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file is of a later version of this program.
    #[error("`{}` has schema version {found}, this program knows up to {known}: use a newer langfuse-local", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Our version.
        known: i64,
    },
    /// The file is no database, is damaged, or SQLite failed otherwise.
    #[error("cannot open `{}` as a database", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// SQLite's reason.
        #[source]
        source: rusqlite::Error,
    },
}

/// Why a read or a write failed.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store failed")]
    Database(#[source] Arc<rusqlite::Error>),
    /// The file has reached its bound; nothing was stored.
    #[error(
        "the store holds more than its bound of {limit} bytes: raise LANGFUSE_LOCAL_MAX_BYTES, or set \
         LANGFUSE_LOCAL_RETENTION_DAYS, or delete traces"
    )]
    Full {
        /// The bound in bytes.
        limit: u64,
    },
    /// The writer has been closed by a shutdown.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Database(Arc::new(source))
    }
}

/// An open data folder, held exclusively until it is dropped.
#[derive(Debug)]
pub struct Store {
    writer: Writer,
    readers: Readers,
    // Declared last: the lock goes when everything else is closed.
    _lock: File,
}

impl Store {
    /// Opens the folder, creating it when it is missing.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_bounded(folder, None)
    }

    /// As [`Store::open`]; insertions are refused while the file holds more than `max_bytes`.
    pub fn open_bounded(folder: &Path, max_bytes: Option<u64>) -> Result<Self, OpenError> {
        let failed = |doing| move |source| OpenError::Folder { path: folder.to_owned(), doing, source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create it"))?;
        let lock = private_file(&folder.join(LOCK_NAME)).map_err(failed("open its lock file"))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => OpenError::InUse { path: folder.to_owned() },
            std::fs::TryLockError::Error(source) => failed("lock it")(source),
        })?;
        let path = folder.join(FILE_NAME);
        // SQLite gives its side files the rights of the main file.
        private_file(&path).map_err(failed("open its database"))?;
        let connection = schema::open(&path)?;
        Ok(Self { writer: Writer::start(connection, max_bytes), readers: Readers::new(path), _lock: lock })
    }

    /// Stores a batch of rows; on return it is durable.
    pub fn insert(&self, batch: Batch) -> Result<(), StoreError> {
        self.writer.insert(batch)
    }

    /// Removes all observations of these traces.
    pub fn delete_traces(&self, project_id: &str, trace_ids: Vec<String>) -> Result<(), StoreError> {
        self.writer.delete_traces(project_id.to_owned(), trace_ids)
    }

    /// Removes all observations that began before this time (milliseconds since 1970), in steps between
    /// which other writes go on. Returns their number.
    pub fn expire(&self, before_ms: i64) -> Result<usize, StoreError> {
        let mut n_expired = 0;
        loop {
            match self.writer.expire(before_ms)? {
                0 => return Ok(n_expired),
                n_rows => n_expired += n_rows,
            }
        }
    }

    /// Gives the space of removed rows back to the file system. Needs as much free space as the file has.
    pub fn vacuum(&self) -> Result<(), StoreError> {
        self.writer.vacuum()
    }

    /// Makes sure that the project and its key exist. What exists already stays as it is.
    pub fn provision(&self, project: &Project, key: Option<(&str, &str)>) -> Result<(), StoreError> {
        self.writer
            .provision(project.clone(), key.map(|(public, secret)| project::NewKey::new(public, secret)))
    }

    /// The holder of a key pair, `None` when it is unknown.
    pub fn key_holder(&self, public: &str, secret: &str) -> Result<Option<KeyHolder>, StoreError> {
        self.readers.with(|connection| project::key_holder(connection, public, secret))
    }

    /// Whether a public key exists.
    pub fn knows_public_key(&self, public: &str) -> Result<bool, StoreError> {
        self.readers.with(|connection| project::knows_public_key(connection, public))
    }

    /// The rows that match, newest first, at most one more than the query's limit.
    pub fn observations(
        &self,
        project_id: &str,
        query: &crate::query::ObservationQuery,
    ) -> Result<Vec<StoredObservation>, StoreError> {
        self.readers.with(|connection| reader::observations(connection, project_id, query))
    }

    /// The groups of a metrics query.
    pub(crate) fn metrics(
        &self,
        project_id: &str,
        query: &crate::metrics::MetricsQuery,
    ) -> Result<crate::metrics::Groups, StoreError> {
        self.readers.with(|connection| metrics::groups(connection, project_id, query))
    }

    /// Stores scores; those with a known id replace the earlier ones. On return they are durable.
    pub fn put_scores(&self, project_id: &str, scores: Vec<crate::score::Score>) -> Result<(), StoreError> {
        self.writer.put_scores(project_id.to_owned(), scores)
    }

    /// Removes a score. One that is not there is no error.
    pub fn delete_score(&self, project_id: &str, id: &str) -> Result<(), StoreError> {
        self.writer.delete_score(project_id.to_owned(), id.to_owned())
    }

    /// The scores that match, newest first, at most one more than the query's limit.
    pub(crate) fn scores(
        &self,
        project_id: &str,
        query: &crate::query::ScoreQuery,
    ) -> Result<Vec<crate::score::Score>, StoreError> {
        self.readers.with(|connection| scores::list(connection, project_id, query))
    }

    /// Stores something made by hand, in place of what had its id.
    pub(crate) fn put_document(&self, project_id: &str, document: Document) -> Result<(), StoreError> {
        self.writer.put_document(project_id.to_owned(), document)
    }

    /// Removes something made by hand. What is not there is no error.
    pub(crate) fn delete_document(
        &self,
        project_id: &str,
        kind: &'static str,
        id: &str,
    ) -> Result<(), StoreError> {
        self.writer.delete_document(project_id.to_owned(), kind, id.to_owned())
    }

    /// All things of a kind, newest first.
    pub(crate) fn documents(
        &self,
        project_id: &str,
        kind: &'static str,
    ) -> Result<Vec<Document>, StoreError> {
        self.readers.with(|connection| documents::list(connection, project_id, kind))
    }

    /// The projects that have something of a kind.
    pub(crate) fn document_projects(&self, kind: &str) -> Result<Vec<String>, StoreError> {
        self.readers.with(|connection| documents::projects(connection, kind))
    }

    /// All projects, the oldest first.
    pub(crate) fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.readers.with(project::projects)
    }

    /// The traces that match, newest first.
    pub(crate) fn traces(
        &self,
        project_id: &str,
        filter: &TraceFilter,
        after: Option<&crate::query::Cursor>,
        limit: usize,
    ) -> Result<TracePage, StoreError> {
        self.readers.with(|connection| browse::traces(connection, project_id, filter, after, limit))
    }

    /// A trace in one line, `None` when nothing of it is stored.
    pub(crate) fn trace_summary(
        &self,
        project_id: &str,
        trace_id: &str,
    ) -> Result<Option<TraceSummary>, StoreError> {
        self.readers.with(|connection| browse::summary(connection, project_id, trace_id, ""))
    }

    /// The observations of a trace without their long texts.
    pub(crate) fn trace_rows(&self, project_id: &str, trace_id: &str) -> Result<Vec<TraceRow>, StoreError> {
        self.readers.with(|connection| browse::trace_rows(connection, project_id, trace_id))
    }

    /// Shows the long texts of these rows one after the other.
    pub(crate) fn contents<T>(
        &self,
        rows: &[i64],
        mut show: impl FnMut([&str; 4]) -> T,
    ) -> Result<Vec<Option<T>>, StoreError> {
        self.readers.with(|connection| {
            rows.iter().map(|seq| browse::with_contents(connection, *seq, &mut show)).collect()
        })
    }

    /// One long text, whole.
    pub(crate) fn text(
        &self,
        project_id: &str,
        trace_id: &str,
        seq: i64,
        part: Part,
    ) -> Result<Option<String>, StoreError> {
        self.readers.with(|connection| browse::text(connection, project_id, trace_id, seq, part))
    }

    /// The sessions of a time range.
    pub(crate) fn sessions(
        &self,
        project_id: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Sessions, StoreError> {
        self.readers.with(|connection| browse::sessions(connection, project_id, from_ms, to_ms))
    }

    /// The figures of the charts over a time range.
    pub(crate) fn charts(
        &self,
        project_id: &str,
        from_ms: i64,
        to_ms: i64,
        bucket_ms: i64,
    ) -> Result<Charts, StoreError> {
        self.readers.with(|connection| charts::charts(connection, project_id, from_ms, to_ms, bucket_ms))
    }

    /// When the newest observation of a project began.
    pub(crate) fn newest_ms(&self, project_id: &str) -> Result<Option<i64>, StoreError> {
        self.readers.with(|connection| browse::newest_ms(connection, project_id))
    }

    /// The number of observations of all projects.
    pub fn count(&self) -> Result<i64, StoreError> {
        self.readers.with(|connection| {
            connection.query_row("SELECT count(*) FROM observations", [], |row| row.get(0))
        })
    }

    /// Whether any observation began at or after this time.
    pub fn has_since(&self, start_ms: i64) -> Result<bool, StoreError> {
        self.readers.with(|connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM projects p JOIN observations o ON o.project_id = p.id
                    WHERE o.start_ms >= ?1)",
                [start_ms],
                |row| row.get(0),
            )
        })
    }

    /// Finishes all writes and closes the file. Later writes fail.
    pub fn close(&self) {
        self.writer.close();
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

fn read_only(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}
