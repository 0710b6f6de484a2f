//! Small things that people make by hand: models, dashboards and widgets, as JSON by kind and id.

use rusqlite::{Connection, Transaction, params};
use serde_json::Value;

/// A thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) updated_ms: i64,
    pub(crate) body: Value,
}

pub(super) fn put(
    transaction: &Transaction<'_>,
    project_id: &str,
    document: &Document,
) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
        params![
            project_id,
            document.kind,
            document.id,
            document.created_ms,
            document.updated_ms,
            document.body.to_string(),
        ],
    )?;
    Ok(())
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    project_id: &str,
    kind: &str,
    id: &str,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("DELETE FROM documents WHERE project_id = ?1 AND kind = ?2 AND id = ?3")?
        .execute(params![project_id, kind, id])?;
    Ok(())
}

/// All of a kind, newest first.
pub(super) fn list(
    connection: &Connection,
    project_id: &str,
    kind: &'static str,
) -> Result<Vec<Document>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, created_ms, updated_ms, body FROM documents WHERE project_id = ?1 AND kind = ?2
            ORDER BY updated_ms DESC, id DESC",
    )?;
    let rows = statement.query_map([project_id, kind], |row| {
        let body: String = row.get(3)?;
        Ok(Document {
            kind,
            id: row.get(0)?,
            created_ms: row.get(1)?,
            updated_ms: row.get(2)?,
            body: serde_json::from_str(&body).unwrap_or_default(),
        })
    })?;
    rows.collect()
}

/// The projects that have something of a kind.
pub(super) fn projects(connection: &Connection, kind: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare("SELECT DISTINCT project_id FROM documents WHERE kind = ?1")?;
    statement.query_map([kind], |row| row.get(0))?.collect()
}
