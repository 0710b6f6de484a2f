//! A Ken on a temporary file system beside an engine in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ken_config::{ImageRef, Policy, Profile};
use ken_deploy::clock::ManualClock;
use ken_deploy::engine::fake::FakeEngine;
use ken_deploy::engine::{ComposeProject, EngineError};
use ken_deploy::inventory::image_references;
use ken_deploy::plan::StageName;
use ken_deploy::report::{Event, Sink, text};
use ken_deploy::rollout::{Ended, Prepared, Session, SessionError, site};
use ken_deploy::site::Site;
use ken_secrets::{Redactor, SecretStore};
use serde_json::{Map, Value, json};

pub(crate) const KEN: &str = "\
# Ken, as its people keep it.
name: ken-stack

x-common: &common
  restart: unless-stopped   # two blanks, on purpose

services:
  ken:
    <<: *common
    image: \"ken:1.0.0\"
    depends_on: [postgres]
  postgres:
    <<: *common
    image: 'postgres:15'
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}
    healthcheck:
      test: [CMD, pg_isready]
";

/// Everything that was told.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Event>,
    pub(crate) text: String,
}

impl Sink for Heard {
    fn emit(&mut self, event: &Event, redactor: &Redactor) {
        for (_, line) in text(event) {
            self.text.push_str(&redactor.mask(&line));
            self.text.push('\n');
        }
        self.text.push_str(&redactor.mask(&serde_json::to_string(event).unwrap()));
        self.text.push('\n');
        self.events.push(event.clone());
    }
}

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) engine: FakeEngine,
    pub(crate) clock: Rc<ManualClock>,
    pub(crate) policy: Policy,
    pub(crate) heard: RefCell<Heard>,
    pub(crate) cut_after: Option<usize>,
}

impl World {
    /// Ken runs, every image is here, nothing of ours is there.
    pub(crate) fn new() -> Self {
        Self::with(KEN, Policy::default_for(Profile::Dev))
    }

    pub(crate) fn with(ken: &str, policy: Policy) -> Self {
        // In memory where that is at hand: thousands of synced lines are not what these tests are about.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let file = folder.path().join("docker/docker-compose.yml");
        fs::create_dir(folder.path().join("docker")).unwrap();
        fs::write(&file, ken).unwrap();
        let file = file.canonicalize().unwrap();
        let engine = FakeEngine::new(resolve);
        let clock = Rc::new(ManualClock::default());
        let moved = Rc::clone(&clock);
        engine.on_change(move |patience| moved.advance(patience));
        for service in ["ken", "postgres"] {
            engine.start_ken("ken-stack", service, &file.to_string_lossy());
        }
        for reference in image_references(&policy) {
            engine.images.borrow_mut().insert(reference, None);
        }
        Self { folder, engine, clock, policy, heard: RefCell::default(), cut_after: None }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("docker/docker-compose.yml")
    }

    pub(crate) fn site(&self) -> Site {
        site(&self.file()).unwrap()
    }

    pub(crate) fn ken_text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    pub(crate) fn session(&self) -> Session<'_, FakeEngine, ManualClock> {
        let text = String::from("profile = \"dev\"\n");
        Session::new(&self.engine, &*self.clock, self.policy.clone(), text, self.site())
            .cut_after(self.cut_after)
    }

    pub(crate) fn block<T>(&self, future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    pub(crate) fn prepare(&self) -> Result<Prepared, SessionError> {
        self.block(self.session().prepare())
    }

    pub(crate) fn deploy_until(&self, until: Option<StageName>) -> Result<Ended, SessionError> {
        let session = self.session();
        let mut heard = self.heard.borrow_mut();
        self.block(async {
            let prepared = session.prepare().await?;
            session.execute(&prepared, until, &mut *heard, |_| {}).await
        })
    }

    pub(crate) fn deploy(&self) -> Result<Ended, SessionError> {
        self.deploy_until(None)
    }

    pub(crate) fn rollback(&self, purge: bool) -> Result<Ended, SessionError> {
        let session = self.session();
        let mut heard = self.heard.borrow_mut();
        self.block(async {
            let prepared = session.prepare_rollback(purge).await?;
            let ended = session.execute(&prepared, None, &mut *heard, |_| {}).await?;
            if purge && ended == Ended::Done {
                session.remove_folder()?;
            }
            Ok(ended)
        })
    }

    /// The services that run, in name order.
    pub(crate) fn running(&self) -> Vec<String> {
        let mut running = self.engine.running();
        running.sort();
        running
    }

    /// Every secret's value.
    pub(crate) fn values(&self) -> Vec<String> {
        let set = SecretStore::at(self.site().secrets()).load().unwrap();
        set.iter().map(|(_, value)| value.expose().to_owned()).collect()
    }
}

