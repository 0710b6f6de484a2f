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

/// By these a caller that is a Git hook would point us at another repository.
const MISLEADING: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"];

/// Asks Git whether it tracks a file. Never fails: without Git nothing is tracked that we could know of.
#[must_use]
pub fn git_tracked(path: &Path) -> GitState {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return GitState::Unknown("the path has no folder".to_owned());
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // The folder of a tracked file may be gone from the disk: ask from the nearest one that is there.
    let (mut folder, mut name) = (folder, Path::new(name).to_owned());
    while !folder.is_dir() {
        let (Some(parent), Some(last)) = (folder.parent(), folder.file_name()) else {
            return GitState::NoRepository;
        };
        name = Path::new(last).join(name);
        folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    }
    // Walking up for `.git` is cheaper than a process, and most folders of secrets lie outside any repository.
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if !absolute.ancestors().any(|p| p.join(".git").exists()) {
        return GitState::NoRepository;
    }
    let git = |arguments: &[&std::ffi::OsStr]| {
        // A repository's own settings must not make us run its programs.
        let mut all: Vec<&std::ffi::OsStr> =
            ["--literal-pathspecs", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C"]
                .map(std::ffi::OsStr::new)
                .to_vec();
        all.push(absolute.as_os_str());
        all.extend(arguments);
        let git = MISLEADING.iter().fold(duct::cmd("git", all), |git, variable| git.env_remove(variable));
        git.stdin_null().stdout_capture().stderr_capture().unchecked().run()
    };
    match git(&["ls-files".as_ref(), "--error-unmatch".as_ref(), "--".as_ref(), name.as_os_str()]) {
        Ok(output) if output.status.success() => GitState::Tracked,
        Ok(output) if output.status.code() == Some(1) => GitState::NotTracked,
        Ok(output) => GitState::Unknown(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => GitState::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_in_a_real_repository() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let git = |arguments: &[&str]| {
            duct::cmd("git", arguments).dir(root).stdout_null().stderr_null().run().unwrap();
        };
        assert_eq!(git_tracked(&root.join("x.env")), GitState::NoRepository);
        git(&["init", "-q"]);
        std::fs::create_dir(root.join("sub")).unwrap();
        std::fs::write(root.join("sub/[x].env"), "").unwrap();
        std::fs::write(root.join("sub/x.env"), "").unwrap();
        git(&["add", "-f", "sub/x.env"]);
        assert_eq!(git_tracked(&root.join("sub/x.env")), GitState::Tracked);
        // As a pattern it would match the tracked file.
        assert_eq!(git_tracked(&root.join("sub/[x].env")), GitState::NotTracked);
        assert_eq!(git_tracked(&root.join("none.env")), GitState::NotTracked);
        assert_eq!(git_tracked(&root.join("none/none.env")), GitState::NotTracked);
        std::fs::remove_dir_all(root.join("sub")).unwrap();
        assert_eq!(git_tracked(&root.join("sub/x.env")), GitState::Tracked, "still in the index");
        std::fs::write(root.join(".git/index"), "rubbish").unwrap();
        assert!(matches!(git_tracked(&root.join("none.env")), GitState::Unknown(_)));
        assert!(matches!(git_tracked(Path::new("/")), GitState::Unknown(_)));
    }
}
