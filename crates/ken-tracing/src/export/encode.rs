//! Spans as OTLP protobuf, written once, straight into the batch.
//!
//! Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto` and `common/v1/common.proto`.

use std::borrow::Cow;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::keys::{self, id};
use crate::record::{Event, Key, Kind, Level, Moved, Read, Record, TurnShared};
use crate::redact::{Field, Redactor};
use crate::stats::{Cause, Counters};

/// The instrumentation scope of our own spans. Of scopes that do not begin with `langfuse-sdk` Langfuse keeps
/// every attribute a second time, as metadata.
const SCOPE: &str = "langfuse-sdk-ken-tracing";

/// Bytes kept free for a length that is known only afterwards. Protobuf allows a number to be longer than
/// it need be.
const LENGTH: usize = 4;

/// Writes records, redacted.
pub(super) struct Encoder<'a> {
    pub(super) redactor: &'a Redactor,
    pub(super) counters: &'a Counters,
    /// For texts that are made here: usage, times.
    pub(super) scratch: String,
}

impl Encoder<'_> {
    /// One `ScopeSpans.spans` field. What the record held is used up.
    pub(super) fn span(&mut self, record: &mut Record, out: &mut Vec<u8>) {
        let at = open(out, 2);
        bytes(out, 1, &record.trace.0);
        bytes(out, 2, &record.id.0);
        if let Some(parent) = record.parent {
            bytes(out, 4, &parent.0);
        }
        // The name is written first and read first; its place in the message does not matter.
        let mut own = std::mem::take(&mut record.own);
        let mut name = None;
        let span_kind = record.foreign.as_ref().map_or(1, |foreign| foreign.span_kind);
        number(out, 6, u64::from(span_kind));
        fixed64(out, 7, record.start_ns);
        fixed64(out, 8, record.end_ns);
        if let Some(turn) = &record.turn {
            out.extend_from_slice(self.turn(turn));
        }
        let (kind, operation) = record.kind.names();
        for (key, value) in [(keys::TYPE, kind), (keys::GEN_AI_OPERATION, operation)] {
            if let Some(value) = value {
                attribute(out, key, value);
            }
        }
        match record.level {
            Level::Error => attribute(out, keys::LEVEL, "ERROR"),
            Level::Warning => attribute(out, keys::LEVEL, "WARNING"),
            Level::Default => {}
        }
        own.drain(|key, value| match key {
            Key::Fixed(number) if number == id!(NAME) && name.is_none() => name = Some(self.name(value)),
            key => self.attribute(key, value, out),
        });
        record.own = own;
        // A span without a name is one all the same.
        let name = name.flatten().unwrap_or_else(|| "redacted".to_owned());
        bytes(out, 5, name.as_bytes());
        if record.kind == Kind::Tool {
            attribute(out, keys::GEN_AI_TOOL, &name);
            attribute(out, keys::TOOL_NAME, &name);
        }
        if let Some(foreign) = &record.foreign {
            for event in &foreign.events {
                self.event(event, out);
            }
        }
        if record.level == Level::Error {
            // Status: code 2 is ERROR.
            let at = open(out, 15);
            number(out, 3, 2);
            close(out, at);
        }
        close(out, at);
    }

    /// The attributes that all spans of a turn have.
    fn turn<'t>(&mut self, turn: &'t TurnShared) -> &'t [u8] {
        turn.encoded.get_or_init(|| {
            let taken = turn.attributes.lock().ok().and_then(|mut attributes| attributes.take());
            let mut out = Vec::new();
            if let Some(mut attributes) = taken {
                attributes.drain(|key, value| self.attribute(key, value, &mut out));
            }
            out.into_boxed_slice()
        })
    }

    fn attribute(&mut self, key: Key<'_>, value: Read<'_>, out: &mut Vec<u8>) {
        let (prefix, rest) = match key {
            Key::Fixed(number) => (keys::by_number(number), ""),
            Key::Metadata(rest) => (keys::METADATA, rest),
            Key::TraceMetadata(rest) => (keys::TRACE_METADATA, rest),
            Key::Foreign(rest) => ("", rest),
        };
        let field = field_of(key);
        // Keys come from callers too; one that holds a secret is masked like a name.
        let rest = if rest.is_empty() {
            Cow::Borrowed("")
        } else {
            match self.redactor.text(Field::Name, "", rest) {
                Some(rest) => rest,
                None => return,
            }
        };
        let asked = if rest.is_empty() { prefix } else { rest.as_ref() };
        match value {
            Read::Int(value) => plain(out, prefix, &rest, |out| number(out, 3, value.cast_unsigned())),
            Read::Bool(value) => plain(out, prefix, &rest, |out| number(out, 2, u64::from(value))),
            // What JSON cannot hold Langfuse keeps as a text.
            Read::Float(value) => plain(out, prefix, &rest, |out| fixed64(out, 4, value.to_bits())),
            Read::Usage(usage) => {
                self.scratch.clear();
                usage.write(&mut self.scratch);
                plain(out, prefix, &rest, |out| bytes(out, 1, self.scratch.as_bytes()));
            }
            Read::Cost(cost) => {
                self.scratch.clear();
                cost.write(&mut self.scratch);
                plain(out, prefix, &rest, |out| bytes(out, 1, self.scratch.as_bytes()));
            }
            Read::Moment(ns) => {
                self.scratch.clear();
                moment(&mut self.scratch, ns);
                plain(out, prefix, &rest, |out| bytes(out, 1, self.scratch.as_bytes()));
            }
            Read::Moved(Moved::Texts(list)) => {
                let kept: Vec<_> =
                    list.iter().filter_map(|it| self.redactor.text(field, asked, it)).collect();
                if !kept.is_empty() {
                    plain(out, prefix, &rest, |out| {
                        let array = open(out, 5);
                        for text in &kept {
                            let value = open(out, 1);
                            bytes(out, 1, text.as_bytes());
                            close(out, value);
                        }
                        close(out, array);
                    });
                }
            }
            Read::Moved(Moved::Later(make)) => {
                let made = make_text(make).filter(|text| !text.is_empty());
                match made {
                    Some(text) => self.put(field, asked, &text, out, prefix, &rest),
                    None => self.counters.drop(Cause::FieldFailed, 1),
                }
            }
            Read::Moved(Moved::Bytes(text)) => {
                self.put(field, asked, &String::from_utf8_lossy(&text), out, prefix, &rest);
            }
            Read::Moved(Moved::Owned(text)) => self.put(field, asked, &text, out, prefix, &rest),
            Read::Moved(Moved::Shared(text)) => self.put(field, asked, &text, out, prefix, &rest),
            Read::Text(text) => self.put(field, asked, text, out, prefix, &rest),
        }
    }

    fn put(&mut self, field: Field, asked: &str, text: &str, out: &mut Vec<u8>, prefix: &str, rest: &str) {
        if let Some(text) = self.redactor.text(field, asked, text) {
            plain(out, prefix, rest, |out| bytes(out, 1, text.as_bytes()));
        }
    }

    /// The span's name; `None` when it may not leave.
    fn name(&mut self, value: Read<'_>) -> Option<String> {
        let redact = |text: &str| self.redactor.text(Field::Name, "", text).map(Cow::into_owned);
        match value {
            Read::Text(text) => redact(text),
            Read::Moved(Moved::Owned(text)) => redact(&text),
            Read::Moved(Moved::Shared(text)) => redact(&text),
            Read::Moved(Moved::Bytes(text)) => redact(&String::from_utf8_lossy(&text)),
            Read::Moved(Moved::Later(make)) => make_text(make).and_then(|text| redact(&text)),
            _ => None,
        }
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        let at = open(out, 11);
        fixed64(out, 1, event.time_ns);
        if let Some(name) = self.redactor.text(Field::Metadata, "", &event.name) {
            bytes(out, 2, name.as_bytes());
        }
        for (key, value) in &event.attributes {
            let (key, value) =
                (self.redactor.text(Field::Name, "", key), self.redactor.text(Field::Metadata, key, value));
            if let (Some(key), Some(value)) = (key, value) {
                let at = open(out, 3);
                bytes(out, 1, key.as_bytes());
                let inner = open(out, 2);
                bytes(out, 1, value.as_bytes());
                close(out, inner);
                close(out, at);
            }
        }
        close(out, at);
    }
}

