//! The query string of `GET /v2/observations`.

use jiff::Timestamp;
use serde_json::{Value, json};
use thiserror::Error;

use super::cursor::Cursor;
use super::filter::{Filter, parse_filters};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1_000;
/// Simple parameters that ask for equality.
const EQUALITY: [&str; 8] =
    ["traceId", "name", "type", "userId", "sessionId", "level", "version", "parentObservationId"];

/// A checked query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ObservationQuery {
    /// The groups of fields to answer with.
    pub fields: Fields,
    /// Metadata keys that are given whole.
    pub expand_metadata: Vec<String>,
    /// The size of a page.
    pub limit: u32,
    /// Where the page begins.
    pub cursor: Option<Cursor>,
    /// All conditions, of either form.
    pub filters: Vec<Filter>,
}

/// Groups of fields; the core is always given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of the API")]
#[expect(clippy::struct_excessive_bools, reason = "a set, one flag per group of the API")]
pub struct Fields {
    pub basic: bool,
    pub time: bool,
    pub io: bool,
    pub metadata: bool,
    pub model: bool,
    pub usage: bool,
    pub prompt: bool,
    pub metrics: bool,
    pub trace_context: bool,
}

impl Fields {
    fn parse(text: Option<&str>) -> Self {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Self { basic: true, ..Self::default() };
        };
        let mut fields = Self::default();
        for group in text.split(',') {
            match group.trim() {
                "basic" => fields.basic = true,
                "time" => fields.time = true,
                "io" => fields.io = true,
                "metadata" => fields.metadata = true,
                "model" => fields.model = true,
                "usage" => fields.usage = true,
                "prompt" => fields.prompt = true,
                "metrics" => fields.metrics = true,
                "trace_context" => fields.trace_context = true,
                _ => {}
            }
        }
        fields
    }
}

/// Why a query was refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum QueryError {
    /// Parameters that do not fit their schema, one issue each.
    #[error("invalid request data")]
    Invalid(Vec<Value>),
    /// A request that is well formed and makes no sense.
    #[error("{0}")]
    Request(String),
}

impl QueryError {
    /// One issue at a place of the request.
    pub(crate) fn issue(path: Vec<Value>, message: &str) -> Self {
        Self::Invalid(vec![json!({ "code": "custom", "path": path, "message": message })])
    }
}

impl ObservationQuery {
    /// Reads a query string without its question mark.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get =
            |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let mut issues = Vec::new();
        let limit = limit(get("limit")).unwrap_or_else(|issue| {
            issues.push(issue);
            DEFAULT_LIMIT
        });
        let mut time = |name: &str| {
            let text = get(name).filter(|text| !text.is_empty())?;
            match text.parse::<Timestamp>() {
                Ok(time) => Some(time.as_millisecond()),
                Err(_cause) => {
                    issues.push(json!({ "origin": "string", "code": "invalid_format", "format": "datetime",
                        "path": [name], "message": "Invalid ISO datetime" }));
                    None
                }
            }
        };
        let (from, to) = (time("fromStartTime"), time("toStartTime"));
        let is_root = match get("isRootObservation").filter(|text| !text.is_empty()) {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                issues.push(json!({ "code": "invalid_value", "values": ["true", "false"],
                    "path": ["isRootObservation"],
                    "message": "Invalid option: expected one of \"true\"|\"false\"" }));
                None
            }
        };
        if get("parseIoAsJson") == Some("true") {
            issues.push(json!({ "code": "custom", "path": ["parseIoAsJson"],
                "message": "parseIoAsJson=true is no longer supported on the v2 observations endpoint. Input/output fields are always returned as raw strings. Remove the parseIoAsJson parameter or set it to false." }));
        }
        if !issues.is_empty() {
            return Err(QueryError::Invalid(issues));
        }
        let mut filters = match get("filter").filter(|text| !text.is_empty()) {
            Some(text) => parse_filters(text)?,
            None => Vec::new(),
        };
        let mut simple = Vec::new();
        for name in EQUALITY {
            // An empty parent asks for roots; any other empty parameter asks for nothing.
            if let Some(value) = get(name).filter(|it| !it.is_empty() || name == "parentObservationId") {
                simple.extend(Filter::equals(name, vec![value.to_owned()]));
            }
        }
        let environments: Vec<String> = pairs
            .iter()
            .filter(|(key, value)| key == "environment" && !value.is_empty())
            .map(|(_, value)| value.clone())
            .collect();
        if environments.len() > MAX_ENVIRONMENTS {
            return Err(QueryError::issue(
                vec![Value::from("environment")],
                "Too big: expected at most 100 environments",
            ));
        }
        if !environments.is_empty() {
            simple.extend(Filter::equals("environment", environments));
        }
        simple.extend(from.and_then(|ms| Filter::time("startTime", ">=", ms)));
        simple.extend(to.and_then(|ms| Filter::time("startTime", "<", ms)));
        simple.extend(is_root.and_then(|truth| Filter::truth("isRootObservation", truth)));
        simple.retain(|simple| !filters.iter().any(|filter| filter.same_column(simple)));
        filters.append(&mut simple);
        let cursor = match get("cursor").filter(|text| !text.is_empty()) {
            Some(text) => Some(
                Cursor::decode(text)
                    .ok_or_else(|| QueryError::Request("Invalid cursor format".to_owned()))?,
            ),
            None => None,
        };
        let expand_metadata = get("expandMetadata").unwrap_or_default();
        Ok(Self {
            fields: Fields::parse(get("fields")),
            expand_metadata: expand_metadata.split(',').map(|key| key.trim().to_owned()).collect(),
            limit,
            cursor,
            filters,
        })
    }
}

/// SQLite bounds the number of parameters.
const MAX_ENVIRONMENTS: usize = 100;

fn limit(text: Option<&str>) -> Result<u32, Value> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(DEFAULT_LIMIT) };
    let Some(number) = text.trim().parse::<f64>().ok().filter(|number| number.is_finite()) else {
        return Err(
            json!({ "expected": "number", "code": "invalid_type", "received": "NaN", "path": ["limit"],
            "message": "Invalid input: expected number, received NaN" }),
        );
    };
    if number > f64::from(MAX_LIMIT) {
        return Err(json!({ "origin": "number", "code": "too_big", "maximum": MAX_LIMIT, "inclusive": true,
            "path": ["limit"], "message": format!("Too big: expected number to be <={MAX_LIMIT}") }));
    }
    if number < 0.0 {
        return Err(json!({ "origin": "number", "code": "too_small", "minimum": 0, "inclusive": true,
            "path": ["limit"], "message": "Too small: expected number to be >=0" }));
    }
    if number.fract() != 0.0 {
        return Err(
            json!({ "expected": "int", "format": "safeint", "code": "invalid_type", "path": ["limit"],
            "message": "Invalid input: expected int, received number" }),
        );
    }
    Ok(number as u32)
}
