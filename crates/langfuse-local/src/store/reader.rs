//! Reading: a small pool of connections, and the one query that lists observations.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row, params_from_iter};

use crate::query::ObservationQuery;

use super::{StoreError, read_only};

/// Idle connections kept for reuse.
const MAX_IDLE: usize = 8;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => read_only(&self.path)?,
        };
        let result = read(&connection)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        Ok(result)
    }
}

/// A row as read. Columns that hold JSON are still text.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the API and of `Observation`")]
pub struct StoredObservation {
    pub id: String,
    pub trace_id: String,
    pub start_ms: i64,
    pub end_ms: i64,
    pub project_id: String,
    pub parent_id: String,
    pub kind: String,
    pub name: String,
    pub level: String,
    pub status_message: String,
    pub version: String,
    pub environment: String,
    pub completion_start_ms: Option<i64>,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub input: String,
    pub output: String,
    pub metadata: String,
    pub model: String,
    pub model_parameters: String,
    pub usage: String,
    pub input_usage: f64,
    pub output_usage: f64,
    pub total_usage: f64,
    pub cost: String,
    pub input_cost: Option<f64>,
    pub output_cost: Option<f64>,
    pub total_cost: f64,
    pub prompt_name: String,
    pub prompt_version: Option<i64>,
    pub user_id: String,
    pub session_id: String,
    pub is_app_root: bool,
    pub trace_name: String,
    pub release: String,
    pub tags: String,
    pub public: bool,
    pub model_id: String,
    pub tier_id: Option<String>,
    pub tier_name: Option<String>,
}

pub(super) fn observations(
    connection: &Connection,
    project_id: &str,
    query: &ObservationQuery,
) -> Result<Vec<StoredObservation>, rusqlite::Error> {
    let (condition, mut parameters) = query.condition();
    // Large texts are read only when they are asked for.
    let io = if query.fields.io { "input, output" } else { "'', ''" };
    let metadata = if query.fields.metadata { "metadata" } else { "'{}'" };
    let parameters_column = if query.fields.model { "model_parameters" } else { "'{}'" };
    let sql = format!(
        "SELECT id, trace_id, start_ms, end_ms, project_id, parent_id, kind, name, level, status_message, version,
            environment, completion_start_ms, created_ms, updated_ms, {io}, {metadata}, model,
            {parameters_column}, usage, input_usage, output_usage, total_usage, cost, input_cost, output_cost,
            total_cost, prompt_name, prompt_version, user_id, session_id, is_app_root, trace_name, release,
            tags, public, model_id, tier_id, tier_name
        FROM observations LEFT JOIN contents ON observation = seq WHERE project_id = ? AND {condition}
        ORDER BY start_ms DESC, trace_hash DESC, id DESC LIMIT ?"
    );
    parameters.insert(0, Sql::Text(project_id.to_owned()));
    parameters.push(Sql::Integer(i64::from(query.limit) + 1));
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params_from_iter(parameters), stored)?.collect()
}

fn stored(row: &Row<'_>) -> Result<StoredObservation, rusqlite::Error> {
    Ok(StoredObservation {
        id: row.get(0)?,
        trace_id: row.get(1)?,
        start_ms: row.get(2)?,
        end_ms: row.get(3)?,
        project_id: row.get(4)?,
        parent_id: row.get(5)?,
        kind: row.get(6)?,
        name: row.get(7)?,
        level: row.get(8)?,
        status_message: row.get(9)?,
        version: row.get(10)?,
        environment: row.get(11)?,
        completion_start_ms: row.get(12)?,
        created_ms: row.get(13)?,
        updated_ms: row.get(14)?,
        input: row.get(15)?,
        output: row.get(16)?,
        metadata: row.get(17)?,
        model: row.get(18)?,
        model_parameters: row.get(19)?,
        usage: row.get(20)?,
        input_usage: row.get(21)?,
        output_usage: row.get(22)?,
        total_usage: row.get(23)?,
        cost: row.get(24)?,
        input_cost: row.get(25)?,
        output_cost: row.get(26)?,
        total_cost: row.get(27)?,
        prompt_name: row.get(28)?,
        prompt_version: row.get(29)?,
        user_id: row.get(30)?,
        session_id: row.get(31)?,
        is_app_root: row.get(32)?,
        trace_name: row.get(33)?,
        release: row.get(34)?,
        tags: row.get(35)?,
        public: row.get(36)?,
        model_id: row.get(37)?,
        tier_id: row.get(38)?,
        tier_name: row.get(39)?,
    })
}
