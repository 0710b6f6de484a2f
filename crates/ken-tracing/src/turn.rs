//! A turn of a conversation, from its description to its start.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use crate::id::{SpanId, TraceId};
use crate::keys::id;
use crate::observation::{Observation, Scope, kind};
use crate::payload::Payload;
use crate::record::{Attributes, Clock, Key, Kind, Place, TurnShared, Value, nanoseconds};
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
    name: Option<Place>,
    tags: Vec<String>,
    has_session: bool,
    conversation: Option<Place>,
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
        let mut attributes = Attributes::with_room(512);
        // The name stands on the root span too: a copy of some bytes.
        let name = match name {
            Payload::Borrowed(text) => {
                attributes.put(Key::Fixed(id!(TRACE_NAME)), Value::Text(Payload::Borrowed(text)))
            }
            Payload::Owned(text) => {
                attributes.put(Key::Fixed(id!(TRACE_NAME)), Value::Text(Payload::Borrowed(&text)))
            }
            Payload::Shared(text) => {
                attributes.put(Key::Fixed(id!(TRACE_NAME)), Value::Text(Payload::Borrowed(&text)))
            }
            Payload::Bytes(text) => {
                let text = String::from_utf8_lossy(&text);
                attributes.put(Key::Fixed(id!(TRACE_NAME)), Value::Text(Payload::Borrowed(&text)))
            }
            // A name is needed now.
            Payload::Later(make) => {
                let text = catch_unwind(AssertUnwindSafe(make)).unwrap_or_default();
                attributes.put(Key::Fixed(id!(TRACE_NAME)), Value::Text(Payload::Borrowed(&text)))
            }
        };
        for (key, text) in
            [(id!(ENVIRONMENT), &shared.config.environment), (id!(RELEASE), &shared.config.release)]
        {
            if let Some(text) = text {
                attributes.put(Key::Fixed(key), Value::Text(Payload::Borrowed(text)));
            }
        }
        let described = Described {
            shared,
            attributes,
            name,
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

    fn put<'a>(self, key: u8, value: impl Into<Payload<'a>>) -> Self {
        self.with(|it| {
            it.attributes.put(Key::Fixed(key), Value::Text(value.into()));
        })
    }

    /// Ken's thread, as the metadata `thread_id`.
    pub fn thread_id<'a>(self, id: impl Into<Payload<'a>>) -> Self {
        self.metadata("thread_id", id)
    }

    /// The conversation: the metadata `conversation_id`, and the session unless another one is given.
    pub fn conversation_id(self, id: &str) -> Self {
        self.with(|it| {
            let text = Value::Text(Payload::Borrowed(id));
            if let Some(place) = it.attributes.put(Key::Fixed(id!(GEN_AI_CONVERSATION)), text) {
                it.conversation = Some(place);
                it.attributes.put(Key::TraceMetadata("conversation_id"), Value::Again(place));
            }
        })
    }

    /// The session that groups traces, when it is not the conversation.
    pub fn session_id<'a>(self, id: impl Into<Payload<'a>>) -> Self {
        self.with(|it| it.has_session = true).put(id!(SESSION_ID), id)
    }

    /// Where the turn came from, such as `web` or `telegram`, as the metadata `channel`.
    pub fn channel<'a>(self, channel: impl Into<Payload<'a>>) -> Self {
        self.metadata("channel", channel)
    }

    /// Who asked.
    pub fn user_id<'a>(self, id: impl Into<Payload<'a>>) -> Self {
        self.put(id!(USER_ID), id)
    }

    /// The version of what was asked: a prompt set, an experiment.
    pub fn version<'a>(self, version: impl Into<Payload<'a>>) -> Self {
        self.put(id!(VERSION), version)
    }

    /// A tag; several are kept in their order.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.with(|it| it.tags.push(tag.into()))
    }

    /// Metadata of the whole turn.
    pub fn metadata<'a>(self, key: &str, value: impl Into<Payload<'a>>) -> Self {
        self.with(|it| {
            it.attributes.put(Key::TraceMetadata(key), Value::Text(value.into()));
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
        if let (false, Some(place)) = (self.has_session, self.conversation) {
            self.attributes.put(Key::Fixed(id!(SESSION_ID)), Value::Again(place));
        }
        if !self.tags.is_empty() {
            self.attributes.put(Key::Fixed(id!(TAGS)), Value::Texts(self.tags));
        }
        let clock = Clock::start();
        let mut record = shared.record();
        let name = self.name.map_or("turn", |place| self.attributes.at(place));
        record.own.put(Key::Fixed(id!(NAME)), Value::Text(Payload::Borrowed(name)));
        record.start_ns = self.started.map_or(clock.started_ns(), nanoseconds);
        if self.parent.is_some() {
            record.own.put(Key::Fixed(id!(IS_APP_ROOT)), Value::Bool(true));
        }
        let turn = Arc::new(TurnShared {
            shared,
            trace,
            attributes: Mutex::new(Some(self.attributes)),
            clock,
            encoded: OnceLock::new(),
        });
        let id = self.span.unwrap_or_else(SpanId::random);
        Observation::begun(Scope::new(turn, id), record, Kind::Agent, self.parent)
    }
}

/// One turn of a conversation: the root of a trace. It ends when it is dropped.
pub type Turn = Observation<kind::Turn>;
