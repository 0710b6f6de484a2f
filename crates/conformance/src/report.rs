//! What became of each exchange.

use std::fmt;

use serde::Serialize;

use crate::compare::Difference;

/// What became of one exchange.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Exchanged {
    /// Its number.
    pub number: u8,
    /// What it is about.
    pub name: String,
    /// How it came out.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How an exchange came out.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// As recorded.
    Same,
    /// Otherwise than recorded.
    Different {
        /// The first difference.
        first: Difference,
        /// How many there are.
        n_differences: usize,
    },
    /// The server does not offer this, or did not answer.
    NotSupported {
        /// How that was seen.
        reason: String,
    },
}

impl Outcome {
    pub(crate) fn of(differences: Vec<Difference>) -> Self {
        let n_differences = differences.len();
        differences.into_iter().next().map_or(Self::Same, |first| Self::Different { first, n_differences })
    }

    /// In two words.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different { .. } => "different",
            Self::NotSupported { .. } => "not supported",
        }
    }
}

impl fmt::Display for Exchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02} {:<36} ", self.number, self.name)?;
        let word = self.outcome.word();
        match &self.outcome {
            Outcome::Same => f.write_str(word),
            Outcome::Different { first, n_differences: 1 } => write!(f, "{word:<13} {first}"),
            Outcome::Different { first, n_differences } => {
                write!(f, "{word:<13} {first} (and {} more)", n_differences - 1)
            }
            Outcome::NotSupported { reason } => write!(f, "{word:<13} {reason}"),
        }
    }
}

/// What became of all exchanges.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Report {
    /// In the order in which they were asked.
    pub exchanges: Vec<Exchanged>,
    /// What was sent and could not be read in time, in words.
    pub late: Vec<String>,
}

impl Report {
    /// Whether every exchange came out as recorded.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.exchanges.iter().all(|exchanged| exchanged.outcome == Outcome::Same)
    }

    /// How many came out same, different, and not supported.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |word| self.exchanges.iter().filter(|exchanged| exchanged.outcome.word() == word).count();
        (count("same"), count("different"), count("not supported"))
    }

    /// The summary, one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let (same, different, missing) = self.counts();
        let n_exchanges = self.exchanges.len();
        format!("{n_exchanges} exchanges: {same} same, {different} different, {missing} not supported")
    }
}
