//! The result of an edit, with the lines it adds and removes.

use std::fmt;

use similar::{Algorithm, ChangeTag, capture_diff_slices};

/// The bytes of an edited file and what differs.
#[derive(Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What was added and removed, empty when nothing changes.
    pub changes: Vec<Change>,
}

impl Edited {
    /// Whether the file differs from what was read.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }
}

/// The owner's lines may hold secrets, so only ours are shown.
impl fmt::Debug for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edited").field("bytes", &self.bytes.len()).field("changes", &self.changes).finish()
    }
}

/// One line of ours that comes or goes. Inside brackets it is our part of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The line, from 1: of the new file when added, of the old one when removed.
    pub line: usize,
    /// Whether it is added.
    pub added: bool,
    /// The text without its line break.
    pub text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.added { '+' } else { '-' }, self.text)
    }
}

/// Numbered lines of one section before and after, less those that are the same.
pub(crate) fn differing(old: &[(usize, String)], new: &[(usize, String)]) -> Vec<Change> {
    let old_texts: Vec<&str> = old.iter().map(|(_, text)| text.as_str()).collect();
    let new_texts: Vec<&str> = new.iter().map(|(_, text)| text.as_str()).collect();
    capture_diff_slices(Algorithm::Myers, &old_texts, &new_texts)
        .iter()
        .flat_map(|operation| operation.iter_changes(&old_texts, &new_texts))
        .filter_map(|change| {
            let (lines, index, added) = match change.tag() {
                ChangeTag::Equal => return None,
                ChangeTag::Delete => (old, change.old_index()?, false),
                ChangeTag::Insert => (new, change.new_index()?, true),
            };
            let (line, text) = lines.get(index)?;
            Some(Change { line: *line, added, text: text.clone() })
        })
        .collect()
}

/// Text of which each line gets its number, from the line on which it begins.
pub(crate) fn numbered(first: usize, text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.trim_end_matches('\n')
        .split('\n')
        .enumerate()
        .map(|(i, line)| (first + i, line.to_owned()))
        .collect()
}
