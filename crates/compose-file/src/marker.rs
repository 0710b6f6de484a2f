//! The marks by which people and this crate recognise our part.

use sha2::{Digest, Sha256};

const BEGIN: &str = ">>> ken-langfuse";
const NOTE: &str = " (managed; remove with: cargo xtask rollback) sum=";
const END: &str = "<<< ken-langfuse";
const ANCHOR: &str = "ken-langfuse-";
const ANCHOR_FILL: &str = "fill-";
const SUM_DIGITS: usize = 12;

/// What a comment that stands alone on its line means to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The first line of a block, with the checksum of its content.
    Begin { sum: String },
    /// The first line of a block in other words than ours.
    BrokenBegin,
    /// The last line of a block.
    End,
}

/// Reads a comment's text without its `#`.
pub(crate) fn read(comment: &str) -> Option<Marker> {
    let comment = comment.trim();
    if let Some(rest) = after_word(comment, BEGIN) {
        return Some(match rest.strip_prefix(NOTE).filter(|sum| is_sum(sum)) {
            Some(sum) => Marker::Begin { sum: sum.to_owned() },
            None => Marker::BrokenBegin,
        });
    }
    after_word(comment, END).map(|_| Marker::End)
}

fn after_word<'a>(comment: &'a str, word: &str) -> Option<&'a str> {
    let rest = comment.strip_prefix(word)?;
    let goes_on = rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
    (!goes_on).then_some(rest)
}

fn is_sum(text: &str) -> bool {
    text.len() == SUM_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The first line of a block.
pub(crate) fn begin_line(content: &str) -> String {
    format!("# {BEGIN}{NOTE}{}", sum(content))
}

/// The last line of a block.
pub(crate) fn end_line() -> String {
    format!("# {END}")
}

/// The checksum of a content with line feeds and without indentation.
pub(crate) fn sum(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    digest.iter().take(SUM_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// The owner's empty value that a filled-in value of ours stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blank {
    Nothing,
    Tilde,
    Lower,
    Title,
    Upper,
}

impl Blank {
    const ALL: [Self; 5] = [Self::Nothing, Self::Tilde, Self::Lower, Self::Title, Self::Upper];

    /// As it stands in the file.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Tilde => "~",
            Self::Lower => "null",
            Self::Title => "Null",
            Self::Upper => "NULL",
        }
    }

    /// As it stands in an anchor, whose characters are limited.
    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Tilde => "tilde",
            _ => self.text(),
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|blank| blank.text() == text)
    }
}

/// What an anchor's name means to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AnchorMark {
    /// The entry that holds the node is ours.
    Entry { sum: String },
    /// The node stands in place of an empty value.
    Fill { blank: Blank, sum: String },
    /// Begins like ours and is not.
    Broken,
}

/// Reads an anchor's name without its `&`.
pub(crate) fn read_anchor(name: &str) -> Option<AnchorMark> {
    let rest = name.strip_prefix(ANCHOR)?;
    if is_sum(rest) {
        return Some(AnchorMark::Entry { sum: rest.to_owned() });
    }
    let filled = rest.strip_prefix(ANCHOR_FILL).and_then(|rest| rest.split_once('-'));
    Some(match filled {
        Some((word, sum)) if is_sum(sum) => match Blank::ALL.into_iter().find(|b| b.word() == word) {
            Some(blank) => AnchorMark::Fill { blank, sum: sum.to_owned() },
            None => AnchorMark::Broken,
        },
        _ => AnchorMark::Broken,
    })
}

/// The anchor, with its `&`, of an entry whose flow text is given.
pub(crate) fn entry_anchor(content: &str) -> String {
    format!("&{ANCHOR}{}", sum(content))
}

/// The anchor, with its `&`, of a value written over an empty one.
pub(crate) fn fill_anchor(blank: Blank, content: &str) -> String {
    format!("&{ANCHOR}{ANCHOR_FILL}{}-{}", blank.word(), sum(content))
}
