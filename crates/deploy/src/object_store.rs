//! The bucket: created if need be, and proven by putting, reading and deleting an object with the service's own keys.

use std::time::Duration;

use ken_secrets::{Secret, SecretName, SecretSet};
use rusty_s3::actions::{CreateBucket, DeleteObject, GetObject, HeadBucket, HeadObject, PutObject, S3Action};
use rusty_s3::{Bucket as Signer, Credentials, UrlStyle};
use serde::Serialize;

use crate::engine::{Container, Engine, EngineError, HttpRequest, HttpResponse};
use crate::stack::services::MINIO_ACCESS_KEY;
use crate::stack::{Bucket, BucketEndpoint};

const SIGNATURE_LIFE: Duration = Duration::from_secs(60);

/// What was seen of the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BucketSeen {
    /// The store is not there yet, or could not be asked.
    Unknown {
        /// Why.
        why: String,
    },
    /// It is there and the keys may use it.
    Exists,
    /// The store answers and has no such bucket.
    Missing,
    /// The store refuses the keys.
    Refused {
        /// HTTP status.
        status: u16,
    },
}

/// A bucket and the right to use it.
pub struct ObjectStore<'a, E> {
    engine: &'a E,
    signer: Signer,
    credentials: Credentials,
}

impl<E> std::fmt::Debug for ObjectStore<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStore").field("bucket", &self.signer.name()).finish_non_exhaustive()
    }
}

/// Why a proof failed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectStoreError {
    /// It cannot be addressed yet.
    #[error("{0}")]
    NotThere(String),
    /// A step was answered with something else than success.
    #[error("the object store answered {status} to {step}: {why}")]
    Step {
        /// `put`, `get`, `delete`, …
        step: &'static str,
        /// HTTP status.
        status: u16,
        /// The store's error code.
        why: String,
    },
    /// What was read is not what was put.
    #[error("the object store gave back other bytes than it was given")]
    OtherBytes,
    /// No answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl<'a, E: Engine> ObjectStore<'a, E> {
    /// Addresses the bucket: a container by its address on the engine's network, a managed store by its URL.
    ///
    /// # Errors
    /// [`ObjectStoreError::NotThere`] while the container has no address or a key is missing.
    pub fn open(
        engine: &'a E,
        bucket: &Bucket,
        containers: &[Container],
        secrets: &SecretSet,
    ) -> Result<Self, ObjectStoreError> {
        let not_there = |why: String| ObjectStoreError::NotThere(why);
        let (endpoint, access, secret) = match &bucket.endpoint {
            BucketEndpoint::Container { service, port } => {
                let address = containers
                    .iter()
                    .find(|c| c.service() == Some(service))
                    .and_then(|c| c.addresses.values().next())
                    .ok_or_else(|| not_there(format!("{service} has no address yet")))?;
                (
                    format!("http://{address}:{port}"),
                    Some(Secret::new(MINIO_ACCESS_KEY.to_owned())),
                    secrets.get(SecretName::MinioPassword).cloned(),
                )
            }
            BucketEndpoint::Url(url) => (
                url.clone(),
                secrets.get(SecretName::S3AccessKeyId).cloned(),
                secrets.get(SecretName::S3SecretAccessKey).cloned(),
            ),
        };
        let (Some(access), Some(secret)) = (access, secret) else {
            return Err(not_there("the object store's keys are not there yet".to_owned()));
        };
        let endpoint =
            endpoint.parse().map_err(|error| not_there(format!("{endpoint} is not a URL: {error}")))?;
        let style = if bucket.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let signer = Signer::new(endpoint, style, bucket.name.clone(), bucket.region.clone())
            .map_err(|error| not_there(error.to_string()))?;
        let credentials = Credentials::new(access.expose(), secret.expose());
        Ok(Self { engine, signer, credentials })
    }

    async fn send(
        &self,
        method: &'static str,
        url: url::Url,
        body: Vec<u8>,
    ) -> Result<HttpResponse, EngineError> {
        let request = HttpRequest {
            method,
            body,
            timeout: Duration::from_secs(10),
            ..HttpRequest::get(url.to_string())
        };
        self.engine.http(request).await
    }

    /// Whether the bucket is there.
    pub async fn seen(&self) -> BucketSeen {
        let url = HeadBucket::new(&self.signer, Some(&self.credentials)).sign(SIGNATURE_LIFE);
        match self.send("HEAD", url, Vec::new()).await {
            Ok(answer) => match answer.status {
                200 => BucketSeen::Exists,
                404 => BucketSeen::Missing,
                status => BucketSeen::Refused { status },
            },
            Err(error) => BucketSeen::Unknown { why: error.to_string() },
        }
    }

    /// Creates the bucket; one that exists is fine.
    ///
    /// # Errors
    /// [`ObjectStoreError`].
    pub async fn create(&self) -> Result<(), ObjectStoreError> {
        let url = CreateBucket::new(&self.signer, &self.credentials).sign(SIGNATURE_LIFE);
        let answer = self.send("PUT", url, Vec::new()).await?;
        // 409 is BucketAlreadyOwnedByYou.
        if matches!(answer.status, 200 | 409) { Ok(()) } else { Err(step("create the bucket", &answer)) }
    }

    /// Puts, reads and deletes an object under `prefix`.
    ///
    /// # Errors
    /// [`ObjectStoreError`] of the first step that fails.
    pub async fn prove(&self, prefix: &str) -> Result<(), ObjectStoreError> {
        let key = format!("{prefix}ken-langfuse-probe/{}", uuid::Uuid::new_v4());
        let body = format!("probe {key}\n").into_bytes();
        let put = PutObject::new(&self.signer, Some(&self.credentials), &key).sign(SIGNATURE_LIFE);
        let answer = self.send("PUT", put, body.clone()).await?;
        if answer.status != 200 {
            return Err(step("put", &answer));
        }
        let get = GetObject::new(&self.signer, Some(&self.credentials), &key).sign(SIGNATURE_LIFE);
        let read = self.send("GET", get, Vec::new()).await;
        // Deleted before anything is judged, so that a failed proof leaves nothing behind.
        let delete = DeleteObject::new(&self.signer, Some(&self.credentials), &key).sign(SIGNATURE_LIFE);
        let deleted = self.send("DELETE", delete, Vec::new()).await?;
        let read = read?;
        if read.status != 200 {
            return Err(step("get", &read));
        }
        if read.body != body {
            return Err(ObjectStoreError::OtherBytes);
        }
        if matches!(deleted.status, 200 | 204) { Ok(()) } else { Err(step("delete", &deleted)) }
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// [`ObjectStoreError`] for any answer but yes and no.
    pub async fn has(&self, key: &str) -> Result<bool, ObjectStoreError> {
        let url = HeadObject::new(&self.signer, Some(&self.credentials), key).sign(SIGNATURE_LIFE);
        let answer = self.send("HEAD", url, Vec::new()).await?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(step("head", &answer)),
        }
    }
}

fn step(step: &'static str, answer: &HttpResponse) -> ObjectStoreError {
    let text = String::from_utf8_lossy(&answer.body);
    let why = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map_or_else(|| "no error code".to_owned(), |(code, _)| code.to_owned());
    ObjectStoreError::Step { step, status: answer.status, why }
}
