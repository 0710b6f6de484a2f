//! The nesting of a trace's observations. Whatever clients send comes out whole: each row once, also
//! when parents are missing, stand in a circle or exist twice.

use std::collections::HashMap;

use crate::store::TraceRow;

/// A row at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    /// Which of the rows.
    pub(super) row_idx: usize,
    /// How many are above it.
    pub(super) depth: usize,
    /// How many are below it.
    pub(super) n_below: usize,
    /// It names a parent that is not above it.
    pub(super) is_orphan: bool,
}

/// The rows as a reader meets them: each followed by all that is below it. The order among siblings is
/// that of the rows.
pub(super) fn nodes(rows: &[TraceRow]) -> Vec<Node> {
    let mut by_id: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    for (row_idx, row) in rows.iter().enumerate() {
        by_id.entry(&row.id).or_insert(row_idx);
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    let mut roots = Vec::new();
    for (row_idx, row) in rows.iter().enumerate() {
        match by_id.get(row.parent_id.as_str()) {
            Some(parent) if *parent != row_idx && !row.parent_id.is_empty() => {
                children[*parent].push(row_idx)
            }
            _ => roots.push(row_idx),
        }
    }
    let mut nodes = Vec::with_capacity(rows.len());
    let mut is_placed = vec![false; rows.len()];
    // After the real roots come those that stand in a circle.
    for root in roots.into_iter().chain(0..rows.len()) {
        let mut waiting = vec![(root, 0)];
        while let Some((row_idx, depth)) = waiting.pop() {
            if std::mem::replace(&mut is_placed[row_idx], true) {
                continue;
            }
            let is_orphan = depth == 0 && !rows[row_idx].parent_id.is_empty();
            nodes.push(Node { row_idx, depth, n_below: 0, is_orphan });
            waiting.extend(children[row_idx].iter().rev().map(|child| (*child, depth + 1)));
        }
    }
    count_below(&mut nodes);
    nodes
}

/// A node's descendants are those that follow it until one is as high as itself.
fn count_below(nodes: &mut [Node]) {
    let mut open: Vec<usize> = Vec::new();
    for at in 0..=nodes.len() {
        let depth = nodes.get(at).map_or(0, |node| node.depth);
        while let Some(&above) = open.last()
            && (at == nodes.len() || nodes[above].depth >= depth)
        {
            nodes[above].n_below = at - above - 1;
            open.pop();
        }
        open.push(at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Node, nodes};
    use crate::store::TraceRow;

    fn rows(pairs: &[(&str, &str)]) -> Vec<TraceRow> {
        let row = |(id, parent): &(&str, &str)| TraceRow {
            id: (*id).to_owned(),
            parent_id: (*parent).to_owned(),
            ..TraceRow::default()
        };
        pairs.iter().map(row).collect()
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: &str) {
        let rows = rows(pairs);
        let line = |node: &Node| {
            let id = &rows[node.row_idx].id;
            format!("{}{id}{}", "-".repeat(node.depth), if node.is_orphan { "?" } else { "" })
        };
        let shown: Vec<_> = nodes(&rows).iter().map(line).collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn nesting() {
        check(&[], "");
        check(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "a")], "a -b --c -d");
        check(&[("b", "a"), ("a", "")], "a -b");
        check(&[("a", "gone"), ("b", "a")], "a? -b");
        check(&[("a", "a")], "a?");
        check(&[("a", "b"), ("b", "a"), ("c", "")], "c a? -b");
        check(&[("a", ""), ("a", ""), ("b", "a")], "a -b a");
        let below: Vec<_> = nodes(&rows(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "")]))
            .iter()
            .map(|node| node.n_below)
            .collect();
        assert_eq!(below, [3, 1, 0, 0, 0]);
    }

    #[test]
    fn a_chain_of_many_needs_no_stack() {
        let ids: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
        let pairs: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(at, id)| (id.as_str(), at.checked_sub(1).map_or("", |it| &ids[it])))
            .collect();
        let nodes = nodes(&rows(&pairs));
        assert_eq!((nodes.len(), nodes[19_999].depth, nodes[0].n_below), (20_000, 19_999, 19_999));
    }

    proptest! {
        #[test]
        fn each_row_comes_once(pairs in prop::collection::vec(("[a-f]", "[a-g]?"), 0..20)) {
            let pairs: Vec<_> = pairs.iter().map(|(id, parent)| (id.as_str(), parent.as_str())).collect();
            let nodes = nodes(&rows(&pairs));
            let mut seen: Vec<_> = nodes.iter().map(|node| node.row_idx).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..pairs.len()).collect::<Vec<_>>());
        }
    }
}
