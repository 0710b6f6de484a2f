//! Masks known values in any text that leaves us.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use zeroize::Zeroizing;

use crate::{SecretName, SecretSet};

/// Shorter values would mask ordinary words.
const SHORTEST: usize = 8;

/// Stands for the whole text when values and masks run into each other without end.
const WITHHELD: &str = "[*]";

/// Replaces each secret's value by `[NAME]`: as it is, percent-encoded, in base64 at any offset (as in a
/// `Basic` header), or escaped for JSON. Values shorter than 8 characters are left alone.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a value inside another one does not cut it in two.
    needles: Vec<Needle>,
    /// For each first byte, whether a needle begins with it.
    first: FirstBytes,
}

#[derive(Clone)]
struct Needle {
    text: Zeroizing<String>,
    name: SecretName,
}

#[derive(Clone)]
struct FirstBytes([bool; 256]);

impl Default for FirstBytes {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl Redactor {
    /// Knows the values of `secrets`.
    #[must_use]
    pub fn new(secrets: &SecretSet) -> Self {
        let mut needles: Vec<Needle> = Vec::new();
        for (name, secret) in secrets.iter() {
            let value = secret.expose();
            for value in std::iter::once(value).chain(password_of_url(value)) {
                if value.chars().count() >= SHORTEST {
                    needles.extend(forms(value).into_iter().map(|text| Needle { text, name }));
                }
            }
        }
        needles.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then_with(|| a.name.cmp(&b.name)));
        let mut first = FirstBytes::default();
        for needle in &needles {
            first.0[usize::from(needle.text.as_bytes()[0])] = true;
        }
        Self { needles, first }
    }

    /// `text` without any known value.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(mut masked) = self.pass(text) else { return Cow::Borrowed(text) };
        // A mask and what stands around it may spell a value anew; a few rounds settle all but made-up cases.
        for _ in 0..4 {
            match self.pass(&masked) {
                Some(again) => masked = again,
                None => return Cow::Owned(masked),
            }
        }
        Cow::Borrowed(WITHHELD)
    }

    /// One pass from left to right; none when nothing was found.
    fn pass(&self, text: &str) -> Option<String> {
        let bytes = text.as_bytes();
        let (mut masked, mut copied, mut place) = (String::new(), 0, 0);
        while place < bytes.len() {
            let found = self.first.0[usize::from(bytes[place])]
                .then(|| self.needles.iter().find(|n| bytes[place..].starts_with(n.text.as_bytes())))
                .flatten();
            match found {
                Some(needle) => {
                    masked.push_str(&text[copied..place]);
                    masked.push('[');
                    masked.push_str(needle.name.key());
                    masked.push(']');
                    place += needle.text.len();
                    copied = place;
                }
                None => place += 1,
            }
        }
        (copied > 0).then(|| {
            masked.push_str(&text[copied..]);
            masked
        })
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<SecretName> = self.needles.iter().map(|needle| needle.name).collect();
        names.sort_unstable();
        names.dedup();
        f.write_str("Redactor")?;
        f.debug_set().entries(names).finish()
    }
}

/// The ways in which a value shows up in text.
fn forms(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = vec![
        Zeroizing::new(value.to_owned()),
        percent_encoded(value, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b), false),
        percent_encoded(value, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b), true),
        // As JavaScript's encodeURIComponent has it, and browsers' forms.
        percent_encoded(value, |b| b.is_ascii_alphanumeric() || b"-._~!*'()".contains(&b), false),
        percent_encoded(value, |b| b.is_ascii_alphanumeric() || b"-._*".contains(&b), false),
        json_escaped(value, false),
        json_escaped(value, true),
    ];
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        forms.push(Zeroizing::new(engine.encode(value)));
        forms.extend((0..3).map(|offset| base64_core(&engine, value, offset)));
    }
    forms.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    forms.dedup_by(|a, b| a.as_str() == b.as_str());
    forms
}

/// The characters that `value` alone decides when it stands `offset` bytes after a multiple of three in
/// a longer text, whatever is around it.
fn base64_core(engine: &GeneralPurpose, value: &str, offset: usize) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(offset + value.len()));
    bytes.resize(offset, 0);
    bytes.extend_from_slice(value.as_bytes());
    let encoded = Zeroizing::new(engine.encode(&*bytes));
    let from = (offset * 8).div_ceil(6);
    let to = bytes.len() * 8 / 6;
    Zeroizing::new(encoded[from..to].to_owned())
}

fn percent_encoded(value: &str, keep: fn(u8) -> bool, lower: bool) -> Zeroizing<String> {
    let digits: &[u8; 16] = if lower { b"0123456789abcdef" } else { b"0123456789ABCDEF" };
    let mut text = Zeroizing::new(String::with_capacity(value.len() * 3));
    for byte in value.bytes() {
        if keep(byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(digits[usize::from(byte >> 4)]));
            text.push(char::from(digits[usize::from(byte & 15)]));
        }
    }
    text
}

