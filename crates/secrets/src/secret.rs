//! A value that nobody sees by accident.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::SecretName;

/// A secret value: no `Display`, no serialisation, wiped when it is dropped.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes a value in.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// Reveals the value. Every call is a place to be reviewed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Compares in a time that tells nothing about where two values differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

/// Secrets by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSet(BTreeMap<SecretName, Secret>);

impl FromIterator<(SecretName, Secret)> for SecretSet {
    fn from_iter<I: IntoIterator<Item = (SecretName, Secret)>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

impl SecretSet {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: SecretName) -> Option<&Secret> {
        self.0.get(&name)
    }

    /// Adds or replaces a value.
    pub fn insert(&mut self, name: SecretName, value: Secret) {
        self.0.insert(name, value);
    }

    /// The names that have a value, in order.
    pub fn names(&self) -> impl Iterator<Item = SecretName> {
        self.0.keys().copied()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (SecretName, &Secret)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// A digest over all names and values, for telling whether anything changed: 64 hex digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in self.iter() {
            hash.update(name.key());
            hash.update([0]);
            hash.update(value.expose());
            hash.update([0]);
        }
        hex::encode(hash.finalize())
    }
}
