//! Langfuse's own OpenAPI file, and where an answer is against it.
//!
//! The file is not always right: [`EXCEPTIONS`] lists where the real server's recorded answers are against it.

mod exceptions;
mod schema;

use std::fmt;
use std::sync::LazyLock;

use serde_json::Value;

use crate::compare::{Difference, DifferenceKind};
use crate::recording::{Answer, Recording};

pub use exceptions::{EXCEPTIONS, Exception};

const FILE: &str = include_str!("../../openapi/langfuse-4.16.0.yml");

/// Why a text is no OpenAPI file.
#[derive(Debug, thiserror::Error)]
pub enum OpenApiError {
    /// Not YAML, or not a mapping.
    #[error("the text is no YAML")]
    Yaml(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Without paths.
    #[error("the file has no paths")]
    NoPaths,
}

/// An OpenAPI file of version 3.0.
pub struct OpenApi {
    document: Value,
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApi").field("info", &self.document["info"]["title"]).finish_non_exhaustive()
    }
}

/// Where and how an answer is against the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the body; empty for the whole of it.
    pub pointer: String,
    /// The keyword of the schema, or `path`, `method` or `status` when the file has none such.
    pub keyword: &'static str,
    /// What the file says, shortened.
    pub expected: String,
    /// What was found, shortened.
    pub found: String,
}

