//! A real server takes what it is sent into a queue: before it is asked about it, it must have read it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::recording::{Auth, Recording};

/// What must be readable before an exchange is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Before which exchange.
    pub(crate) before: u8,
    /// What it is, for people.
    pub(crate) what: &'static str,
    /// Which recorded requests sent it.
    pub(crate) route: &'static str,
    /// The ids in such a request.
    pub(crate) ids: fn(&Value) -> Vec<String>,
    /// Where all of it can be read, as `id` of each of `data`.
    pub(crate) read: &'static str,
}

pub(crate) const OBSERVATIONS: Wait = Wait {
    before: 16,
    what: "observations",
    route: "/api/public/otel/v1/traces",
    ids: span_ids,
    read: "/api/public/v2/observations?limit=1000&fields=core",
};

pub(crate) const SCORES: Wait = Wait {
    before: 71,
    what: "scores",
    route: "/api/public/scores",
    ids: |body| body["id"].as_str().map(str::to_owned).into_iter().collect(),
    read: "/api/public/v3/scores?limit=100",
};

pub(crate) const WAITS: [Wait; 2] = [OBSERVATIONS, SCORES];

impl Wait {
    /// The ids of everything that the recordings sent with success.
    pub(crate) fn sent(&self, recordings: &[Recording]) -> BTreeSet<String> {
        let accepted = recordings.iter().filter(|recording| {
            let request = &recording.request;
            recording.number < self.before
                && request.method == "POST"
                && recording.route() == self.route
                && request.auth == Auth::Project
                && recording.answer.status == 200
        });
        accepted.flat_map(|recording| (self.ids)(&recording.request.body)).collect()
    }
}

fn span_ids(export: &Value) -> Vec<String> {
    fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
        value[key].as_array().into_iter().flatten()
    }
    items(export, "resourceSpans")
        .flat_map(|resource| items(resource, "scopeSpans"))
        .flat_map(|scope| items(scope, "spans"))
        .filter_map(|span| span["spanId"].as_str().map(str::to_owned))
        .collect()
}

/// The ids of the rows of an answer.
pub(crate) fn row_ids(body: &Value) -> BTreeSet<String> {
    let rows = body["data"].as_array().into_iter().flatten();
    rows.filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_sent_is_waited_for() {
        let recordings = Recording::bundled();
        assert_eq!(WAITS.map(|wait| wait.sent(&recordings).len()), [308, 1]);
        // One page holds all, or the wait would never end.
        assert!(WAITS.iter().all(|wait| wait.sent(&recordings).len() <= 1000));
    }
}
