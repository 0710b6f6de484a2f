//! What a reader asks for: parameters, filters and cursor of `GET /v2/observations`, checked and made
//! into one SQL condition. Parsing touches neither the store nor HTTP.

mod columns;
mod cursor;
mod filter;
mod params;
mod scores;

pub(crate) use columns::Column;
pub use cursor::Cursor;
pub(crate) use filter::filters_of;
pub use filter::{Filter, parse_filters};
pub use params::{Fields, ObservationQuery, QueryError};
pub(crate) use scores::{ScoreQuery, cursor as score_cursor};

use rusqlite::types::Value as Sql;

impl ObservationQuery {
    /// The `WHERE` part besides the project, with its parameters in order.
    pub(crate) fn condition(&self) -> (String, Vec<Sql>) {
        let mut parts = vec!["1".to_owned()];
        let mut parameters = Vec::new();
        for filter in &self.filters {
            parts.push(filter.sql(&mut parameters));
        }
        if let Some(cursor) = &self.cursor {
            parts.push("(start_ms, trace_hash, id) < (?, ?, ?)".to_owned());
            parameters.push(Sql::Integer(cursor.start_ms));
            parameters.push(Sql::Integer(i64::from(crate::xxhash::xxhash32(cursor.trace_id.as_bytes()))));
            parameters.push(Sql::Text(cursor.id.clone()));
        }
        (parts.join(" AND "), parameters)
    }
}
