//! Makes the tree from the parser's events.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScanError, StructureStyle};

use super::{Comment, Kind, Node, NodeId, ScalarStyle, Tree};
use crate::error::ParseProblem;
use crate::source::Source;

/// Aliases may add this many nodes to what the file itself holds.
const ALIAS_LIMIT: u64 = 1_000_000;

/// A mapping with at most so many keys is short.
const FEW: usize = 12;

/// A problem and the byte at which it was met.
type Trouble = (usize, ParseProblem);

/// Parses a text of at most one document.
pub(crate) fn build(source: &Source) -> Result<Tree, Trouble> {
    let text = source.text();
    let options =
        granit_parser::options! { emit_anchor_events: true, max_buffered_comment_events: usize::MAX };
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| (error_offset(&error, text), scan_problem(&error)))?;
        let range = span.byte_range().unwrap_or(0..0);
        let tag = span.tag_span().and_then(|tag| tag.byte_range());
        let node = |kind| Node { kind, start: range.start, end: range.end, has_tag: tag.is_some() };
        match event {
            Event::Comment(..) => builder.tree.comments.push(Comment { range }),
            Event::DocumentStart(explicit, _) => {
                builder.documents += 1;
                if builder.documents > 1 {
                    return Err((range.start, ParseProblem::SeveralDocuments));
                }
                builder.tree.has_document_marks |= explicit;
            }
            Event::DocumentEnd => builder.tree.has_document_marks |= !range.is_empty(),
            Event::Scalar(value, style, anchor, _) => {
                // The parser hands out `~` for an empty node; the text tells them apart.
                let style = scalar_style(style);
                let is_empty = style == ScalarStyle::Plain && range.is_empty();
                let value = if is_empty { "".into() } else { value.as_ref().into() };
                let id = builder.add(node(Kind::Scalar { value, style }), anchor, tag);
                builder.close(id);
            }
            Event::SequenceStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                let id = builder.add(node(Kind::Sequence { flow, items: Vec::new() }), anchor, tag);
                builder.open.push(Open { id, key: None, size: 1 });
            }
            Event::MappingStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                let id = builder.add(node(Kind::Mapping { flow, entries: Vec::new() }), anchor, tag);
                builder.open.push(Open { id, key: None, size: 1 });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = builder.open.pop() {
                    builder.tree.nodes[open.id].end = range.end;
                    builder.sizes[open.id] = open.size;
                    builder.check_keys(open.id, source)?;
                    builder.close(open.id);
                }
            }
            Event::Alias(anchor) => builder.alias(anchor, range.start, range.end)?,
            Event::Anchor(anchor, _) => {
                if let Some(id) = builder.anchored.get(&anchor) {
                    builder.tree.anchors.insert(*id, range);
                }
            }
            _ => {}
        }
    }
    builder.tree.comments.sort_by_key(|comment| comment.range.start);
    Ok(builder.tree)
}

struct Open {
    id: NodeId,
    key: Option<NodeId>,
    size: u64,
}

struct Builder {
    tree: Tree,
    open: Vec<Open>,
    anchored: HashMap<usize, NodeId>,
    /// How many nodes each node stands for with its aliases followed.
    sizes: Vec<u64>,
    alias_nodes: u64,
    documents: usize,
}

impl Default for Builder {
    fn default() -> Self {
        let tree = Tree {
            nodes: Vec::new(),
            root: None,
            comments: Vec::new(),
            anchors: HashMap::new(),
            tags: HashMap::new(),
            aliased: HashSet::new(),
            has_document_marks: false,
        };
        Self {
            tree,
            open: Vec::new(),
            anchored: HashMap::new(),
            sizes: Vec::new(),
            alias_nodes: 0,
            documents: 0,
        }
    }
}

impl Builder {
    fn add(&mut self, node: Node, anchor: usize, tag: Option<std::ops::Range<usize>>) -> NodeId {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(node);
        self.sizes.push(1);
        if anchor != 0 {
            self.anchored.insert(anchor, id);
        }
        if let Some(tag) = tag {
            self.tree.tags.insert(id, tag);
        }
        id
    }

    /// Hands a finished node to the collection around it.
    fn close(&mut self, id: NodeId) {
        let size = self.sizes[id];
        let Some(parent) = self.open.last_mut() else {
            self.tree.root = Some(id);
            return;
        };
        parent.size = parent.size.saturating_add(size);
        match &mut self.tree.nodes[parent.id].kind {
            Kind::Sequence { items, .. } => items.push(id),
            Kind::Mapping { entries, .. } => match parent.key.take() {
                Some(key) => entries.push((key, id)),
                None => parent.key = Some(id),
            },
            _ => {}
        }
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Result<(), Trouble> {
        let Some(target) = self.anchored.get(&anchor).copied() else {
            return Err((start, ParseProblem::UndefinedAlias));
        };
        if self.open.iter().any(|open| open.id == target) {
            return Err((start, ParseProblem::CyclicAlias));
        }
        let size = self.sizes[target];
        self.alias_nodes = self.alias_nodes.saturating_add(size);
        if self.alias_nodes > ALIAS_LIMIT {
            return Err((start, ParseProblem::AliasBomb { limit: ALIAS_LIMIT }));
        }
        self.tree.aliased.insert(target);
        let id = self.add(Node { kind: Kind::Alias { target }, start, end, has_tag: false }, 0, None);
        self.sizes[id] = size;
        self.close(id);
        Ok(())
    }

    fn check_keys(&self, id: NodeId, source: &Source) -> Result<(), Trouble> {
        let Kind::Mapping { entries, .. } = &self.tree.nodes[id].kind else { return Ok(()) };
        let names = || entries.iter().filter_map(|(key, _)| Some((self.tree.scalar(*key)?, *key)));
        // Most mappings are short, and comparing a few names is quicker than hashing them.
        let twice = if entries.len() <= FEW {
            names().enumerate().find_map(|(index, (name, key))| {
                names().take(index).find(|(other, _)| *other == name).map(|(_, first)| (name, first, key))
            })
        } else {
            let mut seen = HashMap::with_capacity(entries.len());
            names().find_map(|(name, key)| seen.insert(name, key).map(|first| (name, first, key)))
        };
        match twice {
            None => Ok(()),
            Some((name, first, key)) => {
                let first_line = source.line(self.tree.nodes[first].start);
                let problem = ParseProblem::DuplicateKey { key: shortened(name), first_line };
                Err((self.tree.nodes[key].start, problem))
            }
        }
    }
}

fn shortened(name: &str) -> String {
    const LONGEST: usize = 80;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn scalar_style(style: granit_parser::ScalarStyle) -> ScalarStyle {
    match style {
        granit_parser::ScalarStyle::SingleQuoted => ScalarStyle::SingleQuoted,
        granit_parser::ScalarStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
        granit_parser::ScalarStyle::Literal => ScalarStyle::Literal,
        granit_parser::ScalarStyle::Folded => ScalarStyle::Folded,
        granit_parser::ScalarStyle::Plain => ScalarStyle::Plain,
    }
}

fn error_offset(error: &ScanError, text: &str) -> usize {
    let mut offset = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn scan_problem(error: &ScanError) -> ParseProblem {
    match error.kind() {
        ErrorKind::UnknownAnchor => ParseProblem::UndefinedAlias,
        ErrorKind::RecursionLimitExceeded => ParseProblem::TooDeep,
        ErrorKind::TabInBlockIndentation => ParseProblem::Tab,
        _ => ParseProblem::Syntax(error.info()),
    }
}
