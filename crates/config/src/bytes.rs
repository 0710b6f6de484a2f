//! A size in bytes, written as people write it.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. Reads and shows itself as `512MiB`, `4GiB`, or `1000B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Largest first: a size is shown in the largest unit that it is a multiple of.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The text is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a size such as 512MiB or 4GiB")]
pub struct NotASize;

impl Bytes {
    /// So many MiB.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// So many GiB.
    #[must_use]
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib << 30)
    }

    /// Whole MiB.
    #[must_use]
    pub const fn mib(self) -> u64 {
        self.0 >> 20
    }
}

impl FromStr for Bytes {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NotASize)?;
        let (_, factor) =
            UNITS.into_iter().find(|(name, _)| *name == unit.trim_start_matches(' ')).ok_or(NotASize)?;
        number.checked_mul(factor).map(Self).ok_or(NotASize)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .into_iter()
            .find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(("B", 1));
        f.pad(&format!("{}{unit}", self.0 / factor))
    }
}

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("4GiB", Bytes::from_gib(4)),
            ("512MiB", Bytes::from_mib(512)),
            ("1536 MiB", Bytes::from_mib(1536)),
            ("100B", Bytes(100)),
            ("0B", Bytes(0)),
        ] {
            assert_eq!(text.parse(), Ok(bytes), "{text}");
        }
        for text in ["", "4", "4GB", "4gib", "GiB", "-4GiB", "1.5GiB", "4GiB ", "20000000TiB", "４GiB"] {
            assert_eq!(text.parse::<Bytes>(), Err(NotASize), "{text}");
        }
        assert_eq!(Bytes::from_mib(1536).to_string(), "1536MiB");
        assert_eq!(Bytes(0).to_string(), "0B");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
    }
}
