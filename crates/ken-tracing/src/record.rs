//! What a span carries from the caller to the exporting thread.
//!
//! Records are reused: their lists and their text buffer keep what they have grown to, so that a span
//! costs no allocation once the program is warm.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::id::{SpanId, TraceId};
use crate::payload::Payload;
use crate::tracer::Shared;
use crate::usage::{Cost, Usage};

/// What the record's own buffer may keep when it is reused, in bytes.
const KEPT_TEXT: usize = 8 << 10;
/// Moved payloads that a reused record keeps room for.
const KEPT_MOVED: usize = 16;

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

/// A text in the record's buffer, by where it begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// The key of an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    /// By its number in the table of keys.
    Fixed(u8),
    /// Follows the prefix of an observation's metadata.
    Metadata(&'a str),
    /// Follows the prefix of a trace's metadata.
    TraceMetadata(&'a str),
    /// As another crate gave it.
    Foreign(&'a str),
}

/// A payload that is moved, not copied.
pub(crate) enum Moved {
    Owned(String),
    Shared(Arc<str>),
    Bytes(Bytes),
    /// Never locked: the mutex lets references to an observation go across `await` and threads.
    Later(Mutex<Box<dyn FnOnce() -> String + Send>>),
    Texts(Vec<String>),
}

impl Moved {
    /// Bytes that it keeps alive beyond the record.
    fn weight(&self) -> usize {
        match self {
            Self::Owned(text) => text.capacity(),
            Self::Shared(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Texts(texts) => texts.iter().map(|text| text.capacity() + 24).sum(),
            // What it holds is not known; most hold some parsed JSON.
            Self::Later(_) => 1 << 10,
        }
    }
}

/// The value of an attribute as it is given.
pub(crate) enum Value<'a> {
    Text(Payload<'a>),
    /// A text that is in the buffer already.
    Again(Place),
    Texts(Vec<String>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Usage(Usage),
    Cost(Cost),
    /// A moment, in nanoseconds since 1970.
    Moment(u64),
}

/// The value of an attribute as it is read back.
pub(crate) enum Read<'a> {
    Text(&'a str),
    Moved(Moved),
    Int(i64),
    Float(f64),
    Bool(bool),
    Usage(Usage),
    Cost(Cost),
    Moment(u64),
}

/// Attributes, written one after another: what is short into one buffer, what is moved into a list beside it.
///
/// The exporting thread reads on another core what the caller wrote, so that each cache line costs both of
/// them: compactness is what makes this fast.
///
/// An attribute is a byte for the kind of its key and one for that of its value, then the key and the value.
#[derive(Default)]
pub(crate) struct Attributes {
    buffer: Vec<u8>,
    moved: Vec<Option<Moved>>,
    /// Bytes of what was moved.
    moved_weight: usize,
}

/// Kinds of keys and values in the buffer.
mod tag {
    pub(super) const FIXED: u8 = 0;
    pub(super) const METADATA: u8 = 1;
    pub(super) const TRACE_METADATA: u8 = 2;
    pub(super) const FOREIGN: u8 = 3;
    pub(super) const TEXT: u8 = 0;
    pub(super) const MOVED: u8 = 1;
    pub(super) const AGAIN: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const BOOL: u8 = 5;
    pub(super) const USAGE: u8 = 6;
    pub(super) const COST: u8 = 7;
    pub(super) const MOMENT: u8 = 8;
}

impl Attributes {
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), ..Self::default() }
    }

    fn long(&mut self, number: u64) {
        self.buffer.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) -> Place {
        // Lengths are 32 bits wide; what does not fit is left out.
        let fits = self.buffer.len() + text.len() < u32::MAX as usize - 64;
        let text = if fits { text } else { "" };
        self.buffer.extend_from_slice(&(text.len() as u32).to_le_bytes());
        let start = self.buffer.len() as u32;
        self.buffer.extend_from_slice(text.as_bytes());
        Place { start, end: self.buffer.len() as u32 }
    }

    fn moved(&mut self, moved: Moved) {
        self.moved_weight += moved.weight();
        let number = self.moved.len() as u32;
        self.buffer.extend_from_slice(&number.to_le_bytes());
        self.moved.push(Some(moved));
    }

    /// Writes an attribute; where its text is, when it was copied.
    pub(crate) fn put(&mut self, key: Key<'_>, value: Value<'_>) -> Option<Place> {
        let value_tag = match &value {
            Value::Text(Payload::Borrowed(_)) => tag::TEXT,
            Value::Text(_) | Value::Texts(_) => tag::MOVED,
            Value::Again(_) => tag::AGAIN,
            Value::Int(_) => tag::INT,
            Value::Float(_) => tag::FLOAT,
            Value::Bool(_) => tag::BOOL,
            Value::Usage(_) => tag::USAGE,
            Value::Cost(_) => tag::COST,
            Value::Moment(_) => tag::MOMENT,
        };
        match key {
            Key::Fixed(key) => {
                self.buffer.extend_from_slice(&[tag::FIXED, value_tag, key]);
            }
            Key::Metadata(key) => self.key(tag::METADATA, value_tag, key),
            Key::TraceMetadata(key) => self.key(tag::TRACE_METADATA, value_tag, key),
            Key::Foreign(key) => self.key(tag::FOREIGN, value_tag, key),
        }
        match value {
            Value::Text(payload) => match payload {
                Payload::Borrowed(text) => return Some(self.text(text)),
                Payload::Owned(text) => self.moved(Moved::Owned(text)),
                Payload::Shared(text) => self.moved(Moved::Shared(text)),
                Payload::Bytes(bytes) => self.moved(Moved::Bytes(bytes)),
                Payload::Later(make) => self.moved(Moved::Later(Mutex::new(make))),
            },
            Value::Texts(texts) => self.moved(Moved::Texts(texts)),
            Value::Again(place) => self.long(u64::from(place.start) | u64::from(place.end) << 32),
            Value::Int(number) => self.long(number.cast_unsigned()),
            Value::Float(number) => self.long(number.to_bits()),
            Value::Bool(value) => self.buffer.push(u8::from(value)),
            Value::Usage(usage) => {
                [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning]
                    .into_iter()
                    .for_each(|bucket| self.long(bucket));
            }
            Value::Cost(cost) => {
                [cost.input, cost.output, cost.total]
                    .into_iter()
                    .for_each(|dollars| self.long(dollars.to_bits()));
            }
            Value::Moment(ns) => self.long(ns),
        }
        None
    }

    fn key(&mut self, key_tag: u8, value_tag: u8, key: &str) {
        self.buffer.extend_from_slice(&[key_tag, value_tag]);
        self.text(key);
    }

    /// A text under two keys, copied once where it is borrowed.
    pub(crate) fn put_twice(&mut self, key: u8, also: u8, payload: Payload<'_>) {
        match payload {
            Payload::Shared(text) => {
                self.put(Key::Fixed(key), Value::Text(Payload::Shared(Arc::clone(&text))));
                self.put(Key::Fixed(also), Value::Text(Payload::Shared(text)));
            }
            Payload::Bytes(bytes) => {
                self.put(Key::Fixed(key), Value::Text(Payload::Bytes(bytes.clone())));
                self.put(Key::Fixed(also), Value::Text(Payload::Bytes(bytes)));
            }
            Payload::Later(make) => {
                self.put(Key::Fixed(key), Value::Text(Payload::Later(make)));
            }
            Payload::Borrowed(text) => self.put_both(key, also, text),
            // Names are short: copying is less than another allocation.
            Payload::Owned(text) => self.put_both(key, also, &text),
        }
    }

    fn put_both(&mut self, key: u8, also: u8, text: &str) {
        if let Some(place) = self.put(Key::Fixed(key), Value::Text(Payload::Borrowed(text))) {
            self.put(Key::Fixed(also), Value::Again(place));
        }
    }

    /// Whether an attribute of this key is there.
    pub(crate) fn has(&self, key: u8) -> bool {
        let mut cursor = Cursor { attributes: self, at: 0 };
        while let Some((found, _)) = cursor.step() {
            if matches!(found, Key::Fixed(found) if found == key) {
                return true;
            }
        }
        false
    }

    pub(crate) fn at(&self, place: Place) -> &str {
        let bytes = self.buffer.get(place.start as usize..place.end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Reads all of them, once: what was moved in is moved out.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Key<'_>, Read<'_>)) {
        let mut moved = std::mem::take(&mut self.moved);
        let mut cursor = Cursor { attributes: self, at: 0 };
        while let Some((key, value)) = cursor.step() {
            match value {
                Stored::Moved(number) => {
                    if let Some(value) = moved.get_mut(number).and_then(Option::take) {
                        each(key, Read::Moved(value));
                    }
                }
                Stored::Value(value) => each(key, value),
            }
        }
        moved.clear();
        self.moved = moved;
    }

    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        self.buffer.capacity() + self.moved.capacity() * size_of::<Option<Moved>>() + self.moved_weight
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_TEXT);
        self.moved.clear();
        self.moved.shrink_to(KEPT_MOVED);
        self.moved_weight = 0;
    }
}

