//! Names with their values.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Secret, SecretName};

/// The secrets at hand, each at most once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretSet(BTreeMap<SecretName, Secret>);

impl SecretSet {
    /// The value of `name`, if it is there.
    #[must_use]
    pub fn get(&self, name: SecretName) -> Option<&Secret> {
        self.0.get(&name)
    }

    /// What is there, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = SecretName> + '_ {
        self.0.keys().copied()
    }

    /// Names with values, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (SecretName, &Secret)> + '_ {
        self.0.iter().map(|(name, secret)| (*name, secret))
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds or replaces a value in memory; the file does not change.
    pub fn insert(&mut self, name: SecretName, value: Secret) -> Option<Secret> {
        self.0.insert(name, value)
    }

    /// Hexadecimal SHA-256 over names and values: equal sets have equal ones. For noticing a change;
    /// values of high entropy do not follow from it, so keep it out of logs where an operator's own
    /// short passwords may be among them.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, secret) in self.iter() {
            // Lengths first: two sets cannot run together to the same bytes.
            for part in [name.key(), secret.expose()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())
    }
}

impl FromIterator<(SecretName, Secret)> for SecretSet {
    fn from_iter<I: IntoIterator<Item = (SecretName, Secret)>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

impl fmt::Debug for SecretSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretSet")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(SecretName, &str)]) -> SecretSet {
        pairs.iter().map(|(name, value)| (*name, Secret::new((*value).to_owned()))).collect()
    }

    #[test]
    fn debug_lists_names_only() {
        let secrets = set(&[(SecretName::Salt, "hunter2hunter2")]);
        assert_eq!(format!("{secrets:?}"), "SecretSet{Salt}");
    }

    #[test]
    fn the_fingerprint_follows_names_and_values() {
        let one = set(&[(SecretName::Salt, "ab"), (SecretName::RedisPassword, "c")]);
        assert_eq!(one.fingerprint(), one.clone().fingerprint());
        assert_eq!(one.fingerprint().len(), 64);
        for other in [
            set(&[]),
            set(&[(SecretName::Salt, "ab")]),
            set(&[(SecretName::Salt, "a"), (SecretName::RedisPassword, "bc")]),
            set(&[(SecretName::Salt, "ab"), (SecretName::MinioPassword, "c")]),
        ] {
            assert_ne!(one.fingerprint(), other.fingerprint());
        }
    }
}
