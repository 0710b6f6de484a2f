//! The punctuation of a file, as the parser's own scanner saw it.
//!
//! Events carry no colons, dashes and commas, and edits inside brackets need their exact places.

use std::ops::Range;

use granit_parser::{Scanner, StrInput, TokenType};

/// Where each `:`, `-` and `,` stands, in the order of the text.
#[derive(Default)]
pub(crate) struct Tokens {
    colons: Vec<Range<usize>>,
    dashes: Vec<Range<usize>>,
    commas: Vec<Range<usize>>,
}

impl Tokens {
    /// Scans a text that has been parsed before; what follows an error is left out.
    pub(crate) fn scan(text: &str) -> Self {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        let mut tokens = Self::default();
        for token in Scanner::with_options(StrInput::new(text), options).map_while(Result::ok) {
            let (span, kind) = token.into_parts();
            let list = match kind {
                TokenType::Value => &mut tokens.colons,
                TokenType::BlockEntry => &mut tokens.dashes,
                TokenType::FlowEntry => &mut tokens.commas,
                _ => continue,
            };
            list.extend(span.byte_range());
        }
        tokens
    }

    /// The colon after a key that ends there.
    pub(crate) fn colon_after(&self, key_end: usize) -> Option<Range<usize>> {
        self.colons.get(self.colons.partition_point(|colon| colon.start < key_end)).cloned()
    }

    /// The dash before an item that begins there.
    pub(crate) fn dash_before(&self, item_start: usize) -> Option<Range<usize>> {
        self.dashes[..self.dashes.partition_point(|dash| dash.end <= item_start)].last().cloned()
    }

    /// The first comma in a stretch of text between two items.
    pub(crate) fn comma_within(&self, range: Range<usize>) -> Option<Range<usize>> {
        let index = self.commas.partition_point(|comma| comma.start < range.start);
        self.commas.get(index).filter(|comma| comma.end <= range.end).cloned()
    }
}
