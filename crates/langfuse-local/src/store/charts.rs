//! The figures of the charts: one pass over the narrow rows of a bounded time range.

use std::collections::HashMap;

use rusqlite::{Connection, params};

/// Rows that are looked at; the newest ones when there are more.
const MAX_ROWS: usize = 2_000_000;
/// Names that are told apart; further ones are counted together, as names come from clients.
const MAX_NAMES: usize = 500;
/// What further names are counted as.
const OTHERS: &str = "(others)";
/// The quantiles that are drawn.
const LEVELS: [f64; 3] = [0.5, 0.95, 0.99];

/// The figures of all charts.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Charts {
    /// The most used model first.
    pub(crate) latency: Vec<LatencyOfModel>,
    /// The tool with most errors first.
    pub(crate) tools: Vec<ToolErrors>,
    /// The dearest model first.
    pub(crate) models: Vec<UseOfModel>,
    /// Only so many of the newest observations were counted.
    pub(crate) cut_short_at: Option<usize>,
}

/// The latency of one model, in milliseconds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LatencyOfModel {
    pub(crate) model: String,
    pub(crate) n_calls: usize,
    /// p50, p95 and p99 of the whole range.
    pub(crate) overall: [f64; 3],
    /// Those of every time step that has calls, by the step's beginning.
    pub(crate) steps: Vec<LatencyStep>,
}

/// The latency of a model within a time step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LatencyStep {
    pub(crate) start_ms: i64,
    pub(crate) n_calls: usize,
    pub(crate) quantiles: [f64; 3],
}

/// How often a tool was called and how often that failed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ToolErrors {
    pub(crate) name: String,
    pub(crate) n_calls: usize,
    pub(crate) n_errors: usize,
}

/// What a model was used for and what it cost.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct UseOfModel {
    pub(crate) model: String,
    pub(crate) n_calls: usize,
    pub(crate) input_tokens: f64,
    pub(crate) output_tokens: f64,
    pub(crate) total_tokens: f64,
    pub(crate) cost: f64,
}

#[derive(Default)]
struct Model {
    used: UseOfModel,
    latency: HashMap<i64, Vec<u32>>,
}

pub(super) fn charts(
    connection: &Connection,
    project_id: &str,
    from_ms: i64,
    to_ms: i64,
    bucket_ms: i64,
) -> Result<Charts, rusqlite::Error> {
    let bucket_ms = bucket_ms.max(1);
    let mut statement = connection.prepare_cached(
        "SELECT start_ms, end_ms, kind, name, level, model, input_usage, output_usage, total_usage, total_cost
         FROM observations WHERE project_id = ?1 AND start_ms >= ?2 AND start_ms < ?3
         ORDER BY start_ms DESC LIMIT ?4",
    )?;
    let mut rows = statement.query(params![project_id, from_ms, to_ms, MAX_ROWS as i64])?;
    let mut models: HashMap<String, Model> = HashMap::new();
    let mut tools: HashMap<String, ToolErrors> = HashMap::new();
    let mut n_rows = 0;
    while let Some(row) = rows.next()? {
        n_rows += 1;
        if row.get_ref(2)?.as_bytes()? == b"TOOL" {
            let name = row.get_ref(3)?.as_str()?;
            let tool = entry(&mut tools, name);
            tool.n_calls += 1;
            tool.n_errors += usize::from(row.get_ref(4)?.as_bytes()? == b"ERROR");
        }
        let model = row.get_ref(5)?.as_str()?;
        if model.is_empty() {
            continue;
        }
        let model = entry(&mut models, model);
        model.used.n_calls += 1;
        model.used.input_tokens += row.get::<_, f64>(6)?;
        model.used.output_tokens += row.get::<_, f64>(7)?;
        model.used.total_tokens += row.get::<_, f64>(8)?;
        model.used.cost += row.get::<_, f64>(9)?;
        let (start_ms, end_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        let latency = end_ms.saturating_sub(start_ms).clamp(0, i64::from(u32::MAX)) as u32;
        model.latency.entry(start_ms.div_euclid(bucket_ms)).or_default().push(latency);
    }
    let mut charts = Charts { cut_short_at: (n_rows == MAX_ROWS).then_some(MAX_ROWS), ..Charts::default() };
    for (name, model) in models {
        charts.latency.push(latency(&name, model.latency, bucket_ms));
        charts.models.push(UseOfModel { model: name, ..model.used });
    }
    charts.tools = tools.into_iter().map(|(name, tool)| ToolErrors { name, ..tool }).collect();
    charts.latency.sort_by(|a, b| b.n_calls.cmp(&a.n_calls).then_with(|| a.model.cmp(&b.model)));
    charts.tools.sort_by(|a, b| {
        (b.n_errors, b.n_calls).cmp(&(a.n_errors, a.n_calls)).then_with(|| a.name.cmp(&b.name))
    });
    charts.models.sort_by(|a, b| {
        let (dear, tokens) = (b.cost.total_cmp(&a.cost), b.total_tokens.total_cmp(&a.total_tokens));
        dear.then(tokens).then_with(|| a.model.cmp(&b.model))
    });
    Ok(charts)
}

fn entry<'a, T: Default>(map: &'a mut HashMap<String, T>, name: &str) -> &'a mut T {
    let name = if map.len() >= MAX_NAMES && !map.contains_key(name) { OTHERS } else { name };
    map.entry(name.to_owned()).or_default()
}

fn latency(model: &str, buckets: HashMap<i64, Vec<u32>>, bucket_ms: i64) -> LatencyOfModel {
    let mut all = Vec::with_capacity(buckets.values().map(Vec::len).sum());
    let mut steps = Vec::with_capacity(buckets.len());
    for (bucket, mut values) in buckets {
        all.extend_from_slice(&values);
        let n_calls = values.len();
        let start_ms = bucket.saturating_mul(bucket_ms);
        steps.push(LatencyStep { start_ms, n_calls, quantiles: quantiles(&mut values) });
    }
    steps.sort_by_key(|step| step.start_ms);
    LatencyOfModel { model: model.to_owned(), n_calls: all.len(), overall: quantiles(&mut all), steps }
}

fn quantiles(values: &mut [u32]) -> [f64; 3] {
    values.sort_unstable();
    LEVELS.map(|level| quantile(values, level))
}

/// Linear between the closest ranks, as ClickHouse's `quantile`. The values are sorted.
fn quantile(sorted: &[u32], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = level * last as f64;
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    let share = place - below as f64;
    f64::from(sorted[below]) * (1.0 - share) + f64::from(sorted[above]) * share
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMES, OTHERS, entry, quantile};
    use std::collections::HashMap;

    #[test]
    fn quantiles_lie_between_the_closest_ranks() {
        let check = |sorted: &[u32], level, expected: f64| {
            assert!((quantile(sorted, level) - expected).abs() < 1e-9, "{sorted:?} {level}");
        };
        check(&[7], 0.5, 7.0);
        check(&[1, 2], 0.5, 1.5);
        check(&[1, 2, 3, 4], 0.5, 2.5);
        check(&[10, 20, 30], 0.95, 29.0);
        check(&[0, 100], 0.99, 99.0);
        check(&[1, 2, 3, 4, 5], 1.0, 5.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let mut map: HashMap<String, usize> = HashMap::new();
        for number in 0..2 * MAX_NAMES {
            *entry(&mut map, &number.to_string()) += 1;
        }
        assert_eq!(map[OTHERS], MAX_NAMES);
        *entry(&mut map, "1") += 1;
        assert_eq!((map["1"], map.len()), (2, MAX_NAMES + 1));
    }
}
