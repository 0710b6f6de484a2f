//! The tables, and how a file of any age is brought to the present version.

use std::path::Path;

use rusqlite::Connection;

use super::OpenError;

/// One script per version. A released script never changes; a change of the tables is a new script.
const MIGRATIONS: [&str; 5] = [V1, V2, V3, V4, V5];

const V1: &str = "
CREATE TABLE projects (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    org_id TEXT NOT NULL,
    org_name TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE api_keys (
    public_key TEXT PRIMARY KEY NOT NULL,
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    salt BLOB NOT NULL,
    secret_hash BLOB NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE observations (
    project_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    trace_hash INTEGER NOT NULL,
    parent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    level TEXT NOT NULL,
    status_message TEXT NOT NULL,
    version TEXT NOT NULL,
    release TEXT NOT NULL,
    environment TEXT NOT NULL,
    trace_name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    tags TEXT NOT NULL,
    public INTEGER NOT NULL,
    is_app_root INTEGER NOT NULL,
    completion_start_ms INTEGER,
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    metadata TEXT NOT NULL,
    model TEXT NOT NULL,
    model_parameters TEXT NOT NULL,
    usage TEXT NOT NULL,
    input_usage REAL NOT NULL,
    output_usage REAL NOT NULL,
    total_usage REAL NOT NULL,
    cost TEXT NOT NULL,
    input_cost REAL,
    output_cost REAL,
    total_cost REAL NOT NULL,
    prompt_name TEXT NOT NULL,
    prompt_version INTEGER,
    experiment_id TEXT NOT NULL,
    experiment_name TEXT NOT NULL,
    experiment_dataset_id TEXT NOT NULL,
    ingestion_api_key TEXT NOT NULL,
    ingestion_sdk_name TEXT NOT NULL,
    ingestion_sdk_version TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    UNIQUE (project_id, trace_id, id, start_ms)
) STRICT;
CREATE INDEX observations_by_time ON observations (project_id, start_ms DESC, trace_hash DESC, id DESC);
CREATE INDEX observations_recent ON observations (start_ms);
";

/// Long texts live in a table of their own, so that listing and measuring read narrow rows only. The
/// explicit key keeps row and content together when the file is vacuumed.
const V2: &str = "
CREATE TABLE narrow (
    seq INTEGER PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    trace_hash INTEGER NOT NULL,
    parent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    level TEXT NOT NULL,
    status_message TEXT NOT NULL,
    version TEXT NOT NULL,
    release TEXT NOT NULL,
    environment TEXT NOT NULL,
    trace_name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    tags TEXT NOT NULL,
    public INTEGER NOT NULL,
    is_app_root INTEGER NOT NULL,
    completion_start_ms INTEGER,
    model TEXT NOT NULL,
    usage TEXT NOT NULL,
    input_usage REAL NOT NULL,
    output_usage REAL NOT NULL,
    total_usage REAL NOT NULL,
    cost TEXT NOT NULL,
    input_cost REAL,
    output_cost REAL,
    total_cost REAL NOT NULL,
    prompt_name TEXT NOT NULL,
    prompt_version INTEGER,
    experiment_id TEXT NOT NULL,
    experiment_name TEXT NOT NULL,
    experiment_dataset_id TEXT NOT NULL,
    ingestion_api_key TEXT NOT NULL,
    ingestion_sdk_name TEXT NOT NULL,
    ingestion_sdk_version TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    UNIQUE (project_id, trace_id, id, start_ms)
) STRICT;
CREATE TABLE contents (
    observation INTEGER PRIMARY KEY NOT NULL,
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    metadata TEXT NOT NULL,
    model_parameters TEXT NOT NULL
) STRICT;
INSERT INTO contents SELECT rowid, input, output, metadata, model_parameters FROM observations;
INSERT INTO narrow SELECT rowid,
    project_id, trace_id, id, start_ms, end_ms, trace_hash, parent_id, name, kind, level, status_message,
    version, release, environment, trace_name, user_id, session_id, tags, public, is_app_root,
    completion_start_ms, model, usage, input_usage, output_usage, total_usage, cost, input_cost,
    output_cost, total_cost, prompt_name, prompt_version, experiment_id, experiment_name,
    experiment_dataset_id, ingestion_api_key, ingestion_sdk_name, ingestion_sdk_version, created_ms,
    updated_ms
    FROM observations;
DROP TABLE observations;
ALTER TABLE narrow RENAME TO observations;
CREATE INDEX observations_by_time ON observations (project_id, start_ms DESC, trace_hash DESC, id DESC);
CREATE TRIGGER contents_follow AFTER DELETE ON observations
BEGIN DELETE FROM contents WHERE observation = old.seq; END;
";

const V3: &str = "
ALTER TABLE observations ADD COLUMN tool_names TEXT NOT NULL DEFAULT '[]';
ALTER TABLE observations ADD COLUMN called_tool_names TEXT NOT NULL DEFAULT '[]';
";

const V4: &str = "
CREATE TABLE scores (
    project_id TEXT NOT NULL,
    id TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    data_type TEXT NOT NULL,
    value REAL,
    string_value TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    observation_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    config_id TEXT NOT NULL,
    queue_id TEXT NOT NULL,
    author_user_id TEXT NOT NULL,
    comment TEXT,
    metadata TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
) STRICT;
CREATE INDEX scores_by_time ON scores (project_id, timestamp_ms DESC, id DESC);
CREATE INDEX scores_by_trace ON scores (project_id, trace_id, observation_id);
";

const V5: &str = "
ALTER TABLE observations ADD COLUMN model_id TEXT NOT NULL DEFAULT '';
ALTER TABLE observations ADD COLUMN tier_id TEXT;
ALTER TABLE observations ADD COLUMN tier_name TEXT;
CREATE TABLE documents (
    project_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (project_id, kind, id)
) STRICT, WITHOUT ROWID;
";

/// Opens the file for writing, in WAL mode and at the present version.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    prepare(&mut connection, found).map_err(failed)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection, found: i64) -> Result<(), rusqlite::Error> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    debug_assert_eq!(mode, "wal");
    // FULL: what was answered survives a power cut too; group commits make it affordable.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -11264;
         PRAGMA wal_autocheckpoint = 4096; PRAGMA temp_store = MEMORY;",
    )?;
    let steps = MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or_default());
    for (step_idx, script) in steps {
        let transaction = connection.transaction()?;
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "user_version", step_idx as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
