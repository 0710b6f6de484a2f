//! A Compose file that has been read: what stands in it, and where.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::change::Edited;
use crate::edit;
use crate::error::{EditError, EditProblem, ParseError, ParseProblem, ReadError};
use crate::fragment::Fragment;
use crate::managed;
use crate::section::Section;
use crate::source::{MAX_BYTES, Source};
use crate::tree::{self, NodeId, Tree};

/// A Compose file: its path for messages, its bytes, and its tree.
pub struct ComposeFile {
    path: PathBuf,
    source: Source,
    tree: Tree,
    root: NodeId,
}

/// A service and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Its name.
    pub name: String,
    /// The line of its key, from 1.
    pub line: usize,
}

/// What of ours is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ours {
    /// Nothing.
    NotThere,
    /// One entry of `include`.
    Include {
        /// The included file.
        path: String,
        /// The lines that hold it, its markers included.
        lines: RangeInclusive<usize>,
    },
    /// Our services and what they need, in the file itself.
    Merged {
        /// The names of our services.
        services: Vec<String>,
        /// The names of our volumes.
        volumes: Vec<String>,
        /// The names of our networks.
        networks: Vec<String>,
        /// The names of our configs.
        configs: Vec<String>,
        /// The names of our secrets.
        secrets: Vec<String>,
        /// The lines that hold them, markers included, in the order of the file.
        lines: Vec<RangeInclusive<usize>>,
    },
    /// Something of ours that was changed by hand; no edit will touch it.
    Damaged(EditError),
}

impl fmt::Debug for ComposeFile {
    /// The file may hold secrets, so that its text is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComposeFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes().len())
            .finish_non_exhaustive()
    }
}

