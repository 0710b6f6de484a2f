//! The punctuation of a file, as the parser's own scanner saw it.
//!
//! Events carry no colons, dashes and commas, and edits need their exact places.

use std::ops::Range;

use granit_parser::{Scanner, StrInput, TokenType};

/// Where punctuation stands, in the order of the text.
#[derive(Default)]
pub(crate) struct Tokens {
    colons: Vec<Range<usize>>,
    commas: Vec<Range<usize>>,
    /// The first dash of each sequence that is indented below its key.
    first_dashes: Vec<usize>,
}

impl Tokens {
    /// Scans a text that has been parsed before; what follows an error is left out.
    pub(crate) fn scan(text: &str) -> Self {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        let mut tokens = Self::default();
        for token in Scanner::with_options(StrInput::new(text), options).map_while(Result::ok) {
            let (span, kind) = token.into_parts();
            let Some(range) = span.byte_range() else { continue };
            match kind {
                // The scanner gives the place of a colon, not its length.
                TokenType::Value if text[range.start..].starts_with(':') => {
                    tokens.colons.push(range.start..range.start + 1);
                }
                TokenType::FlowEntry => tokens.commas.push(range),
                TokenType::BlockSequenceStart => tokens.first_dashes.push(range.start),
                _ => {}
            }
        }
        tokens
    }

    /// The colon after a key that ends there.
    pub(crate) fn colon_after(&self, key_end: usize) -> Option<Range<usize>> {
        self.colons.get(self.colons.partition_point(|colon| colon.start < key_end)).cloned()
    }

    /// Whether the first dash of an indented sequence stands there.
    pub(crate) fn is_first_dash(&self, offset: usize) -> bool {
        self.first_dashes.binary_search(&offset).is_ok()
    }

    /// The first comma in a stretch of text between two items.
    pub(crate) fn comma_within(&self, range: Range<usize>) -> Option<Range<usize>> {
        let index = self.commas.partition_point(|comma| comma.start < range.start);
        self.commas.get(index).filter(|comma| comma.end <= range.end).cloned()
    }
}