/// The text of a closure; `None` when it panics.
fn make_text(make: Mutex<Box<dyn FnOnce() -> String + Send>>) -> Option<String> {
    let make = make.into_inner().ok()?;
    catch_unwind(AssertUnwindSafe(make)).ok()
}

/// What a value is for, by its key.
fn field_of(key: Key<'_>) -> Field {
    match key {
        Key::Fixed(number) if number == id!(INPUT) => Field::Input,
        Key::Fixed(number) if number == id!(OUTPUT) => Field::Output,
        Key::Fixed(number) if number == id!(STATUS_MESSAGE) => Field::Status,
        Key::Fixed(number) if number != id!(MODEL_PARAMETERS) => Field::Name,
        _ => Field::Metadata,
    }
}

/// The `ScopeSpans` field of spans that are ours.
pub(super) fn own_scope(spans: &[u8], out: &mut Vec<u8>) {
    scope_spans(SCOPE, env!("CARGO_PKG_VERSION"), spans, out);
}

/// A `ScopeSpans` field of a `ResourceSpans`.
pub(super) fn scope_spans(scope: &str, version: &str, spans: &[u8], out: &mut Vec<u8>) {
    // Its length is known: the scope's message is two short texts.
    let mut head = Vec::with_capacity(scope.len() + version.len() + 16);
    let at = open(&mut head, 1);
    bytes(&mut head, 1, scope.as_bytes());
    bytes(&mut head, 2, version.as_bytes());
    close(&mut head, at);
    tag(out, 2, 2);
    varint(out, (head.len() + spans.len()) as u64);
    out.extend_from_slice(&head);
    out.extend_from_slice(spans);
}

