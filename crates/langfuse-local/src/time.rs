//! Times as the API writes them.

use jiff::Timestamp;

/// ISO 8601 in UTC with milliseconds; `None` outside the calendar.
pub(crate) fn iso(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|time| format!("{time:.3}"))
}

/// The present, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
