//! Model and tool calls in Langfuse: redacted, never blocking, nothing lost.
//!
//! ```no_run
//! use ken_tracing::{Tracer, Usage};
//!
//! # fn main() -> Result<(), ken_tracing::ConfigError> {
//! let tracer = Tracer::from_env()?;
//! let mut turn = tracer.turn("chat-turn").conversation_id("c-17").channel("web").user_id("u-3").start();
//! turn.input("Which invoices are open?");
//!
//! let mut answer = turn.generation("answer");
//! answer.provider("anthropic").model("claude-sonnet-4-5").input(r#"[{"role":"user","content":"…"}]"#);
//! answer.first_token();
//! answer.output("Three.").usage(Usage::new(812, 9));
//! drop(answer);
//!
//! turn.output("Three.");
//! # Ok(()) }
//! ```
//!
//! The caller's thread moves what it is given into a queue; one background thread redacts, encodes, sends,
//! and keeps on disk what cannot be sent. See [`Tracer`], [`Config`] and [`keys`].

mod config;
mod export;
mod id;
pub mod keys;
#[cfg(feature = "tracing")]
mod layer;
mod notice;
mod observation;
#[cfg(feature = "opentelemetry-sdk")]
mod otel;
mod payload;
mod process;
mod record;
pub mod redact;
mod score;
mod stats;
mod tracer;
mod turn;
mod usage;

pub use config::{Config, ConfigError};
pub use id::{SpanId, TraceId};
#[cfg(feature = "tracing")]
pub use layer::{TracingLayer, attach};
pub use notice::{Notice, OnNotice};
pub use observation::{Agent, Generation, Guardrail, Observation, Retrieval, Scope, Step, Tool, kind};
#[cfg(feature = "opentelemetry-sdk")]
pub use otel::{ForeignSpans, extract, inject};
pub use payload::Payload;
pub use score::ScoreValue;
pub use stats::{Cause, Stats};
pub use tracer::{Flushed, Tracer};
pub use turn::{Turn, TurnBuilder};
pub use usage::{Cost, Usage};
