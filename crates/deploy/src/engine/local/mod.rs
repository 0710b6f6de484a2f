//! An engine of processes: each service of a Compose project is one supervised process of this machine.
//!
//! | Compose | here |
//! |---|---|
//! | image | the server inside the running program, see [`LOCAL_IMAGE`]; `entrypoint` replaces it |
//! | container | a [`supervisor`] with its server; its folder is `services/<name>` |
//! | `environment`, `env_file` | the server's environment; a value that is a mount's target becomes the folder |
//! | volume | a folder `volumes/<label>/<name>` |
//! | `restart: unless-stopped` | the supervisor starts the server again |
//! | network, Postgres | none |

mod process;
mod record;
mod service;
mod supervisor;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ken_secrets::Secret;
use serde_json::{Value, json};

use super::http::HttpClient;
use super::{
    Activity, ComposeProject, Container, Engine, EngineError, EngineFacts, Health, HttpRequest, HttpResponse,
    ImageState, Life, PortState, PullProgress, SqlTarget, host,
};
use crate::stack::LOCAL_IMAGE;

use process::Process;
use record::{Definition, Run};
pub use supervisor::{SuperviseError, supervise};

/// Between two looks at a process that starts or ends.
const PACE: Duration = Duration::from_millis(10);
/// How long a new supervisor may take until it says that it runs.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// How long a healthy server takes to say so.
const HEALTH_PATIENCE: Duration = Duration::from_millis(500);

/// How to start the two processes of a service; both are given further arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Makes it a supervisor; the service's folder follows.
    pub supervise: Vec<String>,
    /// Makes it a server.
    pub serve: Vec<String>,
}

/// The engine.
#[derive(Debug)]
pub struct LocalEngine {
    root: PathBuf,
    program: Program,
    http: HttpClient,
}

fn failed(operation: impl Into<String>) -> impl FnOnce(std::io::Error) -> EngineError {
    let operation = operation.into();
    move |error| EngineError::Api { operation, why: error.to_string() }
}

impl LocalEngine {
    /// An engine that keeps everything under `root`, an absolute path.
    ///
    /// # Errors
    /// [`EngineError::Http`] when no HTTP client can be made.
    pub fn new(root: PathBuf, program: Program) -> Result<Self, EngineError> {
        Ok(Self { root, program, http: HttpClient::new()? })
    }

    fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    fn volume_root(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// The folders of all services that were started and not removed.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> =
            entries(&self.services()).filter(|path| Definition::path(path).exists()).collect();
        folders.sort();
        folders
    }

    fn folder_of(&self, id: &str) -> Option<PathBuf> {
        self.folders().into_iter().find(|folder| Definition::read(folder).is_some_and(|it| it.id == id))
    }

    async fn look(&self, folder: &Path) -> Option<Container> {
        let definition = Definition::read(folder)?;
        let run = Run::read(folder);
        let is_alive = |process: &Option<Process>| process.as_ref().is_some_and(Process::is_alive);
        let supervised = run.as_ref().is_some_and(|run| is_alive(&Some(run.supervisor.clone())));
        let serving = run.as_ref().is_some_and(|run| is_alive(&run.server));
        let activity = match (supervised, serving) {
            (true, true) => Activity::Running,
            (true, false) => Activity::Restarting,
            (false, _) => Activity::Exited(run.as_ref().and_then(|run| run.last_status).unwrap_or(137)),
        };
        let health = match &definition.health {
            _ if activity != Activity::Running => Health::Unchecked,
            None => Health::Unchecked,
            Some(url) => {
                let request = HttpRequest { timeout: HEALTH_PATIENCE, ..HttpRequest::get(url.clone()) };
                match self.http.send(request).await {
                    Ok(answer) if answer.status == 200 => Health::Healthy,
                    _ => Health::Starting,
                }
            }
        };
        Some(Container {
            id: definition.id,
            name: definition.name,
            image: definition.image,
            labels: definition.labels,
            activity,
            health,
            addresses: BTreeMap::from([("host".to_owned(), "127.0.0.1".to_owned())]),
            published: if activity == Activity::Running { definition.published } else { Vec::new() },
        })
    }

