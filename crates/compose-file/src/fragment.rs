//! What is to be written into a file: entries as YAML text, checked before they are used.

use std::collections::{BTreeMap, HashSet};

use crate::error::EditProblem;
use crate::marker;
use crate::section::Section;
use crate::source::Source;
use crate::tree::{self, Kind, Tree};

/// Entries for the top-level mappings of a Compose file.
///
/// Each is a name and the YAML text of its body in block style, not indented, with line feeds.
/// An empty text is an entry without a body. Anchors, aliases and tags are refused, as they could
/// meet those of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Entries for `services`.
    pub services: Vec<(String, String)>,
    /// Entries for `volumes`.
    pub volumes: Vec<(String, String)>,
    /// Entries for `networks`.
    pub networks: Vec<(String, String)>,
    /// Entries for `configs`.
    pub configs: Vec<(String, String)>,
    /// Entries for `secrets`.
    pub secrets: Vec<(String, String)>,
}

impl Fragment {
    fn sections(&self) -> [(Section, &[(String, String)]); 5] {
        [
            (Section::Services, &self.services),
            (Section::Volumes, &self.volumes),
            (Section::Networks, &self.networks),
            (Section::Configs, &self.configs),
            (Section::Secrets, &self.secrets),
        ]
    }
}

/// An entry whose body has been parsed.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The body's text without line feeds at its end, unless a block scalar keeps them.
    pub(crate) text: String,
    pub(crate) tree: Tree,
}

/// What a section shall hold of ours.
pub(crate) enum Content {
    Path(String),
    Entries(Vec<Entry>),
}

/// What of ours a file shall hold; sections without anything are left out.
pub(crate) type Wanted = BTreeMap<Section, Content>;

/// A problem with its line and column in the text that is to be added.
type Trouble = (usize, usize, EditProblem);

/// Checks the path of a file to include.
pub(crate) fn check_path(path: &str) -> Result<(), Trouble> {
    if path.is_empty() || path.chars().any(char::is_control) {
        let reason = "a path must not be empty or hold control characters".to_owned();
        let problem = EditProblem::BadEntry {
            section: Section::Include,
            name: path.escape_debug().to_string(),
            reason,
        };
        return Err((1, 1, problem));
    }
    Ok(())
}

/// Parses all entries of a fragment.
pub(crate) fn parse(fragment: &Fragment) -> Result<Wanted, Trouble> {
    let mut wanted = Wanted::new();
    for (section, entries) in fragment.sections() {
        let mut names = HashSet::new();
        let mut parsed = Vec::with_capacity(entries.len());
        for (name, body) in entries {
            let fail = |(line, column, reason): (usize, usize, String)| {
                (
                    line,
                    column,
                    EditProblem::BadEntry { section, name: name.escape_debug().to_string(), reason },
                )
            };
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(fail((1, 1, "a name must not be empty or hold control characters".into())));
            }
            if !names.insert(name) {
                return Err(fail((1, 1, "the name is given twice".into())));
            }
            parsed.push(parse_entry(name, body).map_err(fail)?);
        }
        if !parsed.is_empty() {
            wanted.insert(section, Content::Entries(parsed));
        }
    }
    Ok(wanted)
}

fn parse_entry(name: &str, body: &str) -> Result<Entry, (usize, usize, String)> {
    let source = Source::new(body.as_bytes().to_vec())
        .map_err(|(line, column, problem)| (line, column, problem.to_string()))?;
    let at = |offset: usize, reason: String| {
        let (line, column) = source.position(offset);
        (line, column, reason)
    };
    let tree = tree::build(&source).map_err(|(offset, problem)| at(offset, problem.to_string()))?;
    if let Some(offset) = body.find(['\r', '\u{feff}']) {
        return Err(at(offset, "the text must have line feeds only and no byte-order mark".into()));
    }
    if tree.has_document_marks || body.starts_with('%') {
        return Err(at(0, "the text must not have document markers or directives".into()));
    }
    let uses_references = !tree.anchors.is_empty() || !tree.tags.is_empty();
    if uses_references || tree.nodes.iter().any(|node| matches!(node.kind, Kind::Alias { .. })) {
        return Err(at(0, "the text must not have anchors, aliases or tags".into()));
    }
    for comment in &tree.comments {
        if marker::read(source.slice(comment.range.start + 1..comment.range.end)).is_some() {
            return Err(at(comment.range.start, "a comment looks like the marker of a managed block".into()));
        }
    }
    Ok(Entry { name: name.to_owned(), text: body.to_owned(), tree })
}
