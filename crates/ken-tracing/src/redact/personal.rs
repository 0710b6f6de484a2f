//! Personal data, and what a policy's own patterns find: looked for only where that is asked for.

use regex::bytes::Regex;

use super::found::{Found, Piece};
use super::policy::{Class, PolicyError};

/// Expressions without Unicode classes: those make a scan many times slower.
const EXPRESSIONS: [(Class, &str); 5] = [
    (
        Class::Email,
        r"(?-u)[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63})*\.[A-Za-z]{2,24}",
    ),
    (Class::Phone, r"(?-u)\+[1-9][0-9]{0,2}[ .\-/]?(?:\([0-9]{1,4}\)[ .\-/]?)?[0-9](?:[ .\-/]?[0-9]){5,12}"),
    (Class::Iban, r"(?-u)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    (
        Class::IpAddress,
        r"(?-u)\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\b",
    ),
    (
        Class::IpAddress,
        r"(?-u)(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}|(?:[0-9A-Fa-f]{1,4}:){2,7}:|::(?:[0-9A-Fa-f]{1,4}:){1,6}[0-9A-Fa-f]{1,4}",
    ),
];

/// The expressions that a policy asks for.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    list: Vec<(Class, u16, Regex)>,
}

impl Patterns {
    pub(super) fn new(wanted: &dyn Fn(Class) -> bool, own: &[(String, String)]) -> Result<Self, PolicyError> {
        let mut list = Vec::new();
        let compile = |label: &str, expression: &str| {
            Regex::new(expression)
                .map_err(|error| PolicyError::Pattern { label: label.to_owned(), why: error.to_string() })
        };
        for (class, expression) in EXPRESSIONS {
            if wanted(class) {
                list.push((class, 0, compile(class.name(), expression)?));
            }
        }
        for (number, (label, expression)) in own.iter().enumerate() {
            let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
            if label.is_empty() || !label.chars().all(fits) {
                return Err(PolicyError::Label { label: label.clone() });
            }
            let number = u16::try_from(number + 1).unwrap_or(u16::MAX);
            list.push((Class::Custom, number, compile(label, expression)?));
        }
        Ok(Self { list })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn scan(&self, text: &[u8], found: &mut Found) {
        for (class, pattern, expression) in &self.list {
            for it in expression.find_iter(text) {
                let is_real = match class {
                    Class::Iban => is_iban(it.as_bytes()),
                    // `a::b` in code and times of day have no letter beyond f and no four groups.
                    Class::IpAddress => is_address(text, it.start(), it.end()),
                    _ => true,
                };
                if is_real && it.start() < it.end() {
                    let piece = Piece {
                        start: it.start(),
                        end: it.end(),
                        class: *class,
                        pattern: *pattern,
                        quotes: None,
                    };
                    found.0.push(piece);
                }
            }
        }
    }
}

/// The check digits of ISO 13616: moved to the end, letters as numbers, the remainder by 97 is 1.
fn is_iban(text: &[u8]) -> bool {
    let plain: Vec<u8> = text.iter().copied().filter(|it| *it != b' ').collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let (head, tail) = plain.split_at(4);
    let rest = tail.iter().chain(head).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}

fn is_address(text: &[u8], start: usize, end: usize) -> bool {
    let in_word = |byte: Option<&u8>| {
        byte.is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b':' | b'_'))
    };
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    // A port may follow a v4 address.
    let separator = if text[start..end].contains(&b':') { b':' } else { b'.' };
    let goes_on = text.get(end).is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_')
        || (text.get(end) == Some(&separator) && text.get(end + 1).is_some_and(u8::is_ascii_digit));
    !in_word(before)
        && !goes_on
        && std::str::from_utf8(&text[start..end]).is_ok_and(|it| it.parse::<std::net::IpAddr>().is_ok())
}
