//! A turn of a conversation, from its description to its start.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use crate::id::{SpanId, TraceId};
use crate::keys;
use crate::observation::{Observation, Scope, kind};
use crate::payload::Payload;
use crate::record::{Attributes, Clock, Key, Kind, TurnShared, Value, nanoseconds};
use crate::tracer::Shared;

/// Describes a turn before it starts. What is said here goes onto every span of it.
#[must_use = "a turn is recorded once it is started"]
pub struct TurnBuilder {
    /// Boxed, so that what is switched off is moved about for nothing.
    described: Option<Box<Described>>,
}

struct Described {
    shared: Arc<Shared>,
    attributes: Attributes,
    name: Value,
    tags: Vec<String>,
    has_session: bool,
    conversation: Option<(u32, u32)>,
    trace: Option<TraceId>,
    span: Option<SpanId>,
    parent: Option<SpanId>,
    is_sampled: bool,
    started: Option<SystemTime>,
}

impl std::fmt::Debug for TurnBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnBuilder").finish_non_exhaustive()
    }
}

impl TurnBuilder {
    pub(crate) const fn off() -> Self {
        Self { described: None }
    }

    pub(crate) fn new(shared: Arc<Shared>, name: Payload<'_>) -> Self {
        let mut attributes = Attributes::default();
        attributes.list.reserve_exact(16);
        attributes.text.reserve_exact(384);
        let name = attributes.value(name);
        let own = attributes.again(&name);
        attributes.push(Key::Fixed(keys::TRACE_NAME), name);
        for (key, text) in
            [(keys::ENVIRONMENT, &shared.config.environment), (keys::RELEASE, &shared.config.release)]
        {
            if let Some(text) = text {
                attributes.put(key, Payload::Borrowed(text));
            }
        }
        let described = Described {
            shared,
            attributes,
            name: own,
            tags: Vec::new(),
            has_session: false,
            conversation: None,
            trace: None,
            span: None,
            parent: None,
            is_sampled: true,
            started: None,
        };
        Self { described: Some(Box::new(described)) }
    }

    fn with(mut self, change: impl FnOnce(&mut Described)) -> Self {
        if let Some(described) = &mut self.described {
            change(described);
        }
        self
    }

    fn put<'a>(self, key: &'static str, value: impl Into<Payload<'a>>) -> Self {
        self.with(|it| it.attributes.put(key, value.into()))
    }

    /// Ken's thread, as the metadata `thread_id`.
    pub fn thread_id<'a>(self, id: impl Into<Payload<'a>>) -> Self {
        self.metadata("thread_id", id)
    }

    /// The conversation: the metadata `conversation_id`, and the session unless another one is given.
    pub fn conversation_id(self, id: &str) -> Self {
        self.with(|it| {
            let place = it.attributes.copy(id);
            it.conversation = Some((place.start, place.end));
            it.attributes.push(Key::Fixed(keys::GEN_AI_CONVERSATION), Value::Copied(place.clone()));
            let key = it.attributes.copy("conversation_id");
            it.attributes.push(Key::TraceMetadata(key), Value::Copied(place));
        })
    }

    /// The session that groups traces, when it is not the conversation.
    pub fn session_id<'a>(self, id: impl Into<Payload<'a>>) -> Self {
        self.with(|it| it.has_session = true).put(keys::SESSION_ID, id)
    }

    /// Where the turn came from, such as `web` or `telegram`, as the metadata `channel`.
    pub fn channel<'a>(self, channel: impl Into<Payload<'a>>) -> Self {
        self.metadata("channel", channel)
    }

    /// Who asked.
    pub fn user_id<'a>(self, id: impl Into<Payload<'a>>) -> Self {
        self.put(keys::USER_ID, id)
    }

    /// The version of what was asked: a prompt set, an experiment.
    pub fn version<'a>(self, version: impl Into<Payload<'a>>) -> Self {
        self.put(keys::VERSION, version)
    }

    /// A tag; several are kept in their order.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.with(|it| it.tags.push(tag.into()))
    }

    /// Metadata of the whole turn.
    pub fn metadata<'a>(self, key: &str, value: impl Into<Payload<'a>>) -> Self {
        self.with(|it| {
            let key = it.attributes.copy(key);
            let value = it.attributes.value(value.into());
            it.attributes.push(Key::TraceMetadata(key), value);
        })
    }

    /// The id of the trace, such as [`TraceId::from_seed`] of Ken's own id of the turn.
    pub fn trace_id(self, id: TraceId) -> Self {
        self.with(|it| it.trace = Some(id))
    }

    /// The id of the turn's own span.
    pub fn span_id(self, id: SpanId) -> Self {
        self.with(|it| it.span = Some(id))
    }

    /// Continues the trace of a caller: what the propagator of `opentelemetry` read from its request. A
    /// caller that does not sample is followed.
    pub fn parent(self, context: &Context) -> Self {
        self.with(|it| {
            let span = context.span();
            let parent = span.span_context();
            if parent.is_valid() {
                it.trace = Some(TraceId(parent.trace_id().to_bytes()));
                it.parent = Some(SpanId(parent.span_id().to_bytes()));
                it.is_sampled = parent.is_sampled();
            }
        })
    }

    /// When the turn began, for one that is recorded afterwards.
    pub fn started_at(self, time: SystemTime) -> Self {
        self.with(|it| it.started = Some(time))
    }

    /// Starts the turn, if it is among those that are sampled.
    pub fn start(self) -> Turn {
        self.described.map_or_else(Observation::off, |described| described.start())
    }
}

impl Described {
    fn start(mut self) -> Turn {
        let shared = self.shared;
        let trace = self.trace.unwrap_or_else(TraceId::random);
        let rate = shared.config.sample_rate;
        if !self.is_sampled || (rate < 1.0 && trace.share() >= rate) {
            return Observation::off();
        }
        if let (false, Some((start, end))) = (self.has_session, self.conversation) {
            self.attributes.push(Key::Fixed(keys::SESSION_ID), Value::Copied(start..end));
        }
        if !self.tags.is_empty() {
            self.attributes.push(Key::Fixed(keys::TAGS), Value::Texts(self.tags));
        }
        let clock = Clock::start();
        let mut record = shared.record();
        record.name = match self.name {
            Value::Copied(place) => Value::Copied(record.own.copy(self.attributes.at(&place))),
            other => other,
        };
        record.start_ns = self.started.map_or(clock.started_ns(), nanoseconds);
        if self.parent.is_some() {
            record.own.push(Key::Fixed(keys::IS_APP_ROOT), Value::Bool(true));
        }
        let turn = Arc::new(TurnShared {
            trace,
            attributes: Mutex::new(Some(self.attributes)),
            clock,
            encoded: OnceLock::new(),
        });
        let id = self.span.unwrap_or_else(SpanId::random);
        Observation::begun(Scope::new(shared, turn, id), record, Kind::Agent, self.parent)
    }
}

/// One turn of a conversation: the root of a trace. It ends when it is dropped.
pub type Turn = Observation<kind::Turn>;
