//! Questions to the tree: values behind aliases, entries behind merge keys, equality of data.

use std::collections::{HashMap, HashSet};

use super::{Kind, Node, NodeId, ScalarStyle, Tree};

const MERGE_KEY: &str = "<<";

/// Whether quotes around a value make it another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// They do, unless the value is text either way.
    Matter,
    /// They do not: both were made by the same hand.
    Differ,
}

impl Tree {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The node behind an alias, or the node itself.
    pub(crate) fn resolve(&self, id: NodeId) -> NodeId {
        match self.nodes[id].kind {
            Kind::Alias { target } => target,
            _ => id,
        }
    }

    /// Where the node begins with its anchor and tag.
    pub(crate) fn outer_start(&self, id: NodeId) -> usize {
        let anchor = self.anchors.get(&id).map(|anchor| anchor.start);
        let tag = self.tags.get(&id).map(|tag| tag.start);
        [anchor, tag].into_iter().flatten().fold(self.nodes[id].start, usize::min)
    }

    /// The end of the node's anchor or tag, whichever comes last.
    pub(crate) fn properties_end(&self, id: NodeId) -> Option<usize> {
        let anchor = self.anchors.get(&id).map(|anchor| anchor.end);
        let tag = self.tags.get(&id).map(|tag| tag.end);
        anchor.max(tag)
    }

    /// A scalar's value, through an alias.
    pub(crate) fn scalar(&self, id: NodeId) -> Option<&str> {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The entries as they are written, through an alias; none for anything but a mapping.
    pub(crate) fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Mapping { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The items of a sequence, through an alias; none for anything else.
    pub(crate) fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Sequence { items, .. } => items,
            _ => &[],
        }
    }

    /// Whether the node, through an alias, is empty or a plain null.
    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        let node = &self.nodes[self.resolve(id)];
        match &node.kind {
            Kind::Scalar { value, style: ScalarStyle::Plain } if !node.has_tag => {
                matches!(value.as_ref(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    pub(crate) fn is_mapping(&self, id: NodeId) -> bool {
        matches!(self.nodes[self.resolve(id)].kind, Kind::Mapping { .. })
    }

    pub(crate) fn is_sequence(&self, id: NodeId) -> bool {
        matches!(self.nodes[self.resolve(id)].kind, Kind::Sequence { .. })
    }

    /// An entry that is written in the mapping itself.
    pub(crate) fn own_entry(&self, mapping: NodeId, key: &str) -> Option<(NodeId, NodeId)> {
        self.entries(mapping).iter().copied().find(|(name, _)| self.scalar(*name) == Some(key))
    }

    /// Calls back for each entry with merge keys followed, the entry that counts before those that
    /// it hides. Mappings that were met before are skipped: what they hold is hidden by then.
    fn walk_merged(&self, mapping: NodeId, mut visit: impl FnMut(NodeId, NodeId) -> bool) {
        let mut seen = HashSet::new();
        let mut waiting = vec![self.resolve(mapping)];
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            let mut sources = Vec::new();
            for (key, value) in self.entries(id) {
                if self.is_merge_key(*key) {
                    match self.items(*value) {
                        [] => sources.push(self.resolve(*value)),
                        items => sources.extend(items.iter().map(|item| self.resolve(*item))),
                    }
                } else if !visit(*key, *value) {
                    return;
                }
            }
            waiting.extend(sources.into_iter().rev());
        }
    }

    fn is_merge_key(&self, key: NodeId) -> bool {
        matches!(&self.nodes[key].kind,
            Kind::Scalar { value, style: ScalarStyle::Plain } if value.as_ref() == MERGE_KEY)
    }

    /// The entry that counts for a key, merge keys followed.
    pub(crate) fn entry(&self, mapping: NodeId, key: &str) -> Option<(NodeId, NodeId)> {
        let mut found = None;
        self.walk_merged(mapping, |name, value| {
            if self.scalar(name) == Some(key) {
                found = Some((name, value));
            }
            found.is_none()
        });
        found
    }

    /// All entries that count, in the order of the text, merge keys followed.
    pub(crate) fn merged_entries(&self, mapping: NodeId) -> Vec<(&str, NodeId, NodeId)> {
        let mut names = HashSet::new();
        let mut found = Vec::new();
        self.walk_merged(mapping, |key, value| {
            if let Some(name) = self.scalar(key)
                && names.insert(name)
            {
                found.push((name, key, value));
            }
            true
        });
        found
    }

    /// Whether two nodes of two trees are the same data for Compose: mappings in any order, empty
    /// mappings like nothing. Aliases and merge keys are never the same as anything, as what they
    /// stand for may be changed elsewhere. The depth is bounded by the parser.
    pub(crate) fn same_data(&self, id: NodeId, other: &Self, other_id: NodeId, quotes: Quotes) -> bool {
        let (node, other_node) = (&self.nodes[id], &other.nodes[other_id]);
        if node.has_tag || other_node.has_tag {
            return false;
        }
        let is_nothing =
            |tree: &Self, id| tree.is_null(id) || (tree.is_mapping(id) && tree.entries(id).is_empty());
        match (&node.kind, &other_node.kind) {
            (Kind::Alias { .. }, _) | (_, Kind::Alias { .. }) => false,
            _ if is_nothing(self, id) || is_nothing(other, other_id) => {
                is_nothing(self, id) && is_nothing(other, other_id)
            }
            (Kind::Scalar { value, style }, Kind::Scalar { value: other_value, style: other_style }) => {
                let same_kind = (*style == ScalarStyle::Plain) == (*other_style == ScalarStyle::Plain);
                value == other_value && (same_kind || quotes == Quotes::Differ || is_surely_text(value))
            }
            (Kind::Sequence { items, .. }, Kind::Sequence { items: other_items, .. }) => {
                items.len() == other_items.len()
                    && items.iter().zip(other_items).all(|(a, b)| self.same_data(*a, other, *b, quotes))
            }
            (Kind::Mapping { entries, .. }, Kind::Mapping { entries: other_entries, .. }) => {
                let by_name: HashMap<&str, NodeId> =
                    other_entries.iter().filter_map(|(k, v)| Some((other.scalar(*k)?, *v))).collect();
                entries.len() == other_entries.len()
                    && entries.iter().all(|(key, value)| {
                        !self.is_merge_key(*key)
                            && self.scalar(*key).and_then(|name| by_name.get(name)).is_some_and(
                                |other_value| self.same_data(*value, other, *other_value, quotes),
                            )
                    })
            }
            _ => false,
        }
    }
}

/// Whether a value is text with and without quotes. Numbers and times begin with a digit, a sign or
/// a dot, and the other values that are not text are single words.
fn is_surely_text(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && value.contains(|c: char| !c.is_ascii_alphanumeric())
}
