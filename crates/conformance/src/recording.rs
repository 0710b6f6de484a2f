//! What was asked and answered, as it lies in `recorded/`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::bundled::FILES;

/// The member of a body that stands for bytes, in base64.
pub(crate) const BYTES: &str = "_bytes_base64";
/// The member of a body that stands for a text that is no JSON.
pub(crate) const TEXT: &str = "_text";

/// One exchange with a real server.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its place in the order, from 1.
    pub number: u8,
    /// What it is about, such as `metrics-latency-by-model`.
    pub name: String,
    /// What was asked.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
}

/// What was asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query, percent-encoded.
    pub path: String,
    /// Whose request it was.
    pub auth: Auth,
    /// Headers besides authorization; a JSON body without a type is sent as `application/json`.
    pub headers: BTreeMap<String, String>,
    /// JSON, or an object with `_bytes_base64`, or nothing.
    pub body: Value,
}

/// Whose request it was.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Auth {
    /// Basic, with the project's keys.
    #[serde(rename = "project key")]
    Project,
    /// Basic, with keys that do not exist.
    #[serde(rename = "unknown key")]
    Unknown,
    /// Nobody's.
    #[serde(rename = "none")]
    None,
}

/// What was answered.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `content-type`.
    pub headers: BTreeMap<String, String>,
    /// JSON, or an object with `_text`.
    pub body: Value,
}

/// Why a text is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Its name has no number.
    #[error("the name {name} does not begin with a number and a dash")]
    Name {
        /// The name.
        name: String,
    },
    /// Its text is of another shape.
    #[error("the recording {name} has another shape")]
    Shape {
        /// The name.
        name: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    request: Request,
    response: Answer,
}

impl Recording {
    /// Reads the text of a file named `NN-name`.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn parse(name: &str, text: &str) -> Result<Self, RecordingError> {
        let numbered = name.split_once('-').and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
        let (number, about) = numbered.ok_or_else(|| RecordingError::Name { name: name.to_owned() })?;
        let File { request, response } = serde_json::from_str(text)
            .map_err(|source| RecordingError::Shape { name: name.to_owned(), source })?;
        Ok(Self { number, name: about.to_owned(), request, answer: response })
    }

    /// All that are compiled in, in their order.
    ///
    /// # Panics
    /// Never: a test reads every one.
    #[must_use]
    pub fn bundled() -> Vec<Self> {
        FILES
            .iter()
            .map(|(name, text)| Self::parse(name, text).expect("the recordings are read by a test"))
            .collect()
    }

    /// The path without its query.
    #[must_use]
    pub fn route(&self) -> &str {
        self.request.path.split('?').next().unwrap_or_default()
    }
}

impl Answer {
    /// The content type; empty when there was none.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.headers.get("content-type").map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_compiled_in_and_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded");
        let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let compiled: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(on_disk, compiled);
        let recordings = Recording::bundled();
        let numbers: Vec<u8> = recordings.iter().map(|recording| recording.number).collect();
        assert_eq!(numbers, (1..=88).collect::<Vec<u8>>(), "in order, without a gap");
        for recording in &recordings {
            let headers: Vec<&String> = recording.answer.headers.keys().collect();
            assert_eq!(headers, ["content-type"], "{}", recording.name);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let name = Recording::parse("health", "{}").unwrap_err().to_string();
        assert_eq!(name, "the name health does not begin with a number and a dash");
        let shape = Recording::parse("04-health", r#"{"request": {}}"#).unwrap_err();
        assert!(matches!(shape, RecordingError::Shape { .. }), "{shape}");
    }

    /// The data have fixed days, and so must every question about a span of time.
    #[test]
    fn no_question_depends_on_the_day_it_is_asked() {
        for recording in Recording::bundled() {
            let route = recording.route();
            let asks_for_a_span = route.ends_with("/v2/observations") || route.ends_with("/v2/metrics");
            if !asks_for_a_span || recording.answer.status != 200 {
                continue;
            }
            let path = &recording.request.path;
            let has_span = ["StartTime=", "fromTimestamp"].iter().any(|name| path.contains(name));
            assert!(has_span || path.contains("traceId="), "{} {path}", recording.number);
        }
    }
}
