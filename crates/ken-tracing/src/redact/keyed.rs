//! Values under keys such as `password`: in JSON, in JSON within JSON, in `key=value` and `key: value`; and
//! the password of a URL. All of them have a `:` or a `=`.

use std::collections::BTreeSet;

use memchr::memchr2_iter;

use super::found::{Found, Piece};
use super::policy::Class;
use super::tokens;

/// Keys whose values are secret, in small letters without `-` and `_`.
const KEYS: [&str; 33] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "pass",
    "secret",
    "secrets",
    "clientsecret",
    "secretkey",
    "apikey",
    "xapikey",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "bearertoken",
    "sessiontoken",
    "bottoken",
    "csrftoken",
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "privatekey",
    "accesskey",
    "secretaccesskey",
    "credential",
    "credentials",
    "connectionstring",
    "accountkey",
    "signingkey",
    "encryptionkey",
];
/// Endings of keys that are secret too.
const ENDINGS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesstoken",
    "authtoken",
    "refreshtoken",
    "secretkey",
    "privatekey",
    "accesskey",
    "apitoken",
];
/// Keys that end like a secret and are none.
const NONE: [&str; 8] = [
    "nexttoken",
    "pagetoken",
    "nextpagetoken",
    "continuationtoken",
    "firsttoken",
    "timetofirsttoken",
    "maxtoken",
    "stoptoken",
];
/// No key that counts is longer.
const LONGEST_KEY: usize = 48;

/// The keys of a policy.
#[derive(Debug)]
pub(super) struct Keys {
    own: BTreeSet<String>,
}

impl Keys {
    pub(super) fn new(own: &[String]) -> Self {
        Self { own: own.iter().map(|key| small(key.as_bytes())).collect() }
    }

    /// Whether a value under this key is secret.
    pub(super) fn is_secret(&self, key: &[u8]) -> bool {
        // Attribute keys have segments: the last one names the value.
        let key = key.rsplit(|it| *it == b'.').next().unwrap_or(key);
        if key.len() < 3 || key.len() > LONGEST_KEY {
            return false;
        }
        let mut buffer = [0; LONGEST_KEY];
        let mut length = 0;
        for byte in key.iter().filter(|it| it.is_ascii_alphanumeric()) {
            buffer[length] = byte.to_ascii_lowercase();
            length += 1;
        }
        let key = &buffer[..length];
        if !self.own.is_empty() && std::str::from_utf8(key).is_ok_and(|key| self.own.contains(key)) {
            return true;
        }
        let is_any = |list: &[&str]| list.iter().any(|it| it.as_bytes() == key);
        let ends = |ending: &str| key.ends_with(ending.as_bytes());
        is_any(&KEYS) || ((ends("token") || ENDINGS.iter().any(|it| ends(it))) && !is_any(&NONE))
    }
}

/// The last two letters of all keys above: most other keys end otherwise, and one look decides.
fn can_end(one: u8, two: u8) -> bool {
    matches!(
        (one | 0x20, two | 0x20),
        (b'r' | b'w', b'd')
            | (b's' | b'i', b'e')
            | (b's' | b't' | b'l', b's')
            | (b'e', b't' | b'y' | b'n')
            | (b'o', b'n')
            | (b'a', b'l')
            | (b'n', b'g')
    )
}

fn small(key: &[u8]) -> String {
    key.iter().filter(|it| it.is_ascii_alphanumeric()).map(|it| it.to_ascii_lowercase() as char).collect()
}

/// Finds values under secret keys, and passwords of URLs.
pub(super) fn scan(text: &[u8], keys: &Keys, with_keys: bool, with_urls: bool, found: &mut Found) {
    let mut floor = 0;
    for at in memchr2_iter(b':', b'=', text) {
        if at < floor {
            continue;
        }
        if text[at] == b':' && text[at + 1..].starts_with(b"//") {
            if with_urls && let Some((start, end)) = url_password(text, at + 3) {
                found.push(start, end, Class::UrlPassword);
            }
            continue;
        }
        if !with_keys {
            continue;
        }
        let Some(key) = key_before(text, at, keys.own.is_empty()) else { continue };
        if !keys.is_secret(&text[key.start..key.end]) {
            continue;
        }
        if let Some(piece) = value_after(text, at, &key) {
            floor = piece.end;
            found.0.push(piece);
        }
    }
}

