//! [`Engine`] over a real Docker Engine by bollard, and the real Compose by its command.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as BollardError;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State, EventMessage};
use bollard::query_parameters::{
    CreateImageOptions, EventsOptions, InspectContainerOptions, ListContainersOptions, ListNetworksOptions,
    ListVolumesOptions, LogsOptions, RemoveContainerOptions, RemoveVolumeOptions, StopContainerOptions,
};
use futures_util::{Stream, StreamExt};
use ken_secrets::Secret;
use serde_json::Value;

use super::{
    Activity, ComposeProject, Container, Engine, EngineError, EngineFacts, Health, HttpRequest, HttpResponse,
    ImageState, Life, PortState, PullProgress, SqlTarget, compose, host, http, postgres,
};
use crate::stack::STACK_LABEL;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Patience with one call to the engine, in seconds. A stop waits on its own clock.
const API_TIMEOUT: u64 = 120;

type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, BollardError>>>>;

/// A real engine.
pub struct DockerEngine {
    docker: Docker,
    /// True when the engine shares this machine's kernel and disks.
    local: bool,
    compose_version: String,
    /// The engine's address for Compose, as `DOCKER_HOST` has it.
    host: String,
    http: http::HttpClient,
    /// Opened once, before the first look, so that no change falls between a look and a wait.
    events: RefCell<HashMap<String, Events>>,
    /// Held by every child, so that the deploy lock outlives us as long as one of them works on.
    lock: RefCell<Option<std::fs::File>>,
}

impl std::fmt::Debug for DockerEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerEngine").field("local", &self.local).finish_non_exhaustive()
    }
}

impl DockerEngine {
    /// Connects to the engine of `DOCKER_HOST`, or to the local socket, and asks Compose for its version.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`], [`EngineError::Forbidden`] or [`EngineError::NoCompose`].
    pub async fn connect(docker_host: Option<&str>) -> Result<Self, EngineError> {
        let address = docker_host.filter(|h| !h.is_empty()).unwrap_or(DEFAULT_SOCKET).to_owned();
        let unreachable = |why: String| EngineError::Unreachable { address: address.clone(), why };
        let socket =
            address.strip_prefix("unix://").or_else(|| address.starts_with('/').then_some(address.as_str()));
        let docker = match socket {
            Some(path) => {
                match UnixStream::connect(path) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                        return Err(EngineError::Forbidden { address: path.to_owned() });
                    }
                    Err(error) => return Err(unreachable(error.to_string())),
                }
                Docker::connect_with_unix(path, API_TIMEOUT, bollard::API_DEFAULT_VERSION)
            }
            None => Docker::connect_with_http(&address, API_TIMEOUT, bollard::API_DEFAULT_VERSION),
        };
        let docker = docker.map_err(|error| unreachable(error.to_string()))?;
        let docker = docker.negotiate_version().await.map_err(|error| unreachable(error.to_string()))?;
        let host = socket.map_or_else(|| address.clone(), |path| format!("unix://{path}"));
        Ok(Self {
            docker,
            local: socket.is_some(),
            compose_version: compose::version(&host)?,
            host,
            http: http::HttpClient::new()?,
            events: RefCell::new(HashMap::new()),
            lock: RefCell::new(None),
        })
    }

    /// Hands every later child process a handle of the lock file.
    pub fn hold_lock(&self, file: Option<std::fs::File>) {
        *self.lock.borrow_mut() = file;
    }

    fn lock_handle(&self) -> Option<std::fs::File> {
        self.lock.borrow().as_ref().and_then(|file| file.try_clone().ok())
    }
}

fn api(operation: impl Into<String>) -> impl FnOnce(BollardError) -> EngineError {
    let operation = operation.into();
    move |error| EngineError::Api { operation, why: words(&error) }
}

/// The engine's own words where it gave some.
fn words(error: &BollardError) -> String {
    match error {
        BollardError::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => other.to_string(),
    }
}

fn is_status(error: &BollardError, status: u16) -> bool {
    matches!(error, BollardError::DockerResponseServerError { status_code, .. } if *status_code == status)
}

fn label_filter(key: &str, values: &[&str]) -> HashMap<String, Vec<String>> {
    HashMap::from([(key.to_owned(), values.iter().map(|v| (*v).to_owned()).collect())])
}

