//! The place after which a next page begins: base64 of a small JSON object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The last row of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its start.
    pub start_ms: i64,
    /// Its trace.
    pub trace_id: String,
    /// Its id.
    pub id: String,
}

impl Cursor {
    /// Reads a cursor, `None` when it is not one of ours.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let object: Value = serde_json::from_slice(&bytes).ok()?;
        let start: Timestamp = object["lastStartTimeTo"].as_str()?.parse().ok()?;
        Some(Self {
            start_ms: start.as_millisecond(),
            trace_id: object["lastTraceId"].as_str()?.to_owned(),
            id: object["lastId"].as_str()?.to_owned(),
        })
    }

    /// Writes the cursor.
    pub fn encode(&self) -> String {
        let object = json!({
            "lastStartTimeTo": crate::time::iso(self.start_ms),
            "lastTraceId": self.trace_id,
            "lastId": self.id,
        });
        STANDARD.encode(object.to_string())
    }
}
