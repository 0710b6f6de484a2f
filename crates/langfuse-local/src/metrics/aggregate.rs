//! Rows become groups, and values of a group become one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use serde_json::{Number, Value, json};

use crate::observation::js_number;

use super::grammar::{Aggregation, Metric, MetricsQuery};
use super::histogram::Histogram;
use super::view::{Measure, MeasureKind};

/// Decimal places that Langfuse's cost columns keep.
const DECIMAL_UNITS: f64 = 1e12;

/// One cell of a group's key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Number(f64),
    Truth(bool),
}

impl Cell {
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::from(text.clone()),
            Self::Number(number) => js_number(*number),
            Self::Truth(truth) => Value::from(*truth),
        }
    }

    /// Appends what tells it from any other cell.
    fn identify(&self, key: &mut Vec<u8>) {
        match self {
            Self::Null => key.push(0),
            Self::Text(text) => {
                key.push(1);
                key.extend_from_slice(&(text.len() as u64).to_le_bytes());
                key.extend_from_slice(text.as_bytes());
            }
            Self::Number(number) => {
                key.push(2);
                key.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Self::Truth(truth) => key.extend_from_slice(&[3, u8::from(*truth)]),
        }
    }
}

/// A measured value of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Measured<'a> {
    Number(f64),
    Text(&'a [u8]),
}

/// A measure that at least one metric is about, with all that has to be kept for it.
#[derive(Debug)]
struct Kept {
    measure: &'static Measure,
    values: bool,
    distinct: bool,
    n_bins: Option<usize>,
}

/// What is known about one measure in one group.
#[derive(Debug, Default)]
struct Accumulator {
    n_values: u64,
    sum: f64,
    /// In units of the last decimal place, for decimals.
    exact: i128,
    lowest: f64,
    highest: f64,
    values: Vec<f64>,
    distinct: Option<HashSet<u64>>,
    histogram: Option<Box<Histogram>>,
}

/// A group: when, of what, and how much.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) start_ms: Option<i64>,
    pub(super) cells: Vec<Cell>,
    n_rows: u64,
    accumulators: Vec<Accumulator>,
}

/// All groups of a query.
#[derive(Debug)]
pub(crate) struct Groups {
    kept: Vec<Kept>,
    index: HashMap<Box<[u8]>, usize>,
    groups: Vec<Group>,
    hasher: RandomState,
    key: Vec<u8>,
}

impl Groups {
    pub(crate) fn new(query: &MetricsQuery) -> Self {
        let mut kept: Vec<Kept> = Vec::new();
        for metric in &query.metrics {
            let at = kept.iter().position(|it| it.measure == metric.measure).unwrap_or_else(|| {
                kept.push(Kept { measure: metric.measure, values: false, distinct: false, n_bins: None });
                kept.len() - 1
            });
            kept[at].values |= metric.aggregation.level().is_some();
            kept[at].distinct |= metric.aggregation == Aggregation::Uniq;
            if metric.aggregation == Aggregation::Histogram {
                kept[at].n_bins = Some(query.n_bins);
            }
        }
        let mut groups = Self {
            kept,
            index: HashMap::new(),
            groups: Vec::new(),
            hasher: RandomState::new(),
            key: Vec::new(),
        };
        // Without anything to group by there is one row, of nothing if need be.
        if query.dimensions.is_empty() && query.granularity.is_none() {
            groups.find(None, &[]);
        }
        groups
    }

