//! Tools: which an observation could call, and which it called.
//!
//! Definitions are read from the input and calls from the output, in the shapes of the common providers.
//! Definitions that came as attributes or metadata are moved into the input, as Langfuse does.

use serde_json::{Map, Value, json};

use super::attributes::{Attributes, text_of};

/// Attributes that hold a list of definitions.
const DEFINITIONS: [&str; 3] =
    ["ai.prompt.tools", "gen_ai.tool.definitions", "model_request_parameters.function_tools"];
/// Where flattened attributes hold one definition each: `llm.tools.0.tool.json_schema`.
const INDEXED: &str = "llm.tools.";

/// What was found in one observation.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tools {
    /// The names of the tools that were offered, each once.
    pub(super) offered: Vec<String>,
    /// The names of the tools that were called, one for each call.
    pub(super) called: Vec<String>,
}

/// Reads both sides. Text that cannot hold tools is not parsed.
pub(super) fn tools(input: &str, output: &str) -> Tools {
    let mut tools = Tools::default();
    if ["\"tools\"", "unctionDeclarations", "unction_declarations", "\"functions\""]
        .iter()
        .any(|hint| input.contains(hint))
        && let Ok(parsed) = serde_json::from_str(input)
    {
        offered(&parsed, &mut tools.offered);
    }
    if ["tool", "unction_call", "unctionCall"].iter().any(|hint| output.contains(hint))
        && let Ok(parsed) = serde_json::from_str(output)
    {
        called(&parsed, &mut tools.called, MAX_DEPTH);
    }
    tools
}

/// Deeper than any provider's answer nests a call.
const MAX_DEPTH: u8 = 8;

fn offered(input: &Value, names: &mut Vec<String>) {
    for holder in [input, &input["config"], &input["body"], &input["kwargs"]] {
        for key in ["tools", "functions"] {
            for definition in holder[key].as_array().into_iter().flatten() {
                definition_names(definition, names);
            }
        }
    }
}

fn definition_names(definition: &Value, names: &mut Vec<String>) {
    for declarations in ["functionDeclarations", "function_declarations"] {
        for declaration in definition[declarations].as_array().into_iter().flatten() {
            definition_names(declaration, names);
        }
    }
    let name = [&definition["function"]["name"], &definition["name"], &definition["toolName"]]
        .into_iter()
        .find_map(Value::as_str);
    if let Some(name) = name.filter(|name| !name.is_empty())
        && !names.iter().any(|known| known == name)
    {
        names.push(name.to_owned());
    }
}

/// Walks messages, choices, parts and output items.
fn called(value: &Value, names: &mut Vec<String>, depth: u8) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Array(items) => items.iter().for_each(|item| called(item, names, depth)),
        Value::Object(members) => {
            if let Some(name) = call_name(members) {
                names.push(name.to_owned());
                return;
            }
            for list in ["tool_calls", "toolCalls"] {
                for call in members.get(list).and_then(Value::as_array).into_iter().flatten() {
                    let name = [&call["function"]["name"], &call["name"], &call["toolName"]]
                        .into_iter()
                        .find_map(Value::as_str);
                    names.extend(name.map(str::to_owned));
                }
            }
            for inner in [
                "message",
                "messages",
                "choices",
                "content",
                "parts",
                "candidates",
                "output",
                "response",
                "additional_kwargs",
            ] {
                // A message that repeats its calls for another provider is counted once.
                if inner == "additional_kwargs" && members.get("tool_calls").is_some() {
                    continue;
                }
                if let Some(inner) = members.get(inner) {
                    called(inner, names, depth);
                }
            }
        }
        _ => {}
    }
}

/// The name when the object itself is a call.
fn call_name(members: &Map<String, Value>) -> Option<&str> {
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
    if matches!(
        kind,
        "tool_use" | "function_call" | "tool_call" | "tool-call" | "mcp_call" | "server_tool_use"
    ) {
        return members.get("name").or_else(|| members.get("toolName"))?.as_str();
    }
    let gemini = members.get("functionCall").or_else(|| members.get("function_call"))?;
    gemini["name"].as_str()
}

