//! Input and output: the first source of which either is present gives both.

use serde_json::{Map, Value, json};

use crate::otlp::Event;

use super::MappingError;
use super::attributes::{Attributes, text_of};
use super::unflatten::unflatten;

/// What was found, and which attributes must not be repeated as metadata.
#[derive(Default)]
pub(super) struct Io {
    pub(super) input: String,
    pub(super) output: String,
    keys: Vec<&'static str>,
    prefixes: Vec<&'static str>,
}

impl Io {
    pub(super) fn consumed(&self, key: &str) -> bool {
        self.keys.contains(&key) || self.prefixes.iter().any(|prefix| key.starts_with(prefix))
    }

    fn of(input: Option<Value>, output: Option<Value>) -> Option<Self> {
        if input.is_none() && output.is_none() {
            return None;
        }
        let text = |value: Option<Value>| value.as_ref().map(text_of).unwrap_or_default();
        Some(Self { input: text(input), output: text(output), ..Self::default() })
    }

    fn with_keys(mut self, keys: &[&'static str]) -> Self {
        self.keys.extend_from_slice(keys);
        self
    }

    fn with_prefixes(mut self, prefixes: &[&'static str]) -> Self {
        self.prefixes.extend_from_slice(prefixes);
        self
    }
}

/// Pairs of attributes of which the first filled one on each side is taken.
const PAIRS_BEFORE_EVENTS: [(&[&str], &[&str]); 3] = [
    (
        &["gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"],
        &["gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"],
    ),
    (&["prompt"], &["all_messages_events"]),
    (&["lk.input_text", "lk.function_tool.arguments"], &["lk.response.text", "lk.function_tool.output"]),
];

/// The same, after the `events` attribute in order of precedence.
const PAIRS_AFTER_EVENTS: [(&[&str], &[&str]); 6] = [
    (&["mlflow.spanInputs"], &["mlflow.spanOutputs"]),
    (&["traceloop.entity.input"], &["traceloop.entity.output"]),
    (&["input.value"], &["output.value"]),
    (&["input"], &["output"]),
    (&["pydantic_ai.all_messages"], &["final_result"]),
    (&["tool_arguments"], &["tool_response"]),
];

/// Looks through all sources in Langfuse's order.
pub(super) fn io(span: &Attributes, scope_name: &str, events: Vec<Event>) -> Result<Io, MappingError> {
    let own = pair(span, &["langfuse.observation.input"], &["langfuse.observation.output"]);
    if let Some(io) = own.or_else(|| by_scope(span, scope_name)) {
        return Ok(io);
    }
    if let Some(io) = from_events(events)? {
        return Ok(io);
    }
    Ok(PAIRS_BEFORE_EVENTS
        .iter()
        .find_map(|(input, output)| pair(span, input, output))
        .or_else(|| from_events_attribute(span))
        .or_else(|| PAIRS_AFTER_EVENTS.iter().find_map(|(input, output)| pair(span, input, output)))
        .or_else(|| {
            flattened(span, ["gen_ai.prompt", "gen_ai.prompt."], ["gen_ai.completion", "gen_ai.completion."])
        })
        .or_else(|| {
            flattened(
                span,
                ["llm.input_messages", "llm.input_messages."],
                ["llm.output_messages", "llm.output_messages."],
            )
        })
        .or_else(|| gen_ai_messages(span))
        .or_else(|| pair(span, &["gen_ai.tool.call.arguments"], &["gen_ai.tool.call.result"]))
        .unwrap_or_default())
}

fn pair(span: &Attributes, input: &[&'static str], output: &[&'static str]) -> Option<Io> {
    let find = |keys: &[&str]| keys.iter().find_map(|key| span.get(key)).filter(|it| !it.is_null()).cloned();
    Some(Io::of(find(input), find(output))?.with_keys(input).with_keys(output))
}

fn by_scope(span: &Attributes, scope_name: &str) -> Option<Io> {
    match scope_name {
        "genkit-tracer" => pair(span, &["genkit:input"], &["genkit:output"]),
        "ai" => pair(
            span,
            &["ai.prompt.messages", "ai.prompt", "ai.toolCall.args", "ai.values", "ai.value"],
            &[
                "ai.response.text",
                "ai.response.object",
                "ai.response.toolCalls",
                "ai.result.text",
                "ai.result.object",
                "ai.result.toolCalls",
                "ai.toolCall.result",
                "ai.embeddings",
                "ai.embedding",
            ],
        ),
        _ => None,
    }
}

/// The span events of the GenAI conventions, newest convention first.
fn from_events(events: Vec<Event>) -> Result<Option<Io>, MappingError> {
    let mut known = Vec::new();
    for event in events {
        if event.name.starts_with("gen_ai.") {
            known.push((event.name, Attributes::new(event.attributes)?));
        }
    }
    if let Some((_, details)) =
        known.iter().find(|(name, _)| name == "gen_ai.client.inference.operation.details")
        && let Some(io) = gen_ai_messages(details)
    {
        return Ok(Some(Io { input: io.input, output: io.output, ..Io::default() }));
    }
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for (name, attributes) in &known {
        let role = match name.as_str() {
            "gen_ai.choice" => {
                outputs.push(Value::Object(attributes.clone().into_object()));
                continue;
            }
            "gen_ai.system.message" => "system",
            "gen_ai.user.message" => "user",
            "gen_ai.assistant.message" => "assistant",
            "gen_ai.tool.message" => "tool",
            _ => continue,
        };
        let mut message = Map::from_iter([("role".to_owned(), Value::from(role))]);
        message.extend(attributes.clone().into_object());
        inputs.push(Value::Object(message));
    }
    if !inputs.is_empty() || !outputs.is_empty() {
        let output = match outputs.len() {
            0 => None,
            1 => outputs.pop(),
            _ => Some(Value::Array(outputs)),
        };
        return Ok(Io::of((!inputs.is_empty()).then_some(Value::Array(inputs)), output));
    }
    let content = |event: &str, attribute: &str| {
        let (_, attributes) = known.iter().find(|(name, _)| name == event)?;
        attributes.filled(attribute).cloned()
    };
    Ok(Io::of(
        content("gen_ai.content.prompt", "gen_ai.prompt"),
        content("gen_ai.content.completion", "gen_ai.completion"),
    ))
}

/// `events`: a JSON list of which the choices are output and all else is input.
fn from_events_attribute(span: &Attributes) -> Option<Io> {
    let parsed: Value = match span.filled("events")? {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    let Value::Array(items) = parsed else { return None };
    let (outputs, inputs): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| item["event.name"] == "gen_ai.choice");
    let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
    Some(Io::of(list(inputs), list(outputs))?.with_keys(&["events"]))
}

/// Indexed keys such as `gen_ai.prompt.0.role`, or the name alone.
fn flattened(span: &Attributes, input: [&'static str; 2], output: [&'static str; 2]) -> Option<Io> {
    let find = |[whole, prefix]: [&'static str; 2]| {
        span.filled(whole).cloned().or_else(|| unflatten(span.below(prefix)))
    };
    Some(
        Io::of(find(input), find(output))?
            .with_keys(&[input[0], output[0]])
            .with_prefixes(&[input[1], output[1]]),
    )
}

fn gen_ai_messages(span: &Attributes) -> Option<Io> {
    let input = span.filled("gen_ai.input.messages").cloned();
    let output = span.filled("gen_ai.output.messages").cloned();
    let input = match (span.filled("gen_ai.system_instructions"), input) {
        (Some(instructions), Some(messages)) => Some(with_system_message(instructions, messages)),
        (_, messages) => messages,
    };
    Some(Io::of(input, output)?.with_keys(&[
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
    ]))
}

/// Only a list of messages can take one more in front.
fn with_system_message(instructions: &Value, messages: Value) -> Value {
    let parse = |value: &Value| match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_cause| value.clone()),
        other => other.clone(),
    };
    match parse(&messages) {
        Value::Array(mut items) => {
            items.insert(0, json!({ "role": "system", "content": parse(instructions) }));
            Value::Array(items)
        }
        _ => messages,
    }
}
