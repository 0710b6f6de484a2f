//! Parts inside brackets, marked by an anchor.

use std::collections::HashMap;
use std::ops::Range;

use super::{Form, Part, Removal, Trouble};
use crate::compose_file::ComposeFile;
use crate::error::EditProblem;
use crate::marker::{self, AnchorMark};
use crate::render;
use crate::section::Section;
use crate::tokens::Tokens;
use crate::tree::{Kind, NodeId};

pub(super) fn find(file: &ComposeFile) -> Result<Vec<Part>, Trouble> {
    let (tree, source) = (file.tree(), file.source());
    let mut marks: HashMap<NodeId, AnchorMark> = tree
        .anchors
        .iter()
        .filter_map(|(id, anchor)| {
            Some((*id, marker::read_anchor(source.slice(anchor.start + 1..anchor.end))?))
        })
        .collect();
    let mut parts = Vec::new();
    if marks.is_empty() {
        return Ok(parts);
    }
    let finder = Finder { file, tokens: Tokens::scan(source.text()) };
    let root_keys: Vec<_> = tree.entries(file.root()).to_vec();
    for (index, (key, value)) in root_keys.iter().enumerate() {
        let Some(section) = tree.scalar(*key).and_then(Section::from_key) else { continue };
        match marks.remove(value) {
            Some(AnchorMark::Entry { sum }) => {
                let content = finder.checked(*value, &sum)?;
                let removal = finder.entry_removal(&root_keys, index..index + 1, file.root());
                parts.push(finder.part(section, Form::FlowKey, content, *value, vec![*key], vec![removal]));
            }
            Some(AnchorMark::Fill { blank, sum }) => {
                let content = finder.checked(*value, &sum)?;
                let mut range = tree.outer_start(*value)..tree.node(*value).end;
                if blank.text().is_empty() {
                    // The blank before the value came with it.
                    range.start -= usize::from(source.slice(0..range.start).ends_with(' '));
                }
                let removal = Removal { range, put: blank.text() };
                let mut part =
                    finder.part(section, Form::Fill(blank), content, *value, Vec::new(), vec![removal]);
                part.filled = Some(*value);
                parts.push(part);
            }
            Some(AnchorMark::Broken) => return Err(finder.changed(*value)),
            None => {
                if let Some(part) = finder.entries(section, *value, &mut marks)? {
                    parts.push(part);
                }
            }
        }
    }
    match marks.keys().copied().min() {
        Some(stray) => Err((tree.outer_start(stray), EditProblem::Misplaced)),
        None => Ok(parts),
    }
}

struct Finder<'a> {
    file: &'a ComposeFile,
    tokens: Tokens,
}

impl Finder<'_> {
    /// The text of a value of ours, when it is still what the checksum was made of.
    fn checked(&self, value: NodeId, sum: &str) -> Result<String, Trouble> {
        let node = self.file.tree().node(value);
        let after_anchor = self.file.tree().properties_end(value).unwrap_or(node.start);
        let content = self.file.source().slice(after_anchor..node.end).trim_start().to_owned();
        if marker::sum(&content) == sum { Ok(content) } else { Err(self.changed(value)) }
    }

    fn changed(&self, value: NodeId) -> Trouble {
        (self.file.tree().outer_start(value), EditProblem::EntryChanged)
    }

    fn part(
        &self,
        section: Section,
        form: Form,
        content: String,
        value: NodeId,
        owned: Vec<NodeId>,
        removals: Vec<Removal>,
    ) -> Part {
        let (tree, source) = (self.file.tree(), self.file.source());
        let span = removals[0].range.start..removals[removals.len() - 1].range.end;
        let names = match section {
            Section::Include => tree.items(value).iter().flat_map(|i| self.file.include_paths(*i)).collect(),
            _ => tree
                .entries(value)
                .iter()
                .filter_map(|(key, _)| tree.scalar(*key))
                .map(str::to_owned)
                .collect(),
        };
        let lines = source.line(span.start)..=source.line(span.end.saturating_sub(1).max(span.start));
        Part { section, form, lines, span, content, names, removals, owned, filled: None }
    }

    /// Our entries among the owner's, inside the brackets of a section.
    fn entries(
        &self,
        section: Section,
        value: NodeId,
        marks: &mut HashMap<NodeId, AnchorMark>,
    ) -> Result<Option<Part>, Trouble> {
        let tree = self.file.tree();
        let children: Vec<(NodeId, NodeId)> = match &tree.node(value).kind {
            Kind::Mapping { flow: true, entries } => entries.clone(),
            Kind::Sequence { flow: true, items } => items.iter().map(|item| (*item, *item)).collect(),
            _ => return Ok(None),
        };
        let (mut content, mut names, mut owned) = (String::new(), Vec::new(), Vec::new());
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (index, (key, value)) in children.iter().enumerate() {
            let sum = match marks.remove(value) {
                Some(AnchorMark::Entry { sum }) => sum,
                Some(_) => return Err(self.changed(*value)),
                None => continue,
            };
            let text = self.checked(*value, &sum)?;
            let name = (key != value)
                .then(|| tree.node(*key))
                .map(|key| self.file.source().slice(key.start..key.end));
            content.push_str(&render::flow_pair(name, &text));
            content.push('\n');
            names.extend(match section {
                Section::Include => self.file.include_paths(*value),
                _ => tree.scalar(*key).map(str::to_owned).into_iter().collect(),
            });
            owned.push(*key);
            match runs.last_mut() {
                Some(run) if run.end == index => run.end += 1,
                _ => runs.push(index..index + 1),
            }
        }
        if owned.is_empty() {
            return Ok(None);
        }
        let removals = runs.into_iter().map(|run| self.entry_removal(&children, run, value)).collect();
        let mut part = self.part(section, Form::FlowEntries, content, value, owned, removals);
        part.names = names;
        Ok(Some(part))
    }

    /// A run of entries with the comma that came with it.
    fn entry_removal(&self, children: &[(NodeId, NodeId)], run: Range<usize>, parent: NodeId) -> Removal {
        let tree = self.file.tree();
        let start = tree.outer_start(children[run.start].0);
        let end = tree.node(children[run.end - 1].1).end;
        let next = children.get(run.end).map_or(tree.node(parent).end, |(key, _)| tree.outer_start(*key));
        let mut range = start..end;
        if let Some(comma) = self.tokens.comma_within(end..next) {
            range.end = comma.end + usize::from(self.file.source().slice(comma.end..comma.end + 1) == " ");
        } else if run.start > 0 {
            let before = tree.node(children[run.start - 1].1).end;
            if let Some(comma) = self.tokens.comma_within(before..start) {
                range.start = comma.start;
            }
        }
        Removal { range, put: "" }
    }
}
