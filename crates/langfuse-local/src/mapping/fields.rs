//! The single fields of a row and where each comes from.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::observation::Observation;
use crate::otlp::Span;

use super::MappingError;
use super::attributes::{Attributes, text_of};
use super::{io, kind, metadata, tools, usage};

const MODEL: [&str; 7] = [
    "langfuse.observation.model.name",
    "gen_ai.response.model",
    "ai.model.id",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.model_name",
    "model",
];
const USER: [&str; 5] = [
    "langfuse.user.id",
    "user.id",
    "langfuse.observation.metadata.langfuse_user_id",
    "langfuse.trace.metadata.langfuse_user_id",
    "ai.telemetry.metadata.userId",
];
const SESSION: [&str; 6] = [
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.observation.metadata.langfuse_session_id",
    "langfuse.trace.metadata.langfuse_session_id",
    "ai.telemetry.metadata.sessionId",
];
const TAGS: [&str; 6] = [
    "langfuse.trace.tags",
    "langfuse.tags",
    "langfuse.observation.metadata.langfuse_tags",
    "langfuse.trace.metadata.langfuse_tags",
    "ai.telemetry.metadata.tags",
    "tag.tags",
];

/// Converts one span.
pub(super) fn observation(
    span: Span,
    resource: &Attributes,
    scope: &(String, String, Attributes),
    now_ms: i64,
) -> Result<Observation, MappingError> {
    let attributes = Attributes::new(span.attributes)?;
    let mut io = io::io(&attributes, &scope.0, span.events)?;
    let moves_tools = !scope.0.starts_with("langfuse-sdk");
    if moves_tools && let Some(input) = tools::with_definitions(&io.input, &attributes) {
        io.input = input;
    }
    let tools = tools::tools(&io.input, &io.output);
    let text = |keys: &[&str]| attributes.first_text(keys).unwrap_or_default();
    let of_resource = |key: &str| resource.first_text(&[key]);
    let milliseconds = |ns: Option<u64>| ns.and_then(|ns| i64::try_from(ns / 1_000_000).ok());
    let (start_ms, end_ms) = match (milliseconds(span.start_ns), milliseconds(span.end_ns)) {
        (Some(start), Some(end)) => (start, end),
        (Some(only), None) | (None, Some(only)) => (only, only),
        (None, None) => (now_ms, now_ms),
    };
    let kind = kind::kind(&attributes);
    // Agent spans repeat the numbers of the calls below them.
    let counts = !matches!(text(&["gen_ai.operation.name"]).as_str(), "invoke_agent" | "agent_step");
    let (prompt_name, prompt_version) =
        if kind == "GENERATION" { prompt(&attributes) } else { (String::new(), None) };
    Ok(Observation {
        name: name(&attributes).unwrap_or(span.name),
        level: level(&attributes, span.status.code),
        status_message: attributes
            .first_text(&["langfuse.observation.status_message"])
            .unwrap_or(span.status.message),
        version: attributes
            .first_text(&["langfuse.version"])
            .or_else(|| of_resource("service.version"))
            .unwrap_or_default(),
        release: attributes
            .first_text(&["langfuse.release"])
            .or_else(|| of_resource("langfuse.release"))
            .unwrap_or_default(),
        environment: environment(&attributes, resource),
        trace_name: text(&["langfuse.trace.name"]),
        user_id: text(&USER),
        session_id: text(&SESSION),
        tags: TAGS.iter().find_map(|key| attributes.filled(key)).map(tags).unwrap_or_default(),
        public: ["langfuse.trace.public", "langfuse.public"].iter().any(|key| is_true(&attributes, key)),
        is_app_root: is_true(&attributes, "langfuse.internal.is_app_root"),
        completion_start_ms: completion_start(&attributes, start_ms),
        metadata: metadata::metadata(&attributes, resource, scope, &|key| {
            io.consumed(key) || tools::is_moved(key)
        }),
        input: io.input,
        output: io.output,
        model: if counts { text(&MODEL) } else { String::new() },
        model_id: String::new(),
        tier: None,
        model_parameters: model_parameters(&attributes),
        usage: if counts { usage::usage(&attributes) } else { Map::new() },
        cost: if counts { usage::cost(&attributes) } else { Map::new() },
        prompt_name,
        prompt_version,
        experiment: [
            text(&["langfuse.experiment.id"]),
            text(&["langfuse.experiment.name"]),
            text(&["langfuse.experiment.dataset.id"]),
        ],
        tool_names: tools.offered,
        called_tool_names: tools.called,
        trace_id: span.trace_id,
        id: span.span_id,
        parent_id: span.parent_span_id,
        start_ms,
        end_ms,
        kind,
    })
}

