//! What a value must look like.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A rule for values. Its `Display` says what would be right and reads after "must be".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Lower-case hexadecimal digits, not all of them zero.
    Hex {
        /// How many.
        digits: usize,
    },
    /// Standard base64 of at least so many bytes.
    Base64 {
        /// How many.
        bytes: usize,
    },
    /// `[A-Za-z0-9]`, which means the same in URLs, query strings and environment files.
    Alphanumeric {
        /// At least so long.
        minimum: usize,
    },
    /// `[A-Za-z0-9._~-]`, which no URL escapes.
    UrlSafe {
        /// At least so long.
        minimum: usize,
    },
    /// A prefix and a UUID, Langfuse's own shape.
    ProjectKey {
        /// `pk-lf-` or `sk-lf-`.
        prefix: &'static str,
    },
    /// Printable, with at least one letter and one digit.
    LettersAndDigits {
        /// At least so long.
        minimum: usize,
    },
    /// Printable ASCII without spaces.
    Text {
        /// At least so long.
        minimum: usize,
    },
    /// A URL with one of these schemes.
    Url {
        /// Without `://`.
        schemes: &'static [&'static str],
    },
}

/// Longer values are refused: nothing that we need comes near it.
const MAXIMUM: usize = 2048;

impl Requirement {
    /// Whether `value` meets the rule.
    #[must_use]
    pub fn met_by(&self, value: &str) -> bool {
        if value.len() > MAXIMUM || !is_plain_text(value) {
            return false;
        }
        let has = |test: fn(&u8) -> bool| value.bytes().any(|b| test(&b));
        match *self {
            Self::Hex { digits } => {
                value.len() == digits
                    && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                    && value.bytes().any(|b| b != b'0')
            }
            Self::Base64 { bytes } => {
                STANDARD.decode(value).map(zeroize::Zeroizing::new).is_ok_and(|raw| raw.len() >= bytes)
            }
            Self::Alphanumeric { minimum } => {
                value.len() >= minimum && value.bytes().all(|b| b.is_ascii_alphanumeric())
            }
            Self::UrlSafe { minimum } => {
                value.len() >= minimum
                    && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
            }
            Self::ProjectKey { prefix } => value.strip_prefix(prefix).is_some_and(is_uuid),
            Self::LettersAndDigits { minimum } => {
                value.len() >= minimum && has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit)
            }
            Self::Text { minimum } => value.len() >= minimum,
            Self::Url { schemes } => value
                .split_once("://")
                .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty()),
        }
    }
}

/// Printable ASCII without spaces or enclosing quotes, and what an environment file can carry unchanged:
/// a backslash before a quote or at the end has two readings there.
fn is_plain_text(value: &str) -> bool {
    let quoted = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    value.bytes().all(|b| b.is_ascii_graphic())
        && !quoted('"')
        && !quoted('\'')
        && !value.ends_with('\\')
        && !value.contains("\\'")
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hex { digits } => write!(f, "{digits} lower-case hexadecimal digits, not all zero"),
            Self::Base64 { bytes } => write!(f, "base64 of at least {bytes} bytes"),
            Self::Alphanumeric { minimum } => write!(f, "at least {minimum} letters and digits (A-Z a-z 0-9)"),
            Self::UrlSafe { minimum } => {
                write!(f, "at least {minimum} characters of A-Z a-z 0-9 . _ ~ - (it becomes part of a URL)")
            }
            Self::ProjectKey { prefix } => write!(f, "{prefix} and a UUID in lower case"),
            Self::LettersAndDigits { minimum } => {
                write!(f, "at least {minimum} printable characters without spaces, with a letter and a digit")
            }
            Self::Text { minimum } => write!(
                f,
                "at least {minimum} printable ASCII characters without spaces, enclosing quotes, or a backslash \
                 before a quote or at the end"
            ),
            Self::Url { schemes } => write!(f, "a URL that starts with {}://", schemes.join(":// or ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretName;

    fn check(name: SecretName, good: &[&str], bad: &[&str]) {
        for value in good {
            assert!(name.requirement().met_by(value), "{name} should take {value}");
        }
        for value in bad {
            assert!(!name.requirement().met_by(value), "{name} should refuse {value}");
        }
    }

    #[test]
    fn each_rule_takes_and_refuses() {
        let hex = "0123456789abcdef".repeat(4);
        check(SecretName::EncryptionKey, &[&hex], &[&"0".repeat(64), &hex[1..], &hex.to_uppercase(), ""]);
        let base64 = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        check(SecretName::Salt, &[base64], &[&base64[4..], "mysalt", &base64[..43]]);
        check(SecretName::MinioPassword, &[&"aB3".repeat(11)], &["aB3", &"a-3".repeat(11)]);
        check(SecretName::ClickhousePassword, &["a.b_c~d-"], &["a.b_c~d", "pass@word", "p%40ssword"]);
        check(
            SecretName::ProjectPublicKey,
            &["pk-lf-0f0e8400-e29b-41d4-a716-446655440000"],
            &["sk-lf-0f0e8400-e29b-41d4-a716-446655440000", "pk-lf-", "pk-lf-0F0E8400-e29b-41d4-a716-446655440000"],
        );
        check(SecretName::UserPassword, &["correct-h0rse"], &["correct-horse", "012345678901", "a1"]);
        check(
            SecretName::PostgresPassword,
            &["p@ss/w:rd#$%", "it's-fine"],
            &["\"quoted-value\"", "'quoted-value'", "with space", "short", "ends-with\\", "with\\'quote", "umläut-umläut"],
        );
        check(SecretName::SmtpUrl, &["smtps://u:p@mail.example:465"], &["https://mail.example", "smtp://", "mail"]);
        check(SecretName::S3AccessKeyId, &["key"], &["ke", &"k".repeat(3000)]);
    }
}
