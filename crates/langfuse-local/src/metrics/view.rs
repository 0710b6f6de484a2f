//! What each view offers: dimensions to group by and measures to aggregate, as SQL over the stored tables.

use crate::query::Column;

/// A table of facts.
#[derive(Debug)]
pub(crate) struct View {
    pub(super) name: &'static str,
    /// The `FROM` part; it binds the table to the name that the expressions use.
    pub(crate) table: &'static str,
    pub(crate) time: &'static str,
    pub(crate) condition: &'static str,
    pub(super) time_names: [&'static str; 2],
    pub(super) dimensions: &'static [Dimension],
    pub(super) measures: &'static [Measure],
}

/// Something to group by.
#[derive(Debug, PartialEq)]
pub(crate) struct Dimension {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) kind: DimensionKind,
    pub(super) is_high_cardinality: bool,
}

/// What a dimension's cells hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DimensionKind {
    /// Text that is never absent.
    Text,
    /// Text, null when it is empty.
    Optional,
    /// A number, maybe null.
    Number,
    /// 0 or 1.
    Truth,
    /// A JSON list: one row for each entry, none for none.
    List,
    /// The keys of a JSON object of numbers: one row for each.
    Keys,
}

/// Something to aggregate.
#[derive(Debug, PartialEq)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) kind: MeasureKind,
    /// Whether a sum, minimum or maximum of nothing is null, and not 0.
    pub(crate) is_nullable: bool,
    pub(crate) expand: Expand,
}

/// How a measure's values are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MeasureKind {
    Integer,
    /// US dollars, kept to 12 decimal places as Langfuse's columns are.
    Decimal,
    Text,
}

/// Whether the value is that of the key which an expanding dimension gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expand {
    No,
    /// Brings this dimension along.
    By(&'static str),
}

const fn text(name: &'static str, sql: &'static str) -> Dimension {
    Dimension { name, sql, kind: DimensionKind::Text, is_high_cardinality: false }
}

const fn optional(name: &'static str, sql: &'static str) -> Dimension {
    Dimension { name, sql, kind: DimensionKind::Optional, is_high_cardinality: false }
}

const fn of_kind(name: &'static str, sql: &'static str, kind: DimensionKind) -> Dimension {
    Dimension { name, sql, kind, is_high_cardinality: false }
}

/// Nearly as many values as rows.
const fn many(dimension: Dimension) -> Dimension {
    Dimension { is_high_cardinality: true, ..dimension }
}

const fn number(name: &'static str, sql: &'static str, kind: MeasureKind, is_nullable: bool) -> Measure {
    Measure { name, sql, kind, is_nullable, expand: Expand::No }
}

use DimensionKind::{Keys, List, Number, Truth};
use MeasureKind::{Decimal, Integer, Text};

const OBSERVATION_DIMENSIONS: [Dimension; 27] = [
    many(text("id", "id")),
    many(text("traceId", "trace_id")),
    text("environment", "environment"),
    many(optional("parentObservationId", "parent_id")),
    of_kind("isRootObservation", "(parent_id = '' OR is_app_root)", Truth),
    text("type", "kind"),
    optional("name", "name"),
    text("level", "level"),
    optional("version", "version"),
    many(optional("userId", "user_id")),
    many(optional("sessionId", "session_id")),
    of_kind("tags", "tags", List),
    optional("release", "release"),
    optional("traceName", "trace_name"),
    optional("traceRelease", "release"),
    optional("traceVersion", "version"),
    optional("providedModelName", "model"),
    optional("promptName", "prompt_name"),
    of_kind("promptVersion", "prompt_version", Number),
    text("startTimeMonth", "strftime('%Y-%m', start_ms / 1000, 'unixepoch')"),
    of_kind("toolNames", "tool_names", List),
    of_kind("calledToolNames", "called_tool_names", List),
    of_kind("costType", "cost", Keys),
    of_kind("usageType", "usage", Keys),
    many(optional("experimentName", "experiment_name")),
    many(optional("experimentDatasetId", "experiment_dataset_id")),
    many(optional("experimentId", "experiment_id")),
];

const COUNT_SCORES: &str = "(SELECT count(*) FROM scores WHERE scores.project_id = observations.project_id
    AND scores.trace_id = observations.trace_id AND scores.observation_id = observations.id)";

const OBSERVATION_MEASURES: [Measure; 20] = [
    number("count", "1", Integer, false),
    number("traceId", "trace_id", Text, false),
    number("uniqueUserIds", "nullif(user_id, '')", Text, true),
    number("uniqueSessionIds", "nullif(session_id, '')", Text, true),
    number("latency", "end_ms - start_ms", Integer, true),
    number("streamingLatency", "end_ms - completion_start_ms", Integer, true),
    number("inputTokens", "input_usage", Integer, false),
    number("outputTokens", "output_usage", Integer, false),
    number("totalTokens", "total_usage", Integer, false),
    number(
        "outputTokensPerSecond",
        "output_usage * 1000.0 / nullif(end_ms - completion_start_ms, 0)",
        Integer,
        true,
    ),
    number("tokensPerSecond", "total_usage * 1000.0 / nullif(end_ms - start_ms, 0)", Integer, true),
    number("inputCost", "input_cost", Decimal, true),
    number("outputCost", "output_cost", Decimal, true),
    // Absent cost is no cost of 0: nothing is known about it.
    number("totalCost", "CASE WHEN cost = '{}' THEN NULL ELSE total_cost END", Decimal, true),
    number("timeToFirstToken", "completion_start_ms - start_ms", Integer, true),
    number("countScores", COUNT_SCORES, Integer, false),
    number("toolDefinitions", "json_array_length(tool_names)", Integer, false),
    number("toolCalls", "json_array_length(called_tool_names)", Integer, false),
    Measure {
        name: "costByType",
        sql: "NULL",
        kind: Decimal,
        is_nullable: true,
        expand: Expand::By("costType"),
    },
    Measure {
        name: "usageByType",
        sql: "NULL",
        kind: Integer,
        is_nullable: true,
        expand: Expand::By("usageType"),
    },
];

