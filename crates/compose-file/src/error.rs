//! What can go wrong, one type per operation. No message quotes a value of the file: it may be a secret.

use std::io;
use std::path::PathBuf;

use crate::section::Section;

/// A file that is not a Compose file this crate can stand on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {problem}", path.display())]
pub struct ParseError {
    /// The file, as it was named by the caller.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: ParseProblem,
    /// How to mend it.
    pub hint: String,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseProblem {
    /// More bytes than any Compose file written by people has.
    #[error("the file has {bytes} bytes, more than the {limit} that are read as a Compose file")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are not UTF-8.
    #[error("the file is not UTF-8 text")]
    NotUtf8,
    /// A byte-order mark of UTF-16 or UTF-32.
    #[error("the file is UTF-16 or UTF-32 text, not UTF-8")]
    WideEncoding,
    /// A character that YAML does not allow, as found in binary files.
    #[error("the character U+{code:04X} is not allowed in YAML; this may be a binary file")]
    ControlCharacter {
        /// Its code point.
        code: u32,
    },
    /// Nothing but comments and white space.
    #[error("the file holds no YAML document")]
    Empty,
    /// A second document.
    #[error("a second YAML document begins here")]
    SeveralDocuments,
    /// The document is a list or a single value.
    #[error("the document is not a mapping")]
    RootNotMapping,
    /// The top-level key is missing.
    #[error("there is no top-level key `services`")]
    NoServices,
    /// A section is a list or a single value.
    #[error("`{section}` is not a {wanted}")]
    WrongKind {
        /// The section.
        section: Section,
        /// `mapping` or `list`.
        wanted: &'static str,
    },
    /// A key twice in one mapping.
    #[error("the key `{key}` is already defined on line {first_line}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it stands first.
        first_line: usize,
    },
    /// An alias without an anchor before it.
    #[error("the alias refers to an anchor that is not defined before it")]
    UndefinedAlias,
    /// An alias inside the node that it names.
    #[error("the alias refers to a node that contains it")]
    CyclicAlias,
    /// Aliases of aliases that multiply.
    #[error("the aliases expand to more than {limit} nodes")]
    AliasBomb {
        /// How many are followed.
        limit: u64,
    },
    /// Nesting beyond the parser's limit.
    #[error("the nesting is too deep")]
    TooDeep,
    /// A tab before a key or a dash.
    #[error("a tab is used as indentation")]
    Tab,
    /// Anything else that the YAML parser refuses.
    #[error("{0}")]
    Syntax(String),
}

impl ParseProblem {
    /// How to mend it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::TooLarge { .. } => "name the Compose file itself; this one is too large to be it".into(),
            Self::NotUtf8 | Self::WideEncoding => "save the file as UTF-8".into(),
            Self::ControlCharacter { .. } => "name the Compose file itself, or delete that character".into(),
            Self::Empty | Self::RootNotMapping | Self::NoServices => {
                "name the Compose file that has the top-level key `services`".into()
            }
            Self::SeveralDocuments => {
                "keep one document: move the second into a file of its own and `include` it".into()
            }
            Self::WrongKind { section: Section::Include, .. } => {
                "write `include:` as a list, one `- path` a line".into()
            }
            Self::WrongKind { section, .. } => format!("write the entries of `{section}` as `name: …`"),
            Self::DuplicateKey { .. } => "keep one of the two, as Compose refuses both".into(),
            Self::UndefinedAlias => "define the anchor (`&name`) above its first alias (`*name`)".into(),
            Self::CyclicAlias => "write that value out instead of the alias".into(),
            Self::AliasBomb { .. } | Self::TooDeep => "write the file without that many levels".into(),
            Self::Tab => "indent with spaces, as YAML allows nothing else".into(),
            Self::Syntax(_) => "run `docker compose config` on the file and mend what it names".into(),
        }
    }
}

/// A file that could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No such file.
    #[error("no Compose file at {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A directory.
    #[error("{} is a directory, not a Compose file", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// A pipe, socket or device.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// No right to read it.
    #[error("no permission to read {}", path.display())]
    Permission {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Any other failure of the file system.
    #[error("could not read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file was read and is not a Compose file.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

impl ReadError {
    /// How to mend it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => "name Ken's Compose file by its path".into(),
            Self::Directory { .. } => "name the file in that folder, usually `docker-compose.yml`".into(),
            Self::NotRegular { .. } => "name a regular file".into(),
            Self::Permission { .. } => "run as a user who may read the file".into(),
            Self::Io { .. } => "look at the disk and the path, then run again".into(),
            Self::Parse(error) => error.hint.clone(),
        }
    }
}

