//! The loop of the exporting thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::Command;
use super::client::{Outcome, Sink};
use super::encode::{self, Encoder};
use super::spill::{Content, Lost, RecordId, Spill};
use crate::notice::Notice;
use crate::record::{Item, Record, ScoreRecord, nanoseconds};
use crate::redact::Field;
use crate::score::ScoreValue;
use crate::stats::Cause;
use crate::tracer::{Flushed, Shared};

/// Spans in one request, at most.
const BATCH_SPANS: u32 = 512;
/// A batch goes out when it has so many bytes; with its last span it may have more.
const BATCH_BYTES: usize = 1 << 20;
/// No request is larger.
const REQUEST_BYTES: usize = 4 << 20;
/// Requests at a time.
const SLOTS: usize = 8;
/// How often the queue is looked at while there is work, and when there was none for a while.
const TICK: Duration = Duration::from_millis(15);
const IDLE_TICK: Duration = Duration::from_millis(60);
/// What is older is in the spill folder too.
const BACKUP_AFTER_NS: u64 = 40_000_000;
/// Waits between attempts at a server that does not answer: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);
/// The wait after a refusal that only an operator can mend.
const MENDING_WAIT: Duration = Duration::from_secs(15);
/// How often what dead processes left is looked for.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(30);
/// How often a spill folder that failed is tried again.
const SPILL_AGAIN: Duration = Duration::from_secs(5);
/// Callers are told of what was taken out of the queue when it is more.
const TELL_BYTES: u64 = 256 << 10;
/// Records encoded before requests get their turn.
const SLICE: usize = 256;

/// Runs until it is told to end.
pub(crate) fn run(shared: &Arc<Shared>, commands: UnboundedReceiver<Command>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(Worker::new(shared).work(commands)),
        Err(error) => shared.counters.error(format!("the exporting thread cannot work: {error}")),
    }
}

/// Spans that are gathered.
#[derive(Default)]
struct Open {
    /// `ScopeSpans.spans` fields of our own scope.
    own: Vec<u8>,
    n_own: u32,
    /// Whole `ScopeSpans` fields of other scopes.
    foreign: Vec<u8>,
    n_foreign: u32,
    /// When the oldest span was handed over, in nanoseconds since 1970.
    oldest_ns: u64,
    /// The same for the oldest that is in memory alone; 0 for none.
    fresh_ns: u64,
    /// How much of both is in the spill folder already, and where.
    backed: (usize, usize, u32),
    records: Vec<RecordId>,
}

impl Open {
    fn spans(&self) -> u32 {
        self.n_own + self.n_foreign
    }

    fn bytes(&self) -> usize {
        self.own.len() + self.foreign.len()
    }

    /// The `ScopeSpans` fields of what is not in the spill folder yet, and how many spans they hold.
    fn fresh(&self) -> (Vec<u8>, u32) {
        let mut out = Vec::with_capacity(self.bytes() - self.backed.0 - self.backed.1 + 64);
        if self.own.len() > self.backed.0 {
            encode::own_scope(&self.own[self.backed.0..], &mut out);
        }
        out.extend_from_slice(&self.foreign[self.backed.1..]);
        (out, self.spans() - self.backed.2)
    }
}

/// Something that is sent as one request.
struct Parcel {
    content: Content,
    count: u32,
    /// `ScopeSpans` fields, or JSON.
    body: Bytes,
    oldest_ns: u64,
    /// Where it is in the spill folder, in whole or in part.
    records: Vec<RecordId>,
    /// How many of its spans are there; the rest are the last ones of it.
    backed: u32,
    /// What is not there yet, when that is not the whole.
    fresh: Option<Bytes>,
}

/// A request under way.
struct Sent {
    id: u64,
    parcel: Parcel,
}

