//! The owner's part of a file as a list of marks, for comparison before and after an edit.

use std::collections::{HashMap, HashSet};

use crate::compose_file::ComposeFile;
use crate::managed::{self, Part};
use crate::tree::{Kind, NodeId, ScalarStyle};

/// One step of a walk through the tree. Notation, anchors and tags count, positions do not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    Anchor(&'a str),
    Tag(&'a str),
    Scalar(&'a str, ScalarStyle),
    Sequence {
        flow: bool,
    },
    Mapping {
        flow: bool,
    },
    End,
    /// The number of the anchor among the owner's.
    Alias(Option<usize>),
    Comment(&'a str),
}

enum Step {
    Enter(NodeId),
    Leave,
}

/// Walks the tree past everything that is ours.
pub(super) fn outline<'a>(file: &'a ComposeFile, parts: &[Part]) -> Vec<Mark<'a>> {
    let (tree, source) = (file.tree(), file.source());
    let owned = managed::owned(parts);
    let filled: HashMap<NodeId, &'static str> =
        parts.iter().filter_map(|part| Some((part.filled?, part.removals.first()?.put))).collect();
    let mut marks = Vec::with_capacity(tree.nodes.len());
    let mut anchors = HashMap::new();
    let mut steps = vec![Step::Enter(file.root())];
    while let Some(step) = steps.pop() {
        let Step::Enter(id) = step else {
            marks.push(Mark::End);
            continue;
        };
        if let Some(blank) = filled.get(&id) {
            marks.push(Mark::Scalar(blank, ScalarStyle::Plain));
            continue;
        }
        if let Some(anchor) = tree.anchors.get(&id) {
            anchors.insert(id, anchors.len());
            marks.push(Mark::Anchor(source.slice(anchor.clone())));
        }
        if let Some(tag) = tree.tags.get(&id) {
            marks.push(Mark::Tag(source.slice(tag.clone())));
        }
        match &tree.node(id).kind {
            Kind::Scalar { value, style } => marks.push(Mark::Scalar(value, *style)),
            Kind::Alias { target } => marks.push(Mark::Alias(anchors.get(target).copied())),
            Kind::Sequence { flow, items } => {
                let kept = items.iter().filter(|item| !owned.contains(item)).map(|item| Step::Enter(*item));
                collect(
                    &mut marks,
                    &mut steps,
                    *flow,
                    Mark::Sequence { flow: *flow },
                    items.len(),
                    kept.collect(),
                );
            }
            Kind::Mapping { flow, entries } => {
                let kept = entries
                    .iter()
                    .filter(|(key, _)| !owned.contains(key))
                    .flat_map(|(key, value)| [Step::Enter(*key), Step::Enter(*value)]);
                collect(
                    &mut marks,
                    &mut steps,
                    *flow,
                    Mark::Mapping { flow: *flow },
                    entries.len(),
                    kept.collect(),
                );
            }
        }
    }
    marks.extend(comments(file, parts));
    marks
}

/// Adds a collection; one in block style that held nothing but ours was an empty value before.
fn collect<'a>(
    marks: &mut Vec<Mark<'a>>,
    steps: &mut Vec<Step>,
    flow: bool,
    mark: Mark<'a>,
    all: usize,
    kept: Vec<Step>,
) {
    if all > 0 && kept.is_empty() && !flow {
        marks.push(Mark::Scalar("", ScalarStyle::Plain));
        return;
    }
    marks.push(mark);
    steps.push(Step::Leave);
    steps.extend(kept.into_iter().rev());
}

fn comments<'a>(file: &'a ComposeFile, parts: &[Part]) -> Vec<Mark<'a>> {
    let mut ranges: Vec<_> = parts.iter().flat_map(|part| &part.removals).map(|r| r.range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    let is_ours = |at: usize| {
        let index = ranges.partition_point(|range| range.end <= at);
        ranges.get(index).is_some_and(|range| range.contains(&at))
    };
    let mut seen = HashSet::new();
    let comments = file.tree().comments.iter().map(|comment| comment.range.clone());
    comments
        .filter(|range| !is_ours(range.start) && seen.insert(range.start))
        .map(|range| Mark::Comment(file.source().slice(range)))
        .collect()
}
