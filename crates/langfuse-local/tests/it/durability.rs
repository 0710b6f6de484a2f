//! What was answered with 200 is there, whatever happens to the process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use langfuse_local::settings::Role;
use langfuse_local::store::Store;
use langfuse_local::{Server, StartError};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{ENVIRONMENT, PUBLIC, SECRET, TestServer, answer, client, export, settings};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The real binary, on a port that was free a moment ago.
struct Process {
    child: Child,
    port: u16,
}

impl Process {
    fn command(data: &Path, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_langfuse-local"));
        command.env_clear().envs(ENVIRONMENT).env("LANGFUSE_LOCAL_DATA", data).env("PORT", port.to_string());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Web in production form, ready when it says so.
    fn web(data: &Path) -> Self {
        let port = free_port();
        let mut command = Self::command(data, port);
        command.arg("web").envs(crate::environment::PRODUCTION);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, format!("web listening on http://127.0.0.1:{port}\n"));
        Self { child, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn kill_right_after_the_answer_loses_nothing() {
    let folder = TempDir::new().unwrap();
    for round in 0..5 {
        let mut process = Process::web(folder.path());
        let trace = format!("trace-{round}");
        let call = client().post(process.url("/api/public/otel/v1/traces")).basic_auth(PUBLIC, Some(SECRET));
        let body = export(&trace, &json!({})).to_string();
        let (status, body) = answer(call.header("content-type", "application/json").body(body)).await;
        process.child.kill().unwrap();
        assert_eq!(status, 200, "{body}");
        process.child.wait().unwrap();
    }
    let process = Process::web(folder.path());
    let call = client().get(process.url("/api/public/v2/observations")).basic_auth(PUBLIC, Some(SECRET));
    let (_, body) = answer(call).await;
    assert_eq!(body["data"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn sigterm_shows_not_ready_then_ends_in_time() {
    let folder = TempDir::new().unwrap();
    let mut process = Process::web(folder.path());
    let ready = async || answer(client().get(process.url("/api/public/ready"))).await.0;
    assert_eq!(ready().await, 200);
    let begun = Instant::now();
    process.signal("TERM");
    // The signal needs a moment to arrive; a refused connection would fail the test.
    while ready().await != 500 {}
    let status = tokio::task::spawn_blocking(move || (process.child.wait().unwrap(), begun.elapsed())).await;
    let (status, elapsed) = status.unwrap();
    assert!(status.success(), "{status}");
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
}

/// A request that has begun is answered although the end was asked for.
#[tokio::test]
async fn requests_under_way_finish() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = TestServer::start(&[]).await;
    let mut stream = tokio::net::TcpStream::connect(server.web_address()).await.unwrap();
    let body = export(TRACE, &json!({})).to_string();
    let authorization = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{PUBLIC}:{SECRET}"))
    };
    let head = format!(
        "POST /api/public/otel/v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (first, second) = body.split_at(body.len() / 2);
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    let finish = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        stream.write_all(second.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        start
    };
    let (folder, start) = tokio::join!(server.stop(), finish);
    assert_eq!(&start, b"HTTP/1.1 200");
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.count().unwrap(), 1);
}

#[tokio::test]
async fn a_second_instance_is_refused_and_changes_nothing() {
    let server = TestServer::start(&[]).await;
    let second = settings(Role::Standalone, server.folder.path(), &[]);
    let error = Server::start(second, Arc::new(|_notice: &_| {})).await.unwrap_err();
    assert!(matches!(error, StartError::Store(_)));
    assert!(error.to_string().contains("in use by another running langfuse-local"), "{error}");
    assert_eq!(server.get("/api/public/health").await.0, 200);
    // The binary says it in one line.
    let output = Process::command(server.folder.path(), free_port())
        .arg("web")
        .envs(crate::environment::PRODUCTION)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains(&*server.folder.path().to_string_lossy()), "{line}");
    // When the first has gone, the folder is free.
    let folder = server.stop().await;
    Store::open(folder.path()).unwrap();
}

#[test]
fn unusable_data_is_refused_with_its_path() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("langfuse-local.sqlite");
    drop(Store::open(folder.path()).unwrap());
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let check = |path: &Path, text: &str| {
        let error = Store::open(path).unwrap_err().to_string();
        assert!(error.contains(text) && error.contains(&*path.to_string_lossy()), "{error}");
    };
    check(folder.path(), "schema version 99, this program knows up to");
    std::fs::write(&database, "this is no database, it is a text that is long enough to be read as one")
        .unwrap();
    check(folder.path(), "as a database");
    check(&database, "cannot use data folder");
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("a/b");
    let _store = Store::open(&data).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// As in Langfuse: a key that exists is not changed by the environment.
#[tokio::test]
async fn provisioning_leaves_what_exists() {
    let server = TestServer::start(&[]).await;
    let folder = server.stop().await;
    let changed =
        [("LANGFUSE_INIT_PROJECT_SECRET_KEY", "sk-lf-changed"), ("LANGFUSE_INIT_PROJECT_NAME", "New")];
    let settings = settings(Role::Standalone, folder.path(), &changed);
    let server = Server::start(settings, Arc::new(|_notice: &_| {})).await.unwrap();
    let url = format!("http://{}/api/public/projects", server.web_address().unwrap());
    let ask = async |secret: &str| answer(client().get(&url).basic_auth(PUBLIC, Some(secret))).await;
    assert_eq!(ask("sk-lf-changed").await.0, 401);
    let (status, body) = ask(SECRET).await;
    assert_eq!((status, &body["data"][0]["name"]), (200, &json!("My Project")));
    server.stop().await;
    // No file of the store holds the secret itself.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let mut bytes = Vec::new();
        std::fs::File::open(entry.unwrap().path()).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
}

#[tokio::test]
async fn healthcheck_asks_once() {
    let server = TestServer::start(&[]).await;
    let check = |url: String| {
        Command::new(env!("CARGO_BIN_EXE_langfuse-local"))
            .args(["healthcheck", &url])
            .output()
            .unwrap()
            .status
    };
    let (good, bad) = (server.url("/api/public/health"), server.url("/no/such/page"));
    let statuses = tokio::task::spawn_blocking(move || {
        (check(good), check(bad), check("http://127.0.0.1:1/".to_owned()), check("no url".to_owned()))
    });
    let (good, bad, closed, no_url) = statuses.await.unwrap();
    assert!(good.success());
    for status in [bad, closed, no_url] {
        assert_eq!(status.code(), Some(1));
    }
}
