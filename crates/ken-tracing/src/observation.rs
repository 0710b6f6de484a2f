//! What happens within a turn: generations, tools, agents, retrievals.
//!
//! Each kind has the setters that make sense for it and no others. All end when they are dropped: a
//! generation or a tool that never said how it went is marked so, and one that a panic unwinds is an error.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};

use crate::id::{SpanId, TraceId};
use crate::keys::id;
use crate::payload::Payload;
use crate::record::{Item, Key, Kind, Level, Record, ScoreRecord, TurnShared, Value, nanoseconds};
use crate::score::ScoreValue;
use crate::usage::{Cost, Usage};

/// What kind of observation a type stands for.
pub mod kind {
    /// The root of a trace.
    #[derive(Debug)]
    pub enum Turn {}
    /// A call of a model.
    #[derive(Debug)]
    pub enum Generation {}
    /// A call of a tool.
    #[derive(Debug)]
    pub enum Tool {}
    /// An agent within the turn.
    #[derive(Debug)]
    pub enum Agent {}
    /// A search in a store.
    #[derive(Debug)]
    pub enum Retrieval {}
    /// A check of what goes in or out.
    #[derive(Debug)]
    pub enum Guardrail {}
    /// Anything else that takes time.
    #[derive(Debug)]
    pub enum Step {}
}

/// A call of a model.
pub type Generation = Observation<kind::Generation>;
/// A call of a tool.
pub type Tool = Observation<kind::Tool>;
/// An agent within the turn.
pub type Agent = Observation<kind::Agent>;
/// A search in a store.
pub type Retrieval = Observation<kind::Retrieval>;
/// A check of what goes in or out.
pub type Guardrail = Observation<kind::Guardrail>;
/// Anything else that takes time.
pub type Step = Observation<kind::Step>;

/// A place in a trace under which observations can be made: cheap to clone, to move to other tasks and
/// threads, and to keep beyond the observation itself.
#[derive(Clone)]
pub struct Scope {
    inner: Option<Inner>,
}

#[derive(Clone)]
struct Inner {
    turn: Arc<TurnShared>,
    /// The span below which new ones are made.
    id: SpanId,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("trace", &self.trace_id()).field("span", &self.span_id()).finish()
    }
}

macro_rules! children {
    ($($(#[$doc:meta])* $method:ident: $kind:ident, $record:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $method<'a>(&self, name: impl Into<Payload<'a>>) -> Observation<kind::$kind> {
                self.child(Kind::$record, name.into())
            }
        )*
    };
}

impl Scope {
    pub(crate) fn new(turn: Arc<TurnShared>, id: SpanId) -> Self {
        Self { inner: Some(Inner { turn, id }) }
    }

    /// A scope in which nothing is recorded.
    #[must_use]
    pub const fn off() -> Self {
        Self { inner: None }
    }

    children! {
        /// A call of a model.
        generation: Generation, Generation;
        /// A call of a tool. Langfuse names the observation after the tool.
        tool: Tool, Tool;
        /// An agent that makes calls of its own.
        agent: Agent, Agent;
        /// A search in a store.
        retrieval: Retrieval, Retriever;
        /// A check of what goes in or out.
        guardrail: Guardrail, Guardrail;
        /// Anything else that takes time.
        step: Step, Span;
    }

    fn child<K>(&self, record_kind: Kind, name: Payload<'_>) -> Observation<K> {
        let Some(inner) = &self.inner else { return Observation::off() };
        let mut record = inner.turn.shared.record();
        record.own.put(Key::Fixed(id!(NAME)), Value::Text(name));
        record.start_ns = inner.turn.clock.now();
        let scope = Self::new(Arc::clone(&inner.turn), SpanId::random());
        Observation::begun(scope, record, record_kind, Some(inner.id))
    }

    /// The trace's id; `None` when nothing is recorded.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.inner.as_ref().map(|inner| inner.turn.trace)
    }

    /// The id of the span that this scope belongs to.
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        self.inner.as_ref().map(|inner| inner.id)
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn turn(&self) -> Option<Arc<TurnShared>> {
        self.inner.as_ref().map(|inner| Arc::clone(&inner.turn))
    }

    /// For the propagators of `opentelemetry`, so that a call continues the trace elsewhere: inject it into
    /// the headers of a request, or into `_meta` of a call to an MCP server.
    #[must_use]
    pub fn context(&self) -> Context {
        let Some(inner) = &self.inner else { return Context::new() };
        Context::new().with_remote_span_context(SpanContext::new(
            opentelemetry::trace::TraceId::from_bytes(inner.turn.trace.0),
            opentelemetry::trace::SpanId::from_bytes(inner.id.0),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ))
    }

    /// A verdict on this observation. The same name given again replaces it.
    pub fn score(&self, name: &str, value: impl Into<ScoreValue>) {
        self.send_score(true, name, value.into(), None);
    }

    /// A verdict on this observation, with a reason.
    pub fn score_with(&self, name: &str, value: impl Into<ScoreValue>, comment: impl Into<String>) {
        self.send_score(true, name, value.into(), Some(comment.into()));
    }

    /// A verdict on the whole trace.
    pub fn score_trace(&self, name: &str, value: impl Into<ScoreValue>) {
        self.send_score(false, name, value.into(), None);
    }

    fn send_score(&self, of_span: bool, name: &str, value: ScoreValue, comment: Option<String>) {
        let Some(inner) = &self.inner else { return };
        if matches!(value, ScoreValue::Number(number) if !number.is_finite()) {
            return;
        }
        let observation = of_span.then_some(inner.id);
        let subject = observation
            .map_or_else(|| inner.turn.trace.to_string(), |id| format!("{}-{id}", inner.turn.trace));
        let record = ScoreRecord {
            // The same for the same verdict, so that a repetition replaces and a retry does not double.
            id: TraceId::from_seed(&format!("{subject}-{name}")).to_string(),
            name: name.to_owned(),
            value,
            trace: inner.turn.trace,
            observation,
            comment,
            queued_ns: inner.turn.clock.now(),
        };
        let weight =
            size_of::<ScoreRecord>() + record.name.len() + record.comment.as_ref().map_or(0, String::len);
        inner.turn.shared.push(Item::Score(Box::new(record)), weight);
    }
}

