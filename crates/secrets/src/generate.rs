//! Values from the operating system's randomness, each by its own rule.

use base64::Engine as _;
use zeroize::Zeroizing;

use crate::{Requirement, Secret};

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const PASSWORD_LENGTH: usize = 40;
const USER_PASSWORD_LENGTH: usize = 24;

/// The system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness: {0}")]
pub struct NoRandomness(getrandom::Error);

fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(NoRandomness)?;
    Ok(bytes)
}

/// Letters and digits, each equally likely: bytes that would favour the first ones are thrown away.
fn alphanumeric(length: usize) -> Result<Zeroizing<String>, NoRandomness> {
    let fair = u8::MAX - u8::MAX % 62;
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        let fresh = bytes::<64>()?;
        let missing = length - text.len();
        text.extend(
            fresh
                .iter()
                .filter(|b| **b < fair)
                .take(missing)
                .map(|b| char::from(ALPHABET[usize::from(b % 62)])),
        );
    }
    Ok(text)
}

/// A new value, which meets its requirement.
pub(crate) fn generate(requirement: Requirement) -> Result<Secret, NoRandomness> {
    Ok(Secret::new(match requirement {
        Requirement::Hex64 => hex::encode(bytes::<32>()?.as_slice()),
        Requirement::Base64Of32 => {
            base64::engine::general_purpose::STANDARD.encode(bytes::<32>()?.as_slice())
        }
        Requirement::Password | Requirement::Printable | Requirement::Foreign | Requirement::ForeignInUrl => {
            alphanumeric(PASSWORD_LENGTH)?.to_string()
        }
        Requirement::Key(prefix) => {
            let id = uuid::Builder::from_random_bytes(*bytes::<16>()?).into_uuid();
            format!("{prefix}{id}")
        }
        Requirement::UserPassword => loop {
            let text = alphanumeric(USER_PASSWORD_LENGTH)?;
            let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
            if has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) {
                break text.to_string();
            }
        },
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::SecretName;

    #[test]
    fn every_value_meets_its_rule_and_no_two_are_equal() {
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            for name in SecretName::ALL {
                let value = generate(name.requirement()).unwrap();
                assert_eq!(name.requirement().violation(value.expose()), None, "{name}");
                assert!(seen.insert(value.expose().to_owned()), "{name} came twice");
            }
        }
    }

    #[test]
    fn no_character_is_favoured() {
        let text = alphanumeric(62 * 2000).unwrap();
        let mut counts = [0u32; 256];
        text.bytes().for_each(|b| counts[usize::from(b)] += 1);
        // 2000 expected; a modulo without rejection would give the first eight letters 25 % more.
        for letter in ALPHABET {
            let n = counts[usize::from(*letter)];
            assert!((1700..2300).contains(&n), "{} came {n} times", char::from(*letter));
        }
    }
}
