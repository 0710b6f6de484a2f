//! What is wrong with a policy: everything at once, and never a secret.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Where in the policy: `exposure.port`. Empty for the text as a whole.
    pub key_path: String,
    /// Line in the file, from 1; none when the key is not there.
    pub line: Option<u32>,
    /// Column in the line, from 1, in characters.
    pub column: Option<u32>,
    /// The offending value, unless it is or may hold a secret.
    pub value: Option<String>,
    /// What is wrong, reading after the key.
    pub problem: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "{line}:{column}: ")?,
            (Some(line), None) => write!(f, "{line}: ")?,
            _ => {}
        }
        if !self.key_path.is_empty() {
            write!(f, "{} ", self.key_path)?;
        }
        if let Some(value) = &self.value {
            write!(f, "(`{value}`) ")?;
        }
        write!(f, "{}; expected {}", self.problem, self.expected)
    }
}

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    /// The file.
    pub origin: PathBuf,
    /// All that is wrong with it, in the file's order.
    pub findings: Vec<Finding>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.findings.len();
        let things = if n == 1 { "thing is" } else { "things are" };
        write!(f, "{n} {things} wrong with the policy {}", self.origin.display())?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}
