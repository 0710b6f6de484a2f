//! Metadata: a merge of several sources, stored flat with dotted paths.

use serde_json::{Map, Value};

use super::attributes::{Attributes, text_of};

/// Attributes whose names begin so become metadata themselves.
const OBSERVATION: &str = "langfuse.observation.metadata";
const TRACE: &str = "langfuse.trace.metadata";
const PLAIN: &str = "langfuse.metadata";
const VERCEL: &str = "ai.telemetry.metadata.";

/// Never repeated below `attributes.`: they are stored elsewhere or not at all.
const CONSUMED: [&str; 8] = [
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "langfuse.observation.prompt.name",
    "langfuse.observation.prompt.version",
    "langfuse.prompt.name",
    "langfuse.prompt.version",
];

/// Merges all sources; `io` names the further attributes that became input or output.
pub(super) fn metadata(
    span: &Attributes,
    resource: &Attributes,
    scope: &(String, String, Attributes),
    io: &dyn Fn(&str) -> bool,
) -> Map<String, Value> {
    let mut flat = Map::new();
    if !scope.0.starts_with("langfuse-sdk") {
        for (key, value) in span.iter() {
            if !is_metadata(key) && !CONSUMED.contains(&key) && !io(key) {
                put(&mut flat, format!("attributes.{key}"), value);
            }
        }
    }
    for (key, value) in resource.iter() {
        put(&mut flat, format!("resourceAttributes.{key}"), value);
    }
    for (key, value) in [("scope.name", &scope.0), ("scope.version", &scope.1)] {
        if !value.is_empty() {
            put(&mut flat, key.to_owned(), &Value::String(value.clone()));
        }
    }
    for (key, value) in scope.2.iter() {
        put(&mut flat, format!("scope.attributes.{key}"), value);
    }
    for whole in [PLAIN, OBSERVATION] {
        spread(&mut flat, span, whole);
    }
    for prefix in [VERCEL, "langfuse.metadata.", "langfuse.observation.metadata."] {
        for (key, value) in span.below(prefix) {
            put(&mut flat, key.to_owned(), value);
        }
    }
    spread(&mut flat, span, TRACE);
    for (key, value) in span.below("langfuse.trace.metadata.") {
        put(&mut flat, key.to_owned(), value);
    }
    flat
}

fn is_metadata(key: &str) -> bool {
    key.starts_with(VERCEL)
        || [OBSERVATION, TRACE, PLAIN].iter().any(|prefix| {
            key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
}

/// A JSON object in one attribute; anything else is dropped.
fn spread(flat: &mut Map<String, Value>, span: &Attributes, key: &str) {
    let Some(Value::String(text)) = span.get(key) else { return };
    if let Ok(Value::Object(members)) = serde_json::from_str(text) {
        for (key, value) in &members {
            put(flat, key.clone(), value);
        }
    }
}

/// A later value of the same path wins, and moves to the end as in the stored arrays.
fn put(flat: &mut Map<String, Value>, path: String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                put(flat, format!("{path}.{key}"), value);
            }
        }
        other => {
            flat.shift_remove(&path);
            flat.insert(path, Value::String(text_of(other)));
        }
    }
}