/// `user:password@host` after `://`: where the password is.
fn url_password(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut colon = None;
    let mut last_at = None;
    for (at, byte) in text[start..].iter().enumerate().take(512) {
        match byte {
            b':' if colon.is_none() => colon = Some(start + at + 1),
            b'@' => last_at = Some(start + at),
            b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' => break,
            it if it.is_ascii_whitespace() => break,
            _ => {}
        }
    }
    match (colon, last_at) {
        (Some(colon), Some(at)) if colon < at => Some((colon, at)),
        _ => None,
    }
}

struct KeyPlace {
    start: usize,
    end: usize,
    is_quoted: bool,
}

/// The key in front of a `:` or `=`.
fn key_before(text: &[u8], mut at: usize, ours_alone: bool) -> Option<KeyPlace> {
    let blank = |byte: u8| byte == b' ' || byte == b'\t';
    let mut n_blanks = 0;
    while at > 0 && blank(text[at - 1]) && n_blanks < 4 {
        at -= 1;
        n_blanks += 1;
    }
    let quote = text.get(at.checked_sub(1)?).copied().filter(|it| *it == b'"' || *it == b'\'');
    if quote.is_some() {
        at -= 1;
        while at > 0 && text[at - 1] == b'\\' {
            at -= 1;
        }
    }
    let end = at;
    // The cheap question first: most keys end otherwise.
    let (one, two) = (*text.get(end.checked_sub(2)?)?, *text.get(end - 1)?);
    if !two.is_ascii_alphanumeric() || (ours_alone && !can_end(one, two)) {
        return None;
    }
    let mut start = end;
    while start > 0
        && end - start <= LONGEST_KEY
        && (tokens::in_run(text[start - 1]) || text[start - 1] == b'.')
    {
        start -= 1;
    }
    // Prefixes of a name are taken off: in `db-password` it is the ending that counts.
    (end - start <= LONGEST_KEY).then_some(KeyPlace { start, end, is_quoted: quote.is_some() })
}

/// The value behind a `:` or `=`, as a piece to be masked.
fn value_after(text: &[u8], separator: usize, key: &KeyPlace) -> Option<Piece> {
    let mut at = separator + 1;
    // `==` compares, `:=` and `=>` assign and lead on.
    match text.get(at)? {
        b'=' if text[separator] == b'=' => return None,
        b'=' | b'>' => at += 1,
        _ => {}
    }
    let before_blanks = at;
    while at < text.len()
        && (text[at] == b' ' || text[at] == b'\t' || (key.is_quoted && text[at].is_ascii_whitespace()))
    {
        at += 1;
    }
    let has_blanks = at > before_blanks;
    let n_slashes = text[at..].iter().take_while(|it| **it == b'\\').count();
    let first = *text.get(at + n_slashes)?;
    let piece = |start, end, quotes| {
        (start < end).then_some(Piece { start, end, class: Class::Keyed, pattern: 0, quotes })
    };
    if first == b'"' || first == b'\'' {
        let start = at + n_slashes + 1;
        return piece(start, string_end(text, start, first, n_slashes), None);
    }
    if key.is_quoted {
        // JSON: a number, a truth value, a list or an object. Null says nothing.
        let n_key = text[..key.start].iter().rev().skip(1).take_while(|it| **it == b'\\').count();
        let quotes = Some(u8::try_from(n_key).unwrap_or(0));
        let is_token = text[key.start..key.end].to_ascii_lowercase().ends_with(b"token");
        return match first {
            b'{' | b'[' => piece(at, closed(text, at), quotes),
            b'0'..=b'9' | b'-' if is_token => None,
            b'0'..=b'9' | b'-' | b't' | b'f' => {
                let length = text[at..]
                    .iter()
                    .take_while(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'+' | b'.'))
                    .count();
                piece(at, at + length, quotes)
            }
            _ => None,
        };
    }
    plain(text, at, separator, has_blanks, key)
}

