//! The observation's type: the first rule that gives one wins.

use serde_json::Value;

use super::attributes::Attributes;

const SPAN: &str = "SPAN";
const GENERATION: &str = "GENERATION";
const EVENT: &str = "EVENT";
const AGENT: &str = "AGENT";
const TOOL: &str = "TOOL";
const CHAIN: &str = "CHAIN";
const RETRIEVER: &str = "RETRIEVER";
const EVALUATOR: &str = "EVALUATOR";
const EMBEDDING: &str = "EMBEDDING";
const GUARDRAIL: &str = "GUARDRAIL";

/// Names the type. A value that a rule does not know falls through to the next rule.
pub(super) fn kind(span: &Attributes) -> &'static str {
    let text = |key: &str| span.filled(key).and_then(Value::as_str);
    text("langfuse.observation.type")
        .and_then(explicit)
        .or_else(|| text("openinference.span.kind").and_then(openinference))
        .or_else(|| text("gen_ai.operation.name").and_then(gen_ai))
        .or_else(|| text("genkit:metadata:subtype").and_then(genkit))
        .or_else(|| text("operation.name").and_then(vercel))
        .or_else(|| text("ai.operationId").and_then(vercel))
        .or_else(|| {
            let tool = ["gen_ai.tool.name", "gen_ai.tool.call.id"];
            tool.iter().any(|key| span.filled(key).is_some()).then_some(TOOL)
        })
        .or_else(|| {
            let model = [
                "langfuse.observation.model.name",
                "gen_ai.request.model",
                "gen_ai.response.model",
                "llm.model_name",
                "model",
            ];
            model.iter().any(|key| span.filled(key).is_some()).then_some(GENERATION)
        })
        .unwrap_or(SPAN)
}

fn explicit(value: &str) -> Option<&'static str> {
    Some(match value {
        "span" => SPAN,
        "generation" => GENERATION,
        "event" => EVENT,
        "embedding" => EMBEDDING,
        "agent" => AGENT,
        "tool" => TOOL,
        "chain" => CHAIN,
        "retriever" => RETRIEVER,
        "guardrail" => GUARDRAIL,
        "evaluator" => EVALUATOR,
        _ => return None,
    })
}

fn openinference(value: &str) -> Option<&'static str> {
    Some(match value {
        "CHAIN" => CHAIN,
        "RETRIEVER" => RETRIEVER,
        "LLM" => GENERATION,
        "EMBEDDING" => EMBEDDING,
        "AGENT" => AGENT,
        "TOOL" => TOOL,
        "GUARDRAIL" => GUARDRAIL,
        "EVALUATOR" => EVALUATOR,
        _ => return None,
    })
}

fn gen_ai(value: &str) -> Option<&'static str> {
    Some(match value {
        "chat" | "completion" | "text_completion" | "generate_content" | "generate" => GENERATION,
        "embeddings" => EMBEDDING,
        "invoke_agent" | "create_agent" => AGENT,
        "execute_tool" => TOOL,
        _ => return None,
    })
}

fn genkit(value: &str) -> Option<&'static str> {
    Some(match value {
        "model" => GENERATION,
        "tool" => TOOL,
        "embedder" => EMBEDDING,
        "retriever" => RETRIEVER,
        "evaluator" => EVALUATOR,
        "agent" => AGENT,
        _ => return None,
    })
}

/// The Vercel AI SDK names its inner calls `….doGenerate`, `….doStream` and `….doEmbed`;
/// `operation.name` may carry the function's id after a blank.
fn vercel(value: &str) -> Option<&'static str> {
    let operation = value.split(' ').next().unwrap_or_default();
    let inner = operation.strip_prefix("ai.")?;
    if inner == "toolCall" {
        return Some(TOOL);
    }
    match inner.split_once('.')?.1 {
        "doGenerate" | "doStream" => Some(GENERATION),
        "doEmbed" => Some(EMBEDDING),
        _ => None,
    }
}