pub(crate) fn image(text: &str) -> ImageRef {
    text.parse().unwrap()
}

/// Plays `docker compose config`: reads the files, follows `include`, merges `<<`, names networks.
fn resolve(project: &ComposeProject, candidate: Option<&[u8]>) -> Result<Value, String> {
    let mut model = Map::new();
    let mut name = project.name.clone();
    for (index, file) in project.files.iter().enumerate() {
        // Networks are names here; that Compose leaves Ken's alone is shown on a real engine.
        if file.ends_with("ken-networks.yml") {
            continue;
        }
        let bytes = match candidate {
            Some(bytes) if index == project.editable => bytes.to_vec(),
            _ => fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?,
        };
        let parsed = parse(&bytes)?;
        if name.is_empty() {
            name = parsed["name"].as_str().unwrap_or("docker").to_owned();
        }
        let folder = file.parent().unwrap_or(Path::new("/"));
        for included in parsed["include"].as_array().into_iter().flatten() {
            let path = included.as_str().or_else(|| included["path"].as_str()).ok_or("include: no path")?;
            let bytes = fs::read(folder.join(path)).map_err(|e| format!("include {path}: {e}"))?;
            add(&mut model, parse(&bytes)?)?;
        }
        add(&mut model, parsed)?;
    }
    let default = json!({ "name": format!("{name}_default") });
    let networks = model.entry("networks").or_insert_with(|| json!({}));
    if networks.is_null() {
        *networks = json!({});
    }
    networks.as_object_mut().ok_or("networks")?.entry("default").or_insert(default);
    for (_, service) in model["services"].as_object_mut().into_iter().flatten() {
        let Some(service) = service.as_object_mut() else { continue };
        if !service.contains_key("network_mode") {
            let networks = match service.remove("networks") {
                None | Some(Value::Null) => json!({ "default": null }),
                Some(Value::Array(list)) => Value::Object(
                    list.into_iter()
                        .map(|k| (k.as_str().unwrap_or_default().to_owned(), Value::Null))
                        .collect(),
                ),
                Some(other) => other,
            };
            service.insert("networks".to_owned(), networks);
        }
        if let Some(Value::Array(list)) = service.get("depends_on").cloned() {
            let long: Map<String, Value> = list
                .iter()
                .map(|s| {
                    (s.as_str().unwrap_or_default().to_owned(), json!({ "condition": "service_started" }))
                })
                .collect();
            service.insert("depends_on".to_owned(), Value::Object(long));
        }
    }
    model.insert("name".to_owned(), json!(name));
    Ok(Value::Object(model))
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}

fn add(model: &mut Map<String, Value>, parsed: Value) -> Result<(), String> {
    for section in ["services", "networks", "volumes", "configs"] {
        let Some(entries) = parsed[section].as_object() else { continue };
        let target = model.entry(section).or_insert_with(|| json!({}));
        for (key, value) in entries {
            let target = target.as_object_mut().ok_or("no mapping")?;
            if target.insert(key.clone(), value.clone()).is_some() {
                return Err(format!("{section}.{key} conflicts with imported resource"));
            }
        }
    }
    Ok(())
}

/// The folder of a site as path and bytes, without journal and lock.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                found.insert(entry.path(), fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

pub(crate) fn stage_of(ended: &Ended) -> Option<StageName> {
    match ended {
        Ended::Failed(stage, _) => Some(*stage),
        _ => None,
    }
}

pub(crate) fn is_compose_error(error: &SessionError) -> bool {
    matches!(
        error,
        SessionError::Observe(ken_deploy::inventory::ObserveError::Engine(EngineError::Compose { .. }))
            | SessionError::Engine(EngineError::Compose { .. })
    )
}