/// Steps through what was written.
struct Cursor<'a> {
    attributes: &'a Attributes,
    at: usize,
}

enum Stored<'a> {
    Moved(usize),
    Value(Read<'a>),
}

impl<'a> Cursor<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.attributes.buffer.get(self.at..self.at + N)?.try_into().ok()?;
        self.at += N;
        Some(bytes)
    }

    fn word(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.word()? as usize;
        let bytes = self.attributes.buffer.get(self.at..self.at + length)?;
        self.at += length;
        std::str::from_utf8(bytes).ok()
    }

    fn step(&mut self) -> Option<(Key<'a>, Stored<'a>)> {
        let [key_tag, value_tag] = self.bytes()?;
        let key = match key_tag {
            tag::FIXED => {
                let [number] = self.bytes()?;
                Key::Fixed(number)
            }
            tag::METADATA => Key::Metadata(self.text()?),
            tag::TRACE_METADATA => Key::TraceMetadata(self.text()?),
            _ => Key::Foreign(self.text()?),
        };
        let value = match value_tag {
            tag::TEXT => Read::Text(self.text()?),
            tag::MOVED => return Some((key, Stored::Moved(self.word()? as usize))),
            tag::AGAIN => {
                let place = self.long()?;
                Read::Text(self.attributes.at(Place { start: place as u32, end: (place >> 32) as u32 }))
            }
            tag::INT => Read::Int(self.long()?.cast_signed()),
            tag::FLOAT => Read::Float(f64::from_bits(self.long()?)),
            tag::BOOL => Read::Bool(self.bytes::<1>()? == [1]),
            tag::USAGE => Read::Usage(Usage {
                input: self.long()?,
                output: self.long()?,
                cache_read: self.long()?,
                cache_write: self.long()?,
                reasoning: self.long()?,
            }),
            tag::COST => Read::Cost(Cost {
                input: f64::from_bits(self.long()?),
                output: f64::from_bits(self.long()?),
                total: f64::from_bits(self.long()?),
            }),
            _ => Read::Moment(self.long()?),
        };
        Some((key, Stored::Value(value)))
    }
}

