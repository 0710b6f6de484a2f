//! Where the file is wrong: the real server's own answers are against it.

use std::ops::RangeInclusive;

use super::Violation;
use crate::rules;

/// A place where the real server does not do what the file says.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// In which exchanges.
    pub exchanges: &'static [RangeInclusive<u8>],
    /// The keyword that is violated.
    pub keyword: &'static str,
    /// At which places of the body: JSON pointers, with `*` for any one segment.
    pub pointers: &'static [&'static str],
    /// What the server does instead.
    pub why: &'static str,
}

/// All of them.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        exchanges: &[6..=6],
        keyword: "path",
        pointers: &[""],
        why: "web answers the readiness probe of its orchestrator, which the file leaves out",
    },
    Exception {
        exchanges: &[64..=64],
        keyword: "method",
        pointers: &[""],
        why: "the older list of scores is still routed, to say that events_only took it away; the file has it no more",
    },
];

impl Exception {
    /// Whether the violation in this exchange is one of these.
    #[must_use]
    pub fn covers(&self, number: u8, violation: &Violation) -> bool {
        self.covering(number, violation).next().is_some()
    }

    /// Which of the pointers speak of the violation.
    pub(super) fn covering(&self, number: u8, violation: &Violation) -> impl Iterator<Item = usize> {
        let is_about =
            violation.keyword == self.keyword && self.exchanges.iter().any(|range| range.contains(&number));
        let place: Vec<String> = violation.pointer.split('/').skip(1).map(str::to_owned).collect();
        let pointers = self.pointers.iter().enumerate();
        pointers.filter(move |(_, pattern)| is_about && rules::covers(pattern, &place)).map(|(idx, _)| idx)
    }
}
