//! The attribute keys that are sent, each with its source.
//!
//! `langfuse.*` keys are read by Langfuse v4's OTLP ingestion; `gen_ai.*` are those of OpenTelemetry's
//! semantic conventions for generative AI, for whoever else reads the spans.

/// Name of the trace; on every span, as Langfuse v4 propagates nothing.
pub const TRACE_NAME: &str = "langfuse.trace.name";
/// Groups traces to a conversation; on every span.
pub const SESSION_ID: &str = "langfuse.session.id";
/// Who asked; on every span.
pub const USER_ID: &str = "langfuse.user.id";
/// An array of strings; on every span, and left out when it is empty.
pub const TAGS: &str = "langfuse.trace.tags";
/// Where it ran, such as `production`; on every span.
pub const ENVIRONMENT: &str = "langfuse.environment";
/// The release of the application; on every span.
pub const RELEASE: &str = "langfuse.release";
/// The version of what was asked; on every span.
pub const VERSION: &str = "langfuse.version";
/// Begins the keys of metadata of the whole trace; on every span.
pub const TRACE_METADATA: &str = "langfuse.trace.metadata.";
/// `true` on the first span of ours below a parent in another system.
pub const IS_APP_ROOT: &str = "langfuse.internal.is_app_root";
/// What an observation is: `generation`, `tool`, `agent` and so on.
pub const TYPE: &str = "langfuse.observation.type";
/// `ERROR` or `WARNING`; left out otherwise.
pub const LEVEL: &str = "langfuse.observation.level";
/// What went wrong.
pub const STATUS_MESSAGE: &str = "langfuse.observation.status_message";
/// What went in: a text, or JSON.
pub const INPUT: &str = "langfuse.observation.input";
/// What came out: a text, or JSON.
pub const OUTPUT: &str = "langfuse.observation.output";
/// Begins the keys of metadata of one observation.
pub const METADATA: &str = "langfuse.observation.metadata.";
/// Who runs the model, where Langfuse shows it.
pub const PROVIDER: &str = "langfuse.observation.metadata.provider";
/// The tool's name, where Langfuse can filter by it.
pub const TOOL_NAME: &str = "langfuse.observation.metadata.tool_name";
/// The MCP server that a tool belongs to, where Langfuse shows it.
pub const TOOL_SERVER: &str = "langfuse.observation.metadata.mcp_server";
/// The id of a tool's call, where Langfuse shows it.
pub const TOOL_CALL: &str = "langfuse.observation.metadata.tool_call_id";
/// The model that answered.
pub const MODEL: &str = "langfuse.observation.model.name";
/// A JSON object of the model's parameters.
pub const MODEL_PARAMETERS: &str = "langfuse.observation.model.parameters";
/// A JSON object of token counts in disjoint buckets.
pub const USAGE: &str = "langfuse.observation.usage_details";
/// A JSON object of dollars, with a total.
pub const COST: &str = "langfuse.observation.cost_details";
/// When the first token came: ISO 8601 in UTC.
pub const COMPLETION_START: &str = "langfuse.observation.completion_start_time";
/// The name of the prompt in Langfuse's prompt management.
pub const PROMPT_NAME: &str = "langfuse.observation.prompt.name";
/// Its version.
pub const PROMPT_VERSION: &str = "langfuse.observation.prompt.version";
/// Who runs the model, such as `anthropic`.
pub const GEN_AI_PROVIDER: &str = "gen_ai.provider.name";
/// The model that was asked for.
pub const GEN_AI_MODEL: &str = "gen_ai.request.model";
/// `chat`, `execute_tool`, `invoke_agent`.
pub const GEN_AI_OPERATION: &str = "gen_ai.operation.name";
/// The tool's name, by which Langfuse names the observation.
pub const GEN_AI_TOOL: &str = "gen_ai.tool.name";
/// The id of the call that the model gave.
pub const GEN_AI_TOOL_CALL: &str = "gen_ai.tool.call.id";
/// The conversation.
pub const GEN_AI_CONVERSATION: &str = "gen_ai.conversation.id";
/// The MCP server that a tool belongs to.
pub const MCP_SERVER: &str = "mcp.server.name";

