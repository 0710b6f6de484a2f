//! Scores: what somebody or something thinks of a trace or an observation.

/// The value of a score; it decides the score's data type.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreValue {
    /// `NUMERIC`. Finite; another one is not sent.
    Number(f64),
    /// `CATEGORICAL`.
    Category(String),
    /// `BOOLEAN`.
    Bool(bool),
}

impl From<f64> for ScoreValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for ScoreValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for ScoreValue {
    fn from(category: &str) -> Self {
        Self::Category(category.to_owned())
    }
}

impl From<String> for ScoreValue {
    fn from(category: String) -> Self {
        Self::Category(category)
    }
}
