//! Which texts are kept, masked, hashed or dropped.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// An observation's input.
    Input,
    /// An observation's output.
    Output,
    /// A value of metadata, or an attribute without a meaning of its own.
    Metadata,
    /// The name of a span, trace, model, tool, session, user or tag.
    Name,
    /// A status message.
    Status,
    /// An attribute of the resource.
    Resource,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// An API key of a provider, or of a cloud.
    ApiKey,
    /// A bearer or basic token of an `Authorization` header.
    AuthToken,
    /// A JSON web token.
    Jwt,
    /// A private key block.
    PrivateKey,
    /// The password of a URL.
    UrlPassword,
    /// The value under a key such as `password`.
    Keyed,
    /// The number of a payment card, with its check digit.
    Card,
    /// An e-mail address.
    Email,
    /// A phone number in international form.
    Phone,
    /// An IBAN, with its check digits.
    Iban,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// What a pattern of the policy's own finds.
    Custom,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ApiKey,
        Self::AuthToken,
        Self::Jwt,
        Self::PrivateKey,
        Self::UrlPassword,
        Self::Keyed,
        Self::Card,
        Self::Email,
        Self::Phone,
        Self::Iban,
        Self::IpAddress,
        Self::Custom,
    ];

    /// The name in masks.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::AuthToken => "auth_token",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private_key",
            Self::UrlPassword => "url_password",
            Self::Keyed => "secret",
            Self::Card => "card",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Iban => "iban",
            Self::IpAddress => "ip_address",
            Self::Custom => "custom",
        }
    }

    /// Whether it opens something, rather than tells about somebody.
    #[must_use]
    pub const fn is_credential(self) -> bool {
        matches!(
            self,
            Self::ApiKey | Self::AuthToken | Self::Jwt | Self::PrivateKey | Self::UrlPassword | Self::Keyed
        )
    }
}

/// What happens to a field, or to a piece of text of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// It leaves as it is; of a field, but for what its classes say.
    #[default]
    Keep,
    /// `[redacted:…]` with the class's name takes its place.
    Mask,
    /// A keyed hash takes its place: equal values stay comparable.
    Hash,
    /// The field does not leave. Of a class the same as [`Action::Mask`].
    Drop,
}

/// Which texts are kept, masked, hashed or dropped. By default credentials and cards are masked and
/// everything else is kept.
#[derive(Clone)]
pub struct Policy {
    pub(super) classes: BTreeMap<Class, Action>,
    pub(super) fields: BTreeMap<Field, Action>,
    pub(super) hash_key: Vec<u8>,
    pub(super) patterns: Vec<(String, String)>,
    pub(super) keys: Vec<String>,
    pub(super) max_value_bytes: usize,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("classes", &self.classes)
            .field("fields", &self.fields)
            .field("patterns", &self.patterns)
            .field("keys", &self.keys)
            .field("max_value_bytes", &self.max_value_bytes)
            .finish_non_exhaustive()
    }
}

/// A policy that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A pattern that is no regular expression.
    #[error("the pattern {label:?} is no regular expression: {why}")]
    Pattern {
        /// Its label.
        label: String,
        /// What is wrong with it.
        why: String,
    },
    /// A label that cannot stand in a mask.
    #[error("the label {label:?} of a pattern must be lower-case letters, digits and _")]
    Label {
        /// The label.
        label: String,
    },
    /// Hashes are asked for and there is no key.
    #[error("hashing needs a key of at least 16 bytes: without one, values could be guessed")]
    NoHashKey,
}

impl Default for Policy {
    fn default() -> Self {
        let masked = Class::ALL.into_iter().filter(|it| it.is_credential() || *it == Class::Card);
        Self {
            classes: masked.map(|class| (class, Action::Mask)).collect(),
            fields: BTreeMap::new(),
            hash_key: Vec::new(),
            patterns: Vec::new(),
            keys: Vec::new(),
            max_value_bytes: 1 << 20,
        }
    }
}

impl Policy {
    /// Everything leaves as it is; only what is longer than a mebibyte is cut.
    #[must_use]
    pub fn off() -> Self {
        Self { classes: BTreeMap::new(), ..Self::default() }
    }

    /// No content leaves: inputs, outputs, metadata and status messages are dropped; names stay, masked.
    #[must_use]
    pub fn no_content() -> Self {
        [Field::Input, Field::Output, Field::Metadata, Field::Status]
            .into_iter()
            .fold(Self::default().personal(Action::Mask), |policy, field| policy.field(field, Action::Drop))
    }

    /// What happens to pieces of a class.
    #[must_use]
    pub fn class(mut self, class: Class, action: Action) -> Self {
        self.classes.insert(class, action);
        self
    }

    /// What happens to all personal data: e-mail, phone, IBAN, addresses of machines.
    #[must_use]
    pub fn personal(self, action: Action) -> Self {
        [Class::Email, Class::Phone, Class::Iban, Class::IpAddress]
            .into_iter()
            .fold(self, |policy, class| policy.class(class, action))
    }

    /// What happens to whole fields.
    #[must_use]
    pub fn field(mut self, field: Field, action: Action) -> Self {
        self.fields.insert(field, action);
        self
    }

    /// The key of hashes, at least 16 bytes.
    #[must_use]
    pub fn hash_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.hash_key = key.into();
        self
    }

    /// A regular expression of one's own, and the name that its masks carry.
    #[must_use]
    pub fn pattern(mut self, label: impl Into<String>, expression: impl Into<String>) -> Self {
        self.patterns.push((label.into(), expression.into()));
        self.classes.entry(Class::Custom).or_insert(Action::Mask);
        self
    }

    /// Another key whose values are secret, in any case and with or without `_` and `-`.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self.classes.entry(Class::Keyed).or_insert(Action::Mask);
        self
    }

    /// What of a value leaves at most, in bytes; the rest is cut off after masking.
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }
}
