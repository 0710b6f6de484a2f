//! Parts that are lines between two markers.

use std::ops::Range;

use super::{Form, Part, Removal, Trouble};
use crate::compose_file::ComposeFile;
use crate::error::EditProblem;
use crate::marker::{self, Marker};
use crate::render;
use crate::section::Section;
use crate::tokens::Tokens;
use crate::tree::{Kind, NodeId};

/// Lines from one marker to the other.
struct Block {
    /// Both markers with their line breaks.
    outer: Range<usize>,
    /// Between the markers.
    inner: Range<usize>,
    /// The first marker's `#`.
    marker: usize,
    content: String,
}

pub(super) fn find(file: &ComposeFile) -> Result<Vec<Part>, Trouble> {
    blocks(file)?.into_iter().map(|block| part(file, block)).collect()
}

fn blocks(file: &ComposeFile) -> Result<Vec<Block>, Trouble> {
    let source = file.source();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    for comment in &file.tree().comments {
        let at = comment.range.start;
        // A remark behind a value is the owner's, whatever it says.
        let Some(column) = source.indentation(at) else { continue };
        match (marker::read(source.slice(at + 1..comment.range.end)), open.take()) {
            (None, before) => open = before,
            (Some(Marker::BrokenBegin), _) => return Err((at, EditProblem::MarkerChanged)),
            (Some(Marker::Begin { sum }), None) => open = Some((at, column, sum)),
            (Some(Marker::Begin { .. }), Some((first, ..))) => {
                return Err((first, EditProblem::BlockWithoutEnd));
            }
            (Some(Marker::End), None) => return Err((at, EditProblem::EndWithoutBlock)),
            (Some(Marker::End), Some((first, column, sum))) => {
                let inner = source.line_end(first)..source.line_start(at);
                let content = render::content_of(source.slice(inner.clone()), column);
                let Some(content) = content.filter(|content| marker::sum(content) == sum) else {
                    let (first_line, last_line) = (source.line(first), source.line(at));
                    return Err((first, EditProblem::ContentChanged { first: first_line, last: last_line }));
                };
                if blocks.len() == Section::ALL.len() {
                    return Err((first, EditProblem::Misplaced));
                }
                let outer = source.line_start(first)..source.line_end(at);
                blocks.push(Block { outer, inner, marker: first, content });
            }
        }
    }
    match open {
        Some((first, ..)) => Err((first, EditProblem::BlockWithoutEnd)),
        None => Ok(blocks),
    }
}

fn part(file: &ComposeFile, block: Block) -> Result<Part, Trouble> {
    let (tree, source) = (file.tree(), file.source());
    let misplaced = || (block.marker, EditProblem::Misplaced);
    let is_inside = |id: &NodeId| block.inner.contains(&tree.outer_start(*id));
    let name_of = |id: NodeId| tree.scalar(id).map(str::to_owned);

    let keys: Vec<_> = tree.entries(file.root()).iter().filter(|(key, _)| is_inside(key)).collect();
    let (section, form, value, owned) = match keys.as_slice() {
        [(key, value)] => {
            let section = tree.scalar(*key).and_then(Section::from_key).ok_or_else(misplaced)?;
            (section, Form::Key, *value, vec![*key])
        }
        [] => {
            let of_section = |section: Section| {
                let (_, value) = tree.own_entry(file.root(), section.key())?;
                let inside: Vec<_> = children(file, value).into_iter().filter(is_inside).collect();
                (!inside.is_empty()).then_some((section, Form::Entries, value, inside))
            };
            Section::ALL.into_iter().find_map(of_section).ok_or_else(misplaced)?
        }
        _ => return Err(misplaced()),
    };

    let children = children(file, value);
    let ours: Vec<NodeId> = children.iter().copied().filter(is_inside).collect();
    if ours.is_empty() {
        return Err(misplaced());
    }
    let names = match section {
        Section::Include => ours.iter().flat_map(|item| file.include_paths(*item)).collect(),
        _ => ours.iter().filter_map(|key| name_of(*key)).collect(),
    };
    let mut part = Part {
        section,
        form,
        lines: source.line(block.marker)..=source.line(block.outer.end.saturating_sub(1)),
        span: block.outer.clone(),
        content: block.content,
        names,
        removals: vec![Removal { range: block.outer.clone(), put: "" }],
        owned,
        filled: None,
    };
    if form == Form::Key && ours.len() < children.len() {
        // The owner has put entries below ours: the key's own line now serves them and stays.
        let key = part.owned[0];
        let colon = Tokens::scan(source.text()).colon_after(tree.node(key).end).ok_or_else(misplaced)?;
        let key_line = source.line_start(tree.outer_start(key))..source.line_end(colon.start);
        part.removals = vec![
            Removal { range: block.outer.start..key_line.start, put: "" },
            Removal { range: key_line.end..block.outer.end, put: "" },
        ];
        part.owned = ours;
    }
    Ok(part)
}

/// The keys or items of a collection that is written there in block style.
fn children(file: &ComposeFile, value: NodeId) -> Vec<NodeId> {
    match &file.tree().node(value).kind {
        Kind::Mapping { flow: false, entries } => entries.iter().map(|(key, _)| *key).collect(),
        Kind::Sequence { flow: false, items } => items.clone(),
        _ => Vec::new(),
    }
}