/// What all spans of a turn share; fixed when the turn starts.
pub(crate) struct TurnShared {
    /// Here and not beside it: one count instead of two goes up and down with every scope.
    pub(crate) shared: Arc<Shared>,
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

/// One span that ended. Its name is the first attribute of [`Record::own`], under [`keys::NAME`].
pub(crate) struct Record {
    pub(crate) turn: Option<Arc<TurnShared>>,
    pub(crate) own: Attributes,
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// When it was handed over, in nanoseconds since 1970.
    pub(crate) queued_ns: u64,
    /// The instrumentation scope of a span of another crate, and its events.
    pub(crate) foreign: Option<Box<Foreign>>,
    pub(crate) kind: Kind,
    pub(crate) level: Level,
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

impl Foreign {
    fn weight(&self) -> usize {
        let of = |event: &Event| {
            event.name.len() + event.attributes.iter().map(|it| it.0.len() + it.1.len() + 48).sum::<usize>()
        };
        self.scope.len() + self.events.iter().map(of).sum::<usize>()
    }
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
            own: Attributes::with_room(256),
            trace: TraceId([0; 16]),
            id: SpanId([0; 8]),
            parent: None,
            start_ns: 0,
            end_ns: 0,
            queued_ns: 0,
            foreign: None,
            kind: Kind::Span,
            level: Level::Default,
        })
    }

    /// Bytes that the record holds while it waits, itself included.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.own.weight() + self.foreign.as_ref().map_or(0, |foreign| foreign.weight())
    }

    /// Makes it fit for another span.
    pub(crate) fn clear(&mut self) {
        self.turn = None;
        self.parent = None;
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