fn name(span: &Attributes) -> Option<String> {
    span.first_text(&["gen_ai.tool.name", "genkit:name", "logfire.msg", "ai.toolCall.name"]).or_else(|| {
        let operation = span.first_text(&["ai.operationId"])?;
        Some(match span.first_text(&["ai.telemetry.functionId"]) {
            Some(function) => format!("{function}:{operation}"),
            None => operation,
        })
    })
}

fn level(span: &Attributes, status_code: i64) -> &'static str {
    let given = span.first_text(&["langfuse.observation.level"]).unwrap_or_default();
    match given.to_ascii_uppercase().as_str() {
        "DEBUG" | "TRACE" | "VERBOSE" => "DEBUG",
        "DEFAULT" | "INFO" | "LOG" | "NOTICE" | "OK" | "SUCCESS" => "DEFAULT",
        "WARN" | "WARNING" => "WARNING",
        "ERROR" | "FATAL" | "CRITICAL" => "ERROR",
        _ if status_code == 2 => "ERROR",
        _ => "DEFAULT",
    }
}

fn environment(span: &Attributes, resource: &Attributes) -> String {
    let keys = ["langfuse.environment", "deployment.environment.name", "deployment.environment"];
    let given = keys.iter().find_map(|key| span.first_text(&[key]).or_else(|| resource.first_text(&[key])));
    normalised_environment(&given.unwrap_or_default())
}

/// Lower case, without the reserved prefix, 40 characters at most, or `default`.
pub(super) fn normalised_environment(given: &str) -> String {
    let lower = given.to_lowercase();
    let own = match lower.strip_prefix("langfuse") {
        Some(rest) => rest.strip_prefix(['-', '_']).unwrap_or(rest),
        None => &lower,
    };
    let cut: String = own.chars().take(40).collect();
    let allowed = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-' || it == '_';
    if cut.is_empty() || !cut.chars().all(allowed) { "default".to_owned() } else { cut }
}

fn tags(value: &Value) -> Vec<String> {
    let texts = |items: &[Value]| items.iter().map(text_of).collect::<Vec<_>>();
    match value {
        Value::Array(items) => texts(items),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Array(items)) => texts(&items),
            _ if text.starts_with('{') => vec![text.clone()],
            _ => text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        },
        other => vec![text_of(other)],
    }
}

fn is_true(span: &Attributes, key: &str) -> bool {
    match span.get(key) {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn completion_start(span: &Attributes, start_ms: i64) -> Option<i64> {
    let given = span.first_text(&["langfuse.observation.completion_start_time"]);
    if let Some(given) = given {
        let unquoted = serde_json::from_str::<String>(&given).unwrap_or(given);
        if let Ok(time) = unquoted.parse::<Timestamp>() {
            return Some(time.as_millisecond());
        }
    }
    let first_chunk = ["ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"]
        .iter()
        .find_map(|key| span.filled(key).and_then(|value| text_of(value).parse::<f64>().ok()))?;
    start_ms.checked_add(first_chunk.ceil() as i64)
}

/// Strings and numbers are kept, other values become their JSON text.
fn model_parameters(span: &Attributes) -> Map<String, Value> {
    let kept = |value: &Value| match value {
        Value::String(_) | Value::Number(_) => value.clone(),
        other => Value::String(other.to_string()),
    };
    for key in ["langfuse.observation.model.parameters", "llm.invocation_parameters", "model_config"] {
        if let Some(Value::String(text)) = span.filled(key)
            && let Ok(Value::Object(given)) = serde_json::from_str(text)
        {
            return given.iter().map(|(key, value)| (key.clone(), kept(value))).collect();
        }
    }
    span.below("gen_ai.request.")
        .chain(span.below("llm.invocation_parameters."))
        .filter(|(key, _)| *key != "model")
        .map(|(key, value)| (key.to_owned(), kept(value)))
        .collect()
}

fn prompt(span: &Attributes) -> (String, Option<i64>) {
    let vercel = span.first_text(&["ai.telemetry.metadata.langfusePrompt"]);
    let vercel: Value = vercel.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let name = span
        .first_text(&["langfuse.observation.prompt.name", "langfuse.prompt.name"])
        .or_else(|| vercel["name"].as_str().map(str::to_owned));
    let version = span
        .first_text(&["langfuse.observation.prompt.version", "langfuse.prompt.version"])
        .and_then(|text| text.parse().ok())
        .or_else(|| vercel["version"].as_i64());
    (name.unwrap_or_default(), version)
}
