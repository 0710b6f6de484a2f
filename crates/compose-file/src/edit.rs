//! Edits: work out what differs from what is wanted, take that out, put the new in, prove the result.

mod insert;
mod outline;
mod verify;

use std::collections::BTreeMap;

use crate::change::{self, Change, Edited};
use crate::compose_file::ComposeFile;
use crate::error::{EditError, EditProblem};
use crate::fragment::{self, Content, Fragment, Wanted};
use crate::managed::{self, Form, Part};
use crate::render;
use crate::section::Section;
use crate::tree::Quotes;

pub(crate) fn with_include(file: &ComposeFile, path: &str) -> Result<Edited, EditError> {
    fragment::check_path(path).map_err(|trouble| entry_error(file, trouble))?;
    let parts = managed::find(file)?;
    let mut wanted = Wanted::new();
    if !owner_includes(file, &parts, path) {
        wanted.insert(Section::Include, Content::Path(path.to_owned()));
    }
    apply(file, &parts, &wanted)
}

pub(crate) fn with_merged(file: &ComposeFile, fragment: &Fragment) -> Result<Edited, EditError> {
    let mut wanted = fragment::parse(fragment).map_err(|trouble| entry_error(file, trouble))?;
    let parts = managed::find(file)?;
    for (section, content) in &mut wanted {
        if let Content::Entries(entries) = content {
            leave_to_owner(file, &parts, *section, entries)?;
        }
    }
    wanted.retain(|_, content| !matches!(content, Content::Entries(entries) if entries.is_empty()));
    apply(file, &parts, &wanted)
}

pub(crate) fn without_ours(file: &ComposeFile) -> Result<Edited, EditError> {
    let parts = managed::find(file)?;
    apply(file, &parts, &Wanted::new())
}

fn entry_error(file: &ComposeFile, (line, column, problem): (usize, usize, EditProblem)) -> EditError {
    let hint = problem.hint();
    EditError { path: file.path().to_owned(), line, column, problem, hint }
}

/// Whether the owner includes that path already.
fn owner_includes(file: &ComposeFile, parts: &[Part], path: &str) -> bool {
    let Some((key, value)) = file.tree().entry(file.root(), Section::Include.key()) else { return false };
    let owned = managed::owned(parts);
    if owned.contains(&key) || parts.iter().any(|part| part.filled == Some(value)) {
        return false;
    }
    let bare = |path: &str| path.trim_start_matches("./").to_owned();
    let items = file.tree().items(value).iter().filter(|item| !owned.contains(item));
    items.flat_map(|item| file.include_paths(*item)).any(|present| bare(&present) == bare(path))
}

/// Takes out of the list what the owner wrote with the same content.
fn leave_to_owner(
    file: &ComposeFile,
    parts: &[Part],
    section: Section,
    entries: &mut Vec<fragment::Entry>,
) -> Result<(), EditError> {
    let tree = file.tree();
    let Some((key, value)) = tree.entry(file.root(), section.key()) else { return Ok(()) };
    let owned = managed::owned(parts);
    if owned.contains(&key) || parts.iter().any(|part| part.filled == Some(value)) {
        return Ok(());
    }
    let present: BTreeMap<&str, _> = tree
        .merged_entries(value)
        .into_iter()
        .filter(|(_, key, _)| !owned.contains(key))
        .map(|(name, key, value)| (name, (key, value)))
        .collect();
    let mut taken = None;
    entries.retain(|entry| {
        let Some((key, value)) = present.get(entry.name.as_str()) else { return true };
        let same = match entry.tree.root {
            Some(root) => tree.same_data(*value, &entry.tree, root, Quotes::Matter),
            None => tree.is_null(*value) || (tree.is_mapping(*value) && tree.entries(*value).is_empty()),
        };
        if !same {
            taken.get_or_insert((tree.node(*key).start, entry.name.clone()));
        }
        false
    });
    match taken {
        Some((offset, name)) => Err(file.edit_error(offset, EditProblem::NameTaken { section, name })),
        None => Ok(()),
    }
}

/// What a part of that form would hold.
fn wanted_content(section: Section, content: &Content, form: Form, step: usize) -> String {
    match form {
        Form::Key => render::block_key(section, content, step),
        Form::Entries => render::block_entries(content, step),
        Form::FlowKey | Form::Fill(_) => render::flow_value(content),
        Form::FlowEntries => render::flow_entries(content)
            .iter()
            .map(|(key, value)| format!("{}\n", render::flow_pair(key.as_deref(), value)))
            .collect(),
    }
}

/// Whether the part is what is wanted.
fn is_wanted(part: &Part, wanted: &Wanted, step: usize) -> bool {
    wanted
        .get(&part.section)
        .is_some_and(|content| wanted_content(part.section, content, part.form, step) == part.content)
}

fn apply(file: &ComposeFile, parts: &[Part], wanted: &Wanted) -> Result<Edited, EditError> {
    let step = managed::step(file, &managed::owned(parts));
    let (kept, going): (Vec<&Part>, Vec<&Part>) =
        parts.iter().partition(|part| is_wanted(part, wanted, step));
    let missing: Vec<_> =
        wanted.iter().filter(|(section, _)| !kept.iter().any(|part| part.section == **section)).collect();
    if going.is_empty() && missing.is_empty() {
        return Ok(Edited { bytes: file.bytes().to_vec(), changes: Vec::new() });
    }

    let at = going.first().map_or(file.tree().node(file.root()).start, |part| part.span.start);
    let middle_text = managed::stripped(file, going.iter().copied());
    let middle = if going.is_empty() { None } else { Some(verify::parse_again(file, middle_text, at)?) };
    let middle = middle.as_ref().unwrap_or(file);
    let insertions = insert::plan(middle, &missing, step)?;
    let text = insert::apply(middle.source().text(), &insertions);
    let edited = if insertions.is_empty() { None } else { Some(verify::parse_again(file, text, at)?) };
    let edited = edited.as_ref().unwrap_or(middle);
    verify::prove(file, parts, edited, wanted, step)?;

    let changes = changes(file, &going, edited, &insertions);
    Ok(Edited { bytes: edited.bytes().to_vec(), changes })
}

fn changes(
    file: &ComposeFile,
    going: &[&Part],
    edited: &ComposeFile,
    insertions: &[insert::Insertion],
) -> Vec<Change> {
    let mut old: BTreeMap<Section, Vec<(usize, String)>> = BTreeMap::new();
    for part in going {
        for removal in &part.removals {
            let lines = change::numbered(
                file.source().line(removal.range.start),
                file.source().slice(removal.range.clone()),
            );
            old.entry(part.section).or_default().extend(lines);
        }
    }
    let mut new: BTreeMap<Section, Vec<(usize, String)>> = BTreeMap::new();
    let mut shift = 0;
    for insertion in insertions {
        let first = edited.source().line(insertion.range.start + shift);
        new.entry(insertion.section).or_default().extend(change::numbered(first, &insertion.text));
        shift = shift + insertion.text.len() - insertion.range.len();
    }
    let nothing = Vec::new();
    let mut sections = Section::ALL.to_vec();
    let first_line = |section: &Section| {
        let lines = new.get(section).or_else(|| old.get(section)).and_then(|lines| lines.first());
        lines.map_or(0, |(line, _)| *line)
    };
    sections.sort_by_key(first_line);
    sections
        .iter()
        .flat_map(|section| {
            change::differing(old.get(section).unwrap_or(&nothing), new.get(section).unwrap_or(&nothing))
        })
        .collect()
}
