//! What people look through: traces newest first, the observations of one trace, sessions.
//!
//! There is no table of traces: a trace is all observations of one trace id, it stands where its first
//! one stands, and what its observations tell about it (session, user, tags) is joined. Searching looks
//! at a bounded number of rows and says where it stopped, so that no question holds a thread for long.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use crate::query::Cursor;

/// Rows that one page of a search may look at.
const MAX_ROWS_LOOKED_AT: usize = 100_000;
/// Bytes of inputs, outputs and metadata that one page of a search may look at.
const MAX_TEXT_LOOKED_AT: usize = 64 << 20;
/// Rows of a trace that are read; more do not help an eye.
pub(crate) const MAX_TRACE_ROWS: usize = 20_000;
/// Rows that sessions are counted over.
const MAX_SESSION_ROWS: usize = 1_000_000;

/// How bad it is; the order is that of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Level {
    Debug,
    #[default]
    Default,
    Warning,
    Error,
}

impl Level {
    /// The level of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Debug, Self::Default, Self::Warning, Self::Error].into_iter().find(|it| it.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Default => "DEFAULT",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// Which traces are asked for. An empty text asks for all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TraceFilter {
    /// In a name, an id, a message, an input, an output or metadata, in any case.
    pub(crate) text: String,
    /// In the trace's name, in any case.
    pub(crate) name: String,
    /// The worst level is at least this.
    pub(crate) level: Option<Level>,
    pub(crate) session: String,
    pub(crate) user: String,
    pub(crate) tag: String,
    pub(crate) environment: String,
    pub(crate) channel: String,
    /// Begun at or after this time.
    pub(crate) from_ms: Option<i64>,
    /// Begun before this time.
    pub(crate) to_ms: Option<i64>,
}

/// A trace in one line.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TraceSummary {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) cost: f64,
    pub(crate) input_tokens: f64,
    pub(crate) output_tokens: f64,
    pub(crate) total_tokens: f64,
    /// The worst of its observations.
    pub(crate) level: Level,
    pub(crate) n_observations: usize,
    pub(crate) n_errors: usize,
    pub(crate) session: String,
    pub(crate) user: String,
    pub(crate) environment: String,
    pub(crate) release: String,
    pub(crate) version: String,
    /// The metadata `channel` of the root.
    pub(crate) channel: String,
    pub(crate) tags: Vec<String>,
    /// The observation at whose place the trace stands.
    first_id: String,
    /// Whether a name, an id or a message holds the text asked for.
    has_text: bool,
}

/// Some traces, and where the next ones begin.
#[derive(Debug, Default)]
pub(crate) struct TracePage {
    pub(crate) traces: Vec<TraceSummary>,
    pub(crate) next: Option<Cursor>,
    /// The bound of looking was reached: this time was, with nothing known of what is older.
    pub(crate) looked_back_to_ms: Option<i64>,
}

