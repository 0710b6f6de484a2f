//! The query string of `GET /v3/scores`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use super::QueryError;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;
/// More values than a list of choices has.
const MAX_VALUES: usize = 500;

/// Parameters that name a column, with lists of values.
const LISTS: [(&str, &str); 11] = [
    ("id", "id"),
    ("name", "name"),
    ("source", "source"),
    ("dataType", "data_type"),
    ("environment", "environment"),
    ("configId", "config_id"),
    ("queueId", "queue_id"),
    ("authorUserId", "author_user_id"),
    ("traceId", "trace_id"),
    ("sessionId", "session_id"),
    ("experimentId", "experiment_id"),
];
const OTHERS: [&str; 9] = [
    "fields",
    "limit",
    "cursor",
    "observationId",
    "value",
    "valueMin",
    "valueMax",
    "fromTimestamp",
    "toTimestamp",
];

/// A checked query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScoreQuery {
    pub(crate) limit: u32,
    /// Comment, configuration and metadata.
    pub(crate) details: bool,
    /// What it is about.
    pub(crate) subject: bool,
    /// Who annotated it.
    pub(crate) annotation: bool,
    pub(crate) cursor: Option<(i64, String)>,
    /// The condition besides project and cursor, with its parameters.
    pub(crate) condition: String,
    pub(crate) parameters: Vec<Sql>,
}

/// Names the place after the last score of a page.
pub(crate) fn cursor(timestamp_ms: i64, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({ "lastTimestamp": timestamp_ms, "lastId": id }).to_string())
}

fn place(cursor: &str) -> Option<(i64, String)> {
    let value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    Some((value["lastTimestamp"].as_i64()?, value["lastId"].as_str()?.to_owned()))
}

impl ScoreQuery {
    /// Reads a query string without its question mark.
    pub(crate) fn parse(query: &str) -> Result<Self, QueryError> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is_known = |key: &str| OTHERS.contains(&key) || LISTS.iter().any(|(known, _)| *known == key);
        let unknown: Vec<&str> =
            pairs.iter().map(|(key, _)| key.as_str()).filter(|key| !is_known(key)).collect();
        let mut issues = Vec::new();
        let get = |name: &str| {
            let found = pairs.iter().rev().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).filter(|it| !it.is_empty())
        };
        let limit = limit(get("limit"), &mut issues);
        let (mut conditions, mut parameters) = (vec!["1".to_owned()], Vec::new());
        for (name, column) in LISTS {
            if let Some(list) = get(name) {
                among(column, list, name, &mut conditions, &mut parameters, &mut issues);
            }
        }
        for (name, operator) in [("fromTimestamp", ">="), ("toTimestamp", "<")] {
            let Some(text) = get(name) else { continue };
            match text.parse::<Timestamp>() {
                Ok(time) => {
                    conditions.push(format!("timestamp_ms {operator} ?"));
                    parameters.push(Sql::Integer(time.as_millisecond()));
                }
                Err(_cause) => issues.push(json!({ "origin": "string", "code": "invalid_format",
                    "format": "datetime", "path": [name], "message": "Invalid ISO datetime" })),
            }
        }
        if !unknown.is_empty() {
            let quoted = unknown.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ");
            let noun = if unknown.len() == 1 { "key" } else { "keys" };
            issues.push(json!({ "code": "unrecognized_keys", "keys": unknown, "path": [],
                "message": format!("Unrecognized {noun}: {quoted}") }));
        }
        if !issues.is_empty() {
            return Err(QueryError::Invalid(issues));
        }
        let data_types: Vec<&str> = get("dataType").map(|it| it.split(',').collect()).unwrap_or_default();
        for (name, operator) in [("valueMin", ">="), ("valueMax", "<=")] {
            let Some(text) = get(name) else { continue };
            if data_types != ["NUMERIC"] {
                return Err(refused(format!("{name} requires dataType=NUMERIC")));
            }
            let number = text.parse::<f64>().ok().filter(|it| it.is_finite());
            let number = number.ok_or_else(|| refused(format!("{name} must be a number")))?;
            conditions.push(format!("value {operator} ?"));
            parameters.push(Sql::Real(number));
        }
        if let Some(list) = get("value") {
            values(list, &data_types, &mut conditions, &mut parameters)?;
        }
        let n_subjects =
            ["traceId", "sessionId", "experimentId"].iter().filter(|it| get(it).is_some()).count();
        if n_subjects > 1 {
            return Err(refused("At most one of traceId, sessionId, experimentId may be given".to_owned()));
        }
        if let Some(list) = get("observationId") {
            if get("traceId").is_none() {
                return Err(refused("observationId requires traceId".to_owned()));
            }
            among("observation_id", list, "observationId", &mut conditions, &mut parameters, &mut issues);
        }
        let cursor = match get("cursor") {
            Some(text) => Some(place(text).ok_or_else(|| refused("Invalid cursor format".to_owned()))?),
            None => None,
        };
        let fields: Vec<&str> =
            get("fields").map(|it| it.split(',').map(str::trim).collect()).unwrap_or_default();
        Ok(Self {
            limit,
            details: fields.contains(&"details"),
            subject: fields.contains(&"subject"),
            annotation: fields.contains(&"annotation"),
            cursor,
            condition: conditions.join(" AND "),
            parameters,
        })
    }
}

