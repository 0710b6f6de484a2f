//! A copied folder with a Compose file, run under a name that nobody else has.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use duct::Expression;
use tempfile::TempDir;

use crate::command::{docker, docker_lines, read};
use crate::leftovers;

/// A Compose project of a test; removed with everything around it when dropped.
///
/// End a test with [`Project::finish`]: a project that is dropped without it belongs to a failed test, and
/// tells the last lines of each container. `KEN_E2E_KEEP=1` leaves folder and containers for a look.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
    compose_folder: PathBuf,
    name: String,
    finished: bool,
    /// Held for as long as the project lives.
    _engine: File,
}

/// Whether other tests may use the engine at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The usual case.
    Shared,
    /// For tests that hurt the engine itself.
    Alone,
}

/// What the engine says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerState {
    /// The engine's id.
    pub id: String,
    /// When the process in it began.
    pub started_at: String,
    /// `running`, `exited` and so on.
    pub status: String,
    /// `healthy` and so on; empty without a health check.
    pub health: String,
}

impl Project {
    /// Copies `sample`, whose Compose file is in its folder `compose_folder`; starts nothing.
    pub fn copy_of(sample: &Path, compose_folder: &str, sharing: Sharing) -> anyhow::Result<Self> {
        let engine = lock_engine(sharing)?;
        leftovers::sweep().context("cannot clean up after earlier tests")?;
        let folder = tempfile::Builder::new().prefix("kene2e-").tempdir()?;
        copy_folder(sample, folder.path())?;
        let compose_folder = folder.path().join(compose_folder);
        let project = Self {
            folder,
            compose_folder,
            name: leftovers::unique_project(),
            finished: false,
            _engine: engine,
        };
        project.set_variable("COMPOSE_PROJECT_NAME", project.name())?;
        Ok(project)
    }

    /// The top of the copy, which is not in a Git repository.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The Compose file.
    #[must_use]
    pub fn compose_file(&self) -> PathBuf {
        self.compose_folder.join("docker-compose.yml")
    }

    /// The `.env` beside it.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.compose_folder.join(".env")
    }

    /// The Compose project's name. Everything whose name begins with it is removed in the end.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes a variable into the `.env`, in place of an earlier value.
    pub fn set_variable(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let path = self.env_file();
        let text = if path.exists() { std::fs::read_to_string(&path) } else { Ok(String::new()) };
        let text = text.with_context(|| path.display().to_string())?;
        let earlier = format!("{name}=");
        let kept = text.lines().filter(|line| !line.starts_with(&earlier));
        let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
        text.push_str(&format!("{name}={value}\n"));
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }

    /// `docker compose` in the Compose file's folder, as its owners call it.
    pub fn compose<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Expression {
        duct::cmd("docker", ["compose"].into_iter().chain(words)).dir(&self.compose_folder)
    }

    /// Starts these services and waits until they are healthy.
    pub fn up<'w>(&self, services: impl IntoIterator<Item = &'w str>) -> anyhow::Result<()> {
        read(&self.compose(["up", "-d", "--wait"].into_iter().chain(services)))?;
        Ok(())
    }

    /// Runs a program in the running container of a service; gives what it printed.
    pub fn exec<'w>(
        &self,
        service: &str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> anyhow::Result<String> {
        let id = self.container_id(service)?;
        docker(["exec".to_owned(), id].into_iter().chain(words.into_iter().map(str::to_owned)))
    }

    /// The one container of a service, running or not.
    pub fn container(&self, service: &str) -> anyhow::Result<ContainerState> {
        let id = self.container_id(service)?;
        let format =
            "{{.Id}}\t{{.State.StartedAt}}\t{{.State.Status}}\t{{with .State.Health}}{{.Status}}{{end}}";
        let seen = docker(["container", "inspect", "--format", format, &id])?;
        let mut fields = seen.split('\t').map(str::to_owned);
        let mut next = || fields.next().with_context(|| format!("unexpected answer {seen:?}"));
        Ok(ContainerState { id: next()?, started_at: next()?, status: next()?, health: next()? })
    }

    /// Where a service answers on the project's own network, published or not.
    pub fn address(&self, service: &str, port: u16) -> anyhow::Result<SocketAddr> {
        let id = self.container_id(service)?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}\n{{end}}";
        let found = docker(["container", "inspect", "--format", format, &id])?;
        let ip = found
            .lines()
            .find(|line| !line.is_empty())
            .with_context(|| format!("{service} has no address"))?;
        Ok(SocketAddr::new(ip.parse()?, port))
    }

    /// Removes everything, and fails when that does: the proper end of a test.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.finished = true;
        if keep() {
            return Ok(());
        }
        leftovers::remove(&self.name)?;
        let left = leftovers::of(&self.name)?;
        anyhow::ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }

    pub(crate) fn container_id(&self, service: &str) -> anyhow::Result<String> {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let of_service = format!("label=com.docker.compose.service={service}");
        let list =
            ["container", "ls", "-a", "-q", "--no-trunc", "--filter", &project, "--filter", &of_service];
        let found = docker_lines(list)?;
        match found.as_slice() {
            [id] => Ok(id.clone()),
            _ => anyhow::bail!("{} containers of service {service} in {}", found.len(), self.name),
        }
    }

    /// The last words of every container around, for the log of a failed test.
    fn tell_state(&self) -> anyhow::Result<()> {
        let mut err = std::io::stderr();
        let (name, format) = (format!("name={}", self.name), "{{.ID}}\t{{.Names}}\t{{.Status}}");
        for line in docker_lines(["container", "ls", "-a", "--filter", &name, "--format", format])? {
            let mut fields = line.split('\t');
            let id = fields.next().unwrap_or_default();
            writeln!(err, "--- {}", fields.collect::<Vec<_>>().join(" "))?;
            let tail = duct::cmd!("docker", "logs", "--tail", "15", id).stderr_to_stdout();
            writeln!(err, "{}", read(&tail)?)?;
        }
        Ok(())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // Nothing here may panic: a test may be unwinding already.
        if !self.finished {
            let _ = self.tell_state();
        }
        if keep() {
            self.folder.disable_cleanup(true);
            let _ = writeln!(std::io::stderr(), "kept: project {} in {}", self.name, self.folder().display());
            return;
        }
        if let Err(cause) = leftovers::remove(&self.name) {
            let _ = writeln!(std::io::stderr(), "cannot clean up {}: {cause:#}", self.name);
        }
    }
}

fn keep() -> bool {
    std::env::var("KEN_E2E_KEEP").is_ok_and(|value| value == "1")
}

/// The lock goes with the file, even when the process is killed.
fn lock_engine(sharing: Sharing) -> anyhow::Result<File> {
    let path = std::env::temp_dir().join("ken-rig-engine.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    match sharing {
        Sharing::Shared => file.lock_shared(),
        Sharing::Alone => file.lock(),
    }
    .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}
