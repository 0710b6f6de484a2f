//! Counters that tell what became of every span.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why spans or scores were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The hand-over was full: the exporting thread could not keep up.
    QueueFull,
    /// Neither the spill folder nor the budget had room.
    NoRoom,
    /// The oldest in the spill folder made way for newer ones.
    SpillFull,
    /// A spill file was damaged.
    SpillDamaged,
    /// The server refused them for what they are.
    Refused,
    /// One span alone is larger than what the server takes.
    TooLarge,
    /// Redaction or a caller's closure failed on a field; the span went out without it.
    FieldFailed,
    /// They ended after the shutdown.
    AfterShutdown,
}

const CAUSES: [(Cause, &str); 8] = [
    (Cause::QueueFull, "queue_full"),
    (Cause::NoRoom, "no_room"),
    (Cause::SpillFull, "spill_full"),
    (Cause::SpillDamaged, "spill_damaged"),
    (Cause::Refused, "refused"),
    (Cause::TooLarge, "too_large"),
    (Cause::FieldFailed, "field_failed"),
    (Cause::AfterShutdown, "after_shutdown"),
];

/// What became of the spans so far. Scores count as spans do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Handed over by callers.
    pub made: u64,
    /// Taken by the server, those of earlier processes included.
    pub sent: u64,
    /// Written to the spill folder.
    pub spilled: u64,
    /// In the spill folder now, waiting for the server.
    pub waiting: u64,
    /// Found in the spill folder from earlier processes.
    pub recovered: u64,
    /// Bytes of requests that the server took, before compression.
    pub sent_bytes: u64,
    /// Bytes in the spill folder.
    pub spill_bytes: u64,
    /// Bytes handed over and not yet encoded.
    pub queued_bytes: u64,
    /// Given up, by cause.
    pub dropped: Vec<(Cause, u64)>,
    /// Age of the oldest span that the server does not have yet, in milliseconds; 0 when it has all.
    pub lag_ms: u64,
    /// What went wrong last in sending.
    pub last_error: Option<String>,
}

impl Stats {
    /// How many were given up, fields that were left out not counted.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.iter().filter(|(cause, _)| *cause != Cause::FieldFailed).map(|(_, count)| count).sum()
    }

    /// How many were given up for a cause.
    #[must_use]
    pub fn dropped_for(&self, cause: Cause) -> u64 {
        self.dropped.iter().find(|(known, _)| *known == cause).map_or(0, |(_, count)| *count)
    }
}

/// As Prometheus reads it.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, kind, value) in [
            ("spans_made_total", "counter", self.made),
            ("spans_sent_total", "counter", self.sent),
            ("spans_spilled_total", "counter", self.spilled),
            ("spans_recovered_total", "counter", self.recovered),
            ("sent_bytes_total", "counter", self.sent_bytes),
            ("spans_waiting", "gauge", self.waiting),
            ("spill_bytes", "gauge", self.spill_bytes),
            ("queued_bytes", "gauge", self.queued_bytes),
            ("lag_milliseconds", "gauge", self.lag_ms),
        ] {
            writeln!(f, "# TYPE ken_tracing_{name} {kind}\nken_tracing_{name} {value}")?;
        }
        writeln!(f, "# TYPE ken_tracing_spans_dropped_total counter")?;
        for (cause, count) in &self.dropped {
            writeln!(f, "ken_tracing_spans_dropped_total{{cause=\"{}\"}} {count}", cause.name())?;
        }
        Ok(())
    }
}

impl Cause {
    /// The name in exported counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        CAUSES[self as usize].1
    }
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) spilled: AtomicU64,
    pub(crate) waiting: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) spill_bytes: AtomicU64,
    dropped: [AtomicU64; CAUSES.len()],
    /// When the oldest span that is not sent was handed over, in nanoseconds since 1970; 0 for none.
    pub(crate) oldest_ns: AtomicU64,
    pub(crate) last_error: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn drop(&self, cause: Cause, count: u64) {
        self.dropped[cause as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn error(&self, text: String) {
        if let Ok(mut last) = self.last_error.lock() {
            *last = Some(text);
        }
    }

    pub(crate) fn read(&self, put_in: u64, queued_bytes: u64, now_ns: u64) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let oldest = get(&self.oldest_ns);
        Stats {
            made: put_in
                + get(&self.dropped[Cause::QueueFull as usize])
                + get(&self.dropped[Cause::AfterShutdown as usize]),
            sent: get(&self.sent),
            spilled: get(&self.spilled),
            waiting: get(&self.waiting),
            recovered: get(&self.recovered),
            sent_bytes: get(&self.sent_bytes),
            spill_bytes: get(&self.spill_bytes),
            queued_bytes,
            dropped: CAUSES.iter().map(|(cause, _)| (*cause, get(&self.dropped[*cause as usize]))).collect(),
            lag_ms: if oldest == 0 { 0 } else { now_ns.saturating_sub(oldest) / 1_000_000 },
            last_error: self.last_error.lock().ok().and_then(|last| last.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_place() {
        for (place, (cause, name)) in CAUSES.iter().enumerate() {
            assert_eq!((*cause as usize, cause.name()), (place, *name));
        }
        let counters = Counters::default();
        counters.drop(Cause::Refused, 3);
        counters.drop(Cause::FieldFailed, 5);
        let stats = counters.read(0, 0, 0);
        assert_eq!((stats.lost(), stats.dropped_for(Cause::Refused)), (3, 3));
        assert!(stats.to_string().contains("ken_tracing_spans_dropped_total{cause=\"refused\"} 3\n"));
    }
}
