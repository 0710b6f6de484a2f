//! One named claim with what was measured and what the limit is.

use serde::Serialize;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing stops for it.
    Warning,
    /// Not as it must be.
    Failed,
    /// Does not apply here.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable id, such as `postgres-version`.
    pub id: &'static str,
    /// What it claims.
    pub title: &'static str,
    /// What it found.
    pub finding: Finding,
    /// What was measured.
    pub measured: String,
    /// What it must be.
    pub limit: String,
    /// How to mend it; empty when there is nothing to mend.
    pub mend: String,
}

impl Check {
    /// A check that holds.
    #[must_use]
    pub fn ok(
        id: &'static str,
        title: &'static str,
        measured: impl Into<String>,
        limit: impl Into<String>,
    ) -> Self {
        Self {
            id,
            title,
            finding: Finding::Ok,
            measured: measured.into(),
            limit: limit.into(),
            mend: String::new(),
        }
    }

    /// A check that does not apply, and why.
    #[must_use]
    pub fn skipped(id: &'static str, title: &'static str, why: impl Into<String>) -> Self {
        Self {
            id,
            title,
            finding: Finding::Skipped,
            measured: why.into(),
            limit: String::new(),
            mend: String::new(),
        }
    }

    /// A check that fails unless `holds`.
    #[must_use]
    pub fn that(
        holds: bool,
        id: &'static str,
        title: &'static str,
        measured: impl Into<String>,
        limit: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let ok = Self::ok(id, title, measured, limit);
        if holds { ok } else { Self { finding: Finding::Failed, mend: mend.into(), ..ok } }
    }

    /// The same check, with a failure made a warning.
    #[must_use]
    pub fn advised(self) -> Self {
        let finding = if self.finding == Finding::Failed { Finding::Warning } else { self.finding };
        Self { finding, ..self }
    }
}
