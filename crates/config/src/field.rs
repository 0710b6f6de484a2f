//! The partial form of everything in a policy: a value that may be there, and where it stands.

/// Where a value stands, and what of it may be shown.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) key_path: String,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    pub(crate) shown: Option<String>,
}

impl Place {
    /// For values that may be more than they should.
    pub(crate) fn without_value(&self) -> Self {
        Self { shown: None, ..self.clone() }
    }
}

/// A value that may or may not be there: the partial form of everything in a policy.
#[derive(Debug)]
pub(crate) enum Field<T> {
    /// The default holds.
    Absent,
    /// It is there and wrong; that has been noted.
    Refused,
    /// It is there.
    Given {
        /// What it says.
        value: T,
        /// Where it stands.
        place: Place,
    },
}

impl<T> Field<T> {
    pub(crate) fn or(self, default: T) -> T {
        self.into_option().unwrap_or(default)
    }

    pub(crate) fn into_option(self) -> Option<T> {
        match self {
            Self::Given { value, .. } => Some(value),
            Self::Absent | Self::Refused => None,
        }
    }

    pub(crate) fn given(&self) -> Option<&T> {
        match self {
            Self::Given { value, .. } => Some(value),
            Self::Absent | Self::Refused => None,
        }
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Self::Given { place, .. } => Some(place),
            Self::Absent | Self::Refused => None,
        }
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}
