//! Asking the servers that Langfuse depends on whether they are there.

use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::settings::{Endpoint, Redis};

/// As long as Langfuse's own health check waits for Redis.
const PATIENCE: Duration = Duration::from_secs(2);
/// No answer to these questions is longer.
const MAX_LINE: u64 = 512;

/// Why a server counts as down.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    /// No answer in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// The connection failed.
    #[error("cannot be reached")]
    Unreachable(#[source] std::io::Error),
    /// The password was refused.
    #[error("refused the password")]
    Password,
    /// The answer to a ping was something else.
    #[error("did not answer a ping with PONG")]
    NoPong,
}

/// Whether something accepts connections there.
pub(crate) async fn connects(endpoint: &Endpoint) -> Result<(), ProbeError> {
    within(connect(endpoint)).await.map(drop)
}

/// Whether Redis takes our password and answers a ping.
pub(crate) async fn redis_answers(redis: &Redis) -> Result<(), ProbeError> {
    within(async {
        let stream = connect(&redis.endpoint).await?;
        if redis.tls {
            return Ok(());
        }
        let mut stream = BufReader::new(stream);
        if let Some(password) = &redis.password {
            let mut words = vec!["AUTH"];
            words.extend(redis.user.as_deref());
            words.push(password.reveal());
            let answer = ask(&mut stream, &words).await?;
            // A server without a password says so, and serves everybody.
            let open = answer.starts_with("-ERR") && answer.contains("without any password");
            if answer != "+OK" && !open {
                return Err(ProbeError::Password);
            }
        }
        match ask(&mut stream, &["PING"]).await?.as_str() {
            "+PONG" => Ok(()),
            answer if answer.starts_with("-NOAUTH") => Err(ProbeError::Password),
            _ => Err(ProbeError::NoPong),
        }
    })
    .await
}

async fn within<T>(probe: impl Future<Output = Result<T, ProbeError>>) -> Result<T, ProbeError> {
    tokio::time::timeout(PATIENCE, probe).await.unwrap_or(Err(ProbeError::Late))
}

async fn connect(endpoint: &Endpoint) -> Result<TcpStream, ProbeError> {
    let host = endpoint.host.trim_start_matches('[').trim_end_matches(']');
    TcpStream::connect((host, endpoint.port)).await.map_err(ProbeError::Unreachable)
}

async fn ask(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Result<String, ProbeError> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes()).await.map_err(ProbeError::Unreachable)?;
    let mut line = Vec::new();
    let mut limited = tokio::io::AsyncReadExt::take(&mut *stream, MAX_LINE);
    limited.read_until(b'\n', &mut line).await.map_err(ProbeError::Unreachable)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