impl ComposeFile {
    /// Reads a Compose file from its bytes; the path is only for messages.
    ///
    /// # Errors
    /// When the bytes are not one YAML document with a mapping of services, with line and column.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, ParseError> {
        let fail = |line, column, problem: ParseProblem| {
            let hint = problem.hint();
            ParseError { path: path.to_owned(), line, column, problem, hint }
        };
        let source = Source::new(bytes).map_err(|(line, column, problem)| fail(line, column, problem))?;
        match tree::build(&source).and_then(|tree| check(&tree).map(|root| (tree, root))) {
            Ok((tree, root)) => Ok(Self { path: path.to_owned(), source, tree, root }),
            Err((offset, problem)) => {
                let (line, column) = source.position(offset);
                Err(fail(line, column, problem))
            }
        }
    }

    /// Loads a Compose file from disk.
    ///
    /// # Errors
    /// When there is no such regular, readable file of a sane size, or when it cannot be parsed.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let fail = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                ReadError::Missing { path: path.to_owned() }
            }
            io::ErrorKind::PermissionDenied => ReadError::Permission { path: path.to_owned(), source },
            _ => ReadError::Io { path: path.to_owned(), source },
        };
        let too_large = |bytes: u64| {
            let problem = ParseProblem::TooLarge { bytes, limit: MAX_BYTES as u64 };
            let hint = problem.hint();
            ReadError::Parse(ParseError { path: path.to_owned(), line: 1, column: 1, problem, hint })
        };
        // Looked at before it is opened: opening a pipe would wait for its writer.
        let metadata = std::fs::metadata(path).map_err(fail)?;
        if metadata.is_dir() {
            return Err(ReadError::Directory { path: path.to_owned() });
        }
        if !metadata.is_file() {
            return Err(ReadError::NotRegular { path: path.to_owned() });
        }
        if metadata.len() > MAX_BYTES as u64 {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::new();
        // It may grow between the look and the read.
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(fail)?;
        if bytes.len() > MAX_BYTES {
            return Err(too_large(bytes.len() as u64));
        }
        Ok(Self::parse(path, bytes)?)
    }

    /// The bytes that were read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.source.text().as_bytes()
    }

    /// The path that was given for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All services in the order of the file, those of merge keys included.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceEntry> {
        let Some((_, services)) = self.tree.entry(self.root, Section::Services.key()) else {
            return Vec::new();
        };
        self.tree
            .merged_entries(services)
            .into_iter()
            .map(|(name, key, _)| ServiceEntry {
                name: name.to_owned(),
                line: self.source.line(self.tree.node(key).start),
            })
            .collect()
    }

    /// The names under a top-level key such as `volumes`, `networks`, `configs` or `secrets`.
    #[must_use]
    pub fn top_level(&self, key: &str) -> Vec<String> {
        let Some((_, value)) = self.tree.entry(self.root, key) else { return Vec::new() };
        self.tree.merged_entries(value).into_iter().map(|(name, _, _)| name.to_owned()).collect()
    }

    /// The project's name as the file states it, variables not replaced.
    #[must_use]
    pub fn project_name(&self) -> Option<String> {
        let (_, value) = self.tree.entry(self.root, "name")?;
        self.tree.scalar(value).filter(|name| !name.is_empty()).map(str::to_owned)
    }

    /// All included paths as they are written, in the short and the long form.
    #[must_use]
    pub fn includes(&self) -> Vec<String> {
        let Some((_, value)) = self.tree.entry(self.root, Section::Include.key()) else { return Vec::new() };
        self.tree.items(value).iter().flat_map(|item| self.include_paths(*item)).collect()
    }

    /// The paths of one entry of `include`.
    pub(crate) fn include_paths(&self, item: NodeId) -> Vec<String> {
        let path = match self.tree.scalar(item) {
            Some(_) => Some(item),
            None => self.tree.entry(item, "path").map(|(_, path)| path),
        };
        let Some(path) = path else { return Vec::new() };
        match self.tree.scalar(path) {
            Some(path) => vec![path.to_owned()],
            None => {
                self.tree.items(path).iter().filter_map(|p| self.tree.scalar(*p)).map(str::to_owned).collect()
            }
        }
    }

    /// The services that a service waits for, in the short and the long form.
    #[must_use]
    pub fn depends_on(&self, service: &str) -> Vec<String> {
        let depends_on = self
            .tree
            .entry(self.root, Section::Services.key())
            .and_then(|(_, services)| self.tree.entry(services, service))
            .and_then(|(_, service)| self.tree.entry(service, "depends_on"));
        let Some((_, value)) = depends_on else { return Vec::new() };
        if self.tree.is_mapping(value) {
            return self.tree.merged_entries(value).into_iter().map(|(name, _, _)| name.to_owned()).collect();
        }
        self.tree.items(value).iter().filter_map(|item| self.tree.scalar(*item)).map(str::to_owned).collect()
    }

    /// What of ours is in the file now.
    #[must_use]
    pub fn ours(&self) -> Ours {
        let managed = match managed::find(self) {
            Ok(managed) => managed,
            Err(error) => return Ours::Damaged(error),
        };
        if managed.is_empty() {
            return Ours::NotThere;
        }
        let names = |section| {
            let of_section = managed.iter().filter(|part| part.section == section);
            of_section.flat_map(|part| part.names.clone()).collect::<Vec<String>>()
        };
        let merged = managed.iter().any(|part| part.section != Section::Include);
        if let (false, [part]) = (merged, managed.as_slice()) {
            let path = names(Section::Include).into_iter().next().unwrap_or_default();
            return Ours::Include { path, lines: part.lines.clone() };
        }
        let mut lines: Vec<_> = managed.iter().map(|part| part.lines.clone()).collect();
        lines.sort_by_key(|lines| *lines.start());
        Ours::Merged {
            services: names(Section::Services),
            volumes: names(Section::Volumes),
            networks: names(Section::Networks),
            configs: names(Section::Configs),
            secrets: names(Section::Secrets),
            lines,
        }
    }

    /// Adds one entry to `include`, and takes out whatever else of ours is there.
    ///
    /// An entry for the same path that the owner wrote is left as it is, without a marker.
    ///
    /// # Errors
    /// When the file cannot be edited so that the edit can be undone exactly.
    pub fn with_include(&self, path: &str) -> Result<Edited, EditError> {
        edit::with_include(self, path)
    }

    /// Adds a fragment's entries to the top-level mappings, replacing what of ours is there.
    ///
    /// Entries with the same content that the owner wrote are left as they are, without a marker.
    ///
    /// # Errors
    /// When a name is taken, or the file cannot be edited so that the edit can be undone exactly.
    pub fn with_merged(&self, fragment: &Fragment) -> Result<Edited, EditError> {
        edit::with_merged(self, fragment)
    }

    /// Takes out everything of ours, and with it gives the owner's own bytes back.
    ///
    /// # Errors
    /// When something of ours was changed by hand, or the owner's entries hang on it.
    pub fn without_ours(&self) -> Result<Edited, EditError> {
        edit::without_ours(self)
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn root(&self) -> NodeId {
        self.root
    }

    /// An error about that place of the file.
    pub(crate) fn edit_error(&self, offset: usize, problem: EditProblem) -> EditError {
        let (line, column) = self.source.position(offset);
        let hint = problem.hint();
        EditError { path: self.path.clone(), line, column, problem, hint }
    }
}

/// The document's shape, as far as Compose files have one.
fn check(tree: &Tree) -> Result<NodeId, (usize, ParseProblem)> {
    let root = tree.root.ok_or((0, ParseProblem::Empty))?;
    if tree.is_null(root) {
        return Err((tree.node(root).start, ParseProblem::Empty));
    }
    if !tree.is_mapping(root) {
        return Err((tree.outer_start(root), ParseProblem::RootNotMapping));
    }
    let mut present = BTreeSet::new();
    for (name, key, value) in tree.merged_entries(root) {
        let Some(section) = Section::from_key(name) else { continue };
        present.insert(section);
        let (fits, wanted) = match section {
            Section::Include => (tree.is_sequence(value), "list"),
            _ => (tree.is_mapping(value), "mapping"),
        };
        // An empty `services:` is what an owner leaves who keeps nothing but ours.
        if !fits && !tree.is_null(value) {
            return Err((tree.node(key).start, ParseProblem::WrongKind { section, wanted }));
        }
    }
    if !present.contains(&Section::Services) {
        return Err((tree.outer_start(root), ParseProblem::NoServices));
    }
    Ok(root)
}
