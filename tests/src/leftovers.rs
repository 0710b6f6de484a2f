//! Finding and removing everything that a test's Compose projects made at the engine.

use std::path::Path;

use crate::command::{docker, docker_lines};

/// What every project of these tests is named by, before the process that started it and a number.
const STEM: &str = "kene2e";

/// A project name that no other test, in this process or another, has.
pub(crate) fn unique_project() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{STEM}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What the engine keeps for a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Container,
    Network,
    Volume,
}

impl Kind {
    /// Containers first, for they hold the rest.
    const ALL: [Self; 3] = [Self::Container, Self::Network, Self::Volume];

    /// The words that list all of a kind, and the field with the name.
    fn list(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Container => (&["container", "ls", "-a"], "{{.Names}}"),
            Self::Network => (&["network", "ls"], "{{.Name}}"),
            Self::Volume => (&["volume", "ls"], "{{.Name}}"),
        }
    }

    fn remove(self) -> &'static [&'static str] {
        match self {
            Self::Container => &["container", "rm", "-f", "-v"],
            Self::Network => &["network", "rm"],
            Self::Volume => &["volume", "rm", "-f"],
        }
    }
}

/// What there is whose Compose project or name begins with `project`.
///
/// What a layout puts into a project of its own (`PROJECT-langfuse`) is among it.
pub(crate) fn of(project: &str) -> anyhow::Result<Vec<(Kind, String)>> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        found.extend(names(kind, &|name| belongs(name, project))?.into_iter().map(|name| (kind, name)));
    }
    Ok(found)
}

/// Removes what [`of`] finds.
pub(crate) fn remove(project: &str) -> anyhow::Result<()> {
    remove_where(&|name| belongs(name, project))
}

/// Removes what processes that are gone have left behind, as when a test was killed.
pub(crate) fn sweep() -> anyhow::Result<()> {
    remove_where(&|name| owner(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()))
}

fn belongs(name: &str, project: &str) -> bool {
    name.strip_prefix(project).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// The process that a name of ours carries.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(STEM)?.strip_prefix('-')?.split(['-', '_']).next()?.parse().ok()
}

fn names(kind: Kind, ours: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<String>> {
    let (list, name) = kind.list();
    let format = format!(r#"{name}{}{{{{.Label "com.docker.compose.project"}}}}"#, '\t');
    let found = docker_lines(list.iter().copied().chain(["--format", &format]))?;
    let fields = found.iter().filter_map(|line| line.split_once('\t'));
    Ok(fields
        .filter(|(name, project)| ours(name) || ours(project))
        .map(|(name, _)| name.to_owned())
        .collect())
}

fn remove_where(ours: &dyn Fn(&str) -> bool) -> anyhow::Result<()> {
    for kind in Kind::ALL {
        let names = names(kind, ours)?;
        if names.is_empty() {
            continue;
        }
        let removed = docker(kind.remove().iter().copied().chain(names.iter().map(String::as_str)));
        // Two tests may clean up after a third at the same time: what counts is that it is gone.
        if removed.is_err() && !self::names(kind, ours)?.is_empty() {
            removed?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_process() {
        let project = unique_project();
        assert_eq!(owner(&project), Some(std::process::id()));
        assert_eq!(owner(&format!("{project}-langfuse-clickhouse")), Some(std::process::id()));
        assert_eq!(owner(&format!("{project}_default")), Some(std::process::id()));
        for foreign in ["ken", "kene2e", "kene2e-x-1", "my-kene2e-1-1", "langfuse"] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_name_that_only_begins_alike_is_left_alone() {
        assert!(belongs("kene2e-7-1", "kene2e-7-1"));
        assert!(belongs("kene2e-7-1_default", "kene2e-7-1"));
        assert!(belongs("kene2e-7-1-langfuse-redis", "kene2e-7-1"));
        assert!(!belongs("kene2e-7-12_default", "kene2e-7-1"));
        assert!(!belongs("my-kene2e-7-1", "kene2e-7-1"));
    }

    #[test]
    fn no_name_is_given_twice() {
        assert_ne!(unique_project(), unique_project());
    }
}