pub(super) fn traces(
    connection: &Connection,
    project_id: &str,
    filter: &TraceFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<TracePage, rusqlite::Error> {
    let mut search = Search { connection, project_id, filter, n_rows: 0, n_text: 0 };
    let mut page = TracePage::default();
    // Somebody who pastes a whole id wants that trace, however old it is.
    if !filter.text.is_empty()
        && let Some(trace) = search.load(&filter.text)?
    {
        page.traces.extend(search.matches(&trace)?.then_some(trace));
        return Ok(page);
    }
    let from_ms = filter.from_ms.unwrap_or(i64::MIN);
    let to_ms = filter.to_ms.unwrap_or(i64::MAX);
    let beyond = Cursor { start_ms: i64::MAX, trace_id: String::new(), id: String::new() };
    let after = after.unwrap_or(&beyond);
    let mut statement = connection.prepare_cached(
        "SELECT trace_id, id, start_ms FROM observations
         WHERE project_id = ?1 AND start_ms >= ?2 AND start_ms < ?3
            AND (start_ms, trace_hash, id) < (?4, ?5, ?6)
         ORDER BY start_ms DESC, trace_hash DESC, id DESC",
    )?;
    let hash = crate::xxhash::xxhash32(after.trace_id.as_bytes());
    let mut rows = statement.query(params![project_id, from_ms, to_ms, after.start_ms, hash, after.id])?;
    // Traces that were met and whose first observation is still to come; `None` does not match.
    let mut met: HashMap<String, (i64, String, Option<TraceSummary>)> = HashMap::new();
    while let Some(row) = rows.next()? {
        let (trace_id, id): (String, String) = (row.get(0)?, row.get(1)?);
        let start_ms: i64 = row.get(2)?;
        search.n_rows += 1;
        if !met.contains_key(&trace_id) {
            let Some(trace) = search.load(&trace_id)? else { continue };
            let place = (trace.start_ms, trace.first_id.clone());
            let matches = search.matches(&trace)?;
            met.insert(trace_id.clone(), (place.0, place.1, matches.then_some(trace)));
        }
        let is_first = met.get(&trace_id).is_some_and(|(start, first, _)| *start == start_ms && *first == id);
        let here = Cursor { start_ms, trace_id, id };
        if is_first && let Some((_, _, Some(trace))) = met.remove(&here.trace_id) {
            page.traces.push(trace);
            if page.traces.len() > limit {
                page.traces.pop();
                return Ok(page);
            }
            page.next = Some(here);
            continue;
        }
        if search.n_rows >= MAX_ROWS_LOOKED_AT || search.n_text >= MAX_TEXT_LOOKED_AT {
            page.looked_back_to_ms = Some(start_ms);
            page.next = Some(here);
            return Ok(page);
        }
    }
    page.next = None;
    Ok(page)
}

/// One page of looking.
struct Search<'a> {
    connection: &'a Connection,
    project_id: &'a str,
    filter: &'a TraceFilter,
    n_rows: usize,
    n_text: usize,
}