fn container(summary: ContainerSummary) -> Container {
    let status = summary.status.unwrap_or_default();
    let activity = match summary.state {
        Some(State::RUNNING) => Activity::Running,
        Some(State::RESTARTING) => Activity::Restarting,
        Some(State::PAUSED) => Activity::Paused,
        Some(State::EXITED) => Activity::Exited(exit_code(&status)),
        Some(State::CREATED) => Activity::Created,
        _ => Activity::Dead,
    };
    let health = if status.contains("(healthy)") {
        Health::Healthy
    } else if status.contains("(unhealthy)") {
        Health::Unhealthy
    } else if status.contains("(health: starting)") {
        Health::Starting
    } else {
        Health::Unchecked
    };
    let networks = summary.network_settings.and_then(|s| s.networks).unwrap_or_default();
    Container {
        id: summary.id.unwrap_or_default(),
        name: summary
            .names
            .unwrap_or_default()
            .first()
            .map(|n| n.trim_start_matches('/').to_owned())
            .unwrap_or_default(),
        image: summary.image.unwrap_or_default(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        activity,
        health,
        addresses: networks
            .into_iter()
            .filter_map(|(name, endpoint)| {
                let address = endpoint.ip_address.filter(|a| !a.is_empty())?;
                Some((name, address))
            })
            .collect(),
        published: summary
            .ports
            .unwrap_or_default()
            .into_iter()
            .filter_map(|p| Some((p.ip.unwrap_or_default(), p.public_port?, p.private_port)))
            .collect(),
    }
}

/// From `Exited (137) 5 minutes ago`.
fn exit_code(status: &str) -> i64 {
    status
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(code, _)| code.parse().ok())
        .unwrap_or(-1)
}

impl Engine for DockerEngine {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        let info = self.docker.info().await.map_err(api("say what it is"))?;
        let root = PathBuf::from(info.docker_root_dir.unwrap_or_default());
        let skew = info.system_time.as_deref().and_then(host::clock_skew);
        Ok(EngineFacts {
            version: info.server_version.unwrap_or_default(),
            compose_version: self.compose_version.clone(),
            os: info.os_type.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            cpus: info.ncpu.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            memory: info.mem_total.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            clock_skew: skew,
            disk_free: if self.local { host::disk_free(&root) } else { None },
            avx: if self.local { host::avx() } else { None },
            root,
        })
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let list = self.docker.list_containers(Some(options)).await.map_err(api("list containers"))?;
        Ok(list.into_iter().map(container).collect())
    }

    async fn life(&self, id: &str) -> Result<Option<Life>, EngineError> {
        match self.docker.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(seen) => Ok(Some(Life {
                id: seen.id.unwrap_or_default(),
                started_at: seen.state.and_then(|s| s.started_at).unwrap_or_default(),
            })),
            Err(error) if is_status(&error, 404) => Ok(None),
            Err(error) => Err(api("inspect a container")(error)),
        }
    }

    async fn logs(&self, id: &str, lines: u32) -> Result<Vec<String>, EngineError> {
        let options =
            LogsOptions { stdout: true, stderr: true, tail: lines.to_string(), ..Default::default() };
        let mut stream = self.docker.logs(id, Some(options));
        let mut text = String::new();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => text.push_str(&String::from_utf8_lossy(&chunk.into_bytes())),
                Err(error) => return Err(api("read a container's log")(error)),
            }
        }
        let all: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        let from = all.len().saturating_sub(lines as usize);
        Ok(all[from..].iter().map(|l| (*l).to_owned()).collect())
    }

    async fn image(&self, reference: &str, ask_registry: bool) -> Result<ImageState, EngineError> {
        match self.docker.inspect_image(reference).await {
            Ok(image) => {
                let repository = repository(reference);
                let digest = image.repo_digests.unwrap_or_default().into_iter().find_map(|known| {
                    let (name, digest) = known.split_once('@')?;
                    (short(name) == short(repository)).then(|| digest.to_owned())
                });
                return Ok(ImageState::Present { digest });
            }
            Err(error) if is_status(&error, 404) => {}
            Err(error) => return Err(api("inspect an image")(error)),
        }
        if !ask_registry {
            return Ok(ImageState::Unresolvable { why: "it is not on this machine".to_owned() });
        }
        match self.docker.inspect_registry_image(reference, None).await {
            Ok(found) => Ok(ImageState::Resolvable { digest: found.descriptor.digest }),
            Err(error) => Ok(ImageState::Unresolvable { why: words(&error) }),
        }
    }

    async fn pull(&self, reference: &str, progress: &mut dyn FnMut(PullProgress)) -> Result<(), EngineError> {
        let options = CreateImageOptions { from_image: Some(reference.to_owned()), ..Default::default() };
        let mut stream = self.docker.create_image(Some(options), None, None);
        let mut layers: HashMap<String, (u64, u64)> = HashMap::new();
        while let Some(step) = stream.next().await {
            let step = step.map_err(api(format!("pull {reference}")))?;
            if let Some(why) = step.error_detail.and_then(|e| e.message) {
                return Err(EngineError::Api { operation: format!("pull {reference}"), why });
            }
            let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
            if step.status.as_deref() == Some("Downloading")
                && let (Some(id), Some(detail)) = (step.id, step.progress_detail)
                && let (Some(current), Some(total)) = (bytes(detail.current), bytes(detail.total))
            {
                layers.insert(id, (current, total));
                let sum = |pick: fn(&(u64, u64)) -> u64| layers.values().map(pick).sum();
                progress(PullProgress { current: sum(|l| l.0), total: sum(|l| l.1) });
            }
        }
        Ok(())
    }

    async fn volumes(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        let list = self.docker.list_volumes(None::<ListVolumesOptions>).await.map_err(api("list volumes"))?;
        Ok(list
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|v| (v.name, v.labels.get(STACK_LABEL).cloned()))
            .collect())
    }

    async fn networks(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        let list =
            self.docker.list_networks(None::<ListNetworksOptions>).await.map_err(api("list networks"))?;
        Ok(list
            .into_iter()
            .filter_map(|n| Some((n.name?, n.labels.and_then(|l| l.get(STACK_LABEL).cloned()))))
            .collect())
    }

    async fn resolve(
        &self,
        project: &ComposeProject,
        candidate: Option<&[u8]>,
    ) -> Result<Value, EngineError> {
        compose::resolve(&self.host, project, candidate).await
    }

    async fn up(&self, project: &ComposeProject, services: &[String]) -> Result<(), EngineError> {
        compose::up(&self.host, project, services, self.lock_handle()).await
    }

    async fn remove(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let patient = self.docker.clone().with_timeout(grace + Duration::from_secs(API_TIMEOUT));
        let options = StopContainerOptions { t: Some(seconds), ..Default::default() };
        match patient.stop_container(id, Some(options)).await {
            Ok(()) => {}
            Err(error) if is_status(&error, 404) => return Ok(()),
            Err(error) if is_status(&error, 304) => {}
            Err(error) => return Err(api("stop a container")(error)),
        }
        // Anonymous volumes of the image go with it; named ones never do.
        let options = RemoveContainerOptions { v: true, force: true, ..Default::default() };
        match patient.remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) || is_status(&error, 409) => Ok(()),
            Err(error) => Err(api("remove a container")(error)),
        }
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        match self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) => Ok(()),
            Err(error) => Err(api(format!("remove volume {name}"))(error)),
        }
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        match self.docker.remove_network(name).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) => Ok(()),
            Err(error) => Err(api(format!("remove network {name}"))(error)),
        }
    }

    async fn sql(&self, target: &SqlTarget, script: &Secret) -> Result<String, EngineError> {
        postgres::psql(&self.docker, target, script).await
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, EngineError> {
        self.http.send(request).await
    }

    async fn port(&self, address: &str, port: u16) -> Result<PortState, EngineError> {
        // Docker's own ports first: the engine's proxy process would otherwise be named as the owner.
        for container in self.containers().await? {
            if container.activity == Activity::Running
                && container.published.iter().any(|(ip, host, _)| {
                    *host == port && (ip == address || matches!(ip.as_str(), "0.0.0.0" | "::" | ""))
                })
            {
                return Ok(PortState::Taken { owner: format!("container {}", container.name) });
            }
        }
        Ok(if self.local { host::port(address, port) } else { PortState::Free })
    }

    async fn changed(&self, project: &str, patience: Duration) -> Result<(), EngineError> {
        let taken = self.events.borrow_mut().remove(project);
        let mut events = taken.unwrap_or_else(|| {
            let mut filters = label_filter("label", &[&format!("com.docker.compose.project={project}")]);
            filters.extend(label_filter("event", &["start", "die", "health_status", "destroy", "oom"]));
            // A minute back: what happened while we looked is delivered again instead of being lost.
            let since = (jiff::Timestamp::now().as_second() - 1).to_string();
            Box::pin(self.docker.events(Some(EventsOptions {
                since: Some(since),
                filters: Some(filters),
                until: None,
            })))
        });
        match tokio::time::timeout(patience, events.next()).await {
            // An engine that restarts ends the stream; the next wait opens a new one after a breath.
            Ok(Some(Err(_)) | None) => tokio::time::sleep(patience.min(Duration::from_millis(500))).await,
            Ok(Some(Ok(_))) | Err(_) => {
                self.events.borrow_mut().insert(project.to_owned(), events);
            }
        }
        Ok(())
    }
}