/// Escaped as in JSON, and as Rust's `Debug` does it too; `slash` as PHP and some loggers do.
fn json_escaped(value: &str, slash: bool) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(value.len() * 2));
    for letter in value.chars() {
        if letter == '"' || letter == '\\' || (slash && letter == '/') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// The password inside a URL: a program may print it alone.
fn password_of_url(value: &str) -> Option<&str> {
    let authority = value.split_once("://")?.1;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':')?.1)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::Secret;

    fn redactor(pairs: &[(SecretName, &str)]) -> Redactor {
        let set: SecretSet = pairs.iter().map(|(n, v)| (*n, Secret::new((*v).to_owned()))).collect();
        Redactor::new(&set)
    }

    #[test]
    fn each_form_is_masked() {
        let value = "p@ss/w\"rd+1";
        let redactor = redactor(&[(SecretName::RedisPassword, value)]);
        for form in [
            value,
            "p%40ss%2Fw%22rd%2B1",
            "p%40ss%2fw%22rd%2b1",
            "p@ss/w\\\"rd+1",
            "p@ss\\/w\\\"rd+1",
            &STANDARD.encode(value),
        ] {
            let text = format!("before {form} after");
            let masked = redactor.mask(&text);
            assert!(masked.starts_with("before [REDIS_PASSWORD]"), "{form}: {masked}");
            assert!(masked.ends_with(" after"), "{form}: {masked}");
        }
        for prefix in ["", "u", "us", "usr"] {
            let header = STANDARD.encode(format!("{prefix}:{value}:x"));
            assert!(redactor.mask(&header).contains("[REDIS_PASSWORD]"), "{prefix}");
        }
    }

    #[test]
    fn the_longest_wins_and_short_values_stay() {
        let redactor = redactor(&[
            (SecretName::RedisPassword, "abcdefgh"),
            (SecretName::MinioPassword, "abcdefghijklmnop"),
            (SecretName::S3AccessKeyId, "minio"),
        ]);
        assert_eq!(
            redactor.mask("abcdefghijklmnop abcdefgh minio"),
            "[MINIO_PASSWORD] [REDIS_PASSWORD] minio"
        );
        assert!(matches!(redactor.mask("nothing here: ümlaut"), Cow::Borrowed("nothing here: ümlaut")));
        assert_eq!(format!("{redactor:?}"), "Redactor{RedisPassword, MinioPassword}");
    }

    #[test]
    fn the_password_inside_a_url_is_a_secret_of_its_own() {
        let redactor = redactor(&[(SecretName::SmtpUrl, "smtps://ken:hunter2hunter2@mail.example:465")]);
        assert_eq!(redactor.mask("auth failed for hunter2hunter2"), "auth failed for [SMTP_URL]");
        assert_eq!(redactor.mask("smtps://ken:hunter2hunter2@mail.example:465!"), "[SMTP_URL]!");
    }

    #[test]
    fn a_value_like_a_mask_does_not_come_back() {
        let redactor =
            redactor(&[(SecretName::RedisPassword, "[SALT]-x-[SALT]"), (SecretName::Salt, "abcdefghijk")]);
        let masked = redactor.mask("abcdefghijk-x-abcdefghijk");
        assert!(!masked.contains("[SALT]-x-[SALT]"), "{masked}");
        // A value that every mask contains can only be withheld with the whole text.
        let hopeless = self::redactor(&[(SecretName::MinioPassword, "MINIO_PASSWORD")]);
        assert_eq!(hopeless.mask("x MINIO_PASSWORD y"), "[*]");
    }

    proptest! {
        #[test]
        fn output_never_contains_a_value(
            values in proptest::collection::vec("[!-~]{8,24}", 1..8),
            text in proptest::collection::vec((0_usize..8, 0_u8..5, "[ -~ü]{0,6}"), 0..20),
        ) {
            let pairs: Vec<_> = values.iter().zip(SecretName::ALL).map(|(v, n)| (n, v.as_str())).collect();
            let redactor = redactor(&pairs);
            let text: String = text
                .iter()
                .map(|(which, form, around)| {
                    let value = &values[which % values.len()];
                    let written = match form {
                        0 => value.clone(),
                        1 => percent_encoded(value, |b| b.is_ascii_alphanumeric(), false).to_string(),
                        2 => STANDARD.encode(value),
                        3 => json_escaped(value, false).to_string(),
                        // Values that overlap at their ends.
                        _ => format!("{}{value}", &value[..value.len() / 2]),
                    };
                    format!("{around}{written}")
                })
                .collect();
            let masked = redactor.mask(&text);
            for value in &values {
                prop_assert!(!masked.contains(value.as_str()), "{masked}");
                let json = json_escaped(value, false);
                prop_assert!(!masked.contains(json.as_str()));
                prop_assert!(!masked.contains(&STANDARD.encode(value).trim_end_matches('=').to_owned()));
            }
        }
    }
}
