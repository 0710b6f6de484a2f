//! One process: it listens, serves, and ends in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::{App, Notice, OnNotice};
use crate::http;
use crate::http::worker::Worker;
use crate::models::{Catalog, Model, ModelsError};
use crate::object_store::{ObjectStore, ObjectStoreError};
use crate::settings::{Role, Settings};
use crate::store::{OpenError, Store, StoreError};

/// How long readiness says no before connections are refused, so that somebody can see it.
const NOT_READY: Duration = Duration::from_millis(400);
/// How long requests that are under way may take to finish.
const IN_FLIGHT: Duration = Duration::from_millis(1_000);
/// How often observations are looked through for those past their time.
const BETWEEN_EXPIRIES: Duration = Duration::from_secs(3_600);
const MS_PER_DAY: i64 = 86_400_000;

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The project could not be written.
    #[error("cannot provision the project")]
    Provision(#[source] StoreError),
    /// The event bucket's settings.
    #[error(transparent)]
    ObjectStore(#[from] ObjectStoreError),
    /// The list of models and prices.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The project's own models could not be read.
    #[error("cannot read the projects' own models")]
    OwnModels(#[source] StoreError),
    /// The port or the address.
    #[error("cannot listen on {host}:{port}")]
    Listen {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    web: Option<SocketAddr>,
    worker: Option<SocketAddr>,
    store: Option<Arc<Store>>,
    stopping: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Opens the data, provisions the project and listens. On return requests are served.
    pub async fn start(settings: Settings, on_notice: OnNotice) -> Result<Self, StartError> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = watch::channel(false);
        let mut server = Self { web: None, worker: None, store: None, stopping, stop, tasks: Vec::new() };
        let worker = Arc::new(Worker {
            postgres: settings.postgres.clone(),
            redis: settings.redis.clone(),
            stopping: Arc::clone(&server.stopping),
        });
        if settings.role != Role::Web {
            let port = if settings.role == Role::Worker { settings.port } else { settings.worker_port };
            let listener = listen(&settings.host, port).await?;
            server.worker = listener.local_addr().ok();
            server.tasks.push(serve(listener, http::worker::routes(worker), stopped.clone()));
        }
        if settings.role != Role::Worker {
            let store = Arc::new(Store::open_bounded(&settings.data, settings.max_bytes)?);
            if let Some(init) = &settings.init {
                let key = init.key.as_ref().map(|key| (key.public.as_str(), key.secret.reveal()));
                store.provision(&init.project, key).map_err(StartError::Provision)?;
            }
            let catalog = Catalog::load(settings.models.as_deref())?;
            own_models(&store, &catalog).map_err(StartError::OwnModels)?;
            let objects = settings.event_storage.as_ref().map(ObjectStore::new).transpose()?;
            let stopping = Arc::clone(&server.stopping);
            let (host, port) = (settings.host.clone(), settings.port);
            if let Some(days) = settings.retention_days {
                let task = expire(Arc::clone(&store), days, Arc::clone(&on_notice), stopped.clone());
                server.tasks.push(tokio::spawn(task));
            }
            let app = Arc::new(App::new(settings, Arc::clone(&store), objects, catalog, stopping, on_notice));
            server.store = Some(store);
            let listener = listen(&host, port).await?;
            server.web = listener.local_addr().ok();
            server.tasks.push(serve(listener, http::web(app), stopped));
        }
        Ok(server)
    }

    /// Where web listens.
    pub fn web_address(&self) -> Option<SocketAddr> {
        self.web
    }

    /// Where the worker listens.
    pub fn worker_address(&self) -> Option<SocketAddr> {
        self.worker
    }

    /// Ends: not ready, then no new connections, then the last requests, then the data.
    pub async fn stop(mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        tokio::time::sleep(NOT_READY).await;
        // Nobody listens any more when all tasks have ended, which is as good.
        let _ended = self.stop.send(true);
        let deadline = tokio::time::Instant::now() + IN_FLIGHT;
        for task in &mut self.tasks {
            if tokio::time::timeout_at(deadline, &mut *task).await.is_err() {
                task.abort();
            }
        }
        if let Some(store) = self.store.take() {
            let _closed = tokio::task::spawn_blocking(move || store.close()).await;
        }
    }
}

fn own_models(store: &Store, catalog: &Catalog) -> Result<(), StoreError> {
    for project in store.document_projects("model")? {
        let documents = store.documents(&project, "model")?;
        let models = documents.into_iter().filter_map(|document| Model::parse(document.body).ok());
        catalog.set_own(&project, models.collect());
    }
    Ok(())
}

/// Removes what is past its time, at the start and every hour.
async fn expire(store: Arc<Store>, days: u32, on_notice: OnNotice, stopped: watch::Receiver<bool>) {
    let mut stopped = std::pin::pin!(until(stopped));
    loop {
        let before_ms = jiff::Timestamp::now().as_millisecond() - i64::from(days) * MS_PER_DAY;
        let store = Arc::clone(&store);
        let done = tokio::task::spawn_blocking(move || store.expire(before_ms)).await;
        if let Ok(Err(error)) = done {
            on_notice(&Notice::Store(error));
        }
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(BETWEEN_EXPIRIES) => {}
        }
    }
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((host, port)).await.map_err(|source| StartError::Listen {
        host: host.to_owned(),
        port,
        source,
    })
}

fn serve(listener: TcpListener, routes: Router, stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Serving ends by the signal alone; accept errors are retried inside.
        let _ended = axum::serve(listener, routes).with_graceful_shutdown(until(stopped)).await;
    })
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the end as well.
    let _sender_gone = stopped.wait_for(|stopped| *stopped).await;
}
