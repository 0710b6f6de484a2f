//! A score: a verdict on a trace, an observation, a session or an experiment; and what a client may send.

use serde_json::{Map, Value, json};

/// A stored score. Times are milliseconds since 1970; absent text is empty unless it may be null.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Its id, unique within the project.
    pub id: String,
    /// When the verdict was given.
    pub timestamp_ms: i64,
    /// What is judged.
    pub name: String,
    /// `API` for all that come by the API.
    pub source: String,
    /// `NUMERIC`, `BOOLEAN`, `CATEGORICAL`, `TEXT` or `CORRECTION`.
    pub data_type: String,
    /// The number, 0 or 1 for truths.
    pub value: Option<f64>,
    /// The category, the text, or the truth's name.
    pub string_value: String,
    /// The trace that it is about.
    pub trace_id: String,
    /// The observation in it, if it is about one.
    pub observation_id: String,
    /// The session that it is about.
    pub session_id: String,
    /// The experiment that it is about.
    pub experiment_id: String,
    /// The environment.
    pub environment: String,
    /// The score configuration.
    pub config_id: String,
    /// The annotation queue.
    pub queue_id: String,
    /// Who annotated.
    pub author_user_id: String,
    /// Words that go with it.
    pub comment: Option<String>,
    /// Anything else.
    pub metadata: Map<String, Value>,
    /// When it was first stored.
    pub created_ms: i64,
    /// When it was last stored.
    pub updated_ms: i64,
}

const DATA_TYPES: [&str; 5] = ["NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT", "CORRECTION"];
/// The longest text of a `TEXT` score, in characters.
const MAX_TEXT: usize = 500;

impl Score {
    /// Checks what a client sent. The error is a list of issues in the validator's shape.
    pub fn parse(body: &Value, now_ms: i64) -> Result<Self, Vec<Value>> {
        let mut issues = Vec::new();
        let Some(object) = body.as_object() else {
            return Err(vec![expected("object", &[], Some(body))]);
        };
        let mut optional = |name: &str| match object.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            other => {
                issues.push(expected("string", &[name], other));
                String::new()
            }
        };
        let id = optional("id");
        let (trace_id, observation_id) = (optional("traceId"), optional("observationId"));
        let (session_id, experiment_id) = (optional("sessionId"), optional("datasetRunId"));
        let environment = optional("environment");
        let (config_id, queue_id) = (optional("configId"), optional("queueId"));
        let comment = Some(optional("comment")).filter(|text| !text.is_empty());
        let data_type = optional("dataType");
        let name = match object.get("name") {
            Some(Value::String(text)) => text.clone(),
            other => {
                issues.push(expected("string", &["name"], other));
                String::new()
            }
        };
        let metadata = match object.get("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metadata)) => metadata.clone(),
            Some(other) => Map::from_iter([("metadata".to_owned(), other.clone())]),
        };
        if !data_type.is_empty() && !DATA_TYPES.contains(&data_type.as_str()) {
            let quoted = DATA_TYPES.map(|it| format!("\"{it}\"")).join("|");
            issues.push(json!({ "code": "invalid_value", "values": DATA_TYPES, "path": ["dataType"],
                "message": format!("Invalid option: expected one of {quoted}") }));
        }
        let environment = if environment.is_empty() { "default".to_owned() } else { environment };
        if !is_environment(&environment) {
            issues.push(custom(
                "environment",
                "must be lower case letters, digits, - and _, at most 40, and not begin with langfuse",
            ));
        }
        let (data_type, value, string_value) = match valued(object.get("value"), &data_type) {
            Ok(valued) => valued,
            Err(issue) => {
                issues.push(issue);
                Default::default()
            }
        };
        let subjects =
            [&trace_id, &session_id, &experiment_id].into_iter().filter(|it| !it.is_empty()).count();
        if issues.is_empty() && subjects != 1 {
            issues.push(custom_at(
                &[],
                "Provide exactly one of the following: traceId, sessionId, datasetRunId",
            ));
        }
        if issues.is_empty() && !observation_id.is_empty() && trace_id.is_empty() {
            issues.push(custom("observationId", "observationId needs traceId"));
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        let id = if id.is_empty() { uuid::Uuid::new_v4().to_string() } else { id };
        let metadata = metadata.into_iter().map(|(key, value)| (key, plain(value))).collect();
        Ok(Self {
            id,
            timestamp_ms: now_ms,
            name,
            source: "API".to_owned(),
            data_type,
            value,
            string_value,
            trace_id,
            observation_id,
            session_id,
            experiment_id,
            environment,
            config_id,
            queue_id,
            author_user_id: String::new(),
            comment,
            metadata,
            created_ms: now_ms,
            updated_ms: now_ms,
        })
    }
}

/// Text stays, anything else becomes its JSON.
fn plain(value: Value) -> Value {
    if value.is_string() { value } else { Value::from(value.to_string()) }
}

type Valued = (String, Option<f64>, String);

/// The type, and the value as that type keeps it. Without a type the value decides.
fn valued(value: Option<&Value>, data_type: &str) -> Result<Valued, Value> {
    let received = crate::http::received(value);
    let (number, text) = match value {
        Some(Value::Number(number)) => (number.as_f64(), None),
        Some(Value::String(text)) => (None, Some(text.clone())),
        _ => {
            let issue = |expected: &str| {
                json!({ "expected": expected, "code": "invalid_type", "path": [],
                    "message": format!("Invalid input: expected {expected}, received {received}") })
            };
            return Err(json!({ "code": "invalid_union", "errors": [[issue("string")], [issue("number")]],
                "path": ["value"], "message": "Invalid input" }));
        }
    };
    let wrong = |wanted: &str| Err(expected(wanted, &["value"], value));
    match (data_type, number, text) {
        ("" | "NUMERIC", Some(number), _) => Ok(("NUMERIC".to_owned(), Some(number), String::new())),
        ("BOOLEAN", Some(number), _) if number == 0.0 || number == 1.0 => {
            let name = if number == 1.0 { "True" } else { "False" };
            Ok(("BOOLEAN".to_owned(), Some(number), name.to_owned()))
        }
        ("BOOLEAN", Some(_), _) => Err(custom("value", "Value must be either 0 or 1 for data type BOOLEAN")),
        ("NUMERIC" | "BOOLEAN", None, _) => wrong("number"),
        ("TEXT", None, Some(text)) if text.is_empty() || text.chars().count() > MAX_TEXT => {
            Err(custom("value", "Value must have 1 to 500 characters for data type TEXT"))
        }
        ("" | "CATEGORICAL", None, Some(text)) => Ok(("CATEGORICAL".to_owned(), None, text)),
        (other @ ("TEXT" | "CORRECTION"), None, Some(text)) => Ok((other.to_owned(), None, text)),
        _ => wrong("string"),
    }
}

fn is_environment(text: &str) -> bool {
    let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-' || it == '_';
    text.chars().count() <= 40 && text.chars().all(fits) && !text.starts_with("langfuse")
}

fn expected(expected: &str, path: &[&str], found: Option<&Value>) -> Value {
    let received = crate::http::received(found);
    json!({ "expected": expected, "code": "invalid_type", "path": path,
        "message": format!("Invalid input: expected {expected}, received {received}") })
}

fn custom(field: &str, message: &str) -> Value {
    custom_at(&[field], message)
}

fn custom_at(path: &[&str], message: &str) -> Value {
    json!({ "code": "custom", "path": path, "message": message })
}