/// Not sent as an attribute: the span's own name.
pub(crate) const NAME: &str = "";

/// The number of a fixed key: its place in [`ALL`], or the place behind them. At compile time alone.
pub(crate) const fn number(key: &str) -> u8 {
    let mut place = 0;
    while place < ALL.len() {
        if is_same(ALL[place].0.as_bytes(), key.as_bytes()) {
            break;
        }
        place += 1;
    }
    assert!(place < ALL.len() || key.is_empty(), "the key is not in the table");
    place as u8
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut place = 0;
    while place < one.len() {
        if one[place] != other[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// The fixed key of a number.
pub(crate) fn by_number(number: u8) -> &'static str {
    ALL.get(usize::from(number)).map_or(NAME, |(key, _, _)| key)
}

/// The number of a key of this module.
macro_rules! id {
    ($key:ident) => {
        const { $crate::keys::number($crate::keys::$key) }
    };
}
pub(crate) use id;

/// Every key with what it goes on and what it holds: the table of the documentation.
pub const ALL: [(&str, &str, &str); 33] = [
    (TRACE_NAME, "every span", "the turn's name"),
    (SESSION_ID, "every span", "the session: the conversation's id unless another is given"),
    (USER_ID, "every span", "the user's id"),
    (TAGS, "every span", "an array of strings, left out when empty"),
    (ENVIRONMENT, "every span", "where it ran, from `LANGFUSE_TRACING_ENVIRONMENT`"),
    (RELEASE, "every span", "the application's release, from `LANGFUSE_RELEASE`"),
    (VERSION, "every span", "the version of what was asked"),
    (
        TRACE_METADATA,
        "every span",
        "followed by a key: `thread_id`, `conversation_id`, `channel`, and those given",
    ),
    (IS_APP_ROOT, "the turn, below a parent of another system", "`true`"),
    (TYPE, "every observation", "agent, generation, tool, retriever, guardrail or span"),
    (LEVEL, "observations that went wrong", "`ERROR` or `WARNING`"),
    (STATUS_MESSAGE, "observations that went wrong", "what went wrong"),
    (INPUT, "every observation", "prompt, arguments, query"),
    (OUTPUT, "every observation", "answer, result, documents"),
    (METADATA, "every observation", "followed by a key"),
    (PROVIDER, "generations", "who runs the model"),
    (TOOL_NAME, "tools", "the tool's name"),
    (TOOL_SERVER, "tools of an MCP server", "the server's name"),
    (TOOL_CALL, "tools", "the id that the model gave the call"),
    (MODEL, "generations", "the model's name"),
    (MODEL_PARAMETERS, "generations", "a JSON object"),
    (USAGE, "generations", "a JSON object of token counts in disjoint buckets"),
    (COST, "generations", "a JSON object of dollars"),
    (COMPLETION_START, "streamed generations", "the time of the first token"),
    (PROMPT_NAME, "generations", "the prompt's name in Langfuse"),
    (PROMPT_VERSION, "generations", "the prompt's version in Langfuse"),
    (GEN_AI_PROVIDER, "generations", "who runs the model"),
    (GEN_AI_MODEL, "generations", "the model's name"),
    (GEN_AI_OPERATION, "generations, tools, agents", "`chat`, `execute_tool`, `invoke_agent`"),
    (GEN_AI_TOOL, "tools", "the tool's name"),
    (GEN_AI_TOOL_CALL, "tools", "the id that the model gave the call"),
    (GEN_AI_CONVERSATION, "every span", "the conversation's id"),
    (MCP_SERVER, "tools of an MCP server", "the server's name"),
];
