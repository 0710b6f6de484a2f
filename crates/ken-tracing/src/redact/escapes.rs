//! JSON's escapes: a secret written with them is a secret all the same.

use super::found::{Found, Piece};

/// A text without escapes, and where each of its bytes came from.
pub(super) struct Plain {
    pub(super) text: Vec<u8>,
    /// Where each byte began, and at last where the text ended.
    places: Vec<usize>,
}

/// Texts within texts within texts are as deep as is looked.
const DEEPEST: usize = 3;

/// Whether a text holds escapes that can hide something: characters by their number, and slashes.
pub(super) fn can_hide(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"\\u00").is_some() || memchr::memmem::find(text, b"\\/").is_some()
}

/// The text with its escapes read, as often as there are escapes that hide.
pub(super) fn unescape(text: &[u8]) -> Plain {
    let mut plain = Plain { text: text.to_vec(), places: (0..=text.len()).collect() };
    for _ in 0..DEEPEST {
        if !can_hide(&plain.text) {
            break;
        }
        plain = once(&plain);
    }
    plain
}

/// Characters by number and slashes; other escapes stay, so that quotes keep their meaning.
fn once(from: &Plain) -> Plain {
    let text = &from.text;
    let mut out = Plain { text: Vec::with_capacity(text.len()), places: Vec::with_capacity(text.len() + 1) };
    let mut at = 0;
    while at < text.len() {
        let (byte, length) = match (&text[at], text.get(at + 1)) {
            (b'\\', Some(b'/')) => (b'/', 2),
            (b'\\', Some(b'u')) => match ascii(&text[at + 2..]) {
                // A quote or backslash by number would end strings that do not end.
                Some(byte) if byte != b'"' && byte != b'\\' => (byte, 6),
                _ => (b'\\', 1),
            },
            // Two of them are one, before what is looked at once more.
            (b'\\', Some(b'\\')) if matches!(text.get(at + 2), Some(b'u' | b'/')) => (b'\\', 2),
            (byte, _) => (*byte, 1),
        };
        out.text.push(byte);
        out.places.push(from.places[at]);
        at += length;
    }
    out.places.push(from.places[text.len()]);
    out
}

/// The ASCII character of four hexadecimal digits.
fn ascii(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    u8::try_from(u32::from_str_radix(digits, 16).ok()?).ok().filter(u8::is_ascii)
}

impl Plain {
    /// Puts what was found here to where it stands in the text with escapes.
    pub(super) fn put_back(&self, here: Found, found: &mut Found) {
        for piece in here.0 {
            let (start, end) = (self.places[piece.start], self.places[piece.end]);
            if start < end {
                found.0.push(Piece { start, end, ..piece });
            }
        }
    }
}
