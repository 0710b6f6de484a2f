//! Where new parts go, and their text there.

use std::ops::Range;

use crate::compose_file::ComposeFile;
use crate::error::{EditError, EditProblem};
use crate::fragment::Content;
use crate::managed::{self, Part};
use crate::marker::{self, Blank};
use crate::render;
use crate::section::Section;
use crate::tokens::Tokens;
use crate::tree::{Kind, NodeId, ScalarStyle};

/// Text for one section in place of a range, which is empty but for an explicit null.
#[derive(Debug)]
pub(super) struct Insertion {
    pub(super) section: Section,
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// Finds a place for each section, in the order of the text.
pub(super) fn plan(
    file: &ComposeFile,
    missing: &[(&Section, &Content)],
    step: usize,
) -> Result<Vec<Insertion>, EditError> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let planner =
        Planner { file, tokens: Tokens::scan(file.source().text()), parts: managed::find(file)?, step };
    let mut insertions = missing
        .iter()
        .map(|(section, content)| planner.place(**section, content))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|(offset, problem)| file.edit_error(offset, problem))?;
    // Stable: sections that go to the same place keep their order.
    insertions.sort_by_key(|insertion| insertion.range.start);
    Ok(insertions)
}

/// The text with the insertions made.
pub(super) fn apply(text: &str, insertions: &[Insertion]) -> String {
    let added: usize = insertions.iter().map(|insertion| insertion.text.len()).sum();
    let mut edited = String::with_capacity(text.len() + added);
    let mut from = 0;
    for insertion in insertions {
        edited.push_str(text.get(from..insertion.range.start).unwrap_or_default());
        edited.push_str(&insertion.text);
        from = insertion.range.end;
    }
    edited.push_str(text.get(from..).unwrap_or_default());
    edited
}

struct Planner<'a> {
    file: &'a ComposeFile,
    tokens: Tokens,
    parts: Vec<Part>,
    step: usize,
}

type Placed = Result<Insertion, (usize, EditProblem)>;

