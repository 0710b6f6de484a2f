//! Compose by its command. Arguments carry names and paths only; secrets reach it through files that it reads itself.

use std::fs::File;
use std::path::Path;

use serde_json::Value;

use super::{ComposeProject, EngineError};

/// Oldest Compose that knows every word of ours: `include`, long `env_file`, `configs.content`, and `!override` (2.24.4).
pub(crate) const OLDEST: (u32, u32) = (2, 25);

/// Asks the plugin for its version.
pub(super) fn version(host: &str) -> Result<String, EngineError> {
    let output = duct::cmd("docker", ["compose", "version", "--short"])
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .stdin_null()
        .env("DOCKER_HOST", host)
        .run()
        .map_err(|error| EngineError::NoCompose { why: format!("`docker` could not be run: {error}") })?;
    let text = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_owned();
    if output.status.success() && text.starts_with(|c: char| c.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(EngineError::NoCompose { why: last_lines(&output.stderr) })
    }
}

fn arguments(project: &ComposeProject, candidate: bool) -> Vec<String> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut arguments = vec!["compose".to_owned(), "--ansi=never".to_owned(), "--progress=quiet".to_owned()];
    if !project.name.is_empty() {
        arguments.extend(["-p".to_owned(), project.name.clone()]);
    }
    arguments.extend(["--project-directory".to_owned(), path(&project.directory)]);
    for (index, file) in project.files.iter().enumerate() {
        let file = if candidate && index == project.editable { "-".to_owned() } else { path(file) };
        arguments.extend(["-f".to_owned(), file]);
    }
    for file in &project.env_files {
        arguments.extend(["--env-file".to_owned(), path(file)]);
    }
    arguments
}

enum Input {
    Nothing,
    Bytes(Vec<u8>),
    Handle(File),
}

async fn run(host: &str, arguments: Vec<String>, verb: String, input: Input) -> Result<Vec<u8>, EngineError> {
    // Said outright: the client's current context could be another engine than ours.
    let host = host.to_owned();
    let work = move || {
        let command = duct::cmd("docker", arguments).stdout_capture().stderr_capture().unchecked();
        // Compose must not wait for an answer, nor take ours for its menu.
        let command = command
            .env("COMPOSE_MENU", "false")
            .env("COMPOSE_STATUS_STDOUT", "false")
            .env("DOCKER_HOST", host);
        match input {
            Input::Nothing => command.stdin_null(),
            Input::Bytes(bytes) => command.stdin_bytes(bytes),
            Input::Handle(file) => command.stdin_file(file),
        }
        .run()
    };
    let output = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| EngineError::NoCompose { why: error.to_string() })?
        .map_err(|error| EngineError::NoCompose { why: error.to_string() })?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(EngineError::Compose {
            command: verb,
            status: output.status.code().unwrap_or(-1),
            stderr: last_lines(&output.stderr),
        })
    }
}

/// The resolved model. `candidate` takes the place of the file that we may edit.
pub(super) async fn resolve(
    host: &str,
    project: &ComposeProject,
    candidate: Option<&[u8]>,
) -> Result<Value, EngineError> {
    let mut all = arguments(project, candidate.is_some());
    all.extend(["--profile", "*", "config", "--format", "json"].map(str::to_owned));
    let input = candidate.map_or(Input::Nothing, |bytes| Input::Bytes(bytes.to_vec()));
    let stdout = run(host, all, "config".to_owned(), input).await?;
    serde_json::from_slice(&stdout).map_err(|error| EngineError::Compose {
        command: "config".to_owned(),
        status: 0,
        stderr: format!("its answer is not JSON: {error}"),
    })
}

/// Creates and starts exactly these services. `lock` becomes the child's standard input, which it never reads: so the
/// lock is held for as long as the child works, even when we are killed.
pub(super) async fn up(
    host: &str,
    project: &ComposeProject,
    services: &[String],
    lock: Option<File>,
) -> Result<(), EngineError> {
    let mut all = arguments(project, false);
    all.extend(["up", "--detach", "--no-deps", "--no-build", "--pull", "never"].map(str::to_owned));
    all.extend(services.iter().cloned());
    let input = lock.map_or(Input::Nothing, Input::Handle);
    run(host, all, format!("up {}", services.join(" ")), input).await.map(|_| ())
}

/// The last few lines that are not warnings about somebody else's file.
fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.contains("level=warning")).collect();
    let from = lines.len().saturating_sub(4);
    if lines.is_empty() { "it said nothing".to_owned() } else { lines[from..].join("; ") }
}

/// `major.minor` of a version.
pub(crate) fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_edited_file_can_come_from_standard_input() {
        let project = ComposeProject {
            name: "docker".to_owned(),
            editable: 0,
            files: vec![PathBuf::from("/a/docker-compose.yml"), PathBuf::from("/a/override.yml")],
            directory: PathBuf::from("/a"),
            env_files: vec![PathBuf::from("/a/prod.env")],
        };
        let line = arguments(&project, true).join(" ");
        assert!(
            line.ends_with("-p docker --project-directory /a -f - -f /a/override.yml --env-file /a/prod.env"),
            "{line}"
        );
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(major_minor("2.24.6"), Some((2, 24)));
        assert_eq!(major_minor("20.10.24+dfsg1"), Some((20, 10)));
        assert_eq!(major_minor("nonsense"), None);
    }
}
