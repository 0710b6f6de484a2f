//! The event bucket.

use url::Url;

use super::Sensitive;
use super::lookup::Lookup;

/// Where accepted batches are put before they are stored.
#[derive(Debug, Clone)]
pub struct EventStorage {
    /// The S3 server.
    pub endpoint: Url,
    /// The bucket, which must exist.
    pub bucket: String,
    /// What object names begin with; empty or ending in a slash.
    pub prefix: String,
    /// The region that requests are signed for.
    pub region: String,
    /// Whether the bucket stands in the path rather than in the host name.
    pub path_style: bool,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: Sensitive,
}

/// `None` when neither an endpoint nor keys are given: then data stays in the store alone.
pub(super) fn event_storage(lookup: &mut Lookup<'_>, required: bool) -> Option<EventStorage> {
    let name = |suffix: &str| format!("LANGFUSE_S3_EVENT_UPLOAD_{suffix}");
    let bucket = lookup.get(&name("BUCKET"));
    let key_id = lookup.get(&name("ACCESS_KEY_ID"));
    let secret = lookup.get(&name("SECRET_ACCESS_KEY"));
    let path_style = lookup.truth(&name("FORCE_PATH_STYLE"));
    let endpoint = lookup.url(&name("ENDPOINT"));
    let is_web_url =
        endpoint.as_ref().is_none_or(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
    if !is_web_url {
        lookup.finding(&name("ENDPOINT"), "must be an http or https URL");
    }
    let prefix = lookup.get(&name("PREFIX")).unwrap_or_default();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        lookup.finding(&name("PREFIX"), "must end with a slash");
    }
    let wanted = lookup.get(&name("ENDPOINT")).is_some() || key_id.is_some() || secret.is_some();
    if bucket.is_none() && (required || wanted) {
        lookup.finding(&name("BUCKET"), "is required: the name of an existing bucket");
    }
    if wanted && key_id.is_none() {
        lookup.finding(&name("ACCESS_KEY_ID"), "is required beside an endpoint or a secret key");
    }
    if wanted && secret.is_none() {
        lookup.finding(&name("SECRET_ACCESS_KEY"), "is required beside an endpoint or a key id");
    }
    let (bucket, access_key_id, secret) = (bucket?, key_id?, secret?);
    let region = lookup.get(&name("REGION")).unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = match endpoint {
        Some(endpoint) => endpoint,
        None => format!("https://s3.{region}.amazonaws.com").parse().ok()?,
    };
    Some(EventStorage {
        endpoint,
        bucket,
        prefix,
        region,
        path_style,
        access_key_id,
        secret_access_key: Sensitive::new(secret),
    })
}
