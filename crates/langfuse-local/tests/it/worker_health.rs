//! The worker's health tells the truth about Redis and Postgres.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{TestServer, answer};

/// How the little Redis behaves.
#[derive(Clone, Copy)]
enum Temper {
    /// Wants this password before anything else.
    Password(&'static str),
    /// Has no password.
    Open,
    /// Accepts the connection and says nothing.
    Silent,
}

async fn redis(temper: Temper) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, temper));
        }
    });
    address
}

async fn talk(stream: TcpStream, temper: Temper) {
    let mut stream = BufReader::new(stream);
    let mut known = matches!(temper, Temper::Open);
    while let Some(words) = command(&mut stream).await {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = match (words.as_slice(), temper) {
            (_, Temper::Silent) => continue,
            (["AUTH", ..], Temper::Open) => {
                "-ERR AUTH <password> called without any password configured for the default user\r\n"
            }
            (["AUTH", given @ ..], Temper::Password(password)) => {
                known = given.last() == Some(&password);
                if known { "+OK\r\n" } else { "-WRONGPASS invalid username-password pair\r\n" }
            }
            (["PING"], _) if known => "+PONG\r\n",
            _ => "-NOAUTH Authentication required.\r\n",
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// One command in Redis's own framing.
async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
        let mut line = String::new();
        (stream.read_line(&mut line).await.ok()? > 0).then(|| line.trim_end().to_owned())
    }
    let n_words: usize = line(stream).await?.strip_prefix('*')?.parse().ok()?;
    let mut words = Vec::new();
    for _word in 0..n_words {
        let length: usize = line(stream).await?.strip_prefix('$')?.parse().ok()?;
        let word = line(stream).await?;
        assert_eq!(word.len(), length);
        words.push(word);
    }
    Some(words)
}

async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn health(redis: SocketAddr, password: &str, postgres: SocketAddr) -> (u16, serde_json::Value) {
    let server = TestServer::start(&[
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &redis.port().to_string()),
        ("REDIS_AUTH", password),
        ("DATABASE_URL", &format!("postgresql://u:p@127.0.0.1:{}/db", postgres.port())),
    ])
    .await;
    answer(server.client.get(server.worker_url("/api/health"))).await
}

#[tokio::test]
async fn redis_is_asked_with_its_password() {
    let postgres = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let postgres = postgres.local_addr().map(|address| (address, postgres)).unwrap();
    let strict = redis(Temper::Password("right")).await;
    let (good, bad) = ((200, json!({ "status": "ok" })), (500, json!({ "status": "error" })));
    assert_eq!(health(strict, "right", postgres.0).await, good);
    assert_eq!(health(strict, "wrong", postgres.0).await, bad);
    assert_eq!(health(strict, "", postgres.0).await, bad, "without a password");
    assert_eq!(health(redis(Temper::Open).await, "any", postgres.0).await, good);
    assert_eq!(health(closed_port().await, "right", postgres.0).await, bad);
    assert_eq!(health(strict, "right", closed_port().await).await, bad, "without Postgres");
    let begun = Instant::now();
    assert_eq!(health(redis(Temper::Silent).await, "right", postgres.0).await, bad);
    assert!(begun.elapsed() < Duration::from_secs(4), "it waits two seconds, not for ever");
}

#[tokio::test]
async fn a_connection_string_is_understood() {
    let address = redis(Temper::Password("p@ss+w")).await;
    let url = format!("redis://user:p%40ss+w@127.0.0.1:{}/0", address.port());
    let server = TestServer::start(&[("REDIS_CONNECTION_STRING", &url)]).await;
    assert_eq!(answer(server.client.get(server.worker_url("/api/health"))).await.0, 200);
}

#[tokio::test]
async fn without_servers_to_ask_the_worker_is_healthy_until_the_end() {
    let server = TestServer::start(&[]).await;
    for path in ["/", "/api/health", "/api/ready"] {
        assert_eq!(answer(server.client.get(server.worker_url(path))).await.0, 200, "{path}");
    }
    let (client, worker, web) =
        (server.client.clone(), server.worker_url("/api/ready"), server.url("/api/public/ready"));
    let server = server.into_server();
    let stopping = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(answer(client.get(worker)).await, (500, json!({ "status": "error" })));
    let (status, body) = answer(client.get(web)).await;
    assert_eq!(status, 500);
    assert!(body["status"].as_str().unwrap().contains("shutting down"), "{body}");
    stopping.await.unwrap();
}

#[tokio::test]
async fn web_reports_a_database_that_is_down() {
    let path = "/api/public/health?failIfDatabaseUnavailable=true";
    let url = format!("postgresql://u:p@127.0.0.1:{}/db", closed_port().await.port());
    let server = TestServer::start(&[("DATABASE_URL", &url)]).await;
    let (status, body) = server.get(path).await;
    assert_eq!((status, &body["status"]), (503, &json!("Database not available")));
    assert_eq!(server.get("/api/public/health").await.0, 200, "unless it is asked for");
}
