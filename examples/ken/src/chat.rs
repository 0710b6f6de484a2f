//! The chat: one request is one turn.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use ken_tracing::{TraceId, Turn};
use serde::{Deserialize, Serialize};

use crate::Ken;
use crate::conversations::Message;
use crate::models::{self, Reply};
use crate::tools;

/// Rounds of model and tool in one turn.
const ROUNDS: usize = 4;

/// What a client sends.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// The conversation, which is the session in Langfuse.
    pub conversation_id: String,
    /// The thread within a channel.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// Where it came from.
    #[serde(default)]
    pub channel: Option<String>,
    /// Who asks.
    #[serde(default)]
    pub user_id: Option<String>,
    /// `fast`, `slow` or `openai`.
    #[serde(default)]
    pub provider: Option<String>,
    /// What is asked.
    pub message: String,
}

/// What a client gets.
#[derive(Debug, Clone, Serialize)]
pub struct Response {
    /// The answer, or what went wrong.
    pub answer: String,
    /// Where to find the turn in Langfuse; left out when it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// The routes.
pub fn router(ken: Arc<Ken>) -> Router {
    Router::new().route("/healthz", get(async || "ok")).route("/chat", post(chat)).with_state(ken)
}

async fn chat(State(ken): State<Arc<Ken>>, Json(request): Json<Request>) -> (StatusCode, Json<Response>) {
    let mut turn = ken
        .tracer
        .turn("chat-turn")
        .conversation_id(&request.conversation_id)
        .thread_id(request.thread_id.as_deref().unwrap_or(&request.conversation_id))
        .channel(request.channel.as_deref().unwrap_or("http"))
        .user_id(request.user_id.as_deref().unwrap_or("anonymous"))
        .start();
    turn.input(&request.message);
    let trace_id = turn.trace_id().map(|id: TraceId| id.to_string());
    match answer(&ken, &turn, &request).await {
        Ok(answer) => {
            turn.output(&answer);
            (StatusCode::OK, Json(Response { answer, trace_id }))
        }
        Err(error) => {
            turn.error(error.to_string());
            (StatusCode::BAD_GATEWAY, Json(Response { answer: error.to_string(), trace_id }))
        }
    }
}

async fn answer(ken: &Ken, turn: &Turn, request: &Request) -> anyhow::Result<String> {
    let said = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let mut messages = ken.conversations.read(&request.conversation_id).await?;
    messages.push(said("user", &request.message));
    let provider = request.provider.as_deref().unwrap_or("fast");
    let mut tool_result = None;
    for _ in 0..ROUNDS {
        match models::ask(ken, turn, provider, &messages, tool_result.as_deref()).await? {
            Reply::Text(text) => {
                ken.conversations.add(&request.conversation_id, said("user", &request.message)).await?;
                ken.conversations.add(&request.conversation_id, said("assistant", &text)).await?;
                return Ok(text);
            }
            Reply::ToolCall { id, name, arguments } => {
                tool_result = Some(tools::call(ken, turn, &id, &name, &arguments).await);
            }
        }
    }
    anyhow::bail!("the model went on calling tools")
}
