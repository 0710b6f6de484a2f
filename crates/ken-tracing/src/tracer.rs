//! The way in: what callers hold, and the queue to the exporting thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use crate::config::{Config, ConfigError};
use crate::export::{self, Command};
use crate::record::{Item, Record, nanoseconds};
use crate::redact::Redactor;
use crate::stats::{Cause, Counters, Stats};
use crate::turn::TurnBuilder;

/// Items that can wait for the exporting thread.
const QUEUE: usize = 32_768;
/// Records that are kept for the next spans.
const POOL: usize = 2_048;
/// The exporting thread is woken when so much waits; it looks by itself every few milliseconds.
const WAKE_ITEMS: u64 = 256;
const WAKE_BYTES: u64 = 1 << 20;
/// How long the last handle waits for what is under way, at most.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Records turns and sends them. Clones share everything; the last one to go sends what is left, for two
/// seconds at most, and leaves the rest to the spill folder.
#[derive(Clone)]
pub struct Tracer {
    handle: Option<Arc<Handle>>,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").field("is_on", &self.is_on()).finish()
    }
}

/// What a flush or shutdown came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flushed {
    /// The server has all that was handed over before.
    Sent,
    /// So many are in the spill folder; the next process, or a server that answers again, takes them.
    Spilled(u64),
    /// It took too long; so many may be in neither place.
    TimedOut(u64),
}

/// Ends the exporting thread with the last handle.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.current().shutdown(LAST_WAIT);
    }
}

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) redactor: Redactor,
    pub(crate) counters: Counters,
    pub(crate) queue: ArrayQueue<Item>,
    /// What callers put in, and what the exporting thread took out. Each side writes its own: a counter that
    /// both write would travel between the cores with every span.
    put_in: Flow,
    taken_out: Flow,
    pub(crate) pool: ArrayQueue<Box<Record>>,
    pub(crate) notify: Notify,
    commands: Mutex<tokio::sync::mpsc::UnboundedSender<Command>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    is_shut: AtomicBool,
    process: u32,
    /// A forked child has no exporting thread; it gets one of its own at its first turn.
    after_fork: OnceLock<Option<Arc<Shared>>>,
}

/// Items and bytes so far, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Flow {
    items: AtomicU64,
    bytes: AtomicU64,
}

impl Tracer {
    /// Starts the exporting thread, unless the configuration says that tracing is off.
    ///
    /// # Errors
    /// A redaction policy that cannot be compiled. A server that is not there is no error.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if !config.enabled {
            return Ok(Self::off());
        }
        let shared = Shared::start(config)?;
        Ok(Self { handle: Some(Arc::new(Handle { shared })) })
    }

    /// As the environment says; see [`Config::from_env`].
    ///
    /// # Errors
    /// As [`Config::from_env`] and [`Tracer::new`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::new(Config::from_env()?)
    }

    /// Records nothing. A turn of it costs some nanoseconds and no allocation.
    #[must_use]
    pub const fn off() -> Self {
        Self { handle: None }
    }

    /// Whether anything is recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.handle.is_some()
    }

    /// Begins to describe a turn; [`TurnBuilder::start`] starts it.
    pub fn turn<'a>(&self, name: impl Into<crate::Payload<'a>>) -> TurnBuilder {
        match &self.handle {
            Some(handle) => TurnBuilder::new(handle.shared.current(), name.into()),
            None => TurnBuilder::off(),
        }
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().map_or_else(Stats::default, |shared| shared.stats())
    }

    /// Waits until the server has everything that was handed over before, or the spill folder when the
    /// server cannot be reached; no longer than `most`.
    pub fn flush(&self, most: Duration) -> Flushed {
        self.shared().map_or(Flushed::Sent, |shared| shared.flush(most))
    }

    /// Ends the exporting thread: what is left is sent or spilled, within `most`. Spans that end later are
    /// counted and given up.
    pub fn shutdown(&self, most: Duration) -> Flushed {
        self.shared().map_or(Flushed::Sent, |shared| shared.shutdown(most))
    }

    pub(crate) fn shared(&self) -> Option<Arc<Shared>> {
        self.handle.as_ref().map(|handle| handle.shared.current())
    }
}

