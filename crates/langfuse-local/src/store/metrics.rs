//! Reading for metrics: one pass over the narrow rows, without any text that is not asked for.

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, Row, params, params_from_iter};
use serde_json::{Map, Value};

use crate::metrics::{Cell, Dimension, DimensionKind, Expand, Groups, Measured, MetricsQuery};

/// A range that holds at least one row in so many of those stored between its first and its last is read
/// straight through; a thinner one by index.
const DENSE: i64 = 6;

/// Reads all rows that match into groups.
pub(super) fn groups(
    connection: &Connection,
    project_id: &str,
    query: &MetricsQuery,
) -> Result<Groups, rusqlite::Error> {
    let mut groups = Groups::new(query);
    let measures: Vec<_> = groups.measures().collect();
    let mut columns = vec![if query.granularity.is_some() { query.view.time } else { "0" }];
    columns.extend(query.dimensions.iter().map(|it| it.sql));
    columns.extend(measures.iter().map(|it| it.sql));
    let mut parameters =
        vec![Sql::Text(project_id.to_owned()), Sql::Integer(query.from_ms), Sql::Integer(query.to_ms)];
    let (table, time) = (query.view.table, query.view.time);
    let mut conditions = vec![query.view.condition.to_owned()];
    conditions.extend(query.filters.iter().map(|it| it.sql(&mut parameters)));
    let is_observations = table == "observations";
    let source = match if is_observations { dense_range(connection, project_id, query)? } else { None } {
        Some((first, last)) => {
            conditions.push(format!("seq BETWEEN {first} AND {last}"));
            "observations NOT INDEXED".to_owned()
        }
        None => table.to_owned(),
    };
    // Only metadata lives elsewhere.
    let contents = if is_observations && query.reads_metadata() {
        " LEFT JOIN contents ON contents.observation = observations.seq"
    } else {
        ""
    };
    let sql = format!(
        "SELECT {} FROM {source}{contents} WHERE {table}.project_id = ? AND {time} BETWEEN ? AND ? AND {}",
        columns.join(", "),
        conditions.join(" AND ")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    let (n_dimensions, expanding) = (query.dimensions.len(), expanding(query));
    let mut cells = vec![Cell::Null; n_dimensions];
    while let Some(row) = rows.next()? {
        let start_ms = match query.granularity {
            Some(granularity) => Some(granularity.start(row.get(0)?)),
            None => None,
        };
        let mut measured = Vec::with_capacity(measures.len());
        for (at, _measure) in measures.iter().enumerate() {
            measured.push(match row.get_ref(1 + n_dimensions + at)? {
                ValueRef::Integer(number) => Some(Measured::Number(number as f64)),
                ValueRef::Real(number) => Some(Measured::Number(number)),
                ValueRef::Text(text) => Some(Measured::Text(text)),
                ValueRef::Null | ValueRef::Blob(_) => None,
            });
        }
        for (at, dimension) in query.dimensions.iter().enumerate() {
            if !expanding.contains(&at) {
                set(&mut cells[at], dimension, row.get_ref(1 + at)?);
            }
        }
        if expanding.is_empty() {
            groups.add(start_ms, &cells, &measured);
            continue;
        }
        let lists =
            expanding.iter().map(|at| entries(row, 1 + at)).collect::<Result<Vec<_>, rusqlite::Error>>()?;
        for picked in combinations(&lists) {
            for (at, (key, _value)) in expanding.iter().zip(&picked) {
                cells[*at] = Cell::Text((*key).clone());
            }
            for (measure, measured) in measures.iter().zip(&mut measured) {
                if let Expand::By(name) = measure.expand {
                    let of_name = |at: &usize| query.dimensions[*at].name == name;
                    let value = expanding.iter().position(of_name).and_then(|place| picked[place].1);
                    *measured = value.map(Measured::Number);
                }
            }
            groups.add(start_ms, &cells, &measured);
        }
    }
    Ok(groups)
}

/// The numbers of the first and the last row in the range, when it is dense enough to be read without an
/// index. Rows are numbered as they come, which is nearly the order of their times.
fn dense_range(
    connection: &Connection,
    project_id: &str,
    query: &MetricsQuery,
) -> Result<Option<(i64, i64)>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), min(seq), max(seq) FROM observations
            WHERE project_id = ?1 AND start_ms BETWEEN ?2 AND ?3",
    )?;
    let range = params![project_id, query.from_ms, query.to_ms];
    let (n_rows, first, last): (i64, Option<i64>, Option<i64>) =
        statement.query_row(range, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    Ok((last - first <= n_rows.saturating_mul(DENSE)).then_some((first, last)))
}

/// The places of dimensions that make several rows of one.
fn expanding(query: &MetricsQuery) -> Vec<usize> {
    let kinds = query.dimensions.iter().map(|it| it.kind).enumerate();
    kinds
        .filter(|(_, kind)| matches!(kind, DimensionKind::List | DimensionKind::Keys))
        .map(|(at, _)| at)
        .collect()
}

/// Sets a cell, reusing its memory.
fn set(cell: &mut Cell, dimension: &Dimension, value: ValueRef<'_>) {
    match (dimension.kind, value) {
        (DimensionKind::Optional, ValueRef::Text([])) => *cell = Cell::Null,
        (DimensionKind::Truth, ValueRef::Integer(number)) => *cell = Cell::Truth(number != 0),
        (DimensionKind::Truth, ValueRef::Real(number)) => *cell = Cell::Truth(number != 0.0),
        (_, ValueRef::Integer(number)) => *cell = Cell::Number(number as f64),
        (_, ValueRef::Real(number)) => *cell = Cell::Number(number),
        (_, ValueRef::Text(bytes)) => {
            let text = String::from_utf8_lossy(bytes);
            if let Cell::Text(known) = cell {
                known.clear();
                known.push_str(&text);
            } else {
                *cell = Cell::Text(text.into_owned());
            }
        }
        (_, ValueRef::Null | ValueRef::Blob(_)) => *cell = Cell::Null,
    }
}

type Entry = (String, Option<f64>);

/// The entries of a list, or of an object with their numbers.
fn entries(row: &Row<'_>, at: usize) -> Result<Vec<Entry>, rusqlite::Error> {
    let ValueRef::Text(text) = row.get_ref(at)? else { return Ok(Vec::new()) };
    if let Ok(names) = serde_json::from_slice::<Vec<String>>(text) {
        return Ok(names.into_iter().map(|name| (name, None)).collect());
    }
    let object = serde_json::from_slice::<Map<String, Value>>(text).unwrap_or_default();
    Ok(object.into_iter().map(|(key, value)| (key, value.as_f64())).collect())
}

/// Every way to take one entry of each list.
fn combinations(lists: &[Vec<Entry>]) -> Vec<Vec<&Entry>> {
    lists.iter().fold(vec![Vec::new()], |ways, list| {
        ways.iter()
            .flat_map(|way| list.iter().map(move |entry| way.iter().copied().chain([entry]).collect()))
            .collect()
    })
}
