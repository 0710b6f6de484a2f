//! Groups in their order, with gaps in time filled, as rows of the answer.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::aggregate::{Cell, Groups, nothing};
use super::grammar::{Aggregation, MetricsQuery};
use super::view::DimensionKind;

/// A group as a row: its time, its key and its results.
struct Row {
    start_ms: Option<i64>,
    cells: Vec<Value>,
    results: Vec<Value>,
}

/// The rows of the answer.
pub(crate) fn rows(query: &MetricsQuery, groups: Groups) -> Vec<Value> {
    let results = groups.results(&query.metrics).into_iter();
    let mut rows: Vec<Row> = results
        .map(|(group, results)| Row {
            start_ms: group.start_ms,
            cells: group.cells.iter().map(Cell::json).collect(),
            results,
        })
        .collect();
    rows.sort_by(|left, right| order(query, left, right));
    if query.order.is_empty() {
        fill(query, &mut rows);
    }
    rows.truncate(query.row_limit);
    rows.into_iter().map(|row| object(query, row)).collect()
}

/// Equal rows come in the order of their keys: an answer does not change from one time to the next.
fn order(query: &MetricsQuery, left: &Row, right: &Row) -> Ordering {
    let asked = if query.order.is_empty() {
        usual(query, left, right)
    } else {
        let mut each = query.order.iter().map(|it| by_field(query, &it.field, it.is_descending, left, right));
        each.find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut keys = left.cells.iter().zip(&right.cells).map(|(left, right)| directed(left, right, false));
    asked
        .then_with(|| keys.find(|it| it.is_ne()).unwrap_or(Ordering::Equal))
        .then_with(|| left.start_ms.cmp(&right.start_ms))
}

/// By time, else by the first metric from above, else by key.
fn usual(query: &MetricsQuery, left: &Row, right: &Row) -> Ordering {
    if query.granularity.is_some() {
        return left.start_ms.cmp(&right.start_ms);
    }
    match query.metrics.first() {
        Some(first) if first.aggregation != Aggregation::Histogram => {
            directed(&left.results[0], &right.results[0], true)
        }
        _ => Ordering::Equal,
    }
}

fn by_field(query: &MetricsQuery, field: &str, is_descending: bool, left: &Row, right: &Row) -> Ordering {
    if query.granularity.is_some() && field == "time_dimension" {
        let ordering = left.start_ms.cmp(&right.start_ms);
        return if is_descending { ordering.reverse() } else { ordering };
    }
    if let Some(at) = query.dimensions.iter().position(|it| it.name == field) {
        return directed(&left.cells[at], &right.cells[at], is_descending);
    }
    let metric = query.metrics.iter().position(|it| it.name() == field);
    metric.map_or(Ordering::Equal, |at| directed(&left.results[at], &right.results[at], is_descending))
}

/// Null is last in either direction, as in ClickHouse.
fn directed(left: &Value, right: &Value, is_descending: bool) -> Ordering {
    let null_last = left.is_null().cmp(&right.is_null());
    let ordering = match (left, right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => Ordering::Equal,
        },
    };
    null_last.then(if is_descending { ordering.reverse() } else { ordering })
}

/// A bucket without any row gets one that says so. The bucket that holds the range's end is not filled.
fn fill(query: &MetricsQuery, rows: &mut Vec<Row>) {
    let Some(granularity) = query.granularity else { return };
    let blank = |start_ms| Row {
        start_ms: Some(start_ms),
        cells: query.dimensions.iter().map(|it| blank_cell(it.kind)).collect(),
        results: if query.metrics.is_empty() {
            vec![Value::from(0)]
        } else {
            query.metrics.iter().map(|it| blank_result(it.aggregation, nothing(it.measure))).collect()
        },
    };
    let end = granularity.start(query.to_ms);
    let mut filled = Vec::new();
    let mut found = std::mem::take(rows).into_iter().peekable();
    let mut start_ms = granularity.start(query.from_ms);
    // What is cut off in the end need not be made.
    while filled.len() < query.row_limit && (start_ms < end || found.peek().is_some()) {
        let mut is_blank = start_ms < end;
        while let Some(row) = found.next_if(|row| row.start_ms.is_none_or(|it| it <= start_ms)) {
            filled.push(row);
            is_blank = false;
        }
        if is_blank {
            filled.push(blank(start_ms));
        }
        start_ms = granularity.next(start_ms);
    }
    *rows = filled;
}

fn blank_cell(kind: DimensionKind) -> Value {
    match kind {
        DimensionKind::Text | DimensionKind::List | DimensionKind::Keys => Value::from(""),
        DimensionKind::Truth => Value::from(false),
        DimensionKind::Optional | DimensionKind::Number => Value::Null,
    }
}

fn blank_result(aggregation: Aggregation, nothing: Value) -> Value {
    match aggregation {
        Aggregation::Count | Aggregation::Uniq => Value::from(0),
        Aggregation::Histogram => Value::Array(Vec::new()),
        _ => nothing,
    }
}

fn object(query: &MetricsQuery, row: Row) -> Value {
    let mut object = Map::new();
    for (dimension, cell) in query.dimensions.iter().zip(row.cells) {
        object.insert(dimension.name.to_owned(), cell);
    }
    if let Some(granularity) = query.granularity {
        let text = row.start_ms.and_then(|start_ms| granularity.text(start_ms));
        object.insert("time_dimension".to_owned(), text.map_or(Value::Null, Value::from));
    }
    if query.metrics.is_empty() {
        object.extend(row.results.into_iter().map(|count| ("count".to_owned(), count)));
    } else {
        object.extend(query.metrics.iter().map(super::grammar::Metric::name).zip(row.results));
    }
    Value::Object(object)
}
