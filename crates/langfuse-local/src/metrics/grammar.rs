//! The `query` parameter: its grammar, and its refusals in Langfuse's words.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::query::{Column, Filter, QueryError, filters_of};

use super::period::Granularity;
use super::view::{Dimension, Expand, Measure, MeasureKind, VIEWS, View};

const DEFAULT_ROW_LIMIT: usize = 100;
const DEFAULT_BINS: usize = 10;
/// More of either than any chart has.
const MAX_PARTS: usize = 50;
/// SQLite bounds the number of parameters.
const MAX_FILTERS: usize = 30;

/// A checked query.
#[derive(Debug)]
pub(crate) struct MetricsQuery {
    pub(crate) view: &'static View,
    pub(crate) dimensions: Vec<&'static Dimension>,
    /// Empty: rows are counted.
    pub(crate) metrics: Vec<Metric>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) granularity: Option<Granularity>,
    pub(crate) from_ms: i64,
    /// Inclusive.
    pub(crate) to_ms: i64,
    /// Columns of the answer; empty for the default order.
    pub(crate) order: Vec<Order>,
    pub(crate) row_limit: usize,
    pub(crate) n_bins: usize,
}

/// One column of the answer that is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Metric {
    pub(crate) measure: &'static Measure,
    pub(crate) aggregation: Aggregation,
}

impl Metric {
    pub(crate) fn name(&self) -> String {
        format!("{}_{}", self.aggregation.name(), self.measure.name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) field: String,
    pub(crate) is_descending: bool,
}

/// How many values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Avg,
    Count,
    Max,
    Min,
    P50,
    P75,
    P90,
    P95,
    P99,
    Histogram,
    Uniq,
}

impl Aggregation {
    const ALL: [Self; 12] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Max,
        Self::Min,
        Self::P50,
        Self::P75,
        Self::P90,
        Self::P95,
        Self::P99,
        Self::Histogram,
        Self::Uniq,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Max => "max",
            Self::Min => "min",
            Self::P50 => "p50",
            Self::P75 => "p75",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Histogram => "histogram",
            Self::Uniq => "uniq",
        }
    }

    /// The quantile's level, for those that are quantiles.
    pub(super) fn level(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P75 => Some(0.75),
            Self::P90 => Some(0.9),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }

    fn fits(self, kind: MeasureKind) -> bool {
        kind != MeasureKind::Text || matches!(self, Self::Count | Self::Uniq)
    }
}

impl MetricsQuery {
    /// Whether a filter is about metadata, which is kept apart.
    pub(crate) fn reads_metadata(&self) -> bool {
        self.filters.iter().any(|it| it.name == "metadata")
    }

    /// Reads the query string of the request.
    pub(crate) fn parse(query: &str) -> Result<Self, QueryError> {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        let Some((_, text)) = pairs.find(|(key, _)| key == "query") else {
            return Err(QueryError::Invalid(vec![
                json!({ "expected": "string", "code": "invalid_type", "path": ["query"],
                "message": "Invalid input: expected string, received undefined" }),
            ]));
        };
        let query: Value = serde_json::from_str(&text)
            .map_err(|_cause| QueryError::Request("Invalid JSON in query parameter".to_owned()))?;
        Self::of(&query)
    }

