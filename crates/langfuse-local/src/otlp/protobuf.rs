//! The protobuf flavour.

use prost::Message;
use serde_json::{Map, Value, json};

use super::message as pb;
use super::model::{AnyValue, Attribute, DecodeError, Event, Export, Resource, Scope, Span, Status};

/// Decodes an `ExportTraceServiceRequest`. With `keep_raw` the whole message is also given as
/// OTLP/JSON (the array of resource spans), for the event bucket.
pub fn decode_protobuf(bytes: &[u8], keep_raw: bool) -> Result<(Export, Option<Value>), DecodeError> {
    let request = pb::ExportTraceServiceRequest::decode(bytes).map_err(|_cause| DecodeError::NotProtobuf)?;
    let raw = keep_raw.then(|| list(&request.resource_spans, resource_spans_json));
    let mut export = Export { n_resources: request.resource_spans.len(), ..Export::default() };
    for (resource_idx, resource_spans) in request.resource_spans.into_iter().enumerate() {
        let resource = Resource {
            attributes: resource_spans.resource.map(|it| attributes(it.attributes)).unwrap_or_default(),
        };
        for (scope_idx, scope_spans) in resource_spans.scope_spans.into_iter().enumerate() {
            let scope = scope_spans.scope.map(scope).unwrap_or_default();
            let mut spans = Vec::with_capacity(scope_spans.spans.len());
            for (span_idx, it) in scope_spans.spans.into_iter().enumerate() {
                let path = |field: &str| {
                    format!("resourceSpans[{resource_idx}].scopeSpans[{scope_idx}].spans[{span_idx}].{field}")
                };
                if it.trace_id.is_empty() {
                    return Err(DecodeError::BadId { path: path("traceId") });
                }
                if it.span_id.is_empty() {
                    return Err(DecodeError::BadId { path: path("spanId") });
                }
                spans.push(span(it));
            }
            export.groups.push((resource.clone(), scope, spans));
        }
    }
    Ok((export, raw))
}

fn scope(it: pb::InstrumentationScope) -> Scope {
    Scope { name: it.name, version: it.version, attributes: attributes(it.attributes) }
}

fn span(it: pb::Span) -> Span {
    let nonzero = |ns: u64| (ns != 0).then_some(ns);
    Span {
        trace_id: hex::encode(it.trace_id),
        span_id: hex::encode(it.span_id),
        parent_span_id: hex::encode(it.parent_span_id),
        name: it.name,
        start_ns: nonzero(it.start_time_unix_nano),
        end_ns: nonzero(it.end_time_unix_nano),
        attributes: attributes(it.attributes),
        events: it
            .events
            .into_iter()
            .map(|event| Event { name: event.name, attributes: attributes(event.attributes) })
            .collect(),
        status: it
            .status
            .map(|status| Status { code: i64::from(status.code), message: status.message })
            .unwrap_or_default(),
    }
}

fn attributes(list: Vec<pb::KeyValue>) -> Vec<Attribute> {
    list.into_iter().map(|it| Attribute { key: it.key, value: it.value.map(any_value) }).collect()
}

fn any_value(it: pb::AnyValue) -> AnyValue {
    match it.value {
        Some(pb::Value::String(text)) => AnyValue::String(text),
        Some(pb::Value::Bool(truth)) => AnyValue::Bool(truth),
        Some(pb::Value::Int(number)) => AnyValue::Int(number),
        Some(pb::Value::Double(number)) => AnyValue::Double(number),
        // Protobuf cannot tell an empty list from a missing one, and Langfuse stores the wrapper.
        Some(pb::Value::Array(list)) if !list.values.is_empty() => {
            AnyValue::Array(list.values.into_iter().map(|item| Some(any_value(item))).collect())
        }
        other => AnyValue::Wrapped(value_json(&pb::AnyValue { value: other })),
    }
}

fn list<T>(items: &[T], one: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(one).collect())
}

