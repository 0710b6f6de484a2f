//! Masks known values in any text that leaves us.

use std::borrow::Cow;

use base64::Engine as _;

use crate::{Secret, SecretSet};

/// Shorter values are too likely to be ordinary words.
const SHORTEST: usize = 8;

/// Knows values and their encodings, and replaces each by its name.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a value inside another one never leaves a rest.
    needles: Vec<(Secret, String)>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} values)", self.needles.len())
    }
}

impl Redactor {
    /// A redactor of all values of a set.
    #[must_use]
    pub fn new(secrets: &SecretSet) -> Self {
        let mut needles: Vec<(Secret, String)> = Vec::new();
        for (name, value) in secrets.iter().filter(|(_, v)| v.expose().len() >= SHORTEST) {
            for form in forms(value.expose()) {
                needles.push((Secret::new(form), format!("[{name}]")));
            }
        }
        needles.sort_by(|a, b| {
            let (left, right) = (a.0.expose(), b.0.expose());
            right.len().cmp(&left.len()).then_with(|| left.cmp(right))
        });
        needles.dedup_by(|a, b| a.0 == b.0);
        Self { needles }
    }

    /// The text with every known value replaced by its name in brackets.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for (needle, name) in &self.needles {
            if masked.contains(needle.expose()) {
                masked = Cow::Owned(masked.replace(needle.expose(), name));
            }
        }
        masked
    }
}

/// The ways in which a value may turn up: as it is, in a URL, in JSON, in base64.
fn forms(value: &str) -> Vec<String> {
    let percent: String = value
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let json = value.replace('\\', "\\\\").replace('"', "\\\"");
    let mut forms = vec![value.to_owned(), percent.to_lowercase(), percent, json];
    // In a base64 text a value begins at one of three offsets; its middle is the same whatever surrounds it.
    for offset in 0..3usize {
        let mut bytes = vec![0u8; offset];
        bytes.extend_from_slice(value.as_bytes());
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes);
        let from = (offset * 8).div_ceil(6);
        let to = bytes.len() * 8 / 6;
        if let Some(middle) = encoded.get(from..to).filter(|m| m.len() >= SHORTEST) {
            forms.push(middle.to_owned());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SecretName;

    fn set(values: &[(SecretName, &str)]) -> SecretSet {
        let mut set = SecretSet::default();
        for (name, value) in values {
            set.insert(*name, Secret::new((*value).to_owned()));
        }
        set
    }

    #[test]
    fn values_become_names() {
        let redactor = Redactor::new(&set(&[
            (SecretName::PostgresPassword, "abcdefgh12345678"),
            (SecretName::RedisPassword, "abcdefgh"),
            (SecretName::SmtpUrl, "smtp://u:p@h"),
        ]));
        assert_eq!(
            redactor.mask("x abcdefgh12345678 y abcdefgh z smtp%3A%2F%2Fu%3Ap%40h"),
            "x [POSTGRES_PASSWORD] y [REDIS_PASSWORD] z [SMTP_URL]"
        );
        assert_eq!(redactor.mask("nothing here"), "nothing here");
    }

    #[test]
    fn a_basic_header_gives_nothing_away() {
        let secret = "sk-lf-0d2f1c9e-6d6b-4b0e-9a53-3c9f6f3a7b11";
        let redactor = Redactor::new(&set(&[(SecretName::ProjectSecretKey, secret)]));
        for user in ["a", "ab", "abc", "pk-lf-1"] {
            let header = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"));
            let masked = redactor.mask(&header).into_owned();
            assert!(masked.contains("[PROJECT_SECRET_KEY]"), "{masked}");
        }
    }

    proptest! {
        #[test]
        fn no_value_survives(before in ".{0,40}", value in "[A-Za-z0-9+/=]{8,60}", after in ".{0,40}") {
            let redactor = Redactor::new(&set(&[(SecretName::Salt, &value)]));
            let text = format!("{before}{value}{after}{value}");
            let masked = redactor.mask(&text);
            prop_assert!(!masked.contains(&value));
        }
    }
}