impl Search<'_> {
    fn load(&mut self, trace_id: &str) -> Result<Option<TraceSummary>, rusqlite::Error> {
        let text = self.filter.text.to_lowercase();
        let trace = summary(self.connection, self.project_id, trace_id, &text)?;
        self.n_rows += trace.as_ref().map_or(0, |trace| trace.n_observations);
        Ok(trace)
    }

    /// The cheap questions first.
    fn matches(&mut self, trace: &TraceSummary) -> Result<bool, rusqlite::Error> {
        let filter = self.filter;
        let equal = |wish: &str, value: &str| wish.is_empty() || wish == value;
        let matches = filter.from_ms.is_none_or(|from| trace.start_ms >= from)
            && filter.to_ms.is_none_or(|to| trace.start_ms < to)
            && filter.level.is_none_or(|level| trace.level >= level)
            && equal(&filter.session, &trace.session)
            && equal(&filter.user, &trace.user)
            && equal(&filter.environment, &trace.environment)
            && equal(&filter.channel, &trace.channel)
            && (filter.tag.is_empty() || trace.tags.contains(&filter.tag))
            && (filter.name.is_empty() || holds(&trace.name, &filter.name.to_lowercase()));
        Ok(matches && (filter.text.is_empty() || trace.has_text || self.contents_hold(&trace.id)?))
    }

    fn contents_hold(&mut self, trace_id: &str) -> Result<bool, rusqlite::Error> {
        let text = self.filter.text.to_lowercase();
        let mut statement = self.connection.prepare_cached(
            "SELECT input, output, metadata FROM observations JOIN contents ON observation = seq
             WHERE project_id = ?1 AND trace_id = ?2",
        )?;
        let mut rows = statement.query(params![self.project_id, trace_id])?;
        while let Some(row) = rows.next()? {
            for column in 0..3 {
                let value = lossy(row.get_ref(column)?);
                self.n_text += value.len();
                if holds(&value, &text) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Whether a text holds another that is in small letters already.
fn holds(text: &str, small: &str) -> bool {
    text.len() >= small.len() / 3 && text.to_lowercase().contains(small)
}

/// Joins the observations of a trace; `None` when there is none.
pub(super) fn summary(
    connection: &Connection,
    project_id: &str,
    trace_id: &str,
    text: &str,
) -> Result<Option<TraceSummary>, rusqlite::Error> {
    // The plus keeps SQLite from walking a whole project in the order of time.
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, parent_id, start_ms, end_ms, name, level, trace_name, session_id, user_id,
            environment, release, version, tags, total_cost, input_usage, output_usage, total_usage,
            status_message
         FROM observations WHERE project_id = ?1 AND trace_id = ?2 ORDER BY +start_ms, id",
    )?;
    let mut rows = statement.query(params![project_id, trace_id])?;
    let mut trace = TraceSummary { id: trace_id.to_owned(), level: Level::Debug, ..Default::default() };
    let mut root: Option<(i64, String)> = None;
    let mut has_real_root = false;
    trace.has_text = !text.is_empty() && holds(trace_id, text);
    while let Some(row) = rows.next()? {
        let name: String = row.get(5)?;
        let start_ms: i64 = row.get(3)?;
        let end_ms: i64 = row.get(4)?;
        if trace.n_observations == 0 {
            (trace.start_ms, trace.end_ms) = (start_ms, end_ms);
            trace.first_id = row.get(1)?;
        }
        trace.n_observations += 1;
        trace.end_ms = trace.end_ms.max(end_ms);
        let is_root = lossy(row.get_ref(2)?).is_empty();
        if root.is_none() || (is_root && !has_real_root) {
            root = Some((row.get(0)?, name.clone()));
            has_real_root = is_root;
        }
        let level = Level::parse(&lossy(row.get_ref(6)?)).unwrap_or_default();
        trace.level = trace.level.max(level);
        trace.n_errors += usize::from(level == Level::Error);
        for (column, field) in [
            (7, &mut trace.name),
            (8, &mut trace.session),
            (9, &mut trace.user),
            (10, &mut trace.environment),
            (11, &mut trace.release),
            (12, &mut trace.version),
        ] {
            if field.is_empty() {
                *field = row.get(column)?;
            }
        }
        add_tags(&mut trace.tags, &lossy(row.get_ref(13)?));
        trace.cost += row.get::<_, f64>(14)?;
        trace.input_tokens += row.get::<_, f64>(15)?;
        trace.output_tokens += row.get::<_, f64>(16)?;
        trace.total_tokens += row.get::<_, f64>(17)?;
        if !text.is_empty() && !trace.has_text {
            let (id, message) = (lossy(row.get_ref(1)?), lossy(row.get_ref(18)?));
            trace.has_text = holds(&name, text) || holds(&id, text) || holds(&message, text);
        }
    }
    let Some((seq, root_name)) = root else { return Ok(None) };
    if trace.name.is_empty() {
        trace.name = root_name;
    }
    trace.has_text |= !text.is_empty() && holds(&trace.name, text);
    trace.channel = channel(connection, seq)?;
    Ok(Some(trace))
}

fn add_tags(tags: &mut Vec<String>, text: &str) {
    // Almost always the same as in the row before, or none.
    if text == "[]" {
        return;
    }
    for tag in serde_json::from_str::<Vec<String>>(text).unwrap_or_default() {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
}

fn channel(connection: &Connection, seq: i64) -> Result<String, rusqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT metadata FROM contents WHERE observation = ?1")?;
    let metadata = statement
        .query_row([seq], |row| {
            let text = lossy(row.get_ref(0)?);
            // Reading the whole object is worth it only when the word is there.
            Ok(text.contains("\"channel\"").then(|| serde_json::from_str::<Value>(&text).unwrap_or_default()))
        })
        .optional()?
        .flatten()
        .unwrap_or_default();
    Ok(match &metadata["channel"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// One observation of a trace, without its long texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TraceRow {
    /// The store's own number of the row, by which its texts are asked for.
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) parent_id: String,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) completion_start_ms: Option<i64>,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) level: Level,
    pub(crate) status_message: String,
    pub(crate) model: String,
    pub(crate) input_tokens: f64,
    pub(crate) output_tokens: f64,
    pub(crate) total_tokens: f64,
    pub(crate) cost: f64,
    pub(crate) prompt_name: String,
    pub(crate) prompt_version: Option<i64>,
}

/// The observations of a trace in the order of their start, longer ones first; one more than
/// [`MAX_TRACE_ROWS`] at most.
pub(super) fn trace_rows(
    connection: &Connection,
    project_id: &str,
    trace_id: &str,
) -> Result<Vec<TraceRow>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, parent_id, start_ms, end_ms, completion_start_ms, name, kind, level, status_message,
            model, input_usage, output_usage, total_usage, total_cost, prompt_name, prompt_version
         FROM observations WHERE project_id = ?1 AND trace_id = ?2
         ORDER BY +start_ms, end_ms DESC, seq LIMIT ?3",
    )?;
    statement.query_map(params![project_id, trace_id, MAX_TRACE_ROWS as i64 + 1], trace_row)?.collect()
}

