//! The top-level keys that this crate may write into.

use std::fmt;

/// A top-level key of a Compose file that may hold something of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// `include`, a sequence.
    Include,
    /// `services`.
    Services,
    /// `volumes`.
    Volumes,
    /// `networks`.
    Networks,
    /// `configs`.
    Configs,
    /// `secrets`.
    Secrets,
}

impl Section {
    /// All sections, in the order in which they are written.
    pub const ALL: [Self; 6] =
        [Self::Include, Self::Services, Self::Volumes, Self::Networks, Self::Configs, Self::Secrets];

    /// The key as Compose spells it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Services => "services",
            Self::Volumes => "volumes",
            Self::Networks => "networks",
            Self::Configs => "configs",
            Self::Secrets => "secrets",
        }
    }

    /// The section of that key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.key() == key)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