impl Shared {
    fn start(config: Config) -> Result<Arc<Self>, ConfigError> {
        let redactor = Redactor::new(&config.redaction)?;
        let (commands, receiver) = tokio::sync::mpsc::unbounded_channel();
        let shared = Arc::new(Self {
            config,
            redactor,
            counters: Counters::default(),
            queue: ArrayQueue::new(QUEUE),
            put_in: Flow::default(),
            taken_out: Flow::default(),
            pool: ArrayQueue::new(POOL),
            notify: Notify::new(),
            commands: Mutex::new(commands),
            thread: Mutex::new(None),
            is_shut: AtomicBool::new(false),
            process: crate::process::id(),
            after_fork: OnceLock::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ken-tracing".to_owned())
            .spawn(move || export::run(&of_thread, receiver));
        match thread {
            Ok(thread) => *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread),
            // Without a thread spans are counted and given up; the application goes on.
            Err(error) => {
                shared.counters.error(format!("the exporting thread cannot be started: {error}"));
                shared.is_shut.store(true, Ordering::Release);
            }
        }
        Ok(shared)
    }

    /// The one of this process.
    pub(crate) fn current(self: &Arc<Self>) -> Arc<Self> {
        if self.process == crate::process::id() {
            return Arc::clone(self);
        }
        let child = self.after_fork.get_or_init(|| Self::start(self.config.clone()).ok());
        child.as_ref().map_or_else(|| Arc::clone(self), Self::current)
    }

    /// A record from the pool, or a new one.
    pub(crate) fn record(&self) -> Box<Record> {
        self.pool.pop().unwrap_or_else(Record::empty)
    }

    /// Hands an item over. Never waits.
    pub(crate) fn push(&self, item: Item, weight: usize) {
        if self.is_shut.load(Ordering::Relaxed) {
            self.counters.drop(Cause::AfterShutdown, 1);
            return;
        }
        let weight = weight as u64;
        let out =
            (self.taken_out.items.load(Ordering::Relaxed), self.taken_out.bytes.load(Ordering::Relaxed));
        let before = self.put_in.bytes.fetch_add(weight, Ordering::Relaxed);
        let waiting = before.saturating_sub(out.1);
        if (waiting > 0 && waiting + weight > self.hand_over_budget() as u64)
            || self.queue.push(item).is_err()
        {
            self.put_in.bytes.fetch_sub(weight, Ordering::Relaxed);
            self.counters.drop(Cause::QueueFull, 1);
            return;
        }
        let number = self.put_in.items.fetch_add(1, Ordering::Relaxed) + 1;
        // Now and then, and only when enough waits: waking costs more than a span.
        let is_many = number.is_multiple_of(WAKE_ITEMS) && number.saturating_sub(out.0) >= WAKE_ITEMS;
        let is_much = before / WAKE_BYTES != (before + weight) / WAKE_BYTES && waiting >= WAKE_BYTES;
        if is_many || is_much {
            self.notify.notify_one();
        }
    }

    /// The exporting thread took so much out.
    pub(crate) fn took(&self, items: u64, bytes: u64) {
        self.taken_out.items.fetch_add(items, Ordering::Relaxed);
        self.taken_out.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that wait in the queue.
    fn queued(&self) -> u64 {
        let out = self.taken_out.bytes.load(Ordering::Relaxed);
        self.put_in.bytes.load(Ordering::Relaxed).saturating_sub(out)
    }

    /// Half of the budget; the other half is for what is encoded and under way.
    fn hand_over_budget(&self) -> usize {
        self.config.memory_budget / 2
    }

    fn stats(&self) -> Stats {
        let put_in = self.put_in.items.load(Ordering::Relaxed);
        self.counters.read(put_in, self.queued(), nanoseconds(SystemTime::now()))
    }

    fn flush(&self, most: Duration) -> Flushed {
        let (reply, answer) = mpsc::channel();
        self.ask(Command::Flush { until: Instant::now() + most, reply }, &answer, most)
    }

    fn shutdown(&self, most: Duration) -> Flushed {
        self.is_shut.store(true, Ordering::Release);
        let (reply, answer) = mpsc::channel();
        let flushed = self.ask(Command::Shutdown { until: Instant::now() + most, reply }, &answer, most);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It answered and has only to return; one that hangs is left alone.
        if let (Some(thread), false) = (thread, matches!(flushed, Flushed::TimedOut(_)))
            && thread.thread().id() != std::thread::current().id()
        {
            let _panicked = thread.join();
        }
        flushed
    }

    fn ask(&self, command: Command, answer: &mpsc::Receiver<Flushed>, most: Duration) -> Flushed {
        let sent = self.commands.lock().unwrap_or_else(PoisonError::into_inner).send(command);
        if sent.is_err() {
            // The thread has ended: whatever it had is sent or spilled.
            return Flushed::Spilled(self.counters.waiting.load(Ordering::Relaxed));
        }
        // A little longer than the thread takes for itself, as it answers at its own end of time.
        answer.recv_timeout(most + Duration::from_millis(100)).unwrap_or_else(|_late| {
            Flushed::TimedOut(self.queue.len() as u64 + self.counters.waiting.load(Ordering::Relaxed))
        })
    }
}
