//! One stored row: what a span becomes, whoever decoded, stores or reads it.

use serde_json::{Map, Value};

/// An observation as kept in the store. Times are milliseconds since 1970; absent text is empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// The trace that it belongs to.
    pub trace_id: String,
    /// Its own id, unique within the trace.
    pub id: String,
    /// Empty for a root.
    pub parent_id: String,
    /// When it began.
    pub start_ms: i64,
    /// When it ended.
    pub end_ms: i64,
    /// Its name.
    pub name: String,
    /// `SPAN`, `GENERATION`, and so on.
    pub kind: &'static str,
    /// `DEBUG`, `DEFAULT`, `WARNING` or `ERROR`.
    pub level: &'static str,
    /// The message that goes with the level.
    pub status_message: String,
    /// The application's version.
    pub version: String,
    /// The application's release.
    pub release: String,
    /// The normalised environment.
    pub environment: String,
    /// The name of its trace.
    pub trace_name: String,
    /// The user.
    pub user_id: String,
    /// The session.
    pub session_id: String,
    /// The trace's tags.
    pub tags: Vec<String>,
    /// Whether the trace is public.
    pub public: bool,
    /// Whether it counts as a root although it has a parent.
    pub is_app_root: bool,
    /// When the first token came.
    pub completion_start_ms: Option<i64>,
    /// The input as text.
    pub input: String,
    /// The output as text.
    pub output: String,
    /// Flattened metadata: dotted path to text.
    pub metadata: Map<String, Value>,
    /// The model's name as given.
    pub model: String,
    /// The known model that the name means; empty for none.
    pub model_id: String,
    /// Id and name of the pricing tier that the cost was computed by.
    pub tier: Option<(String, String)>,
    /// The model's parameters.
    pub model_parameters: Map<String, Value>,
    /// Usage by bucket.
    pub usage: Map<String, Value>,
    /// Cost in USD by bucket.
    pub cost: Map<String, Value>,
    /// The linked prompt.
    pub prompt_name: String,
    /// The linked prompt's version.
    pub prompt_version: Option<i64>,
    /// The tools that were offered to a model, each once.
    pub tool_names: Vec<String>,
    /// The tools that were called, one entry for each call.
    pub called_tool_names: Vec<String>,
    /// The experiment's id, name and data set.
    pub experiment: [String; 3],
}

/// A number as JavaScript would print it: whole ones without a fraction.
pub fn js_number(number: f64) -> Value {
    const MAX_SAFE: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= MAX_SAFE {
        return Value::from(number as i64);
    }
    if number.fract() == 0.0 && number.abs() < 1e19 {
        // The shortest digits that give the same double, padded with zeros: as in JavaScript.
        if let Ok(number) = serde_json::from_str::<Value>(&format!("{number}")) {
            return number;
        }
    }
    serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
}
