//! Scores in the store.

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row, Transaction, params, params_from_iter};

use crate::query::ScoreQuery;
use crate::score::Score;

/// A score that is sent again replaces the earlier one; when it was first stored is kept.
const PUT: &str = "
INSERT INTO scores (
    project_id, id, timestamp_ms, name, source, data_type, value, string_value, trace_id, observation_id,
    session_id, experiment_id, environment, config_id, queue_id, author_user_id, comment, metadata,
    created_ms, updated_ms
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
ON CONFLICT (project_id, id) DO UPDATE SET
    timestamp_ms = excluded.timestamp_ms, name = excluded.name, source = excluded.source,
    data_type = excluded.data_type, value = excluded.value, string_value = excluded.string_value,
    trace_id = excluded.trace_id, observation_id = excluded.observation_id,
    session_id = excluded.session_id, experiment_id = excluded.experiment_id,
    environment = excluded.environment, config_id = excluded.config_id, queue_id = excluded.queue_id,
    author_user_id = excluded.author_user_id, comment = excluded.comment, metadata = excluded.metadata,
    updated_ms = excluded.updated_ms";

pub(super) fn put(
    transaction: &Transaction<'_>,
    project_id: &str,
    scores: &[Score],
) -> Result<(), rusqlite::Error> {
    let mut statement = transaction.prepare_cached(PUT)?;
    for score in scores {
        statement.execute(params![
            project_id,
            score.id,
            score.timestamp_ms,
            score.name,
            score.source,
            score.data_type,
            score.value,
            score.string_value,
            score.trace_id,
            score.observation_id,
            score.session_id,
            score.experiment_id,
            score.environment,
            score.config_id,
            score.queue_id,
            score.author_user_id,
            score.comment,
            super::writer::object_text(&score.metadata)?,
            score.created_ms,
            score.updated_ms,
        ])?;
    }
    Ok(())
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    project_id: &str,
    id: &str,
) -> Result<usize, rusqlite::Error> {
    transaction
        .prepare_cached("DELETE FROM scores WHERE project_id = ?1 AND id = ?2")?
        .execute(params![project_id, id])
}

/// The scores that match, newest first, at most one more than the query's limit.
pub(super) fn list(
    connection: &Connection,
    project_id: &str,
    query: &ScoreQuery,
) -> Result<Vec<Score>, rusqlite::Error> {
    let mut parameters = vec![Sql::Text(project_id.to_owned())];
    parameters.extend(query.parameters.iter().cloned());
    let after = match &query.cursor {
        Some((timestamp_ms, id)) => {
            parameters.extend([Sql::Integer(*timestamp_ms), Sql::Text(id.clone())]);
            "AND (timestamp_ms, id) < (?, ?)"
        }
        None => "",
    };
    parameters.push(Sql::Integer(i64::from(query.limit) + 1));
    let sql = format!(
        "SELECT id, timestamp_ms, name, source, data_type, value, string_value, trace_id, observation_id,
            session_id, experiment_id, environment, config_id, queue_id, author_user_id, comment, metadata,
            created_ms, updated_ms
        FROM scores WHERE project_id = ? AND {} {after} ORDER BY timestamp_ms DESC, id DESC LIMIT ?",
        query.condition
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params_from_iter(parameters), stored)?.collect()
}

fn stored(row: &Row<'_>) -> Result<Score, rusqlite::Error> {
    Ok(Score {
        id: row.get(0)?,
        timestamp_ms: row.get(1)?,
        name: row.get(2)?,
        source: row.get(3)?,
        data_type: row.get(4)?,
        value: row.get(5)?,
        string_value: row.get(6)?,
        trace_id: row.get(7)?,
        observation_id: row.get(8)?,
        session_id: row.get(9)?,
        experiment_id: row.get(10)?,
        environment: row.get(11)?,
        config_id: row.get(12)?,
        queue_id: row.get(13)?,
        author_user_id: row.get(14)?,
        comment: row.get(15)?,
        metadata: serde_json::from_str(&row.get::<_, String>(16)?).unwrap_or_default(),
        created_ms: row.get(17)?,
        updated_ms: row.get(18)?,
    })
}
