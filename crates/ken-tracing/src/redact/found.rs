//! What was found in a text.

use super::policy::Class;

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
    /// Of the policy's own patterns.
    pub(super) pattern: u16,
    /// The mask needs quotes around it, each after so many backslashes: it takes the place of a JSON value
    /// that is no string.
    pub(super) quotes: Option<u8>,
}

/// The pieces of a text, in any order.
#[derive(Debug, Default)]
pub(super) struct Found(pub(super) Vec<Piece>);

impl Found {
    pub(super) fn push(&mut self, start: usize, end: usize, class: Class) {
        if start < end {
            self.0.push(Piece { start, end, class, pattern: 0, quotes: None });
        }
    }

    /// Ordered and without overlaps: pieces that overlap become one, of the class that began first. Where a
    /// whole value goes, so does everything in it.
    pub(super) fn settle(&mut self) {
        self.0.sort_unstable_by_key(|piece| (piece.start, std::cmp::Reverse(piece.end)));
        let mut settled: Vec<Piece> = Vec::with_capacity(self.0.len());
        for piece in self.0.drain(..) {
            match settled.last_mut() {
                Some(last) if piece.start < last.end => last.end = last.end.max(piece.end),
                _ => settled.push(piece),
            }
        }
        self.0 = settled;
    }
}