/// An edit that was not made; the file is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {problem}", path.display())]
pub struct EditError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Why the edit was not made.
    pub problem: EditProblem,
    /// How to mend it.
    pub hint: String,
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditProblem {
    /// A first marker without its last.
    #[error("the managed block that begins here has no end marker")]
    BlockWithoutEnd,
    /// A last marker without its first.
    #[error("the end marker of a managed block stands here without its begin marker")]
    EndWithoutBlock,
    /// The marker's own text was changed.
    #[error("the begin marker of a managed block was changed by hand")]
    MarkerChanged,
    /// The lines between the markers were changed.
    #[error("the managed lines {first} to {last} were changed by hand")]
    ContentChanged {
        /// The first line, a marker.
        first: usize,
        /// The last line, a marker.
        last: usize,
    },
    /// An entry inside brackets was changed.
    #[error("the managed entry that is marked by this anchor was changed by hand")]
    EntryChanged,
    /// Something marked as ours where we never write.
    #[error("the mark of something managed stands where nothing was written")]
    Misplaced,
    /// The same part of ours twice.
    #[error("a second managed part of `{section}` stands here")]
    Repeated {
        /// The section.
        section: Section,
    },
    /// The section is written as an alias.
    #[error("`{section}` is an alias, so an entry added there would be added to its anchor too")]
    Alias {
        /// The section.
        section: Section,
    },
    /// The section is anchored and used elsewhere.
    #[error("`{section}` is used elsewhere by an alias, so an entry added here would appear there too")]
    Shared {
        /// The section.
        section: Section,
    },
    /// The section comes only by a merge key.
    #[error("`{section}` comes from a merge key (`<<`), so an own `{section}` would replace it")]
    Inherited {
        /// The section.
        section: Section,
    },
    /// The section holds another kind of value.
    #[error("`{section}` is not a {wanted}")]
    WrongKind {
        /// The section.
        section: Section,
        /// `mapping` or `list`.
        wanted: &'static str,
    },
    /// The owner has an entry of that name.
    #[error("`{name}` exists in `{section}` and differs from the entry that would be added")]
    NameTaken {
        /// The section.
        section: Section,
        /// The entry.
        name: String,
    },
    /// The place is written in a way in which no line can be added.
    #[error("`{section}` is written in a way to which nothing can be added and taken out again exactly")]
    NoPlace {
        /// The section.
        section: Section,
    },
    /// The text to add is not usable. Line and column are then those of the text.
    #[error("the entry `{name}` for `{section}` cannot be added: {reason}")]
    BadEntry {
        /// The section.
        section: Section,
        /// The entry.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The proof after the edit failed.
    #[error("the edit would change something else in the file ({what})")]
    NotExact {
        /// Which part of the proof failed.
        what: &'static str,
    },
}

impl EditProblem {
    /// How to mend it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::BlockWithoutEnd => {
                "delete the managed lines together with this marker, or put `# <<< ken-langfuse` back below them"
                    .into()
            }
            Self::EndWithoutBlock => "delete this marker and the managed lines above it, if any are left".into(),
            Self::MarkerChanged => "undo the change of that line, or delete the whole block by hand".into(),
            Self::ContentChanged { first, last } => format!(
                "undo that change (own entries go below the end marker), or delete lines {first} to {last} whole"
            ),
            Self::EntryChanged => {
                "undo that change (own entries go outside it), or delete the entry together with its anchor".into()
            }
            Self::Misplaced => {
                "delete the markers or the anchor, or move what they mark back to where it was".into()
            }
            Self::Repeated { .. } => "delete one of the two with its markers or anchors".into(),
            Self::Alias { section } | Self::Inherited { section } => {
                format!("write `{section}:` out at the top level, or choose the layout `separate`")
            }
            Self::Shared { section } => {
                format!("write `{section}:` without an anchor, or choose the layout `separate`")
            }
            Self::WrongKind { section: Section::Include, .. } => {
                "write `include:` as a list, one `- path` a line".into()
            }
            Self::WrongKind { section, .. } => format!("write the entries of `{section}` as `name: …`"),
            Self::NameTaken { name, .. } => format!("rename `{name}` in the file, or choose the layout `include`"),
            Self::NoPlace { .. } => {
                "write each top-level key as `key:` on a line of its own, with its entries indented below".into()
            }
            Self::BadEntry { .. } => "this is a fault of the program; please report it".into(),
            Self::NotExact { .. } => {
                "write that part of the file in plain block style, or choose the layout `separate`".into()
            }
        }
    }
}