/// The resource: who sends.
pub(super) fn resource(service: &str, redactor: &Redactor) -> Vec<u8> {
    let mut out = Vec::new();
    let at = open(&mut out, 1);
    let fixed = [
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    if let Some(service) = redactor.text(Field::Resource, "service.name", service) {
        attribute_in(&mut out, 1, "service.name", &service);
    }
    for (key, value) in fixed {
        attribute_in(&mut out, 1, key, value);
    }
    close(&mut out, at);
    out
}

/// A whole `ExportTraceServiceRequest` of a resource and `ScopeSpans` fields.
pub(super) fn request(resource: &[u8], scopes: &[&[u8]]) -> Vec<u8> {
    let length = resource.len() + scopes.iter().map(|it| it.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length + 12);
    tag(&mut out, 1, 2);
    varint(&mut out, length as u64);
    out.extend_from_slice(resource);
    for scope in scopes {
        out.extend_from_slice(scope);
    }
    out
}

/// The halves of `ScopeSpans` fields, each a list of such fields; `None` when there is but one span or the
/// bytes are not of our making.
pub(super) fn split(scopes: &[u8]) -> Option<[(Vec<u8>, u32); 2]> {
    let mut spans: Vec<(&[u8], &[u8])> = Vec::new();
    for (number, scope) in fields(scopes)? {
        if number != 2 {
            return None;
        }
        let inside = fields(scope)?;
        let head = inside.iter().find(|(number, _)| *number == 1).map_or(&[][..], |(_, head)| *head);
        spans.extend(inside.iter().filter(|(number, _)| *number == 2).map(|(_, span)| (head, *span)));
    }
    if spans.len() < 2 {
        return None;
    }
    let half = |part: &[(&[u8], &[u8])]| {
        let mut out = Vec::new();
        for (head, span) in part {
            let mut inside = Vec::with_capacity(head.len() + span.len() + 16);
            bytes(&mut inside, 1, head);
            bytes(&mut inside, 2, span);
            bytes(&mut out, 2, &inside);
        }
        (out, part.len() as u32)
    };
    let (first, second) = spans.split_at(spans.len() / 2);
    Some([half(first), half(second)])
}

/// The length-delimited fields of a message; `None` when it is not made of such alone.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut out = Vec::new();
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        let length = usize::try_from(read_varint(&mut message)?).ok()?;
        if key & 7 != 2 {
            return None;
        }
        let (field, rest) = message.split_at_checked(length)?;
        out.push((key >> 3, field));
        message = rest;
    }
    Some(out)
}

