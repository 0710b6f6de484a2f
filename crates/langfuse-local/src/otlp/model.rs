//! One trace export, whichever flavour it came in.

use serde_json::Value;
use thiserror::Error;

/// A decoded export: its spans by resource and scope.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Export {
    /// The groups in the order sent.
    pub groups: Vec<(Resource, Scope, Vec<Span>)>,
    /// How many `resourceSpans` entries were sent; zero is an empty export.
    pub n_resources: usize,
}

impl Export {
    /// The number of spans in all groups.
    pub fn n_spans(&self) -> usize {
        self.groups.iter().map(|(_, _, spans)| spans.len()).sum()
    }
}

/// What emitted the spans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

/// The instrumentation scope of a group of spans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// Its name, empty when absent.
    pub name: String,
    /// Its version, empty when absent.
    pub version: String,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

/// One span, reduced to what becomes part of an observation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Span {
    /// Lower-case hex from bytes; a JSON string is taken as it came.
    pub trace_id: String,
    /// As `trace_id`.
    pub span_id: String,
    /// Empty for a root.
    pub parent_span_id: String,
    /// The span's own name.
    pub name: String,
    /// Nanoseconds since 1970, `None` when missing or zero.
    pub start_ns: Option<u64>,
    /// Nanoseconds since 1970, `None` when missing or zero.
    pub end_ns: Option<u64>,
    /// Its attributes, in the order sent.
    pub attributes: Vec<Attribute>,
    /// Its events; only those of the GenAI conventions matter.
    pub events: Vec<Event>,
    /// Its status.
    pub status: Status,
}

/// A span event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

/// A span's status.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// 2 is an error.
    pub code: i64,
    /// The message, empty when absent.
    pub message: String,
}

/// An attribute. A missing value is kept apart from an empty one, because the converter stumbles over it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its key.
    pub key: String,
    /// Its value, `None` when the value message is missing.
    pub value: Option<AnyValue>,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyValue {
    /// A string.
    String(String),
    /// A truth value.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A list of values, each with a value message or without one.
    Array(Vec<Option<AnyValue>>),
    /// Anything that is stored as the JSON text of its OTLP form: maps, bytes, empty values, and
    /// arrays that arrive without their `values`.
    Wrapped(Value),
}

/// Why an export was refused as a whole.
#[derive(Debug, Error, PartialEq)]
pub enum DecodeError {
    /// The bytes are no JSON.
    #[error("body is not JSON")]
    NotJson,
    /// The bytes are no protobuf message of this kind.
    #[error("body is not an OTLP protobuf message")]
    NotProtobuf,
    /// A member that must be a list is something else.
    #[error("{path} must be an array")]
    NotAnArray {
        /// Where it stands.
        path: String,
    },
    /// A span without a usable id.
    #[error("{path} must be a non-empty string")]
    BadId {
        /// Where it stands.
        path: String,
    },
}

/// How a number outside JSON's range is written, in JSON and in a row.
pub(crate) fn non_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