/// Something that happens within a turn, or the turn itself. It ends when it is dropped.
#[must_use = "an observation ends when it is dropped"]
pub struct Observation<K> {
    scope: Scope,
    record: Option<Box<Record>>,
    is_finished: bool,
    end_ns: u64,
    kind: PhantomData<fn() -> K>,
}

impl<K> fmt::Debug for Observation<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observation").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Everything that can be done below an observation.
impl<K> std::ops::Deref for Observation<K> {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

impl<K> Observation<K> {
    pub(crate) const fn off() -> Self {
        Self { scope: Scope::off(), record: None, is_finished: false, end_ns: 0, kind: PhantomData }
    }

    pub(crate) fn begun(scope: Scope, mut record: Box<Record>, kind: Kind, parent: Option<SpanId>) -> Self {
        if let Some(inner) = &scope.inner {
            record.trace = inner.turn.trace;
            record.id = inner.id;
        }
        record.kind = kind;
        record.parent = parent;
        Self { scope, record: Some(record), is_finished: false, end_ns: 0, kind: PhantomData }
    }

    /// The place of this observation, to make others below it from elsewhere.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether it is recorded. Where it is not, nothing needs to be prepared for it.
    pub const fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    fn put<'a>(&mut self, key: u8, value: impl Into<Payload<'a>>) -> &mut Self {
        if let Some(record) = &mut self.record {
            record.own.put(Key::Fixed(key), Value::Text(value.into()));
        }
        self
    }

    /// Under Langfuse's key and under that of the semantic conventions.
    fn put_twice(&mut self, key: u8, also: u8, value: Payload<'_>) -> &mut Self {
        if let Some(record) = &mut self.record {
            record.own.put_twice(key, also, value);
        }
        self
    }

    fn push(&mut self, key: u8, value: Value<'_>) -> &mut Self {
        if let Some(record) = &mut self.record {
            record.own.put(Key::Fixed(key), value);
        }
        self
    }

    /// What went in: a text, or JSON.
    pub fn input<'a>(&mut self, input: impl Into<Payload<'a>>) -> &mut Self {
        self.put(id!(INPUT), input)
    }

    /// Metadata of this observation.
    pub fn metadata<'a>(&mut self, key: &str, value: impl Into<Payload<'a>>) -> &mut Self {
        if let Some(record) = &mut self.record {
            record.own.put(Key::Metadata(key), Value::Text(value.into()));
        }
        self
    }

    /// It failed, for this reason.
    pub fn error<'a>(&mut self, message: impl Into<Payload<'a>>) -> &mut Self {
        self.went(Level::Error, message.into())
    }

    /// It went on in spite of this.
    pub fn warning<'a>(&mut self, message: impl Into<Payload<'a>>) -> &mut Self {
        self.went(Level::Warning, message.into())
    }

    fn went(&mut self, level: Level, message: Payload<'_>) -> &mut Self {
        self.is_finished = true;
        if let Some(record) = &mut self.record {
            record.level = level;
            // The last reason counts, as the last attribute of a key does.
            record.own.put(Key::Fixed(id!(STATUS_MESSAGE)), Value::Text(message));
        }
        self
    }

    /// Another id than a random one, such as [`SpanId::from_seed`] of Ken's own id. To be said before
    /// anything is made below this observation.
    pub fn with_span_id(mut self, id: SpanId) -> Self {
        if let (Some(record), Some(inner)) = (&mut self.record, &mut self.scope.inner) {
            (record.id, inner.id) = (id, id);
        }
        self
    }

    /// When it began, for one that is recorded afterwards.
    pub fn started_at(mut self, time: SystemTime) -> Self {
        if let Some(record) = &mut self.record {
            record.start_ns = nanoseconds(time);
        }
        self
    }

    /// Ends it now: for one that went well without any output.
    pub fn end(mut self) {
        self.is_finished = true;
    }

    /// Ends it at another time than now, for one that is recorded afterwards.
    pub fn end_at(mut self, time: SystemTime) {
        self.is_finished = true;
        self.end_ns = nanoseconds(time);
    }
}

