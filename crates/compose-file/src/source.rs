//! The text of a file with its lines: checks before parsing, and offsets to line and column.

use std::ops::Range;

use crate::error::ParseProblem;

/// More bytes than this are not read as a Compose file.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// UTF-8 text and where its lines begin.
pub(crate) struct Source {
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Takes bytes that are UTF-8 and free of characters that YAML forbids.
    /// An error comes with its line and column.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self, (usize, usize, ParseProblem)> {
        if bytes.len() > MAX_BYTES {
            let problem = ParseProblem::TooLarge { bytes: bytes.len() as u64, limit: MAX_BYTES as u64 };
            return Err((1, 1, problem));
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err((1, 1, ParseProblem::WideEncoding));
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let head = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                let (line, column) = Self::index(head).position(valid);
                return Err((line, column, ParseProblem::NotUtf8));
            }
        };
        let source = Self::index(text);
        match source.text.char_indices().find(|(_, c)| !is_printable(*c)) {
            Some((offset, c)) => {
                let (line, column) = source.position(offset);
                Err((line, column, ParseProblem::ControlCharacter { code: u32::from(c) }))
            }
            None => Ok(source),
        }
    }

    fn index(text: String) -> Self {
        let mut line_starts = vec![0];
        let bytes = text.as_bytes();
        for (offset, byte) in bytes.iter().enumerate() {
            let ends = match byte {
                b'\n' => true,
                b'\r' => bytes.get(offset + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends {
                line_starts.push(offset + 1);
            }
        }
        Self { text, line_starts }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    /// The index of the line, from 0.
    fn line_index(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) - 1
    }

    /// The line, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_index(offset) + 1
    }

    /// Line and column in characters, both from 1.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let index = self.line_index(offset);
        let before = self.slice(self.line_start(offset)..offset.min(self.text.len()));
        (index + 1, before.chars().count() + 1)
    }

    /// Where the line begins, after a byte-order mark.
    pub(crate) fn line_start(&self, offset: usize) -> usize {
        let start = self.line_starts[self.line_index(offset)];
        if start == 0 && self.text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { start }
    }

    /// Where the next line begins, or the end of the text.
    pub(crate) fn line_end(&self, offset: usize) -> usize {
        self.line_starts.get(self.line_index(offset) + 1).copied().unwrap_or(self.text.len())
    }

    /// The line break at the end of the line, empty for a last line without one.
    pub(crate) fn line_break(&self, offset: usize) -> &str {
        let line = self.slice(self.line_start(offset)..self.line_end(offset));
        &line[line.trim_end_matches(['\r', '\n']).len()..]
    }

    /// The line break of that line, else of the line before it, else a line feed.
    pub(crate) fn neighbouring_line_break(&self, offset: usize) -> &str {
        let own = self.line_break(offset);
        let start = self.line_start(offset);
        match (own, start) {
            ("", 0) => "\n",
            ("", _) => match self.line_break(start - 1) {
                "" => "\n",
                before => before,
            },
            _ => own,
        }
    }

    /// The number of spaces before the offset, when there is nothing else before it on its line.
    pub(crate) fn indentation(&self, offset: usize) -> Option<usize> {
        let before = self.slice(self.line_start(offset)..offset);
        before.bytes().all(|byte| byte == b' ').then_some(before.len())
    }
}

/// YAML's printable characters and white space.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}