fn trace_row(row: &Row<'_>) -> Result<TraceRow, rusqlite::Error> {
    Ok(TraceRow {
        seq: row.get(0)?,
        id: row.get(1)?,
        parent_id: row.get(2)?,
        start_ms: row.get(3)?,
        end_ms: row.get(4)?,
        completion_start_ms: row.get(5)?,
        name: row.get(6)?,
        kind: row.get(7)?,
        level: Level::parse(&lossy(row.get_ref(8)?)).unwrap_or_default(),
        status_message: row.get(9)?,
        model: row.get(10)?,
        input_tokens: row.get(11)?,
        output_tokens: row.get(12)?,
        total_tokens: row.get(13)?,
        cost: row.get(14)?,
        prompt_name: row.get(15)?,
        prompt_version: row.get(16)?,
    })
}

/// The long texts of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Input,
    Output,
    Metadata,
    ModelParameters,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Input, Self::Output, Self::Metadata, Self::ModelParameters];

    /// The name of its column, which is its name in addresses too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Metadata => "metadata",
            Self::ModelParameters => "model_parameters",
        }
    }
}

/// Shows the long texts of a row, in the order of [`Part::ALL`], without a copy of them.
pub(super) fn with_contents<T>(
    connection: &Connection,
    seq: i64,
    show: impl FnOnce([&str; 4]) -> T,
) -> Result<Option<T>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT input, output, metadata, model_parameters FROM contents WHERE observation = ?1",
    )?;
    statement
        .query_row([seq], |row| {
            let texts = [0, 1, 2, 3].map(|column| row.get_ref(column).map(lossy));
            let [input, output, metadata, parameters] = texts;
            Ok(show([&input?, &output?, &metadata?, &parameters?]))
        })
        .optional()
}

/// A long text as it is stored; the row must belong to the trace and the project.
pub(super) fn text(
    connection: &Connection,
    project_id: &str,
    trace_id: &str,
    seq: i64,
    part: Part,
) -> Result<Option<String>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {} FROM observations JOIN contents ON observation = seq
         WHERE seq = ?1 AND project_id = ?2 AND trace_id = ?3",
        part.name()
    ))?;
    statement
        .query_row(params![seq, project_id, trace_id], |row| Ok(lossy(row.get_ref(0)?).into_owned()))
        .optional()
}