/// `registry/name` of a reference, without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

/// A repository as the engine writes it: Docker Hub's names are shortened.
fn short(repository: &str) -> &str {
    let name = repository.strip_prefix("docker.io/").unwrap_or(repository);
    name.strip_prefix("library/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_s_words_are_understood() {
        assert_eq!(exit_code("Exited (137) 5 minutes ago"), 137);
        assert_eq!(exit_code("Up 3 seconds"), -1);
        let summary = |state, status: &str| {
            container(ContainerSummary {
                state: Some(state),
                status: Some(status.to_owned()),
                ..Default::default()
            })
        };
        assert_eq!(summary(State::RUNNING, "Up 3 seconds (healthy)").health, Health::Healthy);
        assert_eq!(summary(State::RUNNING, "Up 3 seconds (unhealthy)").health, Health::Unhealthy);
        assert_eq!(summary(State::RUNNING, "Up 3 seconds (health: starting)").health, Health::Starting);
        assert_eq!(summary(State::RUNNING, "Up 3 seconds").health, Health::Unchecked);
        assert_eq!(summary(State::EXITED, "Exited (0) 1 second ago").activity, Activity::Exited(0));
    }

    #[test]
    fn repositories_are_compared_as_the_engine_writes_them() {
        assert_eq!(short(repository("docker.io/library/redis:7.2.1")), "redis");
        assert_eq!(short(repository("docker.io/langfuse/langfuse:4.16.0@sha256:00")), "langfuse/langfuse");
        assert_eq!(repository("localhost:5000/a/b"), "localhost:5000/a/b");
    }
}