/// An unquoted value of `key=value` or `key: value`.
fn plain(text: &[u8], at: usize, separator: usize, has_blanks: bool, key: &KeyPlace) -> Option<Piece> {
    let name = small(&text[key.start..key.end]);
    let is_header = name.ends_with("authorization") || name.ends_with("cookie");
    let mut start = at;
    // The scheme stays to be seen.
    for scheme in [&b"bearer "[..], b"basic ", b"token "] {
        if text[start..].len() > scheme.len()
            && text[start..start + scheme.len()].eq_ignore_ascii_case(scheme)
        {
            start += scheme.len();
        }
    }
    let ends = |byte: u8| {
        byte.is_ascii_whitespace()
            || matches!(
                byte,
                b'"' | b'\'' | b',' | b';' | b'&' | b'<' | b'>' | b'`' | b')' | b']' | b'}' | b'\\'
            )
    };
    let length = text[start..].iter().take_while(|it| !ends(**it)).count();
    let value = &text[start..start + length];
    let trimmed = value.iter().rev().skip_while(|it| matches!(it, b'.' | b':' | b'!' | b'?')).count();
    let value = &value[..trimmed];
    if value.is_empty()
        || matches!(value[0], b'$' | b'{' | b'<' | b'%' | b'(' | b'[' | b'*')
        || value.contains(&b'(')
    {
        return None;
    }
    let has_digit = value.iter().any(u8::is_ascii_digit);
    let has_symbol =
        value.iter().any(|it| it.is_ascii_punctuation() && *it != b'.' && *it != b'_' && *it != b'-');
    let is_mixed = value.iter().any(u8::is_ascii_uppercase)
        && value.iter().any(u8::is_ascii_lowercase)
        && !value[0].is_ascii_uppercase();
    let is_likely = match (text[separator], has_blanks) {
        // `password=hunter2` in an address, a form or a shell.
        (b'=', false) => {
            value.len() >= 4 && !matches!(value, b"None" | b"null" | b"true" | b"false" | b"self")
        }
        // Code assigns names; prose goes on after a colon.
        _ => {
            value.len() >= 6 && (has_digit || has_symbol || (is_header && is_mixed)) && !value.contains(&b'.')
        }
    };
    let is_likely = is_likely || (is_header && start > at && tokens::is_basic(value));
    is_likely.then_some(Piece {
        start,
        end: start + value.len(),
        class: Class::Keyed,
        pattern: 0,
        quotes: None,
    })
}

/// The end of a string that began after a quote with so many backslashes in front of it.
fn string_end(text: &[u8], start: usize, quote: u8, n_slashes: usize) -> usize {
    let mut from = start;
    while let Some(found) = memchr::memchr(quote, &text[from..]) {
        let at = from + found;
        let n_before = text[start..at].iter().rev().take_while(|it| **it == b'\\').count();
        // More of them belong to a quote within the string; with pairs of its own in front it ends there.
        if n_before == n_slashes || (n_slashes == 0 && n_before % 2 == 0) {
            return at - n_slashes.min(n_before);
        }
        if n_before < n_slashes {
            return at - n_before;
        }
        from = at + 1;
    }
    // Cut off in the middle: the rest belongs to it.
    text.len()
}

/// The end of a list or object that begins here.
fn closed(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                let n_slashes = text[start..at].iter().rev().take_while(|it| **it == b'\\').count();
                at = string_end(text, at + 1, b'"', n_slashes) + n_slashes;
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}
