//! The one thread that writes. Jobs that wait together are committed together.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, params};
use serde_json::{Map, Value};

use crate::observation::Observation;
use crate::score::Score;
use crate::xxhash::xxhash32;

use super::StoreError;
use super::documents::{self, Document};
use super::project::{self, NewKey, Project};
use super::scores;

/// Jobs that may wait before senders do.
const QUEUE: usize = 256;
/// Jobs in one commit.
const GROUP: usize = 64;

/// Rows to be stored together, with what is known about their sender.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The project that the key belongs to.
    pub project_id: String,
    /// The public key that was used.
    pub public_key: String,
    /// The client library's name and version.
    pub sdk: (String, String),
    /// When the batch was processed, in milliseconds since 1970.
    pub now_ms: i64,
    /// The rows.
    pub rows: Vec<Observation>,
}

#[derive(Debug)]
enum Work {
    Insert(Batch),
    DeleteTraces { project_id: String, trace_ids: Vec<String> },
    PutScores { project_id: String, scores: Vec<Score> },
    DeleteScore { project_id: String, id: String },
    PutDocument { project_id: String, document: Document },
    DeleteDocument { project_id: String, kind: &'static str, id: String },
    Provision { project: Project, key: Option<NewKey> },
    Expire { before_ms: i64 },
    Vacuum,
}

/// What a job changed: rows, where rows are counted.
type Done = Result<usize, StoreError>;

struct Job {
    work: Work,
    reply: SyncSender<Done>,
}

impl Job {
    /// Whether it is not committed with others: its rows are counted, or it is no transaction.
    fn is_alone(&self) -> bool {
        matches!(self.work, Work::Expire { .. } | Work::Vacuum)
    }
}

/// Rows that one job expires: writes that wait behind it wait for a moment only.
const EXPIRED_AT_ONCE: usize = 5_000;

#[derive(Debug)]
pub(super) struct Writer {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Insertions are refused while the file holds more than `max_bytes`.
    pub(super) fn start(mut connection: Connection, max_bytes: Option<u64>) -> Self {
        let (jobs, queue) = sync_channel(QUEUE);
        let thread = std::thread::spawn(move || run(&mut connection, &queue, max_bytes));
        Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) }
    }

    pub(super) fn insert(&self, batch: Batch) -> Result<(), StoreError> {
        self.submit(Work::Insert(batch)).map(|_rows| ())
    }

    pub(super) fn delete_traces(&self, project_id: String, trace_ids: Vec<String>) -> Result<(), StoreError> {
        self.submit(Work::DeleteTraces { project_id, trace_ids }).map(|_rows| ())
    }

    pub(super) fn put_scores(&self, project_id: String, scores: Vec<Score>) -> Result<(), StoreError> {
        self.submit(Work::PutScores { project_id, scores }).map(|_rows| ())
    }

    pub(super) fn delete_score(&self, project_id: String, id: String) -> Result<(), StoreError> {
        self.submit(Work::DeleteScore { project_id, id }).map(|_rows| ())
    }

    pub(super) fn put_document(&self, project_id: String, document: Document) -> Result<(), StoreError> {
        self.submit(Work::PutDocument { project_id, document }).map(|_rows| ())
    }

    pub(super) fn delete_document(
        &self,
        project_id: String,
        kind: &'static str,
        id: String,
    ) -> Result<(), StoreError> {
        self.submit(Work::DeleteDocument { project_id, kind, id }).map(|_rows| ())
    }

    pub(super) fn provision(&self, project: Project, key: Option<NewKey>) -> Result<(), StoreError> {
        self.submit(Work::Provision { project, key }).map(|_rows| ())
    }

    /// Removes some of the observations that began before this time; 0 when none is left.
    pub(super) fn expire(&self, before_ms: i64) -> Done {
        self.submit(Work::Expire { before_ms })
    }

    /// Rewrites the file without its free pages.
    pub(super) fn vacuum(&self) -> Result<(), StoreError> {
        self.submit(Work::Vacuum).map(|_rows| ())
    }

    fn submit(&self, work: Work) -> Done {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, answer) = sync_channel(1);
        jobs.ok_or(StoreError::Closed)?.send(Job { work, reply }).map_err(|_gone| StoreError::Closed)?;
        answer.recv().map_err(|_gone| StoreError::Closed)?
    }

    pub(super) fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic there has already failed the jobs that waited for it.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(connection: &mut Connection, queue: &Receiver<Job>, max_bytes: Option<u64>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        let mut alone = None;
        while group.len() < GROUP
            && !group[0].is_alone()
            && let Ok(next) = queue.try_recv()
        {
            if next.is_alone() {
                alone = Some(next);
                break;
            }
            group.push(next);
        }
        let result = commit(connection, &group, max_bytes);
        if result.is_err() && group.len() > 1 {
            // One bad job must not fail its neighbours.
            for job in group {
                let result = commit(connection, std::slice::from_ref(&job), max_bytes);
                answer(job, result);
            }
        } else {
            for job in group {
                answer(job, result.clone());
            }
        }
        if let Some(job) = alone {
            let result = commit(connection, std::slice::from_ref(&job), max_bytes);
            answer(job, result);
        }
    }
    // Leaves one plain file behind; if it fails the log is simply replayed on the next start.
    let _kept_log = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