fn read_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn plain(out: &mut Vec<u8>, prefix: &str, rest: &str, value: impl FnOnce(&mut Vec<u8>)) {
    // Span.attributes
    let at = open(out, 9);
    tag(out, 1, 2);
    varint(out, (prefix.len() + rest.len()) as u64);
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(rest.as_bytes());
    let inner = open(out, 2);
    value(out);
    close(out, inner);
    close(out, at);
}

fn attribute(out: &mut Vec<u8>, key: &str, value: &str) {
    attribute_in(out, 9, key, value);
}

fn attribute_in(out: &mut Vec<u8>, field: u8, key: &str, value: &str) {
    let at = open(out, field);
    bytes(out, 1, key.as_bytes());
    let inner = open(out, 2);
    bytes(out, 1, value.as_bytes());
    close(out, inner);
    close(out, at);
}

/// Begins a message whose length is not known yet; gives where it stands.
fn open(out: &mut Vec<u8>, field: u8) -> usize {
    tag(out, field, 2);
    out.extend_from_slice(&[0; LENGTH]);
    out.len()
}

/// Writes the length of the message that began there, in as many bytes as were kept for it. A message
/// beyond 256 MiB does not come here: values are cut long before.
fn close(out: &mut [u8], start: usize) {
    let mut length = out.len() - start;
    for (idx, byte) in out[start - LENGTH..start].iter_mut().enumerate() {
        *byte = (length & 0x7f) as u8 | if idx + 1 < LENGTH { 0x80 } else { 0 };
        length >>= 7;
    }
}

fn tag(out: &mut Vec<u8>, field: u8, wire: u8) {
    out.push(field << 3 | wire);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    tag(out, field, 0);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, field: u8, value: u64) {
    tag(out, field, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    tag(out, field, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A moment as ISO 8601 in UTC, with milliseconds.
pub(super) fn moment(out: &mut String, ns: u64) {
    let (days, in_day_ms) = (ns / 86_400_000_000_000, ns / 1_000_000 % 86_400_000);
    let (year, month, day) = civil(days);
    let (seconds, ms) = (in_day_ms / 1_000, in_day_ms % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let _infallible = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z");
}

/// The date of a day since 1970 in the proleptic Gregorian calendar, counted in eras of 400 years that
/// begin in March, so that the leap day is the last of a year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        let shown = |ns| {
            let mut out = String::new();
            moment(&mut out, ns);
            out
        };
        assert_eq!(shown(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(951_782_400_000_000_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(shown(1_795_168_800_123_999_999), "2026-11-20T10:00:00.123Z");
        assert_eq!(shown(4_107_542_399_999_000_000), "2100-02-28T23:59:59.999Z");
        assert_eq!(shown(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn halves_hold_every_span_once() {
        let mut spans = Vec::new();
        for id in 0..5_u8 {
            bytes(&mut spans, 2, &[id; 3]);
        }
        let mut scopes = Vec::new();
        scope_spans("a", "1", &spans, &mut scopes);
        scope_spans("b", "2", &spans[..5], &mut scopes);
        let [(first, n_first), (second, n_second)] = split(&scopes).unwrap();
        assert_eq!((n_first, n_second), (3, 3));
        let count = |half: &[u8]| fields(half).unwrap().len();
        assert_eq!((count(&first), count(&second)), (3, 3));
        let [(one, 1), _] = split(&first).unwrap() else { panic!("three give one and two") };
        assert!(split(&one).is_none(), "one span is not divided");
        assert!(split(b"garbage").is_none());
    }
}
