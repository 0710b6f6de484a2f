//! A tree of the document in which each node knows its bytes.
//!
//! The nodes lie in one list and nothing here recurses over the file, so that deep nesting and many
//! aliases cost no stack and no more than linear time.

mod build;
mod view;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

pub(crate) use build::build;
pub(crate) use view::Quotes;

/// A node's place in the list.
pub(crate) type NodeId = usize;

/// The notation of a scalar, as far as its meaning hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ScalarStyle {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar { value: Box<str>, style: ScalarStyle },
    Sequence { flow: bool, items: Vec<NodeId> },
    Mapping { flow: bool, entries: Vec<(NodeId, NodeId)> },
    Alias { target: NodeId },
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// The node without its anchor and tag. Exact for scalars, aliases and collections in brackets;
    /// a block collection's range reaches to the next token.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) has_tag: bool,
}

/// A comment with its bytes, the `#` included.
#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) range: Range<usize>,
}

/// The one document of a text.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Option<NodeId>,
    pub(crate) comments: Vec<Comment>,
    /// Anchors with their `&`.
    pub(crate) anchors: HashMap<NodeId, Range<usize>>,
    pub(crate) tags: HashMap<NodeId, Range<usize>>,
    /// Nodes that some alias names.
    pub(crate) aliased: HashSet<NodeId>,
    /// Whether `---` or `...` stands in the text.
    pub(crate) has_document_marks: bool,
}
