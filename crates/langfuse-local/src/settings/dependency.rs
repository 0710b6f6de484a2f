//! Postgres and Redis: only as far as health checks reach for them.

use super::Sensitive;
use super::lookup::Lookup;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A host name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How to ask Redis whether it is there.
#[derive(Debug, Clone)]
pub struct Redis {
    /// The server.
    pub endpoint: Endpoint,
    /// The user, when one is named.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Sensitive>,
    /// With TLS only the connection is tried, nothing is asked.
    pub tls: bool,
}

pub(super) fn postgres(lookup: &mut Lookup<'_>, required: bool) -> Option<Endpoint> {
    if lookup.get("DATABASE_URL").is_some() {
        let url = lookup.url("DATABASE_URL")?;
        let host = url.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
        if host.is_none() || !matches!(url.scheme(), "postgresql" | "postgres") {
            lookup.finding("DATABASE_URL", "must look like postgresql://user:password@host:5432/database");
        }
        return Some(Endpoint { host: host?, port: url.port().unwrap_or(5432) });
    }
    let parts = ["DATABASE_HOST", "DATABASE_USERNAME", "DATABASE_PASSWORD", "DATABASE_NAME"];
    if parts.iter().all(|name| lookup.get(name).is_some()) {
        let host = lookup.get("DATABASE_HOST").unwrap_or_default();
        let (name, port) = host
            .rsplit_once(':')
            .map_or((host.as_str(), Some(5432)), |(name, port)| (name, port.parse::<u16>().ok()));
        if port.is_none() {
            lookup.finding("DATABASE_HOST", "must be a host name, or host:port");
        }
        return Some(Endpoint { host: name.to_owned(), port: port? });
    }
    if required {
        lookup.finding("DATABASE_URL", "is required: postgresql://user:password@host:5432/database");
    }
    None
}

pub(super) fn redis(lookup: &mut Lookup<'_>) -> Option<Redis> {
    let tls = lookup.truth("REDIS_TLS_ENABLED");
    if lookup.get("REDIS_CONNECTION_STRING").is_some() {
        let url = lookup.url("REDIS_CONNECTION_STRING")?;
        let host = url.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
        if host.is_none() || !matches!(url.scheme(), "redis" | "rediss") {
            lookup.finding("REDIS_CONNECTION_STRING", "must look like redis://:password@host:6379/0");
        }
        let decoded = |text: &str| {
            let pair = format!("v={}", text.replace('+', "%2B"));
            url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
        };
        return Some(Redis {
            endpoint: Endpoint { host: host?, port: url.port().unwrap_or(6379) },
            user: decoded(url.username()).filter(|user| !user.is_empty()),
            password: url.password().and_then(decoded).map(Sensitive::new),
            tls: tls || url.scheme() == "rediss",
        });
    }
    let host = lookup.get("REDIS_HOST")?;
    let port = lookup.port("REDIS_PORT", 6379);
    Some(Redis {
        endpoint: Endpoint { host, port },
        user: lookup.get("REDIS_USERNAME"),
        password: lookup.get("REDIS_AUTH").map(Sensitive::new),
        tls,
    })
}