/// Whether an attribute is a definition that is moved, and so no metadata.
pub(super) fn is_moved(key: &str) -> bool {
    DEFINITIONS.contains(&key)
        || key.strip_prefix(INDEXED).is_some_and(|rest| rest.ends_with(".tool.json_schema"))
}

/// The input with the definitions that came elsewhere, `None` when there are none or it has some already.
pub(super) fn with_definitions(input: &str, span: &Attributes) -> Option<String> {
    let given = definitions(span)?;
    let parsed = serde_json::from_str(input).unwrap_or_else(|_cause| Value::String(input.to_owned()));
    let moved = match parsed {
        Value::Array(messages) => json!({ "messages": messages, "tools": given }),
        Value::Object(members) if members.contains_key("tools") => return None,
        Value::Object(mut members) if members.contains_key("messages") => {
            members.insert("tools".to_owned(), given);
            Value::Object(members)
        }
        Value::String(text) if text.is_empty() => json!({ "tools": given }),
        other => json!({ "prompt": other, "tools": given }),
    };
    Some(moved.to_string())
}

fn definitions(span: &Attributes) -> Option<Value> {
    let parse = |value: &Value| match value {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    };
    let listed = DEFINITIONS.iter().find_map(|key| {
        let Value::Array(items) = parse(span.filled(key)?)? else { return None };
        // A list of texts holds one definition in each.
        let items: Vec<Value> =
            items.iter().map(|item| parse(item).unwrap_or_else(|| item.clone())).collect();
        (!items.is_empty()).then_some(Value::Array(items))
    });
    listed.or_else(|| {
        let mut indexed: Vec<(u32, Value)> = span
            .below(INDEXED)
            .filter_map(|(rest, value)| {
                let at = rest.strip_suffix(".tool.json_schema")?.parse().ok()?;
                Some((at, parse(value).unwrap_or_else(|| Value::String(text_of(value)))))
            })
            .collect();
        indexed.sort_by_key(|(at, _)| *at);
        let items: Vec<Value> = indexed.into_iter().map(|(_, definition)| definition).collect();
        (!items.is_empty()).then_some(Value::Array(items))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::tools;

    fn offered(input: serde_json::Value) -> Vec<String> {
        tools(&input.to_string(), "").offered
    }

    fn called(output: serde_json::Value) -> Vec<String> {
        tools("", &output.to_string()).called
    }

    #[test]
    fn definitions_of_the_common_providers() {
        let openai =
            json!({ "messages": [], "tools": [{ "type": "function", "function": { "name": "a" } }] });
        assert_eq!(offered(openai), ["a"]);
        let anthropic = json!({ "tools": [{ "name": "b", "input_schema": {} }, { "name": "b" }] });
        assert_eq!(offered(anthropic), ["b"]);
        let gemini = json!({ "config": { "tools": [{ "functionDeclarations": [{ "name": "c" }, { "name": "d" }] }] } });
        assert_eq!(offered(gemini), ["c", "d"]);
        assert!(offered(json!({ "tools": "none", "messages": [{ "name": "x" }] })).is_empty());
    }

    #[test]
    fn calls_of_the_common_providers() {
        let call = json!({ "id": "1", "type": "function", "function": { "name": "a", "arguments": "{}" } });
        assert_eq!(called(json!({ "role": "assistant", "tool_calls": [call, call] })), ["a", "a"]);
        assert_eq!(called(json!({ "choices": [{ "message": { "tool_calls": [call] } }] })), ["a"]);
        assert_eq!(
            called(json!({ "content": [{ "type": "text" }, { "type": "tool_use", "name": "b" }] })),
            ["b"]
        );
        assert_eq!(called(json!([{ "type": "function_call", "name": "c", "arguments": "{}" }])), ["c"]);
        let gemini =
            json!({ "candidates": [{ "content": { "parts": [{ "functionCall": { "name": "d" } }] } }] });
        assert_eq!(called(gemini), ["d"]);
        let both = json!({ "tool_calls": [{ "name": "e" }], "additional_kwargs": { "tool_calls": [call] } });
        assert_eq!(called(both), ["e"]);
        assert!(called(json!({ "content": "I would call a tool named x" })).is_empty());
    }
}