fn answer(job: Job, result: Done) {
    // Nobody waits any more when the client has gone; the rows stay.
    let _gone = job.reply.send(result);
}

/// The number of rows is that of the last job: only jobs that are alone ask for it.
fn commit(connection: &mut Connection, group: &[Job], max_bytes: Option<u64>) -> Done {
    if let [Job { work: Work::Vacuum, .. }] = group {
        connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
        return Ok(0);
    }
    let mut n_rows = 0;
    let transaction = connection.transaction()?;
    for job in group {
        match &job.work {
            Work::Insert(batch) => {
                refuse_when_full(&transaction, max_bytes)?;
                insert(&transaction, batch)?;
            }
            Work::Expire { before_ms } => n_rows = expire(&transaction, *before_ms)?,
            Work::Vacuum => {}
            Work::DeleteTraces { project_id, trace_ids } => {
                let mut statement = transaction
                    .prepare_cached("DELETE FROM observations WHERE project_id = ?1 AND trace_id = ?2")?;
                let mut scores = transaction
                    .prepare_cached("DELETE FROM scores WHERE project_id = ?1 AND trace_id = ?2")?;
                for trace_id in trace_ids {
                    statement.execute(params![project_id, trace_id])?;
                    scores.execute(params![project_id, trace_id])?;
                }
            }
            Work::PutScores { project_id, scores } => {
                refuse_when_full(&transaction, max_bytes)?;
                scores::put(&transaction, project_id, scores)?;
            }
            Work::PutDocument { project_id, document } => documents::put(&transaction, project_id, document)?,
            Work::DeleteDocument { project_id, kind, id } => {
                documents::delete(&transaction, project_id, kind, id)?;
            }
            Work::DeleteScore { project_id, id } => n_rows = scores::delete(&transaction, project_id, id)?,
            Work::Provision { project, key } => {
                let now_ms = jiff::Timestamp::now().as_millisecond();
                project::provision(&transaction, project, key.as_ref(), now_ms)?;
            }
        }
    }
    transaction.commit()?;
    Ok(n_rows)
}

/// Free pages do not count: they are used again.
fn refuse_when_full(transaction: &Transaction<'_>, max_bytes: Option<u64>) -> Result<(), StoreError> {
    let Some(limit) = max_bytes else { return Ok(()) };
    let pragma = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let used = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    if used.unsigned_abs() > limit { Err(StoreError::Full { limit }) } else { Ok(()) }
}

fn expire(transaction: &Transaction<'_>, before_ms: i64) -> Result<usize, rusqlite::Error> {
    let n_scores = transaction
        .prepare_cached(
            "DELETE FROM scores WHERE rowid IN (
                SELECT s.rowid FROM projects p JOIN scores s ON s.project_id = p.id
                WHERE s.timestamp_ms < ?1 LIMIT ?2)",
        )?
        .execute(params![before_ms, EXPIRED_AT_ONCE as i64])?;
    let n_observations = transaction
        .prepare_cached(
            "DELETE FROM observations WHERE seq IN (
                SELECT o.seq FROM projects p JOIN observations o ON o.project_id = p.id
                WHERE o.start_ms < ?1 LIMIT ?2)",
        )?
        .execute(params![before_ms, EXPIRED_AT_ONCE as i64])?;
    Ok(n_scores + n_observations)
}

