//! The engine that a command was told to use, or found.

use std::collections::BTreeMap;
use std::time::Duration;

use ken_secrets::Secret;
use serde_json::Value;

use super::{
    ComposeProject, Container, DockerEngine, Engine, EngineError, EngineFacts, HttpRequest, HttpResponse,
    ImageState, Life, LocalEngine, PortState, PullProgress, SqlTarget,
};

/// Either engine. Nothing above asks which it is.
#[derive(Debug)]
pub enum HostEngine {
    /// A Docker daemon.
    Docker(Box<DockerEngine>),
    /// Processes of this machine.
    Local(LocalEngine),
}

impl HostEngine {
    /// Hands the deploy lock to every command that is started from here on.
    pub fn hold_lock(&self, file: Option<std::fs::File>) {
        match self {
            Self::Docker(engine) => engine.hold_lock(file),
            // What it starts outlives the command and must not keep its lock.
            Self::Local(_) => drop(file),
        }
    }
}

macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            HostEngine::Docker($engine) => $call.await,
            HostEngine::Local($engine) => $call.await,
        }
    };
}

impl Engine for HostEngine {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        each!(self, engine => engine.facts())
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        each!(self, engine => engine.containers())
    }

    async fn life(&self, id: &str) -> Result<Option<Life>, EngineError> {
        each!(self, engine => engine.life(id))
    }

    async fn logs(&self, id: &str, lines: u32) -> Result<Vec<String>, EngineError> {
        each!(self, engine => engine.logs(id, lines))
    }

    async fn image(&self, reference: &str, ask_registry: bool) -> Result<ImageState, EngineError> {
        each!(self, engine => engine.image(reference, ask_registry))
    }

    async fn pull(&self, reference: &str, progress: &mut dyn FnMut(PullProgress)) -> Result<(), EngineError> {
        each!(self, engine => engine.pull(reference, progress))
    }

    async fn volumes(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        each!(self, engine => engine.volumes())
    }

    async fn networks(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        each!(self, engine => engine.networks())
    }

    async fn resolve(
        &self,
        project: &ComposeProject,
        candidate: Option<&[u8]>,
    ) -> Result<Value, EngineError> {
        each!(self, engine => engine.resolve(project, candidate))
    }

    async fn up(&self, project: &ComposeProject, services: &[String]) -> Result<(), EngineError> {
        each!(self, engine => engine.up(project, services))
    }

    async fn remove(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        each!(self, engine => engine.remove(id, grace))
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        each!(self, engine => engine.remove_volume(name))
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        each!(self, engine => engine.remove_network(name))
    }

    async fn sql(&self, target: &SqlTarget, script: &Secret) -> Result<String, EngineError> {
        each!(self, engine => engine.sql(target, script))
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, EngineError> {
        each!(self, engine => engine.http(request))
    }

    async fn port(&self, address: &str, port: u16) -> Result<PortState, EngineError> {
        each!(self, engine => engine.port(address, port))
    }

    async fn changed(&self, project: &str, patience: Duration) -> Result<(), EngineError> {
        each!(self, engine => engine.changed(project, patience))
    }
}