impl Planner<'_> {
    fn place(&self, section: Section, content: &Content) -> Placed {
        let tree = self.file.tree();
        let Some((key, value)) = tree.own_entry(self.file.root(), section.key()) else {
            return match tree.entry(self.file.root(), section.key()) {
                Some((key, _)) => Err((tree.node(key).start, EditProblem::Inherited { section })),
                None => self.new_key(section, content),
            };
        };
        let at_key = tree.node(key).start;
        if matches!(tree.node(value).kind, Kind::Alias { .. }) {
            return Err((at_key, EditProblem::Alias { section }));
        }
        if tree.aliased.contains(&value) {
            return Err((at_key, EditProblem::Shared { section }));
        }
        match &tree.node(value).kind {
            _ if tree.is_null(value) => self.place_in_nothing(section, content, key, value),
            Kind::Sequence { flow, items } if section == Section::Include => {
                let first = items.first().copied();
                if *flow {
                    return Ok(self.place_in_brackets(section, content, value, first));
                }
                // A sequence that is not indented has its dashes right below the key.
                let start = tree.node(value).start;
                let dash = if self.tokens.is_first_dash(start) { start } else { tree.outer_start(key) };
                self.below(section, content, (key, value), dash, first)
            }
            Kind::Mapping { flow, entries } if section != Section::Include => {
                let first = entries.first().map(|(key, _)| *key);
                if *flow {
                    return Ok(self.place_in_brackets(section, content, value, first));
                }
                let aligned = first.map_or(at_key, |first| tree.outer_start(first));
                self.below(section, content, (key, value), aligned, first)
            }
            _ => {
                let wanted = if section == Section::Include { "list" } else { "mapping" };
                Err((at_key, EditProblem::WrongKind { section, wanted }))
            }
        }
    }

    /// A key that the file does not have, before all others: there it never needs a line break that
    /// the last line may lack.
    fn new_key(&self, section: Section, content: &Content) -> Placed {
        let (tree, source, root) = (self.file.tree(), self.file.source(), self.file.root());
        let first = tree.entries(root).first().map(|(key, _)| *key);
        if matches!(tree.node(root).kind, Kind::Mapping { flow: true, .. }) {
            let value = render::flow_value(content);
            let pair = format!("{section}: {} {value}", marker::entry_anchor(&value));
            return Ok(bracketed(
                section,
                &pair,
                tree.node(root).start,
                first.map(|key| tree.outer_start(key)),
            ));
        }
        let no_place = || (tree.node(root).start, EditProblem::NoPlace { section });
        let at = first.map(|key| tree.outer_start(key)).ok_or_else(no_place)?;
        let column = source.indentation(at).ok_or_else(no_place)?;
        let line_break = source.neighbouring_line_break(at);
        let text = render::placed(&render::block_key(section, content, self.step), column, line_break);
        let line_start = source.line_start(at);
        // The first key may stand in a block of ours, which must not be torn apart.
        let around = self.parts.iter().map(|part| &part.span).find(|span| span.contains(&line_start));
        let start = around.map_or(line_start, |span| span.start);
        Ok(Insertion { section, range: start..start, text })
    }

    /// Entries in block style, right below the line of the key, so that a comment above the owner's
    /// first entry stays with it.
    fn below(
        &self,
        section: Section,
        content: &Content,
        (key, value): (NodeId, NodeId),
        aligned_with: usize,
        first_child: Option<NodeId>,
    ) -> Placed {
        let (tree, source) = (self.file.tree(), self.file.source());
        let no_place = || (tree.node(key).start, EditProblem::NoPlace { section });
        let first_child = first_child.map(|child| tree.outer_start(child)).ok_or_else(no_place)?;
        let column = source.indentation(aligned_with).ok_or_else(no_place)?;
        let head = self.head_end(key, value).ok_or_else(no_place)?;
        let start = source.line_end(head);
        if start > first_child {
            return Err(no_place());
        }
        let text =
            render::placed(&render::block_entries(content, self.step), column, source.line_break(head));
        Ok(Insertion { section, range: start..start, text })
    }

    /// The end of the colon after a key, or of the properties of its value.
    fn head_end(&self, key: NodeId, value: NodeId) -> Option<usize> {
        let tree = self.file.tree();
        let colon = self.tokens.colon_after(tree.node(key).end)?;
        Some(tree.properties_end(value).map_or(colon.end, |end| end.max(colon.end)))
    }

    /// Entries for a key without a value.
    fn place_in_nothing(&self, section: Section, content: &Content, key: NodeId, value: NodeId) -> Placed {
        let (tree, source, root) = (self.file.tree(), self.file.source(), self.file.root());
        let no_place = || (tree.node(key).start, EditProblem::NoPlace { section });
        let Kind::Scalar { value: null, style: ScalarStyle::Plain } = &tree.node(value).kind else {
            return Err(no_place());
        };
        let blank = Blank::from_text(null).ok_or_else(no_place)?;
        let in_block = matches!(tree.node(root).kind, Kind::Mapping { flow: false, .. });
        let head = self.head_end(key, value);
        if in_block && blank == Blank::Nothing {
            let head = head.ok_or_else(no_place)?;
            let line_break = source.line_break(head);
            if let (Some(column), false) = (source.indentation(tree.outer_start(key)), line_break.is_empty())
            {
                let content = render::block_entries(content, self.step);
                let text = render::placed(&content, column + self.step, line_break);
                let start = source.line_end(head);
                return Ok(Insertion { section, range: start..start, text });
            }
        }
        if tree.properties_end(value).is_some() {
            return Err(no_place());
        }
        let value_text = render::flow_value(content);
        let mut text = format!("{} {value_text}", marker::fill_anchor(blank, &value_text));
        let range = if blank == Blank::Nothing {
            text.insert(0, ' ');
            let at = head.ok_or_else(no_place)?;
            at..at
        } else {
            tree.node(value).start..tree.node(value).end
        };
        Ok(Insertion { section, range, text })
    }

    /// Entries inside brackets, before the owner's first.
    fn place_in_brackets(
        &self,
        section: Section,
        content: &Content,
        value: NodeId,
        first: Option<NodeId>,
    ) -> Insertion {
        let tree = self.file.tree();
        let pairs: Vec<String> = render::flow_entries(content)
            .iter()
            .map(|(key, value)| {
                render::flow_pair(key.as_deref(), &format!("{} {value}", marker::entry_anchor(value)))
            })
            .collect();
        bracketed(section, &pairs.join(", "), tree.node(value).start, first.map(|id| tree.outer_start(id)))
    }
}

/// Entries before the first one there is, or right after the bracket.
fn bracketed(section: Section, entries: &str, bracket: usize, first: Option<usize>) -> Insertion {
    match first {
        Some(first) => Insertion { section, range: first..first, text: format!("{entries}, ") },
        None => Insertion { section, range: bracket + 1..bracket + 1, text: entries.to_owned() },
    }
}