struct Worker<'a> {
    shared: &'a Arc<Shared>,
    sink: Option<Sink>,
    resource: Vec<u8>,
    spill: Option<Spill>,
    spill_tried: Option<Instant>,
    open: Open,
    /// Items and bytes taken out of the queue that callers do not know of yet.
    taken: (u64, u64),
    /// When the open batch must go.
    due: Option<Instant>,
    sent: Vec<Sent>,
    requests: JoinSet<(u64, Outcome)>,
    next_id: u64,
    /// In memory, because there is no room in a spill folder.
    held: VecDeque<Parcel>,
    held_bytes: usize,
    /// The server failed: nothing goes out before this, and then one request as a trial.
    paused_until: Option<Instant>,
    failures: u32,
    told: Told,
    taken_over: Instant,
    recovered_seen: bool,
    waiters: Vec<(Instant, mpsc::Sender<Flushed>, bool)>,
    scratch: String,
    last_work: Instant,
}

/// What was told and need not be told again.
#[derive(Default)]
struct Told {
    key: bool,
    host: bool,
    away: bool,
    no_spill: bool,
    losing: Vec<Cause>,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        let sink = Sink::new(&shared.config).map_err(|why| shared.counters.error(why)).ok();
        let mut worker = Self {
            shared,
            sink,
            resource: encode::resource(&shared.config.service_name, &shared.redactor),
            spill: None,
            spill_tried: None,
            open: Open::default(),
            taken: (0, 0),
            due: None,
            sent: Vec::new(),
            requests: JoinSet::new(),
            next_id: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            paused_until: None,
            failures: 0,
            told: Told::default(),
            taken_over: Instant::now(),
            recovered_seen: false,
            waiters: Vec::new(),
            scratch: String::new(),
            last_work: Instant::now(),
        };
        worker.open_spill();
        worker
    }

    async fn work(mut self, mut commands: UnboundedReceiver<Command>) {
        loop {
            let tick = if self.last_work.elapsed() < Duration::from_secs(1) { TICK } else { IDLE_TICK };
            let shared = self.shared;
            let mut ends = false;
            tokio::select! {
                biased;
                Some(done) = self.requests.join_next(), if !self.requests.is_empty() => {
                    if let Ok((id, outcome)) = done {
                        self.answered(id, outcome);
                    }
                }
                command = commands.recv() => match command {
                    Some(Command::Flush { until, reply }) => self.waiters.push((until, reply, false)),
                    Some(Command::Shutdown { until, reply }) => self.waiters.push((until, reply, true)),
                    None => ends = true,
                },
                () = shared.notify.notified() => {}
                () = tokio::time::sleep(tick) => {}
            }
            while let Some(done) = self.requests.try_join_next() {
                if let Ok((id, outcome)) = done {
                    self.answered(id, outcome);
                }
            }
            self.drain().await;
            self.seal_when_due();
            self.refill();
            self.back_up();
            self.look_after_spill();
            self.report();
            if self.answer_waiters() || ends {
                self.put_everything_away();
                self.report();
                return;
            }
        }
    }

    /// Encodes what waits in the queue.
    async fn drain(&mut self) {
        let mut n_done = 0;
        while let Some(item) = self.shared.queue.pop() {
            n_done += 1;
            match item {
                Item::Span(record) => self.take_span(record),
                Item::Score(score) => self.take_score(&score),
            }
            if self.open.spans() >= BATCH_SPANS || self.open.bytes() >= BATCH_BYTES {
                self.seal();
            }
            if n_done % SLICE == 0 {
                self.tell_taken();
                tokio::task::yield_now().await;
                while let Some(done) = self.requests.try_join_next() {
                    if let Ok((id, outcome)) = done {
                        self.answered(id, outcome);
                    }
                }
                self.back_up();
            }
        }
        self.tell_taken();
        if n_done > 0 {
            self.last_work = Instant::now();
        }
    }

    fn took(&mut self, weight: usize) {
        self.taken.0 += 1;
        self.taken.1 += weight as u64;
        // Callers must not take for full what is large and gone.
        if self.taken.1 > TELL_BYTES {
            self.tell_taken();
        }
    }

    fn tell_taken(&mut self) {
        let (items, bytes) = std::mem::take(&mut self.taken);
        if items > 0 {
            self.shared.took(items, bytes);
        }
    }

    fn take_span(&mut self, mut record: Box<Record>) {
        let weight = record.weight();
        let shared = self.shared;
        let mut encoder = Encoder {
            redactor: &shared.redactor,
            counters: &shared.counters,
            scratch: std::mem::take(&mut self.scratch),
        };
        let before = self.open.bytes();
        if let Some(foreign) = record.foreign.take() {
            let mut span = Vec::new();
            let (scope, version) = (foreign.scope.clone(), foreign.scope_version.clone());
            record.foreign = Some(foreign);
            encoder.span(&mut record, &mut span);
            let name = shared.redactor.text(Field::Name, "", &scope).unwrap_or_default();
            encode::scope_spans(&name, &version, &span, &mut self.open.foreign);
            self.open.n_foreign += 1;
        } else {
            encoder.span(&mut record, &mut self.open.own);
            self.open.n_own += 1;
        }
        self.scratch = encoder.scratch;
        for oldest in [&mut self.open.oldest_ns, &mut self.open.fresh_ns] {
            if *oldest == 0 || record.queued_ns < *oldest {
                *oldest = record.queued_ns;
            }
        }
        if self.due.is_none() {
            self.due = Some(Instant::now() + shared.config.send_interval);
        }
        self.took(weight);
        record.clear();
        let _full = shared.pool.push(record);
        // One that fills a batch alone goes alone, so that the others do not fail with it.
        let size = self.open.bytes() - before;
        if size > BATCH_BYTES && before > 0 {
            self.seal();
        }
    }

    fn take_score(&mut self, score: &ScoreRecord) {
        let weight =
            size_of::<ScoreRecord>() + score.name.len() + score.comment.as_ref().map_or(0, String::len);
        self.took(weight);
        let redactor = &self.shared.redactor;
        let Some(name) = redactor.text(Field::Name, "", &score.name) else { return };
        let (value, kind) = match &score.value {
            ScoreValue::Number(number) => (serde_json::json!(number), "NUMERIC"),
            ScoreValue::Bool(value) => (serde_json::json!(u8::from(*value)), "BOOLEAN"),
            ScoreValue::Category(text) => match redactor.text(Field::Name, "", text) {
                Some(text) => (serde_json::json!(text), "CATEGORICAL"),
                None => return,
            },
        };
        let mut body = serde_json::json!({
            "id": score.id, "name": name, "value": value, "dataType": kind, "traceId": score.trace.to_string(),
            "environment": self.shared.config.environment.as_deref().unwrap_or("default"),
        });
        if let Some(observation) = score.observation {
            body["observationId"] = observation.to_string().into();
        }
        if let Some(comment) = score.comment.as_deref().and_then(|it| redactor.text(Field::Status, "", it)) {
            body["comment"] = comment.into();
        }
        let parcel = Parcel {
            content: Content::Score,
            count: 1,
            body: body.to_string().into(),
            oldest_ns: score.queued_ns,
            records: Vec::new(),
            backed: 0,
            fresh: None,
        };
        self.dispatch(parcel);
    }

    fn seal_when_due(&mut self) {
        let is_waited_for = !self.waiters.is_empty();
        if self.open.spans() > 0 && (is_waited_for || self.due.is_some_and(|due| Instant::now() >= due)) {
            self.seal();
        }
    }

    /// Closes the open batch and sends it.
    fn seal(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.due = None;
        if open.spans() == 0 {
            return;
        }
        let is_backed_in_part = open.backed.2 > 0 && open.backed.2 < open.spans();
        let fresh = is_backed_in_part.then(|| Bytes::from(open.fresh().0));
        let mut body = Vec::with_capacity(open.bytes() + 64);
        if !open.own.is_empty() {
            encode::own_scope(&open.own, &mut body);
        }
        body.extend_from_slice(&open.foreign);
        let parcel = Parcel {
            content: Content::Spans,
            count: open.spans(),
            body: body.into(),
            oldest_ns: open.oldest_ns,
            records: open.records,
            backed: open.backed.2,
            fresh,
        };
        // The buffers keep what they have grown to, within reason.
        let (mut own, mut foreign) = (open.own, open.foreign);
        own.clear();
        own.shrink_to(2 * BATCH_BYTES);
        foreign.clear();
        foreign.shrink_to(64 << 10);
        (self.open.own, self.open.foreign) = (own, foreign);
        self.dispatch(parcel);
    }

    /// Sends a parcel, or puts it where it can wait.
    fn dispatch(&mut self, parcel: Parcel) {
        if self.may_send() && self.in_flight_bytes() + parcel.body.len() <= self.flight_budget() {
            self.send(parcel);
        } else {
            self.put_away(parcel);
        }
    }

    fn may_send(&self) -> bool {
        if self.sink.is_none() {
            return false;
        }
        match self.paused_until {
            // After a failure one request is the trial.
            Some(until) => self.sent.is_empty() && Instant::now() >= until,
            None => self.sent.len() < SLOTS,
        }
    }

    fn in_flight_bytes(&self) -> usize {
        self.sent.iter().map(|sent| sent.parcel.body.len()).sum()
    }

    /// A quarter of the budget; another one is for the open batch and what is held without a spill folder.
    fn flight_budget(&self) -> usize {
        (self.shared.config.memory_budget / 4).max(BATCH_BYTES)
    }

    fn send(&mut self, parcel: Parcel) {
        let Some(sink) = self.sink.clone() else { return };
        let (content, body) = (parcel.content, parcel.body.clone());
        let body = match content {
            Content::Spans => Bytes::from(encode::request(&self.resource, &[&body])),
            Content::Score => body,
        };
        if body.len() > REQUEST_BYTES && parcel.count == 1 {
            self.give_up(parcel, Cause::TooLarge);
            return;
        }
        if body.len() > REQUEST_BYTES {
            self.halve(parcel);
            return;
        }
        self.next_id += 1;
        let id = self.next_id;
        self.sent.push(Sent { id, parcel });
        self.requests.spawn(async move { (id, sink.send(content, body).await) });
    }

    fn answered(&mut self, id: u64, outcome: Outcome) {
        let Some(place) = self.sent.iter().position(|sent| sent.id == id) else { return };
        let parcel = self.sent.swap_remove(place).parcel;
        self.last_work = Instant::now();
        let counters = &self.shared.counters;
        match outcome {
            Outcome::Taken => {
                counters.sent.fetch_add(u64::from(parcel.count), Ordering::Relaxed);
                counters.sent_bytes.fetch_add(parcel.body.len() as u64, Ordering::Relaxed);
                self.release(&parcel.records);
                if std::mem::take(&mut self.told.away) {
                    self.tell(&Notice::BackAgain);
                }
                (self.told.key, self.told.host) = (false, false);
                (self.paused_until, self.failures) = (None, 0);
            }
            Outcome::Later { why, after } => {
                counters.error(why.clone());
                self.pause(after.unwrap_or_else(|| backoff(self.failures)));
                // One failure is nothing to wake an operator for.
                if self.failures >= 4 && !std::mem::replace(&mut self.told.away, true) {
                    let url = self.url();
                    self.tell(&Notice::Unreachable { url, why });
                }
                self.put_away(parcel);
            }
            Outcome::WrongKey => {
                counters.error("401: the keys are not known there".to_owned());
                self.pause(MENDING_WAIT);
                if !std::mem::replace(&mut self.told.key, true) {
                    let url = self.url();
                    self.tell(&Notice::WrongKey { url });
                }
                self.put_away(parcel);
            }
            Outcome::WrongHost { found } => {
                counters.error(found.clone());
                self.pause(MENDING_WAIT);
                if !std::mem::replace(&mut self.told.host, true) {
                    let url = self.url();
                    self.tell(&Notice::WrongHost { url, found });
                }
                self.put_away(parcel);
            }
            Outcome::TooLarge if parcel.content == Content::Spans && parcel.count > 1 => self.halve(parcel),
            Outcome::TooLarge => self.give_up(parcel, Cause::TooLarge),
            Outcome::Refused { why } => {
                counters.error(why);
                // A single bad span makes the server refuse the whole batch.
                if parcel.content == Content::Spans && parcel.count > 1 {
                    self.halve(parcel);
                } else {
                    self.give_up(parcel, Cause::Refused);
                }
            }
        }
    }

    fn pause(&mut self, wait: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.paused_until = Some(Instant::now() + wait);
    }

    fn halve(&mut self, parcel: Parcel) {
        let Some(halves) = encode::split(&parcel.body) else {
            self.give_up(parcel, Cause::TooLarge);
            return;
        };
        let mut parts = Vec::new();
        for (body, count) in halves {
            parts.push(Parcel {
                content: Content::Spans,
                count,
                body: body.into(),
                oldest_ns: parcel.oldest_ns,
                records: Vec::new(),
                backed: 0,
                fresh: None,
            });
        }
        // The halves are written before the whole is let go, or a kill between would lose them.
        if !parcel.records.is_empty() {
            for part in &mut parts {
                self.write(part, true);
            }
            self.release(&parcel.records);
        }
        for part in parts {
            self.dispatch(part);
        }
    }

    fn give_up(&mut self, parcel: Parcel, cause: Cause) {
        self.release(&parcel.records);
        self.lose(cause, u64::from(parcel.count));
    }

    fn lose(&mut self, cause: Cause, count: u64) {
        if count == 0 {
            return;
        }
        self.shared.counters.drop(cause, count);
        if !self.told.losing.contains(&cause) {
            self.told.losing.push(cause);
            self.tell(&Notice::Losing { cause });
        }
    }

    fn release(&mut self, records: &[RecordId]) {
        if let Some(spill) = &mut self.spill {
            records.iter().for_each(|id| spill.done(*id));
        }
    }

    /// Into the spill folder, or into memory where there is none.
    fn put_away(&mut self, mut parcel: Parcel) {
        let is_whole = self.write(&mut parcel, false);
        if is_whole {
            if let Some(spill) = &mut self.spill {
                parcel.records.iter().for_each(|id| spill.wait(*id));
            }
            return;
        }
        self.held_bytes += parcel.body.len();
        self.held.push_back(parcel);
        while self.held_bytes > self.flight_budget() {
            let Some(oldest) = self.held.pop_front() else { break };
            self.held_bytes -= oldest.body.len();
            self.give_up(oldest, Cause::NoRoom);
        }
    }

    /// Writes what of a parcel is not in the spill folder yet; whether it is there in whole afterwards.
    fn write(&mut self, parcel: &mut Parcel, is_backup: bool) -> bool {
        if parcel.backed == parcel.count {
            return self.spill.is_some();
        }
        let part = parcel.fresh.as_ref().unwrap_or(&parcel.body).clone();
        match self.append(parcel.content, parcel.count - parcel.backed, &[&part], is_backup) {
            Some(id) => {
                parcel.records.push(id);
                parcel.backed = parcel.count;
                parcel.fresh = None;
                true
            }
            None => false,
        }
    }

    fn append(&mut self, content: Content, count: u32, parts: &[&[u8]], is_backup: bool) -> Option<RecordId> {
        let mut lost = Lost::default();
        let appended = self.spill.as_mut()?.append(content, count, parts, is_backup, &mut lost);
        self.lose(Cause::SpillFull, lost.for_room);
        match appended {
            Ok(id) => {
                self.shared.counters.spilled.fetch_add(u64::from(count), Ordering::Relaxed);
                self.told.no_spill = false;
                Some(id)
            }
            Err(error) => {
                self.no_spill(&error.to_string());
                None
            }
        }
    }

    fn no_spill(&mut self, why: &str) {
        self.shared.counters.error(format!("the spill folder: {why}"));
        if let (Some(folder), false) =
            (&self.shared.config.spill, std::mem::replace(&mut self.told.no_spill, true))
        {
            let folder = folder.display().to_string();
            self.tell(&Notice::NoSpill { folder, why: why.to_owned() });
        }
    }

    fn open_spill(&mut self) {
        let Some(folder) = &self.shared.config.spill else { return };
        self.spill_tried = Some(Instant::now());
        match Spill::open(folder, self.shared.config.spill_budget) {
            Ok(spill) => self.spill = Some(spill),
            Err(error) => self.no_spill(&error.to_string()),
        }
    }

    /// Sends what waits, oldest first, as far as there are slots.
    fn refill(&mut self) {
        while self.may_send() && self.in_flight_bytes() + BATCH_BYTES <= self.flight_budget() {
            if let Some(parcel) = self.held.pop_front() {
                self.held_bytes -= parcel.body.len();
                self.send(parcel);
                continue;
            }
            let Some(parcel) = self.gather() else { return };
            self.send(parcel);
        }
    }

    /// Small records of the spill folder together, as one parcel.
    fn gather(&mut self) -> Option<Parcel> {
        let spill = self.spill.as_mut()?;
        let mut lost = Lost::default();
        let mut parcel: Option<(Parcel, Vec<u8>)> = None;
        while let Some(record) = spill.next(&mut lost) {
            match &mut parcel {
                None => {
                    let one = Parcel {
                        content: record.content,
                        count: record.count,
                        body: Bytes::new(),
                        oldest_ns: 0,
                        records: vec![record.id],
                        backed: 0,
                        fresh: None,
                    };
                    parcel = Some((one, record.body));
                }
                Some((parcel, body)) => {
                    let fits = parcel.content == Content::Spans
                        && record.content == Content::Spans
                        && parcel.count + record.count <= BATCH_SPANS
                        && body.len() + record.body.len() <= BATCH_BYTES;
                    if !fits {
                        spill.wait(record.id);
                        break;
                    }
                    body.extend_from_slice(&record.body);
                    parcel.count += record.count;
                    parcel.records.push(record.id);
                }
            }
        }
        self.lose(Cause::SpillDamaged, lost.damaged);
        let (mut parcel, body) = parcel?;
        (parcel.body, parcel.backed) = (body.into(), parcel.count);
        Some(parcel)
    }

    /// Writes what is older than a moment and only in memory.
    fn back_up(&mut self) {
        let Some(before) = nanoseconds(SystemTime::now()).checked_sub(BACKUP_AFTER_NS) else { return };
        if self.spill.is_none() {
            return;
        }
        if self.open.spans() > self.open.backed.2 && self.open.fresh_ns <= before {
            let (fresh, count) = self.open.fresh();
            if let Some(id) = self.append(Content::Spans, count, &[&fresh], true) {
                self.open.records.push(id);
                self.open.backed = (self.open.own.len(), self.open.foreign.len(), self.open.spans());
                self.open.fresh_ns = 0;
            }
        }
        for place in 0..self.sent.len() {
            let parcel = &self.sent[place].parcel;
            if parcel.backed < parcel.count && parcel.oldest_ns <= before {
                let part = parcel.fresh.as_ref().unwrap_or(&parcel.body).clone();
                let (content, count) = (parcel.content, parcel.count - parcel.backed);
                if let Some(id) = self.append(content, count, &[&part], true) {
                    let parcel = &mut self.sent[place].parcel;
                    parcel.records.push(id);
                    parcel.backed = parcel.count;
                }
            }
        }
    }

    fn look_after_spill(&mut self) {
        if self.spill.is_none() && self.spill_tried.is_some_and(|tried| tried.elapsed() > SPILL_AGAIN) {
            self.open_spill();
        }
        if self.taken_over.elapsed() > TAKE_OVER_EVERY {
            self.taken_over = Instant::now();
            if let Some(spill) = &mut self.spill {
                let _next_time = spill.take_over();
                spill.forget_lists();
            }
        }
        // What could not be written goes there as soon as there is room again.
        while self.spill.is_some()
            && let Some(mut parcel) = self.held.pop_front()
        {
            if !self.write(&mut parcel, false) {
                self.held.push_front(parcel);
                break;
            }
            self.held_bytes -= parcel.body.len();
            if let Some(spill) = &mut self.spill {
                parcel.records.iter().for_each(|id| spill.wait(*id));
            }
        }
    }

    fn report(&mut self) {
        let counters = &self.shared.counters;
        let (bytes, waiting) = self.spill.as_ref().map_or((0, 0), |spill| (spill.bytes(), spill.waiting()));
        let held: u64 = self.held.iter().map(|parcel| u64::from(parcel.count)).sum();
        counters.spill_bytes.store(bytes, Ordering::Relaxed);
        counters.waiting.store(waiting + held, Ordering::Relaxed);
        if !self.recovered_seen {
            self.recovered_seen = true;
            counters.recovered.store(waiting, Ordering::Relaxed);
        }
        let open = (self.open.spans() > 0).then_some(self.open.oldest_ns);
        let sent = self.sent.iter().map(|sent| sent.parcel.oldest_ns).filter(|ns| *ns > 0);
        let spilled =
            (waiting + held > 0).then(|| counters.oldest_ns.load(Ordering::Relaxed)).filter(|ns| *ns > 0);
        let oldest = sent.chain(open).chain(spilled).min().unwrap_or(0);
        counters.oldest_ns.store(oldest, Ordering::Relaxed);
    }

    /// Answers those who wait for a flush; whether the thread must end.
    fn answer_waiters(&mut self) -> bool {
        if self.waiters.is_empty() {
            return false;
        }
        let waiting = self.spill.as_ref().map_or(0, Spill::waiting)
            + self.held.iter().map(|parcel| u64::from(parcel.count)).sum::<u64>();
        let is_idle = self.shared.queue.is_empty() && self.open.spans() == 0;
        let is_sent = is_idle && self.sent.is_empty() && waiting == 0;
        // A server that is away is not waited for: everything is in the spill folder.
        let is_safe = is_idle && self.sent.is_empty() && self.paused_until.is_some() && self.held.is_empty();
        let now = Instant::now();
        let in_flight: u64 = self.sent.iter().map(|sent| u64::from(sent.parcel.count)).sum();
        let mut ends = false;
        let is_backed = is_idle && self.held.is_empty() && self.spill.is_some();
        self.waiters.retain(|(until, reply, is_end)| {
            let answer = if is_sent {
                Flushed::Sent
            } else if is_safe {
                Flushed::Spilled(waiting)
            } else if now >= *until {
                // A shutdown puts away what is under way, so that it is not lost.
                if is_backed && *is_end {
                    Flushed::Spilled(waiting + in_flight)
                } else {
                    Flushed::TimedOut(waiting + in_flight + self.shared.queue.len() as u64)
                }
            } else {
                return true;
            };
            ends |= *is_end;
            let _gone = reply.send(answer);
            false
        });
        ends
    }

    /// At the end: whatever is still here goes to the spill folder.
    fn put_everything_away(&mut self) {
        self.requests.abort_all();
        self.seal();
        for sent in std::mem::take(&mut self.sent) {
            self.put_away(sent.parcel);
        }
        let lost: u64 = self.held.iter().map(|parcel| u64::from(parcel.count)).sum();
        self.lose(Cause::NoRoom, lost);
    }

    fn url(&self) -> String {
        self.shared.config.base_url.as_str().trim_end_matches('/').to_owned()
    }

    /// An operator's ear that panics does not end the sending.
    fn tell(&self, notice: &Notice) {
        let on_notice = &self.shared.config.on_notice;
        let _heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| on_notice(notice)));
    }
}

/// The wait after so many failures, with jitter, so that many processes do not come back at once.
fn backoff(failures: u32) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LAST_WAIT);
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}
