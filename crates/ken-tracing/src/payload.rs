//! What a caller hands over: moved where it is owned, copied only where it is borrowed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

/// A text that goes into a span. Everything but a borrowed `&str` is moved.
pub enum Payload<'a> {
    /// Copied into the span's own buffer.
    Borrowed(&'a str),
    /// Moved.
    Owned(String),
    /// Shared.
    Shared(Arc<str>),
    /// Shared; what is not UTF-8 in it is replaced.
    Bytes(Bytes),
    /// Made later, on the thread that exports. One that panics leaves the field out.
    Later(Box<dyn FnOnce() -> String + Send>),
}

impl Payload<'_> {
    /// A text that is made on the exporting thread, and only when the span is recorded.
    pub fn later(make: impl FnOnce() -> String + Send + 'static) -> Self {
        Self::Later(Box::new(make))
    }

    /// A value that is serialised to JSON on the exporting thread. One that cannot be leaves the field out.
    pub fn json(value: impl Serialize + Send + 'static) -> Self {
        Self::later(move || serde_json::to_string(&value).unwrap_or_default())
    }
}

impl fmt::Debug for Payload<'_> {
    /// The kind alone: what people say is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Borrowed(_) => "Payload::Borrowed",
            Self::Owned(_) => "Payload::Owned",
            Self::Shared(_) => "Payload::Shared",
            Self::Bytes(_) => "Payload::Bytes",
            Self::Later(_) => "Payload::Later",
        })
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text)
    }
}

impl<'a> From<&'a String> for Payload<'a> {
    fn from(text: &'a String) -> Self {
        Self::Borrowed(text)
    }
}

impl From<String> for Payload<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

impl<'a> From<Cow<'a, str>> for Payload<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Owned(text),
        }
    }
}

impl From<Arc<str>> for Payload<'_> {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<Bytes> for Payload<'_> {
    fn from(text: Bytes) -> Self {
        Self::Bytes(text)
    }
}

impl From<serde_json::Value> for Payload<'_> {
    fn from(value: serde_json::Value) -> Self {
        Self::json(value)
    }
}
