//! `healthcheck URL`: for images that have neither `wget` nor `curl`.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use thiserror::Error;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(5);

/// Why the check failed.
#[derive(Debug, Error)]
pub(crate) enum HealthcheckError {
    #[error("healthcheck needs an http:// URL")]
    Url,
    #[error("no connection")]
    Connection(#[source] std::io::Error),
    #[error("answered {0} instead of 200")]
    Status(String),
}

/// Asks once. Plain HTTP is enough: a container asks itself.
pub(crate) fn check(url: &str) -> Result<(), HealthcheckError> {
    let url: Url = url.parse().map_err(|_cause| HealthcheckError::Url)?;
    let (Some(host), "http", Some(port)) = (url.host_str(), url.scheme(), url.port_or_known_default()) else {
        return Err(HealthcheckError::Url);
    };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request =
        format!("GET {}{query} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n", url.path());
    let status = ask(host, port, &request).map_err(HealthcheckError::Connection)?;
    if status == "200" { Ok(()) } else { Err(HealthcheckError::Status(status)) }
}

fn ask(host: &str, port: u16, request: &str) -> std::io::Result<String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = (host, port).to_socket_addrs()?.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    stream.take(64).read_to_end(&mut head)?;
    let line = String::from_utf8_lossy(&head);
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => Ok(status.to_owned()),
        _ => Ok("no HTTP".to_owned()),
    }
}
