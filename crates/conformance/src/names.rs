//! What has one name on the recorded server and another on the server under test.

use std::collections::BTreeMap;

/// Who the keys are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The public key.
    pub public_key: String,
    /// The project's id.
    pub project: String,
    /// The project's name.
    pub project_name: String,
    /// The organisation's id.
    pub organization: String,
    /// The organisation's name.
    pub organization_name: String,
}

impl Identity {
    /// Whose project it was when the exchanges were recorded.
    #[must_use]
    pub fn recorded() -> Self {
        Self {
            public_key: "pk-lf-1234567890".to_owned(),
            project: "my-project".to_owned(),
            project_name: "My Project".to_owned(),
            organization: "my-org".to_owned(),
            organization_name: "My Org".to_owned(),
        }
    }
}

/// The names of the server under test, and the ids that it made so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    identity: Identity,
    /// From the id that the recorded server made to that of the server under test.
    made: BTreeMap<String, String>,
}

impl Names {
    /// Those of a server that made nothing yet.
    #[must_use]
    pub fn of(identity: Identity) -> Self {
        Self { identity, made: BTreeMap::new() }
    }

    /// The name that a place in a template stands for.
    pub(crate) fn get(&self, token: &str) -> Option<&str> {
        let identity = &self.identity;
        Some(match token {
            "public-key" => &identity.public_key,
            "project" => &identity.project,
            "project-name" => &identity.project_name,
            "organization" => &identity.organization,
            "organization-name" => &identity.organization_name,
            _ => return None,
        })
    }

    /// What the server under test calls what the recorded one called `recorded`, once it made it.
    pub(crate) fn made(&self, recorded: &str) -> Option<&str> {
        self.made.get(recorded).map(String::as_str)
    }

    /// Remembers a new id; refused when it was given to something else before.
    pub(crate) fn make(&mut self, recorded: &str, found: &str) -> bool {
        let is_new = !self.made.values().any(|known| known == found);
        if is_new {
            self.made.insert(recorded.to_owned(), found.to_owned());
        }
        is_new
    }

    /// `text` of a recorded request with the ids of the server under test.
    pub(crate) fn translate(&self, text: &str) -> String {
        self.made.iter().fold(text.to_owned(), |text, (recorded, found)| text.replace(recorded, found))
    }
}