fn refused(text: String) -> QueryError {
    QueryError::Request(text)
}

fn among(
    column: &str,
    list: &str,
    name: &str,
    conditions: &mut Vec<String>,
    parameters: &mut Vec<Sql>,
    issues: &mut Vec<Value>,
) {
    let values: Vec<&str> = list.split(',').map(str::trim).collect();
    if values.len() > MAX_VALUES {
        issues.push(json!({ "origin": "array", "code": "too_big", "maximum": MAX_VALUES, "inclusive": true,
            "path": [name], "message": format!("Too big: expected array to have <={MAX_VALUES} items") }));
        return;
    }
    conditions.push(format!("{column} IN ({})", vec!["?"; values.len()].join(", ")));
    parameters.extend(values.into_iter().map(|it| Sql::Text(it.to_owned())));
}

/// A value means something only within one type.
fn values(
    list: &str,
    data_types: &[&str],
    conditions: &mut Vec<String>,
    parameters: &mut Vec<Sql>,
) -> Result<(), QueryError> {
    let items: Vec<&str> = list.split(',').map(str::trim).take(MAX_VALUES).collect();
    let number = |text: &&str| {
        let number = match (data_types, *text) {
            (["BOOLEAN"], "true") => Some(1.0),
            (["BOOLEAN"], "false") => Some(0.0),
            (["BOOLEAN"], _) => None,
            (_, text) => text.parse::<f64>().ok().filter(|it| it.is_finite()),
        };
        number.map(Sql::Real).ok_or_else(|| refused(format!("value {text} does not fit the dataType")))
    };
    let (column, found) = match data_types {
        ["NUMERIC" | "BOOLEAN"] => ("value", items.iter().map(number).collect::<Result<Vec<_>, _>>()?),
        ["CATEGORICAL"] => {
            ("string_value", items.iter().map(|it| Sql::Text((*it).to_owned())).collect::<Vec<_>>())
        }
        _ => {
            return Err(refused(
                "value requires a single dataType of NUMERIC, BOOLEAN or CATEGORICAL".to_owned(),
            ));
        }
    };
    conditions.push(format!("{column} IN ({})", vec!["?"; found.len()].join(", ")));
    parameters.extend(found);
    Ok(())
}

fn limit(text: Option<&str>, issues: &mut Vec<Value>) -> u32 {
    let Some(text) = text else { return DEFAULT_LIMIT };
    let issue = match text.trim().parse::<f64>() {
        Ok(number) if number > f64::from(MAX_LIMIT) => {
            json!({ "origin": "number", "code": "too_big", "maximum": MAX_LIMIT, "inclusive": true,
                "path": ["limit"], "message": format!("Too big: expected number to be <={MAX_LIMIT}") })
        }
        Ok(number) if number < 1.0 => {
            json!({ "origin": "number", "code": "too_small", "minimum": 1, "inclusive": true,
                "path": ["limit"], "message": "Too small: expected number to be >=1" })
        }
        Ok(number) if number.fract() == 0.0 => return number as u32,
        Ok(_) => json!({ "expected": "int", "format": "safeint", "code": "invalid_type", "path": ["limit"],
            "message": "Invalid input: expected int, received number" }),
        Err(_cause) => {
            json!({ "expected": "number", "code": "invalid_type", "received": "NaN", "path": ["limit"],
            "message": "Invalid input: expected number, received NaN" })
        }
    };
    issues.push(issue);
    DEFAULT_LIMIT
}