    /// The measures whose values [`Groups::add`] expects, in order.
    pub(crate) fn measures(&self) -> impl Iterator<Item = &'static Measure> {
        self.kept.iter().map(|it| it.measure)
    }

    /// Takes one row. `measured` has one entry for each of [`Groups::measures`].
    pub(crate) fn add(&mut self, start_ms: Option<i64>, cells: &[Cell], measured: &[Option<Measured<'_>>]) {
        let at = self.find(start_ms, cells);
        let group = &mut self.groups[at];
        group.n_rows += 1;
        for ((accumulator, kept), value) in group.accumulators.iter_mut().zip(&self.kept).zip(measured) {
            let Some(value) = value else { continue };
            if kept.distinct {
                let hash = match value {
                    Measured::Number(number) => self.hasher.hash_one(number.to_bits()),
                    Measured::Text(text) => self.hasher.hash_one(text),
                };
                accumulator.distinct.get_or_insert_default().insert(hash);
            }
            let number = match value {
                Measured::Number(number) if !number.is_nan() => *number,
                Measured::Number(_) => continue,
                Measured::Text(_) => {
                    accumulator.n_values += 1;
                    continue;
                }
            };
            accumulator.take(number, kept);
        }
    }

    fn find(&mut self, start_ms: Option<i64>, cells: &[Cell]) -> usize {
        self.key.clear();
        self.key.extend_from_slice(&start_ms.unwrap_or_default().to_le_bytes());
        for cell in cells {
            cell.identify(&mut self.key);
        }
        if let Some(at) = self.index.get(self.key.as_slice()) {
            return *at;
        }
        let accumulators = self.kept.iter().map(|_kept| Accumulator::default()).collect();
        self.groups.push(Group { start_ms, cells: cells.to_vec(), n_rows: 0, accumulators });
        match self.index.entry(self.key.as_slice().into()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(self.groups.len() - 1),
        }
    }

    /// Every group with its results, one for each metric; the number of rows when nothing else is asked.
    pub(super) fn results(self, metrics: &[Metric]) -> Vec<(Group, Vec<Value>)> {
        let places: Vec<usize> = metrics
            .iter()
            .map(|metric| self.kept.iter().position(|it| it.measure == metric.measure).unwrap_or_default())
            .collect();
        let mut results = Vec::with_capacity(self.groups.len());
        for mut group in self.groups {
            for accumulator in &mut group.accumulators {
                accumulator.values.sort_unstable_by(f64::total_cmp);
            }
            let values = if metrics.is_empty() {
                vec![json!(group.n_rows)]
            } else {
                let of = |(metric, at): (&Metric, &usize)| group.accumulators[*at].result(metric);
                metrics.iter().zip(&places).map(of).collect()
            };
            results.push((group, values));
        }
        results
    }
}

impl Accumulator {
    fn take(&mut self, number: f64, kept: &Kept) {
        let is_first = self.n_values == 0;
        self.n_values += 1;
        self.lowest = if is_first { number } else { self.lowest.min(number) };
        self.highest = if is_first { number } else { self.highest.max(number) };
        self.sum += number;
        if kept.measure.kind == MeasureKind::Decimal {
            self.exact += (number * DECIMAL_UNITS).round() as i128;
        }
        if kept.values {
            self.values.push(number);
        }
        if let Some(n_bins) = kept.n_bins {
            self.histogram.get_or_insert_with(|| Box::new(Histogram::new(n_bins))).add(number);
        }
    }

    fn result(&self, metric: &Metric) -> Value {
        let measure = metric.measure;
        let sum =
            if measure.kind == MeasureKind::Decimal { self.exact as f64 / DECIMAL_UNITS } else { self.sum };
        let of_some = |number: f64| if self.n_values == 0 { nothing(measure) } else { js_number(number) };
        match metric.aggregation {
            Aggregation::Count => json!(self.n_values),
            Aggregation::Uniq => json!(self.distinct.as_ref().map_or(0, HashSet::len)),
            Aggregation::Sum => of_some(sum),
            Aggregation::Min => of_some(self.lowest),
            Aggregation::Max => of_some(self.highest),
            Aggregation::Avg if self.n_values == 0 => Value::Null,
            Aggregation::Avg => js_number(sum / self.n_values as f64),
            Aggregation::Histogram => {
                let bins = self.histogram.as_ref().map(|it| it.as_ref().clone().bins()).unwrap_or_default();
                let number = |it: f64| Number::from_f64(it).map_or(Value::Null, |_finite| js_number(it));
                bins.into_iter()
                    .map(|(low, high, height)| json!([number(low), number(high), number(height)]))
                    .collect()
            }
            level => {
                level.level().and_then(|level| quantile(&self.values, level)).map_or(Value::Null, js_number)
            }
        }
    }
}

/// What an empty set gives: null where the column may be null, and 0 where it may not.
pub(super) fn nothing(measure: &Measure) -> Value {
    if measure.is_nullable { Value::Null } else { json!(0) }
}

/// Between the two nearest ranks, as ClickHouse's `quantile` does. `sorted` is in rising order.
fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = level * last as f64;
    let left = (rank as usize).min(last);
    let right = (left + 1).min(last);
    let (toward_right, toward_left) = (rank - left as f64, (left + 1) as f64 - rank);
    Some(if right == left { sorted[left] } else { sorted[left] * toward_left + sorted[right] * toward_right })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_nearest_ranks() {
        let values = [10.0, 20.0, 40.0];
        assert_eq!(quantile(&values, 0.5), Some(20.0));
        assert_eq!(quantile(&values, 0.75), Some(30.0));
        assert_eq!(quantile(&values[..1], 0.99), Some(10.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