/// An object without the members that protobuf leaves at their default.
fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let is_default = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(_) => false,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    };
    let members = members.into_iter().filter(|(_, value)| !is_default(value));
    Value::Object(members.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

fn resource_spans_json(it: &pb::ResourceSpans) -> Value {
    let resource = it.resource.as_ref().map_or(Value::Null, |resource| {
        object([
            ("attributes", list(&resource.attributes, key_value_json)),
            ("droppedAttributesCount", resource.dropped_attributes_count.into()),
        ])
    });
    object([
        ("resource", resource),
        ("scopeSpans", list(&it.scope_spans, scope_spans_json)),
        ("schemaUrl", it.schema_url.clone().into()),
    ])
}

fn scope_spans_json(it: &pb::ScopeSpans) -> Value {
    let scope = it.scope.as_ref().map_or(Value::Null, |scope| {
        object([
            ("name", scope.name.clone().into()),
            ("version", scope.version.clone().into()),
            ("attributes", list(&scope.attributes, key_value_json)),
            ("droppedAttributesCount", scope.dropped_attributes_count.into()),
        ])
    });
    object([
        ("scope", scope),
        ("spans", list(&it.spans, span_json)),
        ("schemaUrl", it.schema_url.clone().into()),
    ])
}

fn span_json(it: &pb::Span) -> Value {
    let status = it.status.as_ref().map_or(Value::Null, |status| {
        object([("message", status.message.clone().into()), ("code", status.code.into())])
    });
    object([
        ("traceId", hex::encode(&it.trace_id).into()),
        ("spanId", hex::encode(&it.span_id).into()),
        ("traceState", it.trace_state.clone().into()),
        ("parentSpanId", hex::encode(&it.parent_span_id).into()),
        ("name", it.name.clone().into()),
        ("kind", it.kind.into()),
        ("startTimeUnixNano", it.start_time_unix_nano.to_string().into()),
        ("endTimeUnixNano", it.end_time_unix_nano.to_string().into()),
        ("attributes", list(&it.attributes, key_value_json)),
        ("droppedAttributesCount", it.dropped_attributes_count.into()),
        ("events", list(&it.events, event_json)),
        ("droppedEventsCount", it.dropped_events_count.into()),
        ("links", list(&it.links, link_json)),
        ("droppedLinksCount", it.dropped_links_count.into()),
        ("status", status),
        ("flags", it.flags.into()),
    ])
}

fn event_json(it: &pb::Event) -> Value {
    object([
        ("timeUnixNano", it.time_unix_nano.to_string().into()),
        ("name", it.name.clone().into()),
        ("attributes", list(&it.attributes, key_value_json)),
        ("droppedAttributesCount", it.dropped_attributes_count.into()),
    ])
}

fn link_json(it: &pb::Link) -> Value {
    object([
        ("traceId", hex::encode(&it.trace_id).into()),
        ("spanId", hex::encode(&it.span_id).into()),
        ("traceState", it.trace_state.clone().into()),
        ("attributes", list(&it.attributes, key_value_json)),
        ("droppedAttributesCount", it.dropped_attributes_count.into()),
        ("flags", it.flags.into()),
    ])
}

fn key_value_json(it: &pb::KeyValue) -> Value {
    match &it.value {
        Some(value) => json!({ "key": it.key, "value": value_json(value) }),
        None => json!({ "key": it.key }),
    }
}

fn value_json(it: &pb::AnyValue) -> Value {
    match &it.value {
        None => json!({}),
        Some(pb::Value::String(text)) => json!({ "stringValue": text }),
        Some(pb::Value::Bool(truth)) => json!({ "boolValue": truth }),
        Some(pb::Value::Int(number)) => json!({ "intValue": number.to_string() }),
        Some(pb::Value::Double(number)) if number.is_finite() => json!({ "doubleValue": number }),
        Some(pb::Value::Double(number)) => json!({ "doubleValue": super::model::non_finite(*number) }),
        Some(pb::Value::Array(items)) => {
            json!({ "arrayValue": object([("values", list(&items.values, value_json))]) })
        }
        Some(pb::Value::KvList(items)) => {
            json!({ "kvlistValue": object([("values", list(&items.values, key_value_json))]) })
        }
        Some(pb::Value::Bytes(bytes)) => {
            use base64::Engine as _;
            json!({ "bytesValue": base64::engine::general_purpose::STANDARD.encode(bytes) })
        }
    }
}
