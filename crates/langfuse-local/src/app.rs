//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use thiserror::Error;
use tokio::sync::Semaphore;

use crate::mapping::MappingError;
use crate::models::Catalog;
use crate::object_store::{ObjectStore, UploadError};
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// The Langfuse version whose behaviour is offered, as health answers give it.
pub const LANGFUSE_VERSION: &str = "4.16.0";

/// Something an operator should hear of although a client was answered.
#[derive(Debug, Error)]
pub enum Notice {
    /// The event bucket failed; the batch was refused.
    #[error("batch refused: upload failed")]
    Upload(#[source] UploadError),
    /// The batch was answered with 200 and holds nothing that could be stored, as in Langfuse.
    #[error("batch lost after its answer: it cannot be converted")]
    NotConvertible(#[source] MappingError),
    /// The database failed; the request was refused.
    #[error("request refused: store failed")]
    Store(#[source] StoreError),
}

/// Hears notices.
pub type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// The state of a web server.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<Store>,
    pub(crate) objects: Option<ObjectStore>,
    pub(crate) exports: Semaphore,
    pub(crate) catalog: Arc<Catalog>,
    /// Held while something made by hand is read, changed and written back.
    pub(crate) hand_made: tokio::sync::Mutex<()>,
    pub(crate) stopping: Arc<AtomicBool>,
    on_notice: OnNotice,
    jobs: AtomicU64,
    lost_batches: AtomicU64,
}

impl App {
    pub(crate) fn new(
        settings: Settings,
        store: Arc<Store>,
        objects: Option<ObjectStore>,
        catalog: Catalog,
        stopping: Arc<AtomicBool>,
        on_notice: OnNotice,
    ) -> Self {
        let exports = Semaphore::new(settings.limits.concurrent_exports.max(1));
        let (jobs, lost_batches) = (AtomicU64::new(0), AtomicU64::new(0));
        let (catalog, hand_made) = (Arc::new(catalog), tokio::sync::Mutex::default());
        Self {
            settings,
            store,
            objects,
            exports,
            catalog,
            hand_made,
            stopping,
            on_notice,
            jobs,
            lost_batches,
        }
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        if matches!(notice, Notice::NotConvertible(_)) {
            self.lost_batches.fetch_add(1, Ordering::Relaxed);
        }
        (self.on_notice)(notice);
    }

    pub(crate) fn next_job(&self) -> u64 {
        self.jobs.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn lost_batches(&self) -> u64 {
        self.lost_batches.load(Ordering::Relaxed)
    }

    /// Runs store work off the runtime's threads.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        let result = done.unwrap_or(Err(StoreError::Closed));
        if let Err(error) = &result {
            self.notice(&Notice::Store(error.clone()));
        }
        result
    }
}