/// A session in one line.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SessionSummary {
    pub(crate) id: String,
    pub(crate) n_traces: usize,
    pub(crate) n_observations: usize,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) cost: f64,
    pub(crate) n_errors: usize,
    pub(crate) user: String,
}

/// Sessions, the one with the latest observation first.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) sessions: Vec<SessionSummary>,
    /// Only so many of the newest observations were counted.
    pub(crate) cut_short_at: Option<usize>,
}

/// What is known of a trace whose session may come with a later row.
#[derive(Default)]
struct Visit {
    session: String,
    user: String,
    n_observations: usize,
    first_ms: i64,
    last_ms: i64,
    cost: f64,
    n_errors: usize,
}

/// Counts the traces of every session over a time range, in one pass from the newest observation on.
pub(super) fn sessions(
    connection: &Connection,
    project_id: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Sessions, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT trace_id, start_ms, end_ms, session_id, user_id, total_cost, level FROM observations
         WHERE project_id = ?1 AND start_ms >= ?2 AND start_ms < ?3
         ORDER BY start_ms DESC, trace_hash DESC, id DESC LIMIT ?4",
    )?;
    let mut rows = statement.query(params![project_id, from_ms, to_ms, MAX_SESSION_ROWS as i64])?;
    let mut visits: HashMap<String, Visit> = HashMap::new();
    let mut n_rows = 0;
    while let Some(row) = rows.next()? {
        n_rows += 1;
        let trace_id = lossy(row.get_ref(0)?);
        if !visits.contains_key(trace_id.as_ref()) {
            let visit = Visit { first_ms: i64::MAX, last_ms: i64::MIN, ..Visit::default() };
            visits.insert(trace_id.clone().into_owned(), visit);
        }
        let Some(visit) = visits.get_mut(trace_id.as_ref()) else { continue };
        visit.first_ms = visit.first_ms.min(row.get(1)?);
        visit.last_ms = visit.last_ms.max(row.get(2)?);
        visit.n_observations += 1;
        visit.cost += row.get::<_, f64>(5)?;
        visit.n_errors += usize::from(lossy(row.get_ref(6)?) == "ERROR");
        // The earliest observation that names one wins, as in the list of traces.
        for (column, field) in [(3, &mut visit.session), (4, &mut visit.user)] {
            let value = lossy(row.get_ref(column)?);
            if !value.is_empty() && *field != value {
                *field = value.into_owned();
            }
        }
    }
    let mut sessions: HashMap<String, SessionSummary> = HashMap::new();
    for visit in visits.into_values().filter(|visit| !visit.session.is_empty()) {
        let session = sessions.entry(visit.session).or_insert_with_key(|id| SessionSummary {
            id: id.clone(),
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            ..SessionSummary::default()
        });
        session.n_traces += 1;
        session.n_observations += visit.n_observations;
        if visit.first_ms < session.first_ms {
            session.user = visit.user;
        }
        session.first_ms = session.first_ms.min(visit.first_ms);
        session.last_ms = session.last_ms.max(visit.last_ms);
        session.cost += visit.cost;
        session.n_errors += visit.n_errors;
    }
    let mut sessions: Vec<_> = sessions.into_values().collect();
    sessions.sort_by(|a, b| b.last_ms.cmp(&a.last_ms).then_with(|| a.id.cmp(&b.id)));
    Ok(Sessions { sessions, cut_short_at: (n_rows == MAX_SESSION_ROWS).then_some(MAX_SESSION_ROWS) })
}

/// When the newest observation began.
pub(super) fn newest_ms(connection: &Connection, project_id: &str) -> Result<Option<i64>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT start_ms FROM observations WHERE project_id = ?1 ORDER BY start_ms DESC LIMIT 1",
    )?;
    statement.query_row([project_id], |row| row.get(0)).optional()
}

/// A text column as it is; bytes that are no text are replaced.
fn lossy(value: ValueRef<'_>) -> std::borrow::Cow<'_, str> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
        _ => "".into(),
    }
}
