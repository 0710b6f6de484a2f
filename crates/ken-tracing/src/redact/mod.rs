//! What may leave, and how the rest is masked.
//!
//! A text is looked through by scans that skip most of it: runs that are long enough for a key
//! (`tokens`), digits that are enough for a card (`numbers`), colons and equal signs behind which a value
//! stands (`keyed`). Only where one of them stops is looked more closely.

mod escapes;
mod found;
mod keyed;
mod numbers;
mod personal;
mod policy;
mod tokens;

use std::borrow::Cow;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hmac::{Hmac, Mac};
use memchr::memmem::Finder;
use sha2::Sha256;

use found::{Found, Piece};
use keyed::Keys;
use personal::Patterns;

pub use policy::{Action, Class, Field, Policy, PolicyError};

/// What a cut text ends with.
const CUT: &str = "…[truncated]";

/// A policy, ready for use.
#[derive(Debug)]
pub struct Redactor {
    policy: Policy,
    keys: Keys,
    patterns: Patterns,
    private_key: Finder<'static>,
    wants: Wants,
}

/// Which scans are needed.
#[derive(Debug, Clone, Copy)]
struct Wants {
    tokens: bool,
    private_keys: bool,
    keys: bool,
    urls: bool,
    cards: bool,
}

impl Redactor {
    /// Compiles a policy.
    ///
    /// # Errors
    /// A pattern that is no regular expression, a label that cannot stand in a mask, or hashing without a
    /// key.
    pub fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let hashes = policy.classes.values().chain(policy.fields.values()).any(|it| *it == Action::Hash);
        if hashes && policy.hash_key.len() < 16 {
            return Err(PolicyError::NoHashKey);
        }
        let acts = |class| policy.classes.get(&class).is_some_and(|it| *it != Action::Keep);
        let wants = Wants {
            tokens: acts(Class::ApiKey) || acts(Class::AuthToken) || acts(Class::Jwt),
            private_keys: acts(Class::PrivateKey),
            keys: acts(Class::Keyed),
            urls: acts(Class::UrlPassword),
            cards: acts(Class::Card),
        };
        let own = if acts(Class::Custom) { policy.patterns.as_slice() } else { &[] };
        Ok(Self {
            keys: Keys::new(&policy.keys),
            patterns: Patterns::new(&acts, own)?,
            private_key: Finder::new(b"-----BEGIN ").into_owned(),
            wants,
            policy: policy.clone(),
        })
    }

    /// Whether nothing would be changed but by cutting.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let wants = self.wants;
        !(wants.tokens || wants.private_keys || wants.keys || wants.urls || wants.cards)
            && self.patterns.is_empty()
            && self.policy.fields.values().all(|it| *it == Action::Keep)
    }

    /// What leaves in the place of `text`; `None` when the field does not. `key` is that of the attribute or
    /// metadata, empty when there is none: a value under a key such as `password` is masked whole. A text on
    /// which the scans fail does not leave.
    #[must_use]
    pub fn text<'t>(&self, field: Field, key: &str, text: &'t str) -> Option<Cow<'t, str>> {
        match self.policy.fields.get(&field).copied().unwrap_or_default() {
            Action::Drop => return None,
            Action::Mask if text.is_empty() => return Some(Cow::Borrowed("")),
            Action::Mask => return Some(Cow::Borrowed("[redacted]")),
            Action::Hash => return Some(Cow::Owned(self.hash(text))),
            Action::Keep => {}
        }
        if self.wants.keys && !key.is_empty() && !text.is_empty() && self.keys.is_secret(key.as_bytes()) {
            let mut out = String::new();
            let whole = Piece { start: 0, end: text.len(), class: Class::Keyed, pattern: 0, quotes: None };
            self.replace(text, &whole, &mut out);
            return Some(Cow::Owned(out));
        }
        catch_unwind(AssertUnwindSafe(|| self.masked(text))).ok()
    }

    fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found = Found::default();
        self.scan(text.as_bytes(), &mut found);
        if escapes::can_hide(text.as_bytes()) {
            let plain = escapes::unescape(text.as_bytes());
            let mut here = Found::default();
            self.scan(&plain.text, &mut here);
            plain.put_back(here, &mut found);
        }
        found.0.retain(|piece| self.action(piece.class) != Action::Keep);
        if found.0.is_empty() {
            return match cut_at(text, self.policy.max_value_bytes) {
                None => Cow::Borrowed(text),
                Some(end) => Cow::Owned(format!("{}{CUT}", &text[..end])),
            };
        }
        found.settle();
        let mut out = String::with_capacity(text.len());
        let mut masks = Vec::with_capacity(found.0.len());
        let mut at = 0;
        for piece in &found.0 {
            // Scans work on bytes; a piece never begins or ends within a character.
            let start = text.floor_char_boundary(piece.start).max(at);
            let end = text.ceil_char_boundary(piece.end);
            out.push_str(&text[at..start]);
            let began = out.len();
            self.replace(&text[start..end], piece, &mut out);
            masks.push((began, out.len()));
            at = end;
        }
        out.push_str(&text[at..]);
        if let Some(mut end) = cut_at(&out, self.policy.max_value_bytes) {
            if let Some((start, _)) = masks.iter().find(|(start, stop)| *start < end && end < *stop) {
                end = *start;
            }
            out.truncate(end);
            out.push_str(CUT);
        }
        Cow::Owned(out)
    }

    fn scan(&self, text: &[u8], found: &mut Found) {
        let wants = self.wants;
        if wants.tokens && text.len() >= tokens::SHORTEST {
            tokens::scan(text, found);
        }
        if wants.keys || wants.urls {
            keyed::scan(text, &self.keys, wants.keys, wants.urls, found);
        }
        if wants.cards {
            numbers::cards(text, found);
        }
        if wants.private_keys {
            self.private_keys(text, found);
        }
        if !self.patterns.is_empty() {
            self.patterns.scan(text, found);
        }
    }

    /// From `-----BEGIN … PRIVATE KEY-----` to its end, or to the end of the text when it was cut off.
    fn private_keys(&self, text: &[u8], found: &mut Found) {
        for start in self.private_key.find_iter(text) {
            let head = &text[start..text.len().min(start + 64)];
            let Some(title) = memchr::memmem::find(head, b"PRIVATE KEY") else { continue };
            let body = start + title;
            let end = memchr::memmem::find(&text[body..], b"-----END ")
                .and_then(|end| {
                    let tail = body + end + 9;
                    memchr::memmem::find(&text[tail..], b"-----").map(|close| tail + close + 5)
                })
                // A block that was cut off ends with its string.
                .or_else(|| memchr::memchr2(b'"', b'\'', &text[body..]).map(|quote| body + quote))
                .unwrap_or(text.len());
            found.push(start, end, Class::PrivateKey);
        }
    }

    fn action(&self, class: Class) -> Action {
        self.policy.classes.get(&class).copied().unwrap_or_default()
    }

    /// Writes what stands in the place of a piece.
    fn replace(&self, text: &str, piece: &Piece, out: &mut String) {
        let quote = |out: &mut String| {
            if let Some(n_slashes) = piece.quotes {
                (0..n_slashes).for_each(|_| out.push('\\'));
                out.push('"');
            }
        };
        quote(out);
        if self.action(piece.class) == Action::Hash {
            out.push_str(&self.hash(text));
        } else {
            let own = usize::from(piece.pattern).checked_sub(1).and_then(|it| self.policy.patterns.get(it));
            let name = own.map_or(piece.class.name(), |(label, _)| label);
            let _infallible = write!(out, "[redacted:{name}]");
        }
        quote(out);
    }

    /// A keyed hash, so short that it says nothing and so long that two values hardly share it.
    fn hash(&self, text: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.policy.hash_key) else {
            return "[redacted]".to_owned();
        };
        mac.update(text.as_bytes());
        let mut out = "[hash:".to_owned();
        for byte in mac.finalize().into_bytes().iter().take(8) {
            let _infallible = write!(out, "{byte:02x}");
        }
        out.push(']');
        out
    }
}

/// Where a text must be cut, if it must.
fn cut_at(text: &str, most: usize) -> Option<usize> {
    (text.len() > most).then(|| text.floor_char_boundary(most))
}
