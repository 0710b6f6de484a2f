//! Reading a request's body within limits, compressed or not.

use std::io::Read;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use flate2::read::MultiGzDecoder;

use super::respond::error;

/// Reads the whole body; one that announces too much is refused unread.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Box<Response>> {
    let too_large = || {
        let text = format!("Request body is larger than {limit} bytes. Send smaller batches.");
        Box::new(error(StatusCode::PAYLOAD_TOO_LARGE, &text))
    };
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()).and_then(|it| it.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        return Err(too_large());
    }
    match to_bytes(body, limit).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(cause) if is_limit(&cause) => Err(too_large()),
        Err(_cause) => Err(Box::new(error(StatusCode::BAD_REQUEST, "Failed to read the request body"))),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the body is gzip; any other encoding counts as none, as in Langfuse.
pub(super) fn is_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .and_then(|it| it.to_str().ok())
        .is_some_and(|it| it.trim().eq_ignore_ascii_case("gzip"))
}

/// Why a body could not be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GunzipError {
    NotGzip,
    TooLarge,
}

/// Unpacks gzip, but never more than `limit` bytes of it.
pub(super) fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, GunzipError> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_cause| GunzipError::NotGzip)?;
    if plain.len() > limit { Err(GunzipError::TooLarge) } else { Ok(plain) }
}
