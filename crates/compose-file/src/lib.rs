//! Reads a Compose file that belongs to someone else, and edits it so that it can be given back.
//!
//! Every byte outside our own lines survives an edit, and [`ComposeFile::without_ours`] gives the
//! original bytes again, also when the owner has edited other lines meanwhile.
//! Where lines go is decided by the byte spans of a YAML parser's events, never by a search in the
//! text, and each edit is parsed again and compared with what was there before it is handed out.
//!
//! Our part is recognised in two ways. In block style it is whole lines between two comments:
//!
//! ```yaml
//! # >>> ken-langfuse (managed; remove with: cargo xtask rollback) sum=0f3a92c1b7de
//! include:
//!   - langfuse/compose.yml
//! # <<< ken-langfuse
//! ```
//!
//! Inside brackets no comment fits, so there an otherwise meaningless anchor marks our nodes:
//! `include: [&ken-langfuse-0f3a92c1b7de "langfuse/compose.yml", theirs.yml]`.
//! Both carry a checksum, so that a hand-made change is reported instead of being thrown away.
//!
//! Deliberately absent: interpolation, `extends`, profiles and everything else that Compose itself
//! resolves. Ask `docker compose config` for the meaning of a file, and this crate for its places.

mod change;
mod compose_file;
mod edit;
mod error;
mod fragment;
mod managed;
mod marker;
mod render;
mod section;
mod source;
mod tokens;
mod tree;

pub use change::{Change, Edited};
pub use compose_file::{ComposeFile, Ours, ServiceEntry};
pub use error::{EditError, EditProblem, ParseError, ParseProblem, ReadError};
pub use fragment::Fragment;
pub use section::Section;
pub use source::MAX_BYTES;