macro_rules! has_output {
    ($($kind:ident: $method:ident, $doc:literal;)*) => {
        $(
            impl Observation<kind::$kind> {
                #[doc = $doc]
                pub fn $method<'a>(&mut self, output: impl Into<Payload<'a>>) -> &mut Self {
                    self.is_finished = true;
                    self.put(id!(OUTPUT), output)
                }
            }
        )*
    };
}
has_output! {
    Turn: output, "What the user got.";
    Generation: output, "What the model answered: a text, or JSON.";
    Tool: result, "What the tool gave back: a text, or JSON.";
    Agent: output, "What the agent came to.";
    Retrieval: documents, "What was found: a text, or JSON.";
    Guardrail: verdict, "What the check came to.";
    Step: output, "What came out.";
}

impl Observation<kind::Generation> {
    /// The model, by its provider's name for it.
    pub fn model<'a>(&mut self, model: impl Into<Payload<'a>>) -> &mut Self {
        self.put_twice(id!(MODEL), id!(GEN_AI_MODEL), model.into())
    }

    /// Who runs the model, such as `anthropic` or `openai`.
    pub fn provider<'a>(&mut self, provider: impl Into<Payload<'a>>) -> &mut Self {
        self.put_twice(id!(PROVIDER), id!(GEN_AI_PROVIDER), provider.into())
    }

    /// A JSON object of the call's parameters, such as `{"temperature":0.2}`.
    pub fn parameters<'a>(&mut self, parameters: impl Into<Payload<'a>>) -> &mut Self {
        self.put(id!(MODEL_PARAMETERS), parameters)
    }

    /// The first token came, now. Only the first time counts.
    pub fn first_token(&mut self) -> &mut Self {
        match (&self.record, &self.scope.inner) {
            (Some(record), Some(inner)) if !record.own.has(id!(COMPLETION_START)) => {
                let now = inner.turn.clock.now();
                self.push(id!(COMPLETION_START), Value::Moment(now))
            }
            _ => self,
        }
    }

    /// The first token came at another time, for a call that is recorded afterwards.
    pub fn first_token_at(&mut self, time: SystemTime) -> &mut Self {
        self.push(id!(COMPLETION_START), Value::Moment(nanoseconds(time)))
    }

    /// The tokens it used.
    pub fn usage(&mut self, usage: Usage) -> &mut Self {
        self.push(id!(USAGE), Value::Usage(usage))
    }

    /// What it cost. Without it Langfuse multiplies the usage with its prices. An amount that is negative or
    /// no number is left out.
    pub fn cost(&mut self, cost: Cost) -> &mut Self {
        if cost.is_sound() { self.push(id!(COST), Value::Cost(cost)) } else { self }
    }

    /// The prompt of Langfuse's prompt management that was used.
    pub fn prompt<'a>(&mut self, name: impl Into<Payload<'a>>, version: u32) -> &mut Self {
        self.put(id!(PROMPT_NAME), name);
        self.push(id!(PROMPT_VERSION), Value::Int(i64::from(version)))
    }
}

impl Observation<kind::Tool> {
    /// The arguments: a text, or JSON.
    pub fn arguments<'a>(&mut self, arguments: impl Into<Payload<'a>>) -> &mut Self {
        self.put(id!(INPUT), arguments)
    }

    /// The MCP server that the tool belongs to.
    pub fn mcp_server<'a>(&mut self, server: impl Into<Payload<'a>>) -> &mut Self {
        self.put_twice(id!(TOOL_SERVER), id!(MCP_SERVER), server.into())
    }

    /// The id that the model gave the call.
    pub fn call_id<'a>(&mut self, id: impl Into<Payload<'a>>) -> &mut Self {
        self.put_twice(id!(TOOL_CALL), id!(GEN_AI_TOOL_CALL), id.into())
    }
}

impl<K> Drop for Observation<K> {
    fn drop(&mut self) {
        let (Some(mut record), Some(inner)) = (self.record.take(), self.scope.inner.as_ref()) else { return };
        let now = inner.turn.clock.now();
        record.end_ns = if self.end_ns == 0 { now } else { self.end_ns }.max(record.start_ns);
        record.queued_ns = now;
        if std::thread::panicking() && record.level != Level::Error {
            record.level = Level::Error;
            record
                .own
                .put(Key::Fixed(id!(STATUS_MESSAGE)), Value::Text(Payload::Borrowed("a panic ended it")));
        } else if !self.is_finished && matches!(record.kind, Kind::Generation | Kind::Tool) {
            record.level = Level::Warning;
            let message = Payload::Borrowed("dropped before it was finished");
            record.own.put(Key::Fixed(id!(STATUS_MESSAGE)), Value::Text(message));
        }
        record.turn = Some(Arc::clone(&inner.turn));
        let weight = record.weight();
        inner.turn.shared.push(Item::Span(record), weight);
    }
}

/// A reference to an observation may be held across `await` in a task that moves between threads.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Observation<kind::Turn>>();
    is_shared::<Scope>();
    is_shared::<crate::Tracer>();
};
