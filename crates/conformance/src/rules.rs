//! Where an answer may differ from the recorded one, and why. Nothing else may.

use std::ops::RangeInclusive;

use serde_json::Value;

/// A difference that is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// In which exchanges.
    pub exchanges: &'static [RangeInclusive<u8>],
    /// At which places of the body: JSON pointers, with `*` for any one segment.
    pub pointers: &'static [&'static str],
    /// What may differ there.
    pub allowance: Allowance,
    /// Why it differs from server to server.
    pub why: &'static str,
}

/// What may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// The value, within this form and of the recorded JSON type.
    Form(&'static str),
    /// An id of this form; whatever had the recorded id must have this one from then on.
    MadeId(&'static str),
    /// The order of rows whose value at this pointer is the same.
    EqualRows {
        /// A pointer within a row.
        by: &'static str,
    },
    /// The inner borders and the heights of a histogram's bins: not their number, the outer borders and the sum.
    Bins,
}

const OTLP: &[RangeInclusive<u8>] = &[1..=3];
const METRICS: &str = "the order asked for does not tell these rows apart";
const MADE: &str = "the server makes it";

/// All of them.
pub const RULES: &[Rule] = &[
    Rule {
        name: "bins of an adaptive histogram",
        exchanges: &[44..=44],
        pointers: &["/data/0/histogram_latency"],
        allowance: Allowance::Bins,
        why: "ClickHouse fuses values as it meets them, in the order in which rows lie on its disk",
    },
    Rule {
        name: "names of the project",
        exchanges: &[7..=7],
        pointers: &["/data/0/id"],
        allowance: Allowance::Form("{project}"),
        why: "the suite runs in whatever project the keys are of",
    },
    Rule {
        name: "names of the project",
        exchanges: &[7..=7],
        pointers: &["/data/0/name"],
        allowance: Allowance::Form("{project-name}"),
        why: "the suite runs in whatever project the keys are of",
    },
    Rule {
        name: "names of the organisation",
        exchanges: &[7..=7],
        pointers: &["/data/0/organization/id"],
        allowance: Allowance::Form("{organization}"),
        why: "the suite runs in whatever project the keys are of",
    },
    Rule {
        name: "names of the organisation",
        exchanges: &[7..=7],
        pointers: &["/data/0/organization/name"],
        allowance: Allowance::Form("{organization-name}"),
        why: "the suite runs in whatever project the keys are of",
    },
    Rule {
        name: "project of a row",
        exchanges: &[16..=29, 71..=71],
        pointers: &["/data/*/projectId"],
        allowance: Allowance::Form("{project}"),
        why: "the suite runs in whatever project the keys are of",
    },
    Rule {
        name: "project of a job",
        exchanges: OTLP,
        pointers: &["/data/payload/authCheck/scope/projectId"],
        allowance: Allowance::Form("{project}"),
        why: "the suite runs in whatever project the keys are of",
    },
    Rule {
        name: "organisation of a job",
        exchanges: OTLP,
        pointers: &["/data/payload/authCheck/scope/orgId"],
        allowance: Allowance::Form("{organization}"),
        why: "the suite runs in whatever project the keys are of",
    },
    Rule {
        name: "key of a job",
        exchanges: OTLP,
        pointers: &["/data/payload/data/publicKey"],
        allowance: Allowance::Form("{public-key}"),
        why: "the suite runs with whatever keys it is given",
    },
    Rule {
        name: "id of a job",
        exchanges: OTLP,
        pointers: &["/data/id"],
        allowance: Allowance::Form("{uuid}"),
        why: MADE,
    },
    Rule {
        name: "number of a job",
        exchanges: OTLP,
        pointers: &["/id"],
        allowance: Allowance::Form("{digits}"),
        why: "it counts all jobs of the queue since the server was set up",
    },
    Rule {
        name: "time of a job",
        exchanges: OTLP,
        pointers: &["/data/timestamp"],
        allowance: Allowance::Form("{time}"),
        why: "it is the time of the request",
    },
    Rule {
        name: "time of a job in milliseconds",
        exchanges: OTLP,
        pointers: &["/timestamp"],
        allowance: Allowance::Form("{millis}"),
        why: "it is the time of the request",
    },
    Rule {
        name: "file of a job",
        exchanges: OTLP,
        pointers: &["/data/payload/data/fileKey"],
        allowance: Allowance::Form(
            "{prefix}otel/{project}/{digits}/{digits}/{digits}/{digits}/{digits}/{uuid}.json",
        ),
        why: "its name holds the prefix that the operator chose, the time of the request and a fresh id",
    },
    Rule {
        name: "tracing of a job",
        exchanges: OTLP,
        pointers: &["/opts/traceparent"],
        allowance: Allowance::Form("00-{hex32}-{hex16}-{hex2}"),
        why: "the server traces itself",
    },
    Rule {
        name: "baggage of a job",
        exchanges: OTLP,
        pointers: &["/opts/baggage"],
        allowance: Allowance::Form(
            "langfuse.header.x-langfuse-ingestion-version=4,langfuse.clickhouse.surface=publicapi,\
             langfuse.clickhouse.route=POST%20%2Fapi%2Fpublic%2Fotel%2Fv1%2Ftraces,\
             langfuse.project.id={project},langfuse.api_key.id={word}",
        ),
        why: "it names the project and ends with the id of the key's record",
    },
    Rule {
        name: "times of processing",
        exchanges: &[16..=16],
        pointers: &["/data/*/createdAt", "/data/*/updatedAt"],
        allowance: Allowance::Form("{time}"),
        why: "they are the times at which the observation was stored",
    },
    Rule {
        name: "times of a score",
        exchanges: &[71..=71],
        pointers: &["/data/*/timestamp", "/data/*/createdAt", "/data/*/updatedAt"],
        allowance: Allowance::Form("{time}"),
        why: "the score was sent without a time, and gets that of the request",
    },
    Rule {
        name: "time of a model",
        exchanges: &[73..=73],
        pointers: &["/data/*/createdAt"],
        allowance: Allowance::Form("{time}"),
        why: "it is the time at which the server was set up",
    },
    Rule {
        name: "times of a widget or dashboard",
        exchanges: &[74..=74, 77..=77, 79..=79, 81..=81],
        pointers: &["/createdAt", "/updatedAt"],
        allowance: Allowance::Form("{time}"),
        why: "they are the times of the requests",
    },
    Rule {
        name: "times of listed widgets and dashboards",
        exchanges: &[76..=76, 82..=82],
        pointers: &["/data/*/createdAt", "/data/*/updatedAt"],
        allowance: Allowance::Form("{time}"),
        why: "they are the times of the requests",
    },
    Rule {
        name: "id of a widget or dashboard",
        exchanges: &[74..=74, 77..=77, 79..=79, 81..=81],
        pointers: &["/id"],
        allowance: Allowance::MadeId("{cuid}"),
        why: MADE,
    },
    Rule {
        name: "ids of listed widgets and dashboards",
        exchanges: &[76..=76, 82..=82],
        pointers: &["/data/*/id"],
        allowance: Allowance::MadeId("{cuid}"),
        why: MADE,
    },
    Rule {
        name: "id of a placement",
        exchanges: &[78..=78],
        pointers: &["/id"],
        allowance: Allowance::MadeId("{uuid}"),
        why: MADE,
    },
    Rule {
        name: "ids of placements",
        exchanges: &[79..=79, 81..=81],
        pointers: &["/definition/widgets/*/id"],
        allowance: Allowance::MadeId("{uuid}"),
        why: MADE,
    },
    Rule {
        name: "ids of listed placements",
        exchanges: &[82..=82],
        pointers: &["/data/*/definition/widgets/*/id"],
        allowance: Allowance::MadeId("{uuid}"),
        why: MADE,
    },
    Rule {
        name: "widget of a placement",
        exchanges: &[78..=78],
        pointers: &["/widgetId"],
        allowance: Allowance::MadeId("{cuid}"),
        why: "it is the id that the server made for the widget",
    },
    Rule {
        name: "widgets of placements",
        exchanges: &[79..=79, 81..=81],
        pointers: &["/definition/widgets/*/widgetId"],
        allowance: Allowance::MadeId("{cuid}"),
        why: "it is the id that the server made for the widget",
    },
    Rule {
        name: "widgets of listed placements",
        exchanges: &[82..=82],
        pointers: &["/data/*/definition/widgets/*/widgetId"],
        allowance: Allowance::MadeId("{cuid}"),
        why: "it is the id that the server made for the widget",
    },
    Rule {
        name: "rows of a day",
        exchanges: &[39..=39],
        pointers: &["/data"],
        allowance: Allowance::EqualRows { by: "/time_dimension" },
        why: METRICS,
    },
    Rule {
        name: "rows of a count",
        exchanges: &[40..=40, 50..=50],
        pointers: &["/data"],
        allowance: Allowance::EqualRows { by: "/count_count" },
        why: METRICS,
    },
    Rule {
        name: "page of an unknown route",
        exchanges: &[87..=87],
        pointers: &["/_text"],
        allowance: Allowance::Form("<!DOCTYPE html>{any}"),
        why: "it is a page for people whose scripts are named anew by every build",
    },
];

impl Rule {
    /// Whether it speaks of this exchange.
    #[must_use]
    pub fn is_about(&self, number: u8) -> bool {
        self.exchanges.iter().any(|range| range.contains(&number))
    }

    /// Whether it speaks of this place of the body.
    #[must_use]
    pub fn covers(&self, place: &[String]) -> bool {
        self.pointers.iter().any(|pattern| covers(pattern, place))
    }

    /// The places in `body` that it speaks of, as JSON pointers.
    #[must_use]
    pub fn places(&self, body: &Value) -> Vec<String> {
        fn walk(rule: &Rule, value: &Value, place: &mut Vec<String>, found: &mut Vec<String>) {
            if rule.covers(place) {
                found.push(pointer(place));
            }
            let members: Vec<(String, &Value)> = match value {
                Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), value)).collect(),
                Value::Array(items) => {
                    items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()
                }
                _ => Vec::new(),
            };
            for (key, value) in members {
                place.push(key);
                walk(rule, value, place, found);
                place.pop();
            }
        }
        let mut found = Vec::new();
        walk(self, body, &mut Vec::new(), &mut found);
        found
    }
}

/// Whether `place` is one of those that a pointer with `*` stands for.
pub(crate) fn covers(pattern: &str, place: &[String]) -> bool {
    let mut segments = pattern.split('/').skip(1);
    let all =
        place.iter().all(|part| segments.next().is_some_and(|segment| segment == "*" || segment == part));
    all && segments.next().is_none()
}

/// A place as a JSON pointer.
pub(crate) fn pointer(place: &[String]) -> String {
    place.iter().fold(String::new(), |text, part| text + "/" + &part.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_say() {
        let place = |text: &str| text.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert!(covers("/data/*/id", &place("/data/3/id")));
        for other in ["/data/3/id/x", "/data/3", "/data/3/name", "/data/a/b/id", ""] {
            assert!(!covers("/data/*/id", &place(other)), "{other}");
        }
        assert_eq!(pointer(&["a/b".to_owned(), "~".to_owned()]), "/a~1b/~0");
    }
}
