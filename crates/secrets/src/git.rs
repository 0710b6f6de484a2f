//! Whether Git has a file.

use std::path::Path;

/// What Git says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitState {
    /// It is in the index: every clone has it.
    Tracked,
    /// There is a repository, and the file is not in its index.
    NotTracked,
    /// There is no repository here.
    NoRepository,
    /// Git could not be asked.
    Unknown(String),
}

/// Asks Git whether it tracks a file. Never fails: without Git nothing is tracked that we could know of.
#[must_use]
pub fn git_tracked(path: &Path) -> GitState {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return GitState::Unknown("the path has no folder".to_owned());
    };
    if !folder.is_dir() {
        return GitState::NotTracked;
    }
    // Walking up for `.git` is cheaper than a process, and most folders of secrets lie outside any repository.
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if !absolute.ancestors().any(|p| p.join(".git").exists()) {
        return GitState::NoRepository;
    }
    let git = |arguments: &[&std::ffi::OsStr]| {
        let mut all = vec![std::ffi::OsStr::new("--literal-pathspecs"), "-C".as_ref(), absolute.as_os_str()];
        all.extend(arguments);
        duct::cmd("git", all).stdin_null().stdout_capture().stderr_capture().unchecked().run()
    };
    match git(&["ls-files".as_ref(), "--error-unmatch".as_ref(), "--".as_ref(), name]) {
        Ok(output) if output.status.success() => GitState::Tracked,
        Ok(output) if output.status.code() == Some(1) => GitState::NotTracked,
        Ok(output) => GitState::Unknown(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => GitState::Unknown(error.to_string()),
    }
}
