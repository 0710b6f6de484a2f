//! What a span carries from the caller to the exporting thread.
//!
//! Records are reused: their lists and their text buffer keep what they have grown to, so that a span
//! costs no allocation once the program is warm.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::id::{SpanId, TraceId};
use crate::payload::Payload;
use crate::usage::{Cost, Usage};

/// What the record's own buffer may keep when it is reused, in bytes.
const KEPT_TEXT: usize = 8 << 10;
/// Attributes that a reused record keeps room for.
const KEPT_ATTRIBUTES: usize = 64;

/// What an observation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Agent,
    Generation,
    Tool,
    Retriever,
    Guardrail,
    Span,
    /// A span of another crate, which says itself what it is.
    Foreign,
}

impl Kind {
    /// Langfuse's name of the type, and the operation's in the semantic conventions.
    pub(crate) fn names(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Agent => (Some("agent"), Some("invoke_agent")),
            Self::Generation => (Some("generation"), Some("chat")),
            Self::Tool => (Some("tool"), Some("execute_tool")),
            Self::Retriever => (Some("retriever"), None),
            Self::Guardrail => (Some("guardrail"), None),
            Self::Span => (Some("span"), None),
            Self::Foreign => (None, None),
        }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Level {
    #[default]
    Default,
    Warning,
    Error,
}

/// A place in the record's text buffer.
pub(crate) type Place = Range<u32>;

/// The key of an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    Fixed(&'static str),
    /// Follows the prefix of an observation's metadata.
    Metadata(Place),
    /// Follows the prefix of a trace's metadata.
    TraceMetadata(Place),
    /// As another crate gave it.
    Foreign(Place),
}

/// The value of an attribute.
pub(crate) enum Value {
    Static(&'static str),
    Copied(Place),
    Owned(String),
    Shared(Arc<str>),
    Bytes(Bytes),
    Later(Box<dyn FnOnce() -> String + Send>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Texts(Vec<String>),
    Usage(Usage),
    Cost(Cost),
    /// A moment, in nanoseconds since 1970.
    Moment(u64),
}

impl Value {
    /// Bytes that the value keeps alive beyond the record.
    fn weight(&self) -> usize {
        match self {
            Self::Owned(text) => text.capacity(),
            Self::Shared(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Texts(texts) => texts.iter().map(|text| text.capacity() + 24).sum(),
            // What it holds is not known; most hold some parsed JSON.
            Self::Later(_) => 1 << 10,
            _ => 0,
        }
    }
}

/// Attributes and the texts that they point into.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) list: Vec<(Key, Value)>,
    pub(crate) text: String,
    /// Bytes of payload, beside the record itself.
    pub(crate) weight: usize,
}

impl Attributes {
    pub(crate) fn copy(&mut self, text: &str) -> Place {
        let start = self.text.len();
        // Places are 32 bits wide; nobody borrows 4 GiB.
        if start + text.len() > u32::MAX as usize {
            return 0..0;
        }
        self.text.push_str(text);
        self.weight += text.len();
        start as u32..self.text.len() as u32
    }

    pub(crate) fn value(&mut self, payload: Payload<'_>) -> Value {
        let value = match payload {
            Payload::Borrowed(text) => Value::Copied(self.copy(text)),
            Payload::Owned(text) => Value::Owned(text),
            Payload::Shared(text) => Value::Shared(text),
            Payload::Bytes(bytes) => Value::Bytes(bytes),
            Payload::Later(make) => Value::Later(make),
        };
        self.weight += value.weight();
        value
    }

    /// The same text for another key: shared where it can be. One that is made later is made once, and is
    /// left out here.
    pub(crate) fn again(&mut self, value: &Value) -> Value {
        match value {
            Value::Copied(place) => Value::Copied(place.clone()),
            Value::Shared(text) => Value::Shared(Arc::clone(text)),
            Value::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Value::Owned(text) => Value::Copied(self.copy(text)),
            _ => Value::Static(""),
        }
    }

    pub(crate) fn push(&mut self, key: Key, value: Value) {
        self.list.push((key, value));
    }

    pub(crate) fn put(&mut self, key: &'static str, payload: Payload<'_>) {
        let value = self.value(payload);
        self.push(Key::Fixed(key), value);
    }

    pub(crate) fn at(&self, place: &Place) -> &str {
        self.text.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.list.clear();
        self.list.shrink_to(KEPT_ATTRIBUTES);
        self.text.clear();
        self.text.shrink_to(KEPT_TEXT);
        self.weight = 0;
    }
}

/// What all spans of a turn share; fixed when the turn starts.
pub(crate) struct TurnShared {
    pub(crate) trace: TraceId,
    /// Taken by the exporting thread at the turn's first span.
    pub(crate) attributes: Mutex<Option<Attributes>>,
    pub(crate) clock: Clock,
    /// The attributes as they go out, made once.
    pub(crate) encoded: OnceLock<Box<[u8]>>,
}

/// Wall time that does not jump within a turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    started_ns: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), started_ns: nanoseconds(SystemTime::now()) }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.started_ns + u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn started_ns(&self) -> u64 {
        self.started_ns
    }
}

/// Nanoseconds since 1970; 0 for what was before.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// One span that ended.
pub(crate) struct Record {
    pub(crate) turn: Option<Arc<TurnShared>>,
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) name: Value,
    pub(crate) kind: Kind,
    pub(crate) level: Level,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// When it was handed over, in nanoseconds since 1970.
    pub(crate) queued_ns: u64,
    pub(crate) own: Attributes,
    /// The instrumentation scope of a span of another crate, and its events.
    pub(crate) foreign: Option<Box<Foreign>>,
}

/// What spans of other crates have beside attributes.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    pub(crate) scope: String,
    pub(crate) scope_version: String,
    /// `OpenTelemetry`'s span kind, 1 to 5; 0 when unknown.
    pub(crate) span_kind: u8,
    pub(crate) events: Vec<Event>,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) time_ns: u64,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Record {
    pub(crate) fn empty() -> Box<Self> {
        Box::new(Self {
            turn: None,
            trace: TraceId([0; 16]),
            id: SpanId([0; 8]),
            parent: None,
            name: Value::Static(""),
            kind: Kind::Span,
            level: Level::Default,
            start_ns: 0,
            end_ns: 0,
            queued_ns: 0,
            own: Attributes::default(),
            foreign: None,
        })
    }

    /// Bytes that the record holds while it waits, itself included.
    pub(crate) fn weight(&self) -> usize {
        let own = &self.own;
        size_of::<Self>() + own.list.capacity() * size_of::<(Key, Value)>() + own.text.capacity() + own.weight
    }

    /// Makes it fit for another span.
    pub(crate) fn clear(&mut self) {
        self.turn = None;
        self.parent = None;
        self.name = Value::Static("");
        self.level = Level::Default;
        self.own.clear();
        self.foreign = None;
    }
}

/// A verdict on a trace, a span or a session.
pub(crate) struct ScoreRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) value: crate::score::ScoreValue,
    pub(crate) trace: TraceId,
    pub(crate) observation: Option<SpanId>,
    pub(crate) comment: Option<String>,
    pub(crate) queued_ns: u64,
}

/// What is handed over.
pub(crate) enum Item {
    Span(Box<Record>),
    Score(Box<ScoreRecord>),
}
