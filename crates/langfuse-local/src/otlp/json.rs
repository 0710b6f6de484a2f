//! The OTLP/JSON flavour: hex ids, 64-bit integers as decimal strings or numbers, camelCase names.
//!
//! Read from a [`Value`] rather than by derive: Langfuse refuses a whole batch for a list that is no
//! list or an id that is no string, and shrugs at any other oddity.

use serde_json::Value;

use super::model::{AnyValue, Attribute, DecodeError, Event, Export, Resource, Scope, Span, Status};

/// Decodes an export. With `keep_raw` the array of resource spans is also given as it came, for the
/// event bucket.
pub fn decode_json(bytes: &[u8], keep_raw: bool) -> Result<(Export, Option<Value>), DecodeError> {
    let mut body: Value = serde_json::from_slice(bytes).map_err(|_cause| DecodeError::NotJson)?;
    let resource_spans = body.get_mut("resourceSpans").map(Value::take).unwrap_or_default();
    let mut export = Export::default();
    for (resource_idx, entry) in array(&resource_spans, || "resourceSpans".to_owned())?.iter().enumerate() {
        export.n_resources += 1;
        let at_resource = || format!("resourceSpans[{resource_idx}]");
        let resource = Resource {
            attributes: attributes(&entry["resource"]["attributes"], || {
                format!("{}.resource.attributes", at_resource())
            })?,
        };
        let scopes = array(&entry["scopeSpans"], || format!("{}.scopeSpans", at_resource()))?;
        for (scope_idx, entry) in scopes.iter().enumerate() {
            let at_scope = || format!("{}.scopeSpans[{scope_idx}]", at_resource());
            let scope = Scope {
                name: text(&entry["scope"]["name"]),
                version: text(&entry["scope"]["version"]),
                attributes: attributes(&entry["scope"]["attributes"], || {
                    format!("{}.scope.attributes", at_scope())
                })?,
            };
            let list = array(&entry["spans"], || format!("{}.spans", at_scope()))?;
            let mut spans = Vec::with_capacity(list.len());
            for (span_idx, entry) in list.iter().enumerate() {
                spans.push(span(entry, || format!("{}.spans[{span_idx}]", at_scope()))?);
            }
            export.groups.push((resource.clone(), scope, spans));
        }
    }
    let raw =
        keep_raw.then(|| if resource_spans.is_null() { Value::Array(Vec::new()) } else { resource_spans });
    Ok((export, raw))
}

fn span(it: &Value, path: impl Fn() -> String) -> Result<Span, DecodeError> {
    let id = |field: &str| match &it[field] {
        Value::String(id) if !id.is_empty() => Ok(id.clone()),
        _ => Err(DecodeError::BadId { path: format!("{}.{field}", path()) }),
    };
    let parent_span_id = match &it["parentSpanId"] {
        Value::Null => String::new(),
        Value::String(id) => id.clone(),
        _ => return Err(DecodeError::BadId { path: format!("{}.parentSpanId", path()) }),
    };
    let mut events = Vec::new();
    for (event_idx, event) in array(&it["events"], || format!("{}.events", path()))?.iter().enumerate() {
        let attributes =
            attributes(&event["attributes"], || format!("{}.events[{event_idx}].attributes", path()))?;
        events.push(Event { name: text(&event["name"]), attributes });
    }
    Ok(Span {
        trace_id: id("traceId")?,
        span_id: id("spanId")?,
        parent_span_id,
        name: text(&it["name"]),
        start_ns: nanoseconds(&it["startTimeUnixNano"]),
        end_ns: nanoseconds(&it["endTimeUnixNano"]),
        attributes: attributes(&it["attributes"], || format!("{}.attributes", path()))?,
        events,
        status: Status {
            code: it["status"]["code"].as_i64().unwrap_or_default(),
            message: text(&it["status"]["message"]),
        },
    })
}

fn array(it: &Value, path: impl Fn() -> String) -> Result<&[Value], DecodeError> {
    match it {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        _ => Err(DecodeError::NotAnArray { path: path() }),
    }
}

fn attributes(it: &Value, path: impl Fn() -> String) -> Result<Vec<Attribute>, DecodeError> {
    let items = array(it, path)?;
    Ok(items
        .iter()
        .map(|item| Attribute { key: text(&item["key"]), value: item.get("value").and_then(any_value) })
        .collect())
}

/// The first known member wins; `None` for what is no value message at all.
fn any_value(it: &Value) -> Option<AnyValue> {
    let members = it.as_object()?;
    let value = if let Some(Value::String(text)) = members.get("stringValue") {
        AnyValue::String(text.clone())
    } else if let Some(number) = members.get("doubleValue").and_then(double) {
        AnyValue::Double(number)
    } else if let Some(Value::Bool(truth)) = members.get("boolValue") {
        AnyValue::Bool(*truth)
    } else if let Some(Value::Array(items)) = members.get("arrayValue").and_then(|list| list.get("values")) {
        AnyValue::Array(items.iter().map(any_value).collect())
    } else if let Some(number) = members.get("intValue").and_then(integer) {
        AnyValue::Int(number)
    } else {
        AnyValue::Wrapped(it.clone())
    };
    Some(value)
}

fn double(it: &Value) -> Option<f64> {
    match it {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn integer(it: &Value) -> Option<i64> {
    match it {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn nanoseconds(it: &Value) -> Option<u64> {
    let ns = match it {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    ns.filter(|ns| *ns != 0)
}

fn text(it: &Value) -> String {
    it.as_str().unwrap_or_default().to_owned()
}
