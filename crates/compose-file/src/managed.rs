//! Finds what of ours is in a file, and how each part is taken out.

mod block;
mod inline;

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};

use crate::compose_file::ComposeFile;
use crate::error::{EditError, EditProblem};
use crate::marker::Blank;
use crate::section::Section;
use crate::tree::{Kind, NodeId};

/// How a part of ours is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines with the section's key.
    Key,
    /// Lines below a key that the owner wrote.
    Entries,
    /// A key and its value inside the brackets of the whole document.
    FlowKey,
    /// Entries inside the brackets of the section.
    FlowEntries,
    /// The value of a key whose value the owner left empty.
    Fill(Blank),
}

/// Bytes that go, and what comes in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) range: Range<usize>,
    pub(crate) put: &'static str,
}

/// One part of ours.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) section: Section,
    pub(crate) form: Form,
    /// From the first line to the last, markers included.
    pub(crate) lines: RangeInclusive<usize>,
    /// All bytes, markers included.
    pub(crate) span: Range<usize>,
    /// What is written, without indentation and with line feeds.
    pub(crate) content: String,
    /// The names of the entries, or the included path.
    pub(crate) names: Vec<String>,
    /// What to take out, in the order of the text.
    pub(crate) removals: Vec<Removal>,
    /// The keys of entries, or the items, that go with it.
    pub(crate) owned: Vec<NodeId>,
    /// The value that becomes empty again.
    pub(crate) filled: Option<NodeId>,
}

/// A problem and the byte where it lies.
type Trouble = (usize, EditProblem);

/// Finds all parts, in the order of the file.
pub(crate) fn find(file: &ComposeFile) -> Result<Vec<Part>, EditError> {
    let located = |(offset, problem)| file.edit_error(offset, problem);
    let mut parts = block::find(file).map_err(located)?;
    parts.extend(inline::find(file).map_err(located)?);
    parts.sort_by_key(|part| part.span.start);
    let mut sections = HashSet::new();
    for part in &parts {
        if !sections.insert(part.section) {
            return Err(located((part.span.start, EditProblem::Repeated { section: part.section })));
        }
    }
    Ok(parts)
}

/// All keys and items that are ours.
pub(crate) fn owned(parts: &[Part]) -> HashSet<NodeId> {
    parts.iter().flat_map(|part| part.owned.iter().copied()).collect()
}

/// The text without those parts.
pub(crate) fn stripped<'a>(file: &ComposeFile, parts: impl IntoIterator<Item = &'a Part>) -> String {
    let text = file.source().text();
    let mut removals: Vec<&Removal> = parts.into_iter().flat_map(|part| &part.removals).collect();
    removals.sort_by_key(|removal| removal.range.start);
    let mut stripped = String::with_capacity(text.len());
    let mut from = 0;
    for removal in removals {
        stripped.push_str(text.get(from..removal.range.start).unwrap_or_default());
        stripped.push_str(removal.put);
        from = removal.range.end;
    }
    stripped.push_str(text.get(from..).unwrap_or_default());
    stripped
}

/// The file's own indentation: how far the entries of a section stand to the right of its key.
pub(crate) fn step(file: &ComposeFile, owned: &HashSet<NodeId>) -> usize {
    const USUAL: usize = 2;
    const WIDEST: usize = 8;
    let tree = file.tree();
    let column = |key: NodeId| file.source().indentation(tree.outer_start(key));
    let step_of = |(key, value): &(NodeId, NodeId)| {
        if owned.contains(key) || !matches!(tree.node(*value).kind, Kind::Mapping { flow: false, .. }) {
            return None;
        }
        let (child, _) = tree.entries(*value).iter().find(|(child, _)| !owned.contains(child))?;
        column(*child)?.checked_sub(column(*key)?).filter(|step| (1..=WIDEST).contains(step))
    };
    let entries = tree.entries(file.root());
    let services = tree.own_entry(file.root(), Section::Services.key());
    services.as_ref().and_then(step_of).or_else(|| entries.iter().find_map(step_of)).unwrap_or(USUAL)
}