    /// Ends a service's processes, and with them what is known of them.
    async fn end(&self, folder: &Path, grace: Duration) -> Result<(), EngineError> {
        if let Some(run) = Run::read(folder) {
            run.supervisor.terminate();
            let deadline = tokio::time::Instant::now() + grace;
            while run.supervisor.is_alive() && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(PACE).await;
            }
            for process in std::iter::once(run.supervisor).chain(Run::read(folder).and_then(|run| run.server))
            {
                process.kill();
                while process.is_alive() {
                    tokio::time::sleep(PACE).await;
                }
            }
        }
        Ok(())
    }

    async fn start(&self, folder: &Path) -> Result<(), EngineError> {
        let log = record::log(folder);
        let output = record::private_append(&log).map_err(failed("open the log"))?;
        let mut command = std::process::Command::new(&self.program.path);
        command
            .args(&self.program.supervise)
            .arg(folder)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(output);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(failed(format!("start {}", self.program.path.display())))?;
        let pid = child.id();
        let deadline = tokio::time::Instant::now() + START_PATIENCE;
        loop {
            if Run::read(folder).is_some_and(|run| run.supervisor.pid == pid && run.supervisor.is_alive()) {
                return Ok(());
            }
            let gone = !Process::of(pid).is_some_and(|process| process.is_alive());
            if gone || tokio::time::Instant::now() >= deadline {
                let said = record::tail(&log, 1).pop().unwrap_or_else(|| "it said nothing".to_owned());
                return Err(EngineError::Api {
                    operation: format!("start the supervisor in {}", folder.display()),
                    why: said,
                });
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Engine for LocalEngine {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        Ok(EngineFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            compose_version: String::new(),
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
            memory: host::memory().unwrap_or_default(),
            clock_skew: Some(0.0),
            root: self.root.clone(),
            disk_free: host::disk_free(&self.root),
            avx: host::avx(),
        })
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let mut containers = Vec::new();
        for folder in self.folders() {
            containers.extend(self.look(&folder).await);
        }
        Ok(containers)
    }

    async fn life(&self, id: &str) -> Result<Option<Life>, EngineError> {
        let run = self.folder_of(id).and_then(|folder| Run::read(&folder));
        Ok(run.map(|run| Life { id: id.to_owned(), started_at: run.started_at.to_string() }))
    }

    async fn logs(&self, id: &str, lines: u32) -> Result<Vec<String>, EngineError> {
        let none =
            || EngineError::Api { operation: "read a log".to_owned(), why: format!("no service {id}") };
        let folder = self.folder_of(id).ok_or_else(none)?;
        Ok(record::tail(&record::log(&folder), lines as usize))
    }

    async fn image(&self, reference: &str, _ask_registry: bool) -> Result<ImageState, EngineError> {
        Ok(if reference == LOCAL_IMAGE {
            ImageState::Present { digest: None }
        } else {
            ImageState::Unresolvable { why: format!("this program is {LOCAL_IMAGE}") }
        })
    }

    async fn pull(
        &self,
        reference: &str,
        _progress: &mut dyn FnMut(PullProgress),
    ) -> Result<(), EngineError> {
        match self.image(reference, false).await? {
            ImageState::Unresolvable { why } => {
                Err(EngineError::Api { operation: format!("fetch {reference}"), why })
            }
            _ => Ok(()),
        }
    }

    async fn volumes(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        let labels = entries(&self.volume_root());
        Ok(labels
            .flat_map(|label| entries(&label).map(move |volume| (name_of(&volume), Some(name_of(&label)))))
            .collect())
    }

    async fn networks(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        Ok(BTreeMap::new())
    }

    async fn resolve(
        &self,
        project: &ComposeProject,
        candidate: Option<&[u8]>,
    ) -> Result<Value, EngineError> {
        let mut model = json!({ "name": "langfuse-local", "services": {}, "volumes": {} });
        for (at, file) in project.files.iter().enumerate() {
            let text = match candidate.filter(|_| at == project.editable) {
                Some(bytes) => bytes.to_vec(),
                None => std::fs::read(file).map_err(failed(format!("read {}", file.display())))?,
            };
            service::merge(&mut model, &text)?;
        }
        if !project.name.is_empty() {
            model["name"] = Value::from(project.name.clone());
        }
        Ok(model)
    }

    async fn up(&self, project: &ComposeProject, services: &[String]) -> Result<(), EngineError> {
        let model = self.resolve(project, None).await?;
        for name in services {
            let folder = self.services().join(name);
            let definition = service::definition(&model, name, project, &self.volume_root(), &self.program)?;
            let before = Definition::read(&folder);
            let same = before.as_ref().is_some_and(|before| before.is_like(&definition));
            let alive = Run::read(&folder).is_some_and(|run| run.supervisor.is_alive());
            if same && alive {
                continue;
            }
            self.end(&folder, Duration::from_secs(definition.stop_grace)).await?;
            definition.write(&folder).map_err(failed(format!("write {}", folder.display())))?;
            self.start(&folder).await?;
        }
        Ok(())
    }

    async fn remove(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let Some(folder) = self.folder_of(id) else { return Ok(()) };
        self.end(&folder, grace).await?;
        remove_folder(&folder)
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        for label in entries(&self.volume_root()) {
            remove_folder(&label.join(name))?;
        }
        Ok(())
    }

    async fn remove_network(&self, _name: &str) -> Result<(), EngineError> {
        Ok(())
    }

    async fn sql(&self, _target: &SqlTarget, _script: &Secret) -> Result<String, EngineError> {
        Err(EngineError::Sql { status: 1, stderr: "the local engine has no Postgres".to_owned() })
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, EngineError> {
        self.http.send(request).await
    }

    async fn port(&self, address: &str, port: u16) -> Result<PortState, EngineError> {
        Ok(host::port(address, port))
    }

    async fn changed(&self, _project: &str, patience: Duration) -> Result<(), EngineError> {
        tokio::time::sleep(patience.min(PACE)).await;
        Ok(())
    }
}

fn remove_folder(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}
