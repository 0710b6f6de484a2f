//! The columns that filters may name.

/// A column as SQL, by what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Text(&'static str),
    Number(&'static str),
    Time(&'static str),
    Truth(&'static str),
    /// A JSON list of strings.
    List(&'static str),
    /// A JSON object of strings, asked by key.
    Object(&'static str),
    /// Scores, by the condition that finds those of a row.
    Scores(&'static str),
}

const OF_OBSERVATION: &str = "scores.project_id = observations.project_id AND \
    scores.trace_id = observations.trace_id AND scores.observation_id = observations.id";
const OF_TRACE: &str = "scores.project_id = observations.project_id AND \
    scores.trace_id = observations.trace_id AND scores.observation_id = ''";
const LATENCY: &str = "((end_ms - start_ms) / 1000.0)";

/// Finds a column by any of its names, `None` when Langfuse has none of that name either.
pub(super) fn column(name: &str) -> Option<Column> {
    use Column::{List, Number, Object, Scores, Text, Time, Truth};
    Some(match name {
        "id" => Text("id"),
        "type" => Text("kind"),
        "name" => Text("name"),
        "traceId" => Text("trace_id"),
        "startTime" => Time("start_ms"),
        "endTime" => Time("end_ms"),
        "environment" => Text("environment"),
        "level" => Text("level"),
        "statusMessage" => Text("status_message"),
        "version" => Text("version"),
        "release" => Text("release"),
        "userId" => Text("user_id"),
        "sessionId" => Text("session_id"),
        "traceName" => Text("trace_name"),
        "tags" | "traceTags" => List("tags"),
        "latency" => Number(LATENCY),
        "timeToFirstToken" => Number("((completion_start_ms - start_ms) / 1000.0)"),
        "tokensPerSecond" => Number("(output_usage * 1000.0 / nullif(end_ms - start_ms, 0))"),
        "inputTokens" => Number("input_usage"),
        "outputTokens" => Number("output_usage"),
        "totalTokens" | "tokens" => Number("total_usage"),
        "inputCost" => Number("input_cost"),
        "outputCost" => Number("output_cost"),
        "totalCost" => Number("total_cost"),
        "model" | "providedModelName" => Text("model"),
        "modelId" => Text("model_id"),
        "promptName" => Text("prompt_name"),
        "promptVersion" => Number("prompt_version"),
        "input" => Text("input"),
        "output" => Text("output"),
        "metadata" => Object("metadata"),
        "isRootObservation" => Truth("(parent_id = '' OR is_app_root)"),
        "hasParentObservation" => Truth("(parent_id <> '')"),
        "hasInput" => Truth("(input <> '')"),
        "hasOutput" => Truth("(output <> '')"),
        "parentObservationId" => Text("parent_id"),
        "experimentId" => Text("experiment_id"),
        "experimentName" => Text("experiment_name"),
        "experimentDatasetId" => Text("experiment_dataset_id"),
        "ingestionApiKey" => Text("ingestion_api_key"),
        "ingestionSdkName" => Text("ingestion_sdk_name"),
        "ingestionSdkVersion" => Text("ingestion_sdk_version"),
        "toolNames" => List("tool_names"),
        "calledToolNames" => List("called_tool_names"),
        "toolDefinitions" => Number("json_array_length(tool_names)"),
        "toolCalls" => Number("json_array_length(called_tool_names)"),
        // Everything here came by OTLP, and nobody can comment.
        "ingestionSource" => Text("'otel'"),
        "commentCount" => Number("0"),
        "commentContent" => Text("''"),
        "scores_avg" | "score_categories" | "score_booleans" => Scores(OF_OBSERVATION),
        "trace_scores_avg" | "trace_score_categories" | "trace_score_booleans" => Scores(OF_TRACE),
        _ => return None,
    })
}
