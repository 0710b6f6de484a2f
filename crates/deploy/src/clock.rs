//! All time comes from here, so that tests decide what time it is.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;

/// Wall clock and monotonic clock.
pub trait Clock {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start; never goes back.
    fn elapsed(&self) -> Duration;
    /// Waits; a test clock only moves on.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when somebody waits on it.
#[derive(Debug, Default)]
pub struct ManualClock {
    elapsed: Cell<Duration>,
}

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, duration: Duration) {
        self.elapsed.set(self.elapsed.get() + duration);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // An arbitrary fixed date: 2026-01-01T00:00:00Z.
        let start = Timestamp::constant(1_767_225_600, 0);
        start
            .checked_add(jiff::SignedDuration::try_from(self.elapsed.get()).unwrap_or_default())
            .unwrap_or(start)
    }

    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
        tokio::task::yield_now().await;
    }
}