impl OpenApi {
    /// That of Langfuse 4.16.0.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn bundled() -> &'static Self {
        static BUNDLED: LazyLock<OpenApi> =
            LazyLock::new(|| OpenApi::parse(FILE).expect("the file is read by a test"));
        &BUNDLED
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`OpenApiError`].
    pub fn parse(text: &str) -> Result<Self, OpenApiError> {
        // Every operation refers to one anchor, which is many; the number and size of nodes stay bounded.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false },
        };
        let document: Value = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| OpenApiError::Yaml(Box::new(error)))?;
        if !document["paths"].is_object() {
            return Err(OpenApiError::NoPaths);
        }
        Ok(Self { document })
    }

    /// Where the answer is against the file.
    #[must_use]
    pub fn violations(&self, method: &str, route: &str, answer: &Answer) -> Vec<Violation> {
        let none = |keyword, expected: &str, found: String| {
            vec![Violation { pointer: String::new(), keyword, expected: expected.to_owned(), found }]
        };
        // What the file does not have must not be there: 404 for a path, 405 for a method.
        let Some(path) = self.path(route) else {
            return match answer.status {
                404 => Vec::new(),
                status => none("path", "404, for the file has no such path", format!("{status} at {route}")),
            };
        };
        let Some(operation) = path.get(method.to_ascii_lowercase()) else {
            return match answer.status {
                405 => Vec::new(),
                status => {
                    none("method", "405, for the path has no such method", format!("{status} to {method}"))
                }
            };
        };
        let Some(response) = operation["responses"].get(answer.status.to_string()) else {
            return none("status", "a status of the operation", answer.status.to_string());
        };
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            // An answer without content has no body to check.
            return Vec::new();
        }
        let mut checker = schema::Checker::new(&self.document);
        checker.check(schema, &answer.body);
        checker.violations
    }

    /// The violations that no exception knows, as differences.
    pub(crate) fn differences(&self, recording: &Recording, found: &Answer) -> Vec<Difference> {
        let violations = self.violations(&recording.request.method, recording.route(), found);
        let unknown = violations.into_iter().filter(|violation| {
            !EXCEPTIONS.iter().any(|exception| exception.covers(recording.number, violation))
        });
        unknown
            .map(|Violation { pointer, keyword, expected, found }| Difference {
                place: format!("body{pointer}"),
                kind: DifferenceKind::OpenApi,
                expected: format!("{expected} ({keyword})"),
                found,
            })
            .collect()
    }

    /// The path of the file that a route is of; one without parameters goes before one with.
    fn path(&self, route: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object()?;
        let fits = |template: &str| {
            let (mut parts, mut segments) = (template.split('/'), route.split('/'));
            loop {
                match (parts.next(), segments.next()) {
                    (None, None) => return true,
                    (Some(part), Some(segment)) if part.starts_with('{') || part == segment => {}
                    _ => return false,
                }
            }
        };
        paths.get(route).or_else(|| paths.iter().find(|(path, _)| fits(path)).map(|(_, item)| item))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: Value) -> Answer {
        Answer { status, headers: [].into(), body }
    }

    /// A keyword that is not looked at would let everything pass.
    #[test]
    fn the_file_uses_no_keyword_that_is_not_checked() {
        fn walk(schema: &Value, found: &mut BTreeSet<String>) {
            let Some(object) = schema.as_object() else { return };
            for (keyword, inner) in object {
                found.insert(keyword.clone());
                match (keyword.as_str(), inner) {
                    ("properties", Value::Object(members)) => {
                        members.values().for_each(|member| walk(member, found));
                    }
                    ("items" | "additionalProperties", inner) => walk(inner, found),
                    ("allOf" | "oneOf", Value::Array(parts)) => {
                        parts.iter().for_each(|part| walk(part, found));
                    }
                    _ => {}
                }
            }
        }
        let document = &OpenApi::bundled().document;
        let mut found = BTreeSet::new();
        document["components"]["schemas"].as_object().unwrap().values().for_each(|s| walk(s, &mut found));
        for path in document["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                for response in operation["responses"].as_object().into_iter().flat_map(|all| all.values()) {
                    walk(&response["content"]["application/json"]["schema"], &mut found);
                }
            }
        }
        for keyword in &found {
            let known =
                schema::CHECKED.contains(&keyword.as_str()) || schema::FOR_PEOPLE.contains(&keyword.as_str());
            assert!(known, "nobody looks at {keyword}");
        }
        assert!(found.len() > 10, "{found:?}");
    }

    #[test]
    fn what_the_file_does_not_have_is_said() {
        let file = OpenApi::bundled();
        let keyword = |method, route, status| {
            let violations = file.violations(method, route, &answer(status, json!({})));
            violations.first().map(|violation| violation.keyword)
        };
        assert_eq!(keyword("GET", "/api/public/nonsense", 200), Some("path"));
        assert_eq!(keyword("GET", "/api/public/nonsense", 404), None);
        assert_eq!(keyword("TRACE", "/api/public/projects", 200), Some("method"));
        assert_eq!(keyword("TRACE", "/api/public/projects", 405), None);
        assert_eq!(keyword("GET", "/api/public/projects", 299), Some("status"));
        assert_eq!(keyword("GET", "/api/public/projects", 200), Some("required"));
        assert_eq!(keyword("DELETE", "/api/public/traces/some-id", 400), None);
    }

    #[test]
    fn other_texts_are_refused() {
        assert!(matches!(OpenApi::parse("a: [").unwrap_err(), OpenApiError::Yaml(_)));
        assert!(matches!(OpenApi::parse("openapi: 3.0.1").unwrap_err(), OpenApiError::NoPaths));
    }

    /// The recorded answers are against the file exactly as listed: nothing more, and nothing less.
    #[test]
    fn the_real_server_is_against_the_file_exactly_as_listed() {
        let file = OpenApi::bundled();
        let mut unlisted = Vec::new();
        let mut unused: BTreeSet<(usize, u8, usize)> = BTreeSet::new();
        for (idx, exception) in EXCEPTIONS.iter().enumerate() {
            assert!(!exception.why.is_empty());
            for number in exception.exchanges.iter().cloned().flatten() {
                unused.extend((0..exception.pointers.len()).map(|pointer| (idx, number, pointer)));
            }
        }
        for recording in Recording::bundled() {
            let Recording { number, name, request, answer } = &recording;
            for violation in file.violations(&request.method, recording.route(), answer) {
                let mut covered = false;
                for (idx, exception) in EXCEPTIONS.iter().enumerate() {
                    for pointer in exception.covering(*number, &violation) {
                        covered = true;
                        unused.remove(&(idx, *number, pointer));
                    }
                }
                if !covered {
                    unlisted.push(format!("{number} {name} {violation:?}"));
                }
            }
        }
        assert!(unlisted.is_empty(), "{} unlisted:\n{}", unlisted.len(), unlisted.join("\n"));
        assert!(unused.is_empty(), "listed, and not so (exception, exchange, pointer): {unused:?}");
    }

    /// Where nothing is listed, the file catches what it forbids in the answers themselves.
    #[test]
    fn a_planted_violation_is_caught() {
        let file = OpenApi::bundled();
        let recordings = Recording::bundled();
        let plant = |number: u8, pointer: &str, value: Value| {
            let recording = recordings.iter().find(|recording| recording.number == number).unwrap();
            let mut found = recording.answer.clone();
            *found.body.pointer_mut(pointer).unwrap() = value;
            file.differences(recording, &found).iter().map(|d| d.place.clone()).collect::<Vec<_>>()
        };
        assert_eq!(plant(4, "/version", json!(4)), ["body/version"]);
        assert_eq!(plant(7, "/data/0", json!({ "id": "x" })).len(), 3);
        assert_eq!(plant(16, "/data/1/startTime", json!("now")), ["body/data/1/startTime"]);
        assert_eq!(plant(69, "/id", Value::Null), ["body/id"]);
        assert_eq!(plant(76, "/meta/totalItems", json!("1")), ["body/meta/totalItems"]);
        assert_eq!(plant(69, "/id", json!("x")), Vec::<String>::new());
    }
}