/// A row that is sent again replaces the earlier one, in its place.
const INSERT: &str = "
INSERT INTO observations (
    project_id, trace_id, id, start_ms, end_ms, trace_hash, parent_id, name, kind, level, status_message,
    version, release, environment, trace_name, user_id, session_id, tags, public, is_app_root,
    completion_start_ms, model, usage, input_usage, output_usage, total_usage, cost, input_cost,
    output_cost, total_cost, prompt_name, prompt_version, experiment_id, experiment_name,
    experiment_dataset_id, ingestion_api_key, ingestion_sdk_name, ingestion_sdk_version, created_ms,
    updated_ms, tool_names, called_tool_names, model_id, tier_id, tier_name
) VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
    ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?39, ?40, ?41,
    ?42, ?43, ?44
) ON CONFLICT (project_id, trace_id, id, start_ms) DO UPDATE SET
    end_ms = excluded.end_ms, trace_hash = excluded.trace_hash, parent_id = excluded.parent_id,
    name = excluded.name, kind = excluded.kind, level = excluded.level,
    status_message = excluded.status_message, version = excluded.version, release = excluded.release,
    environment = excluded.environment, trace_name = excluded.trace_name, user_id = excluded.user_id,
    session_id = excluded.session_id, tags = excluded.tags, public = excluded.public,
    is_app_root = excluded.is_app_root, completion_start_ms = excluded.completion_start_ms,
    model = excluded.model, usage = excluded.usage, input_usage = excluded.input_usage,
    output_usage = excluded.output_usage, total_usage = excluded.total_usage, cost = excluded.cost,
    input_cost = excluded.input_cost, output_cost = excluded.output_cost,
    total_cost = excluded.total_cost, prompt_name = excluded.prompt_name,
    prompt_version = excluded.prompt_version, experiment_id = excluded.experiment_id,
    experiment_name = excluded.experiment_name, experiment_dataset_id = excluded.experiment_dataset_id,
    ingestion_api_key = excluded.ingestion_api_key, ingestion_sdk_name = excluded.ingestion_sdk_name,
    ingestion_sdk_version = excluded.ingestion_sdk_version, created_ms = excluded.created_ms,
    updated_ms = excluded.updated_ms, tool_names = excluded.tool_names,
    called_tool_names = excluded.called_tool_names, model_id = excluded.model_id,
    tier_id = excluded.tier_id, tier_name = excluded.tier_name
RETURNING seq";

const INSERT_CONTENT: &str = "INSERT OR REPLACE INTO contents VALUES (?1, ?2, ?3, ?4, ?5)";

fn insert(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), rusqlite::Error> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    let mut content = transaction.prepare_cached(INSERT_CONTENT)?;
    for row in &batch.rows {
        let usage = Sides::of(&row.usage);
        let cost = Sides::of(&row.cost);
        let tags = Value::from(row.tags.clone()).to_string();
        let values = params![
            batch.project_id,
            row.trace_id,
            row.id,
            row.start_ms,
            row.end_ms,
            xxhash32(row.trace_id.as_bytes()),
            row.parent_id,
            row.name,
            row.kind,
            row.level,
            row.status_message,
            row.version,
            row.release,
            row.environment,
            row.trace_name,
            row.user_id,
            row.session_id,
            tags,
            row.public,
            row.is_app_root,
            row.completion_start_ms,
            row.model,
            object_text(&row.usage)?,
            usage.input.unwrap_or_default(),
            usage.output.unwrap_or_default(),
            usage.total.unwrap_or_default(),
            object_text(&row.cost)?,
            cost.input,
            cost.output,
            cost.total.unwrap_or_default(),
            row.prompt_name,
            row.prompt_version,
            row.experiment[0],
            row.experiment[1],
            row.experiment[2],
            batch.public_key,
            batch.sdk.0,
            batch.sdk.1,
            batch.now_ms,
            Value::from(row.tool_names.clone()).to_string(),
            Value::from(row.called_tool_names.clone()).to_string(),
            row.model_id,
            row.tier.as_ref().map(|(id, _)| id),
            row.tier.as_ref().map(|(_, name)| name),
        ];
        let seq: i64 = statement.query_row(values, |row| row.get(0))?;
        content.execute(params![
            seq,
            row.input,
            row.output,
            object_text(&row.metadata)?,
            object_text(&row.model_parameters)?,
        ])?;
    }
    Ok(())
}

pub(super) fn object_text(object: &Map<String, Value>) -> Result<String, rusqlite::Error> {
    serde_json::to_string(object).map_err(|source| rusqlite::Error::ToSqlConversionFailure(source.into()))
}

/// Sums by side: every bucket whose name contains `input` or `output`, and `total`.
struct Sides {
    input: Option<f64>,
    output: Option<f64>,
    total: Option<f64>,
}

impl Sides {
    fn of(buckets: &Map<String, Value>) -> Self {
        let side = |name: &str| {
            let values =
                buckets.iter().filter(|(key, _)| key.contains(name)).filter_map(|(_, it)| it.as_f64());
            values.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or_default() + value))
        };
        Self {
            input: side("input"),
            output: side("output"),
            total: buckets.get("total").and_then(Value::as_f64),
        }
    }
}
