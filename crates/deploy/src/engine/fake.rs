//! An engine in memory: containers with lives and health, images, volumes, a Postgres, an object store and a Langfuse
//! that take keys, spans and objects for real. Faults are switched on by name.
//!
//! It is held to the same contract tests as the real one, so that it cannot lie about what it imitates.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ken_secrets::Secret;
use serde_json::{Map, Value, json};

use super::{
    Activity, ComposeProject, Container, Engine, EngineError, EngineFacts, Health, HttpRequest, HttpResponse,
    ImageState, Life, PortState, PullProgress, SqlTarget,
};
use crate::stack::{REVISION_LABEL, STACK_LABEL};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A service of this role word starts and never becomes healthy.
    NeverHealthy(&'static str),
    /// A service of this role word ends at once with this status.
    Ends(&'static str, i64),
    /// Pulls fail.
    NoPull,
    /// No registry answers.
    NoRegistry,
    /// Postgres refuses every statement.
    NoPostgres,
    /// The object store answers 503.
    NoObjectStore,
    /// Objects vanish after they were put.
    LosesObjects,
    /// Langfuse refuses the key.
    RefusesKey,
    /// Langfuse accepts spans and never shows them.
    LosesSpans,
    /// Langfuse reports another version.
    OtherVersion,
    /// Compose fails.
    NoCompose,
    /// Somebody else restarts Ken when web is started.
    KenRestarts,
    /// The port of web is taken.
    PortTaken,
}

/// The rules of the fake world: what Compose resolves, seen by the test that made it.
type Resolver = dyn Fn(&ComposeProject, Option<&[u8]>) -> Result<Value, String>;

/// Told of the patience of every wait.
type OnChange = dyn Fn(Duration);

/// The engine.
pub struct FakeEngine {
    /// What goes wrong.
    pub faults: RefCell<BTreeSet<Fault>>,
    /// Facts as they are told.
    pub facts: RefCell<EngineFacts>,
    /// All containers.
    pub containers: RefCell<Vec<Container>>,
    /// Images that are here, with their digests.
    pub images: RefCell<BTreeMap<String, Option<String>>>,
    /// Images that the registry has.
    pub registry: RefCell<BTreeMap<String, String>>,
    /// Volumes with our label.
    pub volumes: RefCell<BTreeMap<String, Option<String>>>,
    /// Networks with our label.
    pub networks: RefCell<BTreeMap<String, Option<String>>>,
    /// Version of Postgres.
    pub postgres_version: Cell<u32>,
    /// Everything that changed something, in order.
    pub log: RefCell<Vec<String>>,
    /// The password with which the role was made: the fake remembers it by its verifier.
    verifier: RefCell<Option<String>>,
    database_owner: RefCell<Option<String>>,
    buckets: RefCell<BTreeMap<String, BTreeMap<String, Vec<u8>>>>,
    traces: RefCell<BTreeSet<String>>,
    lives: RefCell<BTreeMap<String, u64>>,
    clock: Cell<u64>,
    resolver: Box<Resolver>,
    /// Files that were part of the last `up`, by service: what the containers would be told.
    environment: RefCell<BTreeMap<String, BTreeMap<String, String>>>,
    on_change: RefCell<Option<Box<OnChange>>>,
}

impl std::fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeEngine").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl FakeEngine {
    /// An engine on which nothing runs. `resolver` plays Compose's `config`.
    #[must_use]
    pub fn new(resolver: impl Fn(&ComposeProject, Option<&[u8]>) -> Result<Value, String> + 'static) -> Self {
        Self {
            faults: RefCell::default(),
            facts: RefCell::new(EngineFacts {
                version: "27.3.1".to_owned(),
                compose_version: "2.30.0".to_owned(),
                os: "linux".to_owned(),
                architecture: "x86_64".to_owned(),
                cpus: 8,
                memory: 32 << 30,
                clock_skew: Some(0.1),
                root: PathBuf::from("/var/lib/docker"),
                disk_free: Some(500 << 30),
                avx: Some(true),
            }),
            containers: RefCell::default(),
            images: RefCell::default(),
            registry: RefCell::default(),
            volumes: RefCell::default(),
            networks: RefCell::default(),
            postgres_version: Cell::new(150_018),
            log: RefCell::default(),
            verifier: RefCell::default(),
            database_owner: RefCell::default(),
            buckets: RefCell::default(),
            traces: RefCell::default(),
            lives: RefCell::default(),
            clock: Cell::new(0),
            resolver: Box::new(resolver),
            environment: RefCell::default(),
            on_change: RefCell::default(),
        }
    }

    /// Calls this with the patience of every wait, so that a test clock moves on.
    pub fn on_change(&self, callback: impl Fn(Duration) + 'static) {
        *self.on_change.borrow_mut() = Some(Box::new(callback));
    }

    /// Switches a fault on.
    pub fn break_(&self, fault: Fault) {
        self.faults.borrow_mut().insert(fault);
    }

    /// Switches all faults off.
    pub fn mend(&self) {
        self.faults.borrow_mut().clear();
    }

    fn broken(&self, fault: &Fault) -> bool {
        self.faults.borrow().contains(fault)
    }

    fn note(&self, text: impl Into<String>) {
        self.log.borrow_mut().push(text.into());
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    /// Starts a container of Ken's.
    pub fn start_ken(&self, project: &str, service: &str, file: &str) {
        let id = format!("{service}-{}", self.tick());
        self.lives.borrow_mut().insert(id.clone(), self.tick());
        self.containers.borrow_mut().push(Container {
            id,
            name: format!("{project}-{service}-1"),
            image: format!("{service}:1.0.0"),
            labels: BTreeMap::from([
                ("com.docker.compose.project".to_owned(), project.to_owned()),
                ("com.docker.compose.service".to_owned(), service.to_owned()),
                ("com.docker.compose.project.config_files".to_owned(), file.to_owned()),
            ]),
            activity: Activity::Running,
            health: Health::Healthy,
            addresses: BTreeMap::from([(format!("{project}_default"), "172.18.0.9".to_owned())]),
            published: Vec::new(),
        });
    }

    /// The names of running containers of ours.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.containers
            .borrow()
            .iter()
            .filter(|c| c.labels.contains_key(STACK_LABEL) && c.activity == Activity::Running)
            .filter_map(|c| c.service().map(str::to_owned))
            .collect()
    }

    fn compose(
        &self,
        project: &ComposeProject,
        candidate: Option<&[u8]>,
        verb: &str,
    ) -> Result<Value, EngineError> {
        let failed = |stderr: String| EngineError::Compose { command: verb.to_owned(), status: 1, stderr };
        if self.broken(&Fault::NoCompose) {
            return Err(failed("compose is broken".to_owned()));
        }
        (self.resolver)(project, candidate).map_err(failed)
    }

    fn start(&self, project: &ComposeProject, name: &str, definition: &Value) -> Result<(), EngineError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let image = text(&definition["image"]);
        if !self.images.borrow().keys().any(|here| image == *here || image.starts_with(&format!("{here}@"))) {
            return Err(EngineError::Compose {
                command: format!("up {name}"),
                status: 1,
                stderr: format!("No such image: {image}"),
            });
        }
        let labels = definition["labels"].as_object().cloned().unwrap_or_default();
        let revision = text(&labels.get(REVISION_LABEL).cloned().unwrap_or_default());
        let role = name.rsplit('-').next().unwrap_or_default();
        let environment = self.told(project, definition);
        let unchanged = self.environment.borrow().get(name) == Some(&environment);
        let mut containers = self.containers.borrow_mut();
        let position =
            containers.iter().position(|c| c.project() == Some(&project.name) && c.service() == Some(name));
        if let Some(position) = position {
            let same = containers[position].labels.get(REVISION_LABEL).map_or("", String::as_str) == revision
                && unchanged;
            if same && containers[position].activity == Activity::Running {
                return Ok(());
            }
            containers.remove(position);
        }
        self.environment.borrow_mut().insert(name.to_owned(), environment);
        let is = |fault: fn(&'static str) -> Fault, word: &str| {
            ["redis", "clickhouse", "minio", "migrate", "worker", "web"]
                .into_iter()
                .any(|w| w == word && self.broken(&fault(w)))
        };
        let ends = self.faults.borrow().iter().find_map(|fault| match fault {
            Fault::Ends(word, code) if *word == role => Some(*code),
            _ => None,
        });
        let activity = match (ends, role) {
            (Some(code), _) => Activity::Exited(code),
            (None, "migrate") => Activity::Exited(0),
            (None, _) => Activity::Running,
        };
        let id = format!("{name}-{}", self.tick());
        self.lives.borrow_mut().insert(id.clone(), self.tick());
        let published = definition["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|p| {
                let parts: Vec<&str> = p.as_str()?.rsplitn(3, ':').collect();
                Some((parts.get(2)?.to_string(), parts.get(1)?.parse().ok()?, parts.first()?.parse().ok()?))
            })
            .collect();
        let mut all = BTreeMap::from([
            ("com.docker.compose.project".to_owned(), project.name.clone()),
            ("com.docker.compose.service".to_owned(), name.to_owned()),
        ]);
        all.extend(labels.iter().map(|(k, v)| (k.clone(), text(v))));
        let address = format!("10.0.0.{}", containers.len() + 2);
        containers.push(Container {
            id,
            name: format!("{}-{name}-1", project.name),
            image,
            labels: all,
            activity,
            health: match activity {
                Activity::Running if is(Fault::NeverHealthy, role) => Health::Unhealthy,
                Activity::Running => Health::Healthy,
                _ => Health::Unchecked,
            },
            addresses: BTreeMap::from([("own".to_owned(), address)]),
            published,
        });
        drop(containers);
        if role == "web" && self.broken(&Fault::KenRestarts) {
            let ken =
                self.containers.borrow().iter().find(|c| c.service() == Some("ken")).map(|c| c.id.clone());
            if let Some(ken) = ken {
                let now = self.tick();
                self.lives.borrow_mut().insert(ken, now);
            }
        }
        Ok(())
    }

    /// What a container would find in its environment: the Compose file's part and its file's.
    fn told(&self, project: &ComposeProject, definition: &Value) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for (name, value) in definition["environment"].as_object().into_iter().flatten() {
            environment.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        for file in definition["env_file"].as_array().into_iter().flatten() {
            let name = file.as_str().or_else(|| file["path"].as_str()).unwrap_or_default();
            let candidates = [project.directory.join(name), project.directory.join("langfuse").join(name)];
            let found = candidates.iter().find_map(|p| std::fs::read_to_string(p).ok()).unwrap_or_default();
            for line in found.lines().filter(|l| !l.starts_with('#')) {
                if let Some((name, value)) = line.split_once('=') {
                    environment.insert(name.to_owned(), value.trim_matches('\'').to_owned());
                }
            }
        }
        environment
    }

    fn environment_of(&self, word: &str) -> BTreeMap<String, String> {
        let all = self.environment.borrow();
        all.iter().find(|(name, _)| name.ends_with(word)).map(|(_, e)| e.clone()).unwrap_or_default()
    }

    fn publishes(&self, port: &str) -> bool {
        let containers = self.containers.borrow();
        containers.iter().any(|c| c.published.iter().any(|(_, host, _)| host.to_string() == port))
    }

    fn is_up(&self, word: &str) -> bool {
        self.containers.borrow().iter().any(|c| {
            c.service().is_some_and(|s| s.ends_with(word))
                && c.labels.contains_key(STACK_LABEL)
                && c.is_well()
        })
    }

    fn langfuse(&self, request: &HttpRequest, path: &str, query: &str) -> Result<HttpResponse, EngineError> {
        if !self.is_up("web") {
            return Err(EngineError::Http { target: path.to_owned(), why: "connection refused".to_owned() });
        }
        let answer =
            |status: u16, body: Value| Ok(HttpResponse { status, body: body.to_string().into_bytes() });
        let told = self.environment_of("-web");
        let get = |name: &str| told.get(name).cloned().unwrap_or_default();
        let authorised = request.basic.as_ref().is_some_and(|(user, password)| {
            user.expose() == get("LANGFUSE_INIT_PROJECT_PUBLIC_KEY")
                && password.expose() == get("LANGFUSE_INIT_PROJECT_SECRET_KEY")
        }) && !self.broken(&Fault::RefusesKey);
        match (request.method, path) {
            ("GET", "/") => answer(200, json!({})),
            ("GET", "/api/public/health") => {
                let version = if self.broken(&Fault::OtherVersion) { "3.9.9" } else { "4.16.0" };
                answer(200, json!({ "status": "OK", "version": version }))
            }
            _ if !authorised => answer(401, json!({ "message": "Invalid credentials." })),
            ("GET", "/api/public/projects") => {
                answer(200, json!({ "data": [{ "id": get("LANGFUSE_INIT_PROJECT_ID") }] }))
            }
            ("POST", "/api/public/otel/v1/traces") => {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                let id = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"]
                    .as_str()
                    .unwrap_or_default();
                let key = format!("events/otel/{}/{id}.json", get("LANGFUSE_INIT_PROJECT_ID"));
                if !self.broken(&Fault::LosesObjects) {
                    let bucket = get("LANGFUSE_S3_EVENT_UPLOAD_BUCKET");
                    self.buckets
                        .borrow_mut()
                        .entry(bucket)
                        .or_default()
                        .insert(key.clone(), request.body.clone());
                }
                if !self.broken(&Fault::LosesSpans) {
                    self.traces.borrow_mut().insert(id.to_owned());
                }
                answer(200, json!({ "data": { "payload": { "data": { "fileKey": key } } } }))
            }
            ("GET", "/api/public/v2/observations") => {
                let found: Vec<Value> = self
                    .traces
                    .borrow()
                    .iter()
                    .filter(|id| query.contains(id.as_str()))
                    .map(|id| json!({ "traceId": id }))
                    .collect();
                answer(200, json!({ "data": found, "meta": {} }))
            }
            ("DELETE", _) => answer(200, json!({ "message": "Trace deleted successfully" })),
            _ => answer(404, json!({})),
        }
    }

    fn object_store(&self, request: &HttpRequest, path: &str) -> Result<HttpResponse, EngineError> {
        let answer = |status: u16, body: &[u8]| Ok(HttpResponse { status, body: body.to_vec() });
        if self.broken(&Fault::NoObjectStore) {
            return answer(503, b"<Error><Code>SlowDown</Code></Error>");
        }
        let path = path.trim_start_matches('/').replace("%2F", "/");
        let (bucket, key) = path.split_once('/').unwrap_or((path.as_str(), ""));
        let mut buckets = self.buckets.borrow_mut();
        match (request.method, key.is_empty(), buckets.get_mut(bucket)) {
            ("PUT", true, None) => {
                buckets.insert(bucket.to_owned(), BTreeMap::new());
                answer(200, b"")
            }
            ("PUT", true, Some(_)) => answer(409, b"<Error><Code>BucketAlreadyOwnedByYou</Code></Error>"),
            (_, _, None) => answer(404, b"<Error><Code>NoSuchBucket</Code></Error>"),
            ("HEAD", true, Some(_)) => answer(200, b""),
            ("PUT", false, Some(objects)) => {
                if !self.broken(&Fault::LosesObjects) {
                    objects.insert(key.to_owned(), request.body.clone());
                }
                answer(200, b"")
            }
            ("GET" | "HEAD", false, Some(objects)) => match objects.get(key) {
                Some(body) => answer(200, body),
                None => answer(404, b"<Error><Code>NoSuchKey</Code></Error>"),
            },
            ("DELETE", false, Some(objects)) => {
                objects.remove(key);
                answer(204, b"")
            }
            _ => answer(405, b""),
        }
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

impl Engine for FakeEngine {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        Ok(self.facts.borrow().clone())
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        Ok(self.containers.borrow().clone())
    }

    async fn life(&self, id: &str) -> Result<Option<Life>, EngineError> {
        let there = self.containers.borrow().iter().any(|c| c.id == id);
        let started = self.lives.borrow().get(id).copied().unwrap_or_default();
        Ok(there.then(|| Life { id: id.to_owned(), started_at: started.to_string() }))
    }

    async fn logs(&self, id: &str, lines: u32) -> Result<Vec<String>, EngineError> {
        let known = self.containers.borrow().iter().any(|c| c.id == id);
        if !known {
            return Err(EngineError::Api {
                operation: "read a container's log".to_owned(),
                why: "gone".to_owned(),
            });
        }
        Ok((0..lines.min(2)).map(|n| format!("line {n} of {id}")).collect())
    }

    async fn image(&self, reference: &str, ask_registry: bool) -> Result<ImageState, EngineError> {
        let name = reference.split('@').next().unwrap_or(reference);
        if let Some(digest) = self.images.borrow().get(name) {
            return Ok(ImageState::Present { digest: digest.clone() });
        }
        match self.registry.borrow().get(name) {
            Some(digest) if ask_registry && !self.broken(&Fault::NoRegistry) => {
                Ok(ImageState::Resolvable { digest: Some(digest.clone()) })
            }
            _ => Ok(ImageState::Unresolvable { why: "manifest unknown".to_owned() }),
        }
    }

    async fn pull(&self, reference: &str, progress: &mut dyn FnMut(PullProgress)) -> Result<(), EngineError> {
        let name = reference.split('@').next().unwrap_or(reference).to_owned();
        let digest = self.registry.borrow().get(&name).cloned();
        match digest {
            Some(digest) if !self.broken(&Fault::NoPull) => {
                progress(PullProgress { current: 1, total: 1 });
                self.note(format!("pull {name}"));
                self.images.borrow_mut().insert(name, Some(digest));
                Ok(())
            }
            _ => Err(EngineError::Api {
                operation: format!("pull {reference}"),
                why: "no such manifest".to_owned(),
            }),
        }
    }

    async fn volumes(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        Ok(self.volumes.borrow().clone())
    }

    async fn networks(&self) -> Result<BTreeMap<String, Option<String>>, EngineError> {
        Ok(self.networks.borrow().clone())
    }

    async fn resolve(
        &self,
        project: &ComposeProject,
        candidate: Option<&[u8]>,
    ) -> Result<Value, EngineError> {
        self.compose(project, candidate, "config")
    }

    async fn up(&self, project: &ComposeProject, services: &[String]) -> Result<(), EngineError> {
        let model = self.compose(project, None, "up")?;
        self.note(format!("up {}", services.join(" ")));
        let empty = Map::new();
        let label = |value: &Value| value["labels"][STACK_LABEL].as_str().map(str::to_owned);
        for (section, store) in [("volumes", &self.volumes), ("networks", &self.networks)] {
            for value in model[section].as_object().unwrap_or(&empty).values() {
                if let (Some(name), Some(label)) = (value["name"].as_str(), label(value)) {
                    store.borrow_mut().entry(name.to_owned()).or_insert(Some(label));
                }
            }
        }
        for service in services {
            let definition = &model["services"][service];
            if definition.is_null() {
                return Err(EngineError::Compose {
                    command: format!("up {service}"),
                    status: 1,
                    stderr: format!("no such service: {service}"),
                });
            }
            self.start(project, service, definition)?;
        }
        Ok(())
    }

    async fn remove(&self, id: &str, _grace: Duration) -> Result<(), EngineError> {
        self.note(format!("remove {id}"));
        self.containers.borrow_mut().retain(|c| c.id != id);
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.note(format!("remove volume {name}"));
        self.volumes.borrow_mut().remove(name);
        Ok(())
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        self.note(format!("remove network {name}"));
        self.networks.borrow_mut().remove(name);
        Ok(())
    }

    async fn sql(&self, target: &SqlTarget, script: &Secret) -> Result<String, EngineError> {
        if self.broken(&Fault::NoPostgres) {
            return Err(EngineError::Sql { status: 2, stderr: "could not connect to server".to_owned() });
        }
        let script = script.expose();
        let verifier = self.verifier.borrow().clone();
        if let SqlTarget::Remote { password, .. } = target {
            let matches = verifier.as_deref().is_some_and(|v| crate::database::verifier_matches(v, password));
            return if matches {
                Ok("UTC\n".to_owned())
            } else {
                Err(EngineError::Sql { status: 2, stderr: "password authentication failed".to_owned() })
            };
        }
        if script.starts_with("SELECT json_build_object") {
            let role = verifier.map(|v| {
                json!({ "verifier": v, "login": true, "privileged": false, "connection_limit": 25, "utc": true })
            });
            let database =
                self.database_owner.borrow().clone().map(|o| json!({ "owner": o, "public": false }));
            return Ok(json!({
                "version": self.postgres_version.get(),
                "max_connections": 100,
                "role": role,
                "database": database,
            })
            .to_string());
        }
        if script.starts_with("DROP DATABASE") {
            self.note("drop database");
            *self.verifier.borrow_mut() = None;
            *self.database_owner.borrow_mut() = None;
        } else {
            self.note("create database");
            *self.verifier.borrow_mut() = between(script, "PASSWORD '", "'").map(str::to_owned);
            *self.database_owner.borrow_mut() = between(script, "OWNER TO \"", "\"").map(str::to_owned);
        }
        Ok(String::new())
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, EngineError> {
        let rest = request.url.split_once("://").map_or("", |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = format!("/{path}");
        match authority.rsplit_once(':').map_or("", |(_, port)| port) {
            "9000" if self.is_up("minio") => self.object_store(&request, &path),
            "8123" if self.is_up("clickhouse") => {
                let told = self.environment_of("-clickhouse");
                let right = request.basic.as_ref().is_some_and(|(_, password)| {
                    told.get("CLICKHOUSE_PASSWORD").is_some_and(|p| p == password.expose())
                });
                let (status, body) = if right { (200, "25.12.3.21\tUTC\n") } else { (401, "") };
                Ok(HttpResponse { status, body: body.as_bytes().to_vec() })
            }
            port if self.publishes(port) => self.langfuse(&request, &path, query),
            _ => {
                Err(EngineError::Http { target: authority.to_owned(), why: "connection refused".to_owned() })
            }
        }
    }

    async fn port(&self, _address: &str, _port: u16) -> Result<PortState, EngineError> {
        Ok(if self.broken(&Fault::PortTaken) {
            PortState::Taken { owner: "nginx (pid 42)".to_owned() }
        } else {
            PortState::Free
        })
    }

    async fn changed(&self, _project: &str, patience: Duration) -> Result<(), EngineError> {
        if let Some(callback) = self.on_change.borrow().as_ref() {
            callback(patience);
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}
