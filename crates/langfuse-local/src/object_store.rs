//! Putting a batch into the event bucket before it counts as accepted.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use thiserror::Error;

use crate::settings::EventStorage;

/// How long a signature holds; an upload is over well before.
const SIGNATURE: Duration = Duration::from_secs(300);
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(30);

/// Why the uploader could not be made.
#[derive(Debug, Error)]
pub enum ObjectStoreError {
    /// The endpoint and the bucket give no address.
    #[error("the endpoint of the event bucket cannot be used")]
    Bucket(#[source] rusty_s3::BucketError),
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Why an upload failed. The address is left out: it carries a signature.
#[derive(Debug, Error)]
pub enum UploadError {
    /// No answer.
    #[error("the event bucket cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// An answer other than success.
    #[error("the event bucket answered {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
}

/// Uploads batches.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    bucket: Bucket,
    credentials: Credentials,
    client: Client,
    prefix: String,
}

impl ObjectStore {
    /// Prepares uploads; nothing is sent yet.
    pub(crate) fn new(storage: &EventStorage) -> Result<Self, ObjectStoreError> {
        // Whoever came first has installed the only provider that we know; that is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let style = if storage.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket =
            Bucket::new(storage.endpoint.clone(), style, storage.bucket.clone(), storage.region.clone())
                .map_err(ObjectStoreError::Bucket)?;
        let credentials = Credentials::new(storage.access_key_id.clone(), storage.secret_access_key.reveal());
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .build()
            .map_err(ObjectStoreError::Client)?;
        Ok(Self { bucket, credentials, client, prefix: storage.prefix.clone() })
    }

    /// Puts one JSON document under `key`.
    pub(crate) async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), UploadError> {
        let url = self.bucket.put_object(Some(&self.credentials), key).sign(SIGNATURE);
        let request = self.client.put(url).header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.map_err(|error| UploadError::Unreachable(error.without_url()))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(UploadError::Refused { status: answer.status().as_u16() })
        }
    }

    /// What object names begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// The object's name: by project and minute, and unique.
pub(crate) fn file_key(prefix: &str, project_id: &str, now: Timestamp) -> String {
    let minute = now.strftime("%Y/%m/%d/%H/%M");
    format!("{prefix}otel/{project_id}/{minute}/{}.json", uuid::Uuid::new_v4())
}
