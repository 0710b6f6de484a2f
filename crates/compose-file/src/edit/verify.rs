//! The proof of an edit: the result is parsed again and compared with what was there before.

use crate::compose_file::ComposeFile;
use crate::edit::{is_wanted, outline::outline};
use crate::error::{EditError, EditProblem};
use crate::fragment::{Content, Wanted};
use crate::managed::{self, Part};
use crate::tree::Quotes;

/// Parses an edited text. That it cannot be parsed is told for the place where the edit began, as
/// the lines of a text that is not handed out would help nobody.
pub(super) fn parse_again(file: &ComposeFile, text: String, at: usize) -> Result<ComposeFile, EditError> {
    let problem = EditProblem::NotExact { what: "it could not be read any more" };
    ComposeFile::parse(file.path(), text.into_bytes()).map_err(|_| file.edit_error(at, problem))
}

/// Checks that the edited file holds what is wanted, that taking it out gives the owner's bytes, and
/// that the owner's data, anchors and comments are the same as before.
pub(super) fn prove(
    before: &ComposeFile,
    before_parts: &[Part],
    edited: &ComposeFile,
    wanted: &Wanted,
    step: usize,
) -> Result<(), EditError> {
    let fail =
        |what| before.edit_error(before.tree().node(before.root()).start, EditProblem::NotExact { what });
    let parts = managed::find(edited)?;
    if parts.len() != wanted.len() || !parts.iter().all(|part| is_wanted(part, wanted, step)) {
        return Err(fail("the entries are not found again"));
    }
    if !holds(edited, wanted) {
        return Err(fail("the entries have another meaning there"));
    }
    if managed::stripped(before, before_parts) != managed::stripped(edited, &parts) {
        return Err(fail("taking the entries out gives other bytes"));
    }
    if outline(before, before_parts) != outline(edited, &parts) {
        return Err(fail("an entry of the owner has another meaning"));
    }
    Ok(())
}

/// Whether our entries stand in the file with the content that they were given.
fn holds(file: &ComposeFile, wanted: &Wanted) -> bool {
    let tree = file.tree();
    wanted.iter().all(|(section, content)| {
        let Some((_, value)) = tree.own_entry(file.root(), section.key()) else { return false };
        match content {
            Content::Path(path) => tree.items(value).iter().any(|item| tree.scalar(*item) == Some(path)),
            Content::Entries(entries) => entries.iter().all(|entry| {
                let Some((_, value)) = tree.own_entry(value, &entry.name) else { return false };
                match entry.tree.root {
                    Some(root) => tree.same_data(value, &entry.tree, root, Quotes::Differ),
                    None => tree.is_null(value),
                }
            }),
        }
    })
}