/// What a score's trace or observation says, found by the unique index of observations.
macro_rules! of_trace {
    ($column:literal) => {
        concat!(
            "(SELECT ",
            $column,
            " FROM observations o WHERE o.project_id = scores.project_id AND o.trace_id = scores.trace_id \
             ORDER BY o.parent_id = '' DESC LIMIT 1)"
        )
    };
}
macro_rules! of_observation {
    ($column:literal) => {
        concat!(
            "(SELECT ",
            $column,
            " FROM observations o WHERE o.project_id = scores.project_id AND o.trace_id = scores.trace_id \
             AND o.id = scores.observation_id LIMIT 1)"
        )
    };
}

macro_rules! score_dimensions {
    ($last:expr) => {
        [
            many(text("id", "id")),
            text("environment", "environment"),
            text("name", "name"),
            text("source", "source"),
            text("dataType", "data_type"),
            many(optional("traceId", "trace_id")),
            optional("configId", "config_id"),
            text("timestampMonth", "strftime('%Y-%m', timestamp_ms / 1000, 'unixepoch')"),
            text("timestampDay", "strftime('%Y-%m-%d', timestamp_ms / 1000, 'unixepoch')"),
            many(optional("observationId", "observation_id")),
            many(optional("sessionId", "session_id")),
            optional("traceName", of_trace!("o.trace_name")),
            many(optional("userId", of_trace!("o.user_id"))),
            of_kind("tags", concat!("ifnull(", of_trace!("o.tags"), ", '[]')"), List),
            optional("traceRelease", of_trace!("o.release")),
            optional("traceVersion", of_trace!("o.version")),
            optional("observationName", of_observation!("o.name")),
            optional("observationModelName", of_observation!("o.model")),
            optional("observationPromptName", of_observation!("o.prompt_name")),
            of_kind("observationPromptVersion", of_observation!("o.prompt_version"), Number),
            $last,
        ]
    };
}

const NUMERIC_DIMENSIONS: [Dimension; 21] = score_dimensions!(of_kind("value", "value", Number));
const CATEGORICAL_DIMENSIONS: [Dimension; 21] = score_dimensions!(optional("stringValue", "string_value"));
const BOOLEAN_DIMENSIONS: [Dimension; 21] = score_dimensions!(of_kind("booleanValue", "value", Truth));

const COUNT_AND_VALUE: [Measure; 2] =
    [number("count", "1", Integer, false), number("value", "value", Integer, false)];
const ONLY_COUNT: [Measure; 1] = [number("count", "1", Integer, false)];

const fn scores(
    name: &'static str,
    condition: &'static str,
    dimensions: &'static [Dimension],
    measures: &'static [Measure],
) -> View {
    let time_names = ["timestamp", "timestamp"];
    View { name, table: "scores", time: "timestamp_ms", condition, time_names, dimensions, measures }
}

pub(super) static VIEWS: [View; 4] = [
    View {
        name: "observations",
        table: "observations",
        time: "start_ms",
        condition: "1",
        time_names: ["start_time", "startTime"],
        dimensions: &OBSERVATION_DIMENSIONS,
        measures: &OBSERVATION_MEASURES,
    },
    scores("scores-numeric", "data_type IN ('NUMERIC', 'BOOLEAN')", &NUMERIC_DIMENSIONS, &COUNT_AND_VALUE),
    scores("scores-categorical", "data_type = 'CATEGORICAL'", &CATEGORICAL_DIMENSIONS, &ONLY_COUNT),
    scores("scores-boolean", "data_type = 'BOOLEAN'", &BOOLEAN_DIMENSIONS, &COUNT_AND_VALUE),
];

impl View {
    pub(super) fn dimension(&self, name: &str) -> Option<&'static Dimension> {
        self.dimensions.iter().find(|it| it.name == name)
    }

    pub(super) fn measure(&self, name: &str) -> Option<&'static Measure> {
        self.measures.iter().find(|it| it.name == name)
    }

    /// The column of a filter. A name of another view's name is taken for this one's.
    pub(super) fn column(&self, name: &str) -> Option<Column> {
        if self.time_names.contains(&name) {
            return Some(Column::Time(self.time));
        }
        if name == "metadata" {
            return Some(Column::Object("metadata"));
        }
        let by_name = || name.ends_with("Name").then(|| self.dimension("name")).flatten();
        let dimension = self.dimension(name).or_else(by_name)?;
        Some(match dimension.kind {
            DimensionKind::Text | DimensionKind::Optional => Column::Text(dimension.sql),
            DimensionKind::Number => Column::Number(dimension.sql),
            DimensionKind::Truth => Column::Truth(dimension.sql),
            DimensionKind::List => Column::List(dimension.sql),
            DimensionKind::Keys => return None,
        })
    }
}
