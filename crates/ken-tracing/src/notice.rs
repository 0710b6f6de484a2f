//! What an operator must hear once.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

/// Something that only an operator can mend. Each is told once, not per batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The server knows the keys not.
    WrongKey {
        /// Where it was asked.
        url: String,
    },
    /// There is no Langfuse at that address.
    WrongHost {
        /// Where it was asked.
        url: String,
        /// What came back.
        found: String,
    },
    /// The server does not answer; spans wait in the spill folder.
    Unreachable {
        /// Where it was asked.
        url: String,
        /// Why not.
        why: String,
    },
    /// It answers again.
    BackAgain,
    /// The spill folder cannot be used.
    NoSpill {
        /// The folder.
        folder: String,
        /// Why not.
        why: String,
    },
    /// Spans are being given up.
    Losing {
        /// Why.
        cause: crate::Cause,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKey { url } => write!(
                f,
                "{url} does not know the keys: set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY to those of a \
                 project of this server; spans wait until then"
            ),
            Self::WrongHost { url, found } => write!(
                f,
                "no Langfuse v4 answers at {url} ({found}): set LANGFUSE_BASE_URL to its address; spans wait \
                 until then"
            ),
            Self::Unreachable { url, why } => {
                write!(f, "{url} cannot be reached ({why}): spans wait, and go out when it answers")
            }
            Self::BackAgain => f.write_str("the server answers again: what waited goes out now"),
            Self::NoSpill { folder, why } => write!(
                f,
                "the spill folder {folder} cannot be used ({why}): set KEN_TRACING_SPILL to a folder of your \
                 own; until then spans that cannot be sent wait in memory alone"
            ),
            Self::Losing { cause } => {
                write!(f, "spans are given up ({}): see Tracer::stats for how many", cause.name())
            }
        }
    }
}

/// Hears notices.
pub type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Writes them to standard error, one line each.
pub(crate) fn to_stderr() -> OnNotice {
    Arc::new(|notice| {
        // A closed standard error is no reason to stop.
        let _closed = writeln!(std::io::stderr(), "ken-tracing: {notice}");
    })
}