    fn of(query: &Value) -> Result<Self, QueryError> {
        let mut issues = Issues::default();
        if !query.is_object() {
            issues.expected("object", query_path(&[]), Some(query));
            return Err(QueryError::Invalid(issues.0));
        }
        let view_names = VIEWS.iter().map(|it| it.name).collect::<Vec<_>>();
        let view_name = issues.option(&view_names, query_path(&["view".into()]), query.get("view"));
        let dimensions = strings(&mut issues, query, "dimensions", "field");
        let metrics = asked_metrics(&mut issues, query);
        let filters = list(&mut issues, query, "filters");
        let granularity = asked_granularity(&mut issues, query);
        let from_ms = time(&mut issues, query, "fromTimestamp");
        let to_ms = time(&mut issues, query, "toTimestamp");
        let order = asked_order(&mut issues, query);
        let config = query.get("config").filter(|it| !it.is_null());
        let row_limit = whole(&mut issues, config, "row_limit", 1_000);
        let n_bins = whole(&mut issues, config, "bins", 100);
        for (name, n_parts, most) in [
            ("dimensions", dimensions.len(), MAX_PARTS),
            ("metrics", metrics.len(), MAX_PARTS),
            ("filters", filters.len(), MAX_FILTERS),
        ] {
            if n_parts > most {
                issues.0.push(json!({ "origin": "array", "code": "too_big", "maximum": most, "inclusive": true,
                    "path": ["query", name], "message": format!("Too big: expected array to have <={most} items") }));
            }
        }
        if !issues.0.is_empty() {
            return Err(QueryError::Invalid(issues.0));
        }
        let (Some(view), Some(from_ms), Some(to_ms)) =
            (VIEWS.iter().find(|it| Some(it.name) == view_name), from_ms, to_ms)
        else {
            return Err(QueryError::Request("Invalid query".to_owned()));
        };
        if from_ms >= to_ms {
            return Err(QueryError::issue(query_path(&[]), "fromTimestamp must be before toTimestamp"));
        }
        refuse_many(view, &dimensions, &metrics, granularity.is_some(), row_limit.is_some(), &order)?;
        let mut dimensions = dimensions
            .iter()
            .map(|name| {
                view.dimension(name).ok_or_else(|| {
                    let known = view.dimensions.iter().map(|it| it.name).collect::<Vec<_>>().join(",");
                    QueryError::Request(format!("Invalid dimension {name}. Must be one of {known}"))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let metrics = metrics
            .into_iter()
            .map(|(name, aggregation)| metric(view, &name, aggregation))
            .collect::<Result<Vec<_>, _>>()?;
        for metric in &metrics {
            if let Expand::By(name) = metric.measure.expand
                && !dimensions.iter().any(|it| it.name == name)
            {
                dimensions.extend(view.dimension(name));
            }
        }
        let resolve = |name: &str| column(view, name);
        refuse_misfits(view, &filters)?;
        let filters = filters_of(&filters, &query_path(&["filters".into()]), &resolve)?;
        for order in &order {
            let is_metric = || {
                metrics.iter().any(|it| it.name() == order.field && it.aggregation != Aggregation::Histogram)
            };
            let is_time = granularity.is_some() && order.field == "time_dimension";
            if !is_time && !dimensions.iter().any(|it| it.name == order.field) && !is_metric() {
                return Err(QueryError::Request(format!(
                    "Invalid orderBy field: {}. Must be one of the dimension or metric fields.",
                    order.field
                )));
            }
        }
        let granularity = granularity.map(|it| it.unwrap_or_else(|| Granularity::for_range(from_ms, to_ms)));
        Ok(Self {
            view,
            dimensions,
            metrics,
            filters,
            granularity,
            from_ms,
            to_ms,
            order,
            row_limit: row_limit.unwrap_or(DEFAULT_ROW_LIMIT),
            n_bins: n_bins.unwrap_or(DEFAULT_BINS),
        })
    }
}

/// Dimensions with nearly a value for each row need a bound that makes sense.
fn refuse_many(
    view: &View,
    dimensions: &[String],
    metrics: &[(String, Aggregation)],
    has_time: bool,
    has_limit: bool,
    order: &[Order],
) -> Result<(), QueryError> {
    let is_many = |name: &&String| view.dimension(name).is_some_and(|it| it.is_high_cardinality);
    let many: Vec<&str> = dimensions.iter().filter(is_many).map(String::as_str).collect();
    if many.is_empty() {
        return Ok(());
    }
    let subject = format!("High cardinality dimension(s) '{}'", many.join(", "));
    let refused = |why: String| Err(QueryError::Request(format!("{subject} {why}")));
    if has_time {
        return refused(
            "cannot be used with timeDimension. Time series queries with high cardinality dimensions produce \
             unbounded result sets."
                .to_owned(),
        );
    }
    let descending: Vec<&str> =
        order.iter().filter(|it| it.is_descending).map(|it| it.field.as_str()).collect();
    if !has_limit || descending.is_empty() {
        return refused(
            "require both 'config.row_limit' and 'orderBy' with direction 'desc' on a measure field."
                .to_owned(),
        );
    }
    let is_metric = |field: &str| metrics.iter().any(|(name, by)| field == format!("{}_{name}", by.name()));
    let others: Vec<&str> = descending.into_iter().filter(|field| !is_metric(field)).collect();
    if others.is_empty() {
        return Ok(());
    }
    let verb = if others.len() == 1 { "is" } else { "are" };
    refused(format!(
        "require 'orderBy' with direction 'desc' on a measure field. '{}' {verb} not a measure in this query.",
        others.join(", ")
    ))
}

fn metric(view: &'static View, name: &str, aggregation: Aggregation) -> Result<Metric, QueryError> {
    let Some(measure) = view.measure(name) else {
        let known = view.measures.iter().map(|it| it.name).collect::<Vec<_>>().join(",");
        return Err(QueryError::Request(format!("Invalid metric {name}. Must be one of {known}")));
    };
    if !aggregation.fits(measure.kind) {
        let fitting = Aggregation::ALL.iter().filter(|it| it.fits(measure.kind));
        let fitting = fitting.map(|it| it.name()).collect::<Vec<_>>().join(", ");
        return Err(QueryError::Request(format!(
            "Aggregation \"{}\" is not valid for measure \"{name}\" (type: string). Valid aggregations: {fitting}",
            aggregation.name()
        )));
    }
    Ok(Metric { measure, aggregation })
}

fn column(view: &View, name: &str) -> Result<Column, QueryError> {
    view.column(name).ok_or_else(|| {
        let known = view.dimensions.iter().map(|it| it.name).collect::<Vec<_>>().join(",");
        let time = view.time_names[0];
        QueryError::Request(format!("Invalid filter column {name}. Must be one of {known} or {time}"))
    })
}

/// Refusals that come before those of the filter's own shape.
fn refuse_misfits(view: &View, filters: &[Value]) -> Result<(), QueryError> {
    for filter in filters {
        let (name, kind) =
            (filter["column"].as_str().unwrap_or_default(), filter["type"].as_str().unwrap_or_default());
        if kind == "string" && matches!(view.column(name), Some(Column::List(_))) {
            return Err(QueryError::Request(format!(
                "Invalid filter for field '{name}': Array fields require type 'arrayOptions', not 'string'. Use \
                 operators like 'any of', 'all of', or 'none of' with an array of values."
            )));
        }
        if name == "metadata" && kind != "stringObject" {
            return Err(QueryError::Request(format!(
                "Invalid filter for field 'metadata': Metadata filters require type 'stringObject' with a 'key' \
                 property, not '{kind}'. Example: {{\"column\": \"metadata\", \"type\": \"stringObject\", \"key\": \
                 \"environment\", \"operator\": \"=\", \"value\": \"production\"}}"
            )));
        }
    }
    Ok(())
}

/// What does not fit the grammar, each with its place.
#[derive(Default)]
struct Issues(Vec<Value>);

impl Issues {
    fn expected(&mut self, expected: &str, path: Vec<Value>, found: Option<&Value>) {
        let received = crate::http::received(found);
        self.0.push(json!({ "expected": expected, "code": "invalid_type", "path": path,
            "message": format!("Invalid input: expected {expected}, received {received}") }));
    }

    fn option<'a>(
        &mut self,
        options: &[&'a str],
        path: Vec<Value>,
        found: Option<&Value>,
    ) -> Option<&'a str> {
        let known =
            found.and_then(Value::as_str).and_then(|text| options.iter().find(|known| **known == text));
        if known.is_none() {
            let quoted = options.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join("|");
            self.0.push(json!({ "code": "invalid_value", "values": options, "path": path,
                "message": format!("Invalid option: expected one of {quoted}") }));
        }
        known.copied()
    }
}

fn query_path(rest: &[Value]) -> Vec<Value> {
    std::iter::once(Value::from("query")).chain(rest.iter().cloned()).collect()
}

fn list(issues: &mut Issues, query: &Value, name: &str) -> Vec<Value> {
    match query.get(name) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        found => {
            issues.expected("array", query_path(&[name.into()]), found);
            Vec::new()
        }
    }
}

fn strings(issues: &mut Issues, query: &Value, name: &str, field: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, item) in list(issues, query, name).iter().enumerate() {
        match item.get(field) {
            Some(Value::String(text)) => found.push(text.clone()),
            other => issues.expected("string", query_path(&[name.into(), at.into(), field.into()]), other),
        }
    }
    found
}

fn asked_metrics(issues: &mut Issues, query: &Value) -> Vec<(String, Aggregation)> {
    if query.get("metrics").is_none() {
        issues.expected("array", query_path(&["metrics".into()]), None);
    }
    let measures = strings(issues, query, "metrics", "measure");
    let names = Aggregation::ALL.map(Aggregation::name);
    let mut aggregations = Vec::new();
    for (at, item) in list(&mut Issues::default(), query, "metrics").iter().enumerate() {
        let path = query_path(&["metrics".into(), at.into(), "aggregation".into()]);
        let name = issues.option(&names, path, item.get("aggregation"));
        aggregations.extend(Aggregation::ALL.iter().find(|it| Some(it.name()) == name));
    }
    measures.into_iter().zip(aggregations).collect()
}

/// None: no time dimension. Some(None): the range decides.
fn asked_granularity(issues: &mut Issues, query: &Value) -> Option<Option<Granularity>> {
    let asked = query.get("timeDimension").filter(|it| !it.is_null())?;
    if !asked.is_object() {
        issues.expected("object", query_path(&["timeDimension".into()]), Some(asked));
        return None;
    }
    let path = query_path(&["timeDimension".into(), "granularity".into()]);
    let options = ["auto", "minute", "hour", "day", "week", "month"];
    let name = issues.option(&options, path, asked.get("granularity"))?;
    Some(Granularity::named(name))
}

fn time(issues: &mut Issues, query: &Value, name: &str) -> Option<i64> {
    let Some(Value::String(text)) = query.get(name) else {
        issues.expected("string", query_path(&[name.into()]), query.get(name));
        return None;
    };
    let time = text.parse::<Timestamp>().ok();
    if time.is_none() {
        issues.0.push(json!({ "origin": "string", "code": "invalid_format", "format": "datetime",
            "path": ["query", name], "message": "Invalid ISO datetime" }));
    }
    time.map(Timestamp::as_millisecond)
}

fn asked_order(issues: &mut Issues, query: &Value) -> Vec<Order> {
    if query.get("orderBy").is_none_or(Value::is_null) {
        return Vec::new();
    }
    let fields = strings(issues, query, "orderBy", "field");
    let mut order = Vec::new();
    for (at, item) in list(&mut Issues::default(), query, "orderBy").iter().enumerate() {
        let path = query_path(&["orderBy".into(), at.into(), "direction".into()]);
        if let Some(direction) = issues.option(&["asc", "desc"], path, item.get("direction"))
            && let Some(field) = fields.get(at)
        {
            order.push(Order { field: field.clone(), is_descending: direction == "desc" });
        }
    }
    order
}

fn whole(issues: &mut Issues, config: Option<&Value>, name: &str, most: u64) -> Option<usize> {
    let found = config?.get(name)?;
    let path = json!(["query", "config", name]);
    match found.as_f64() {
        None => issues.expected("number", query_path(&["config".into(), name.into()]), Some(found)),
        Some(number) if number.fract() != 0.0 => {
            issues
                .0
                .push(json!({ "expected": "int", "format": "safeint", "code": "invalid_type", "path": path,
                "message": "Invalid input: expected int, received number" }));
        }
        Some(number) if number > most as f64 => {
            issues.0.push(json!({ "origin": "number", "code": "too_big", "maximum": most, "inclusive": true,
                "path": path, "message": format!("Too big: expected number to be <={most}") }));
        }
        Some(number) if number < 1.0 => {
            issues.0.push(json!({ "origin": "number", "code": "too_small", "minimum": 1, "inclusive": true,
                "path": path, "message": "Too small: expected number to be >=1" }));
        }
        Some(number) => return Some(number as usize),
    }
    None
}
