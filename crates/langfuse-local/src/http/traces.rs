//! Writing traces by OTLP, and deleting them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::{App, Notice};
use crate::mapping::{self, MappingError};
use crate::object_store::file_key;
use crate::observation::Observation;
use crate::otlp::{DecodeError, decode_json, decode_protobuf};
use crate::settings::Limits;
use crate::store::{Batch, StoreError};

use super::body::{self, GunzipError};
use super::job::{self, Client};
use super::respond::{error, internal, json, message};
use super::{auth, body::gunzip};

/// `POST /otel/v1/traces`.
pub(super) async fn export(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let client = Client::of(&headers);
    if !client.version_is_supported() {
        return error(
            StatusCode::BAD_REQUEST,
            "Unsupported x-langfuse-ingestion-version: it must be at most 4",
        );
    }
    let Some(flavour) = Flavour::of(&headers) else {
        return error(StatusCode::BAD_REQUEST, "Invalid content type");
    };
    let limits = app.settings.limits;
    let bytes = match body::read(&headers, body, limits.body).await {
        Ok(bytes) => bytes,
        Err(answer) => return *answer,
    };
    let Ok(_permit) = app.exports.acquire().await else { return internal("shutting down") };
    let (gzip, keep_raw) = (body::is_gzip(&headers), app.objects.is_some());
    let now = Timestamp::now();
    let (catalog, project_id) = (Arc::clone(&app.catalog), holder.project.id.clone());
    let work = move || {
        let mut accepted = accept(&bytes, flavour, gzip, keep_raw, limits, now.as_millisecond())?;
        for row in accepted.rows.iter_mut().flatten() {
            catalog.price(&project_id, row);
        }
        Ok::<_, Refusal>(accepted)
    };
    let accepted = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(refusal)) => return refusal.answer(limits),
        Err(_panicked) => return internal("Failed to process the export"),
    };
    if accepted.is_empty {
        return json(StatusCode::OK, &json!({}));
    }
    let prefix = app.objects.as_ref().map(|it| it.prefix()).unwrap_or_default();
    let key = file_key(prefix, &holder.project.id, now);
    if let (Some(objects), Some(raw)) = (&app.objects, accepted.raw)
        && let Err(cause) = objects.put(&key, raw).await
    {
        app.notice(&Notice::Upload(cause));
        return internal("Failed to upload the batch to the event bucket");
    }
    match accepted.rows {
        Ok(rows) => {
            let batch = Batch {
                project_id: holder.project.id.clone(),
                public_key: holder.public_key.clone(),
                sdk: (client.sdk_name.clone(), client.sdk_version.clone()),
                now_ms: now.as_millisecond(),
                rows,
            };
            match app.with_store(move |store| store.insert(batch)).await {
                Ok(()) => {}
                Err(full @ StoreError::Full { .. }) => {
                    return error(StatusCode::INSUFFICIENT_STORAGE, &full.to_string());
                }
                Err(_failed) => return internal("Failed to store the batch"),
            }
        }
        // Langfuse has answered long before its worker finds this out.
        Err(cause) => app.notice(&Notice::NotConvertible(cause)),
    }
    json(StatusCode::OK, &job::accepted(app.next_job(), &key, &holder, &client, now))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Protobuf,
    Json,
}

impl Flavour {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let given = headers.get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        if given.contains("application/x-protobuf") {
            Some(Self::Protobuf)
        } else if given.contains("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }
}

struct Accepted {
    is_empty: bool,
    raw: Option<Vec<u8>>,
    rows: Result<Vec<Observation>, MappingError>,
}

enum Refusal {
    Gunzip(GunzipError),
    Decode(DecodeError),
}

impl Refusal {
    fn answer(&self, limits: Limits) -> Response {
        let text = match self {
            Self::Gunzip(GunzipError::NotGzip) => "Failed to decompress gzip body".to_owned(),
            Self::Gunzip(GunzipError::TooLarge) => {
                let text = format!(
                    "Decompressed body is larger than {} bytes. Send smaller batches.",
                    limits.decompressed
                );
                return error(StatusCode::PAYLOAD_TOO_LARGE, &text);
            }
            Self::Decode(DecodeError::NotJson) => "Failed to parse OTel JSON Trace".to_owned(),
            Self::Decode(DecodeError::NotProtobuf) => "Failed to parse OTel Protobuf Trace".to_owned(),
            Self::Decode(cause) => format!("Invalid OTel trace: {cause}"),
        };
        error(StatusCode::BAD_REQUEST, &text)
    }
}

/// All work on an export that needs no waiting.
fn accept(
    bytes: &[u8],
    flavour: Flavour,
    gzip: bool,
    keep_raw: bool,
    limits: Limits,
    now_ms: i64,
) -> Result<Accepted, Refusal> {
    let unpacked;
    let bytes = if gzip {
        unpacked = gunzip(bytes, limits.decompressed).map_err(Refusal::Gunzip)?;
        unpacked.as_slice()
    } else {
        bytes
    };
    let decoded = match flavour {
        Flavour::Protobuf => decode_protobuf(bytes, keep_raw),
        Flavour::Json => decode_json(bytes, keep_raw),
    };
    let (export, raw) = decoded.map_err(Refusal::Decode)?;
    let is_empty = export.n_resources == 0;
    let raw = raw.map(|raw| raw.to_string().into_bytes());
    Ok(Accepted { is_empty, raw, rows: mapping::observations(export, now_ms) })
}

/// `POST /otel/v1/metrics`: taken and thrown away, as Langfuse does.
pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match auth::project_key(&app, &headers).await {
        Ok(_holder) => message(StatusCode::OK, "OK"),
        Err(answer) => *answer,
    }
}

/// `DELETE /traces/{id}`. Langfuse takes minutes for it; here it is done at once.
pub(super) async fn delete_one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    remove(&app, holder.project.id, vec![id], "Trace deleted successfully").await
}

/// `DELETE /traces` with a list of ids.
pub(super) async fn delete_many(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let bytes = match body::read(&headers, body, super::ingestion::MAX_BODY).await {
        Ok(bytes) => bytes,
        Err(answer) => return *answer,
    };
    match trace_ids(&bytes) {
        Ok(ids) => remove(&app, holder.project.id, ids, "Traces deleted successfully").await,
        Err(issue) => {
            json(StatusCode::BAD_REQUEST, &json!({ "message": "Invalid request data", "error": [issue] }))
        }
    }
}

async fn remove(app: &App, project_id: String, ids: Vec<String>, done: &str) -> Response {
    match app.with_store(move |store| store.delete_traces(&project_id, ids)).await {
        Ok(()) => message(StatusCode::OK, done),
        Err(_error) => internal("Failed to delete"),
    }
}

fn trace_ids(bytes: &[u8]) -> Result<Vec<String>, Value> {
    let issue = |text: &str| json!({ "code": "invalid_type", "path": ["traceIds"], "message": text });
    let body: Value =
        serde_json::from_slice(bytes).map_err(|_cause| issue("Invalid input: expected JSON"))?;
    let items = body["traceIds"].as_array().ok_or_else(|| issue("Invalid input: expected array"))?;
    if items.is_empty() || items.len() > 1_000 {
        return Err(issue("Invalid input: expected array to have 1 to 1000 items"));
    }
    let ids = items.iter().map(|it| it.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    ids.ok_or_else(|| issue("Invalid input: expected array of strings"))
}
