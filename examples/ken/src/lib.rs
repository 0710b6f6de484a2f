//! A small Ken: an HTTP chat service with scripted and real model providers, tools, and conversations in
//! Postgres, instrumented with `ken-tracing`. The example to copy from.
//!
//! `POST /chat` with `{"conversation_id", "thread_id"?, "channel"?, "user_id"?, "provider"?, "message"}` gives
//! `{"answer", "trace_id"?}`; `GET /healthz` tells that it serves.

pub mod chat;
pub mod conversations;
pub mod mcp;
pub mod models;
pub mod tools;

use std::sync::Arc;

use anyhow::Context;
use ken_tracing::Tracer;

/// What all requests share.
#[derive(Debug)]
pub struct Ken {
    /// Where turns are recorded; it may be off.
    pub tracer: Tracer,
    /// What was said before.
    pub conversations: conversations::Conversations,
    /// The tool server that is a process of its own.
    pub mcp: mcp::Client,
    /// An OpenAI-compatible provider, when there is one.
    pub openai: Option<models::OpenAi>,
}

impl Ken {
    /// As the environment says: `DATABASE_URL` for Postgres (memory without it), `OPENAI_BASE_URL` and
    /// `OPENAI_API_KEY` for a real provider, and the names of [`ken_tracing::Config::from_env`].
    ///
    /// # Errors
    /// A database that does not answer, or an environment that cannot be meant. A Langfuse that is not there
    /// is no error.
    pub async fn from_env() -> anyhow::Result<Arc<Self>> {
        let tracer = Tracer::from_env().context("tracing")?;
        let database = std::env::var("DATABASE_URL").ok();
        let program = std::env::current_exe().context("finding the tool server")?;
        Ok(Arc::new(Self {
            tracer,
            conversations: conversations::Conversations::open(database.as_deref()).await?,
            mcp: mcp::Client::new(program, vec!["mcp".to_owned()]),
            openai: models::OpenAi::from_env()?,
        }))
    }
}
