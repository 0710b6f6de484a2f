//! A running server, a client for it, and tiny servers that play its neighbours.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, Once};

use langfuse_local::settings::{Role, Settings};
use langfuse_local::{Notice, Server};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) const PUBLIC: &str = "pk-lf-1234567890";
pub(crate) const SECRET: &str = "sk-lf-1234567890";

/// The environment of a standalone server whose project is that of the recordings.
pub(crate) const ENVIRONMENT: [(&str, &str); 6] = [
    ("LANGFUSE_INIT_ORG_ID", "my-org"),
    ("LANGFUSE_INIT_ORG_NAME", "My Org"),
    ("LANGFUSE_INIT_PROJECT_ID", "my-project"),
    ("LANGFUSE_INIT_PROJECT_NAME", "My Project"),
    ("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", PUBLIC),
    ("LANGFUSE_INIT_PROJECT_SECRET_KEY", SECRET),
];

pub(crate) fn settings(role: Role, data: &Path, extra: &[(&str, &str)]) -> Settings {
    let find = |name: &str| {
        let mut known = extra.iter().chain(&ENVIRONMENT);
        known.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let mut settings = Settings::read(role, &find).expect("the environment is good");
    settings.data = data.to_owned();
    (settings.port, settings.worker_port) = (0, 0);
    settings
}

pub(crate) struct TestServer {
    server: Server,
    pub(crate) client: Client,
    pub(crate) notices: Arc<Mutex<Vec<String>>>,
    pub(crate) folder: TempDir,
}

impl TestServer {
    pub(crate) async fn start(extra: &[(&str, &str)]) -> Self {
        Self::start_with(extra, |_settings| {}).await
    }

    pub(crate) async fn start_with(extra: &[(&str, &str)], change: impl FnOnce(&mut Settings)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut settings = settings(Role::Standalone, folder.path(), extra);
        change(&mut settings);
        let notices = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&notices);
        let on_notice = Arc::new(move |notice: &Notice| heard.lock().unwrap().push(notice.to_string()));
        let server = Server::start(settings, on_notice).await.expect("the server starts");
        Self { server, client: client(), notices, folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.web_address().unwrap())
    }

    pub(crate) fn web_address(&self) -> SocketAddr {
        self.server.web_address().unwrap()
    }

    pub(crate) fn worker_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.worker_address().unwrap())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).basic_auth(PUBLIC, Some(SECRET))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// A GET with one parameter.
    pub(crate) async fn get_with(&self, path: &str, name: &str, value: &Value) -> (u16, Value) {
        let text = value.to_string();
        let value: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        self.get(&format!("{path}?{name}={value}")).await
    }

    /// Sends an export as OTLP/JSON.
    pub(crate) async fn send(&self, export: &Value) -> (u16, Value) {
        let request = self.request(Method::POST, "/api/public/otel/v1/traces");
        answer(request.header("content-type", "application/json").body(export.to_string())).await
    }

    /// All fields of all observations of a trace.
    pub(crate) async fn trace(&self, trace_id: &str) -> Vec<Value> {
        let path = format!("/api/public/v2/observations?traceId={trace_id}&{ALL_FIELDS}");
        let (status, body) = self.get(&path).await;
        assert_eq!(status, 200, "{body}");
        body["data"].as_array().unwrap().clone()
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.server.stop().await;
        self.folder
    }

    pub(crate) fn into_server(self) -> Server {
        self.server
    }
}

pub(crate) const ALL_FIELDS: &str =
    "fields=core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context&limit=1000";

pub(crate) fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _installed = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// An export of one span.
pub(crate) fn export(trace_id: &str, attributes: &Value) -> Value {
    let attributes: Vec<Value> = attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": any_value(value) }))
        .collect();
    export_of_span(&json!({
        "traceId": trace_id, "spanId": "00f067aa0ba902b7", "name": "own name",
        "startTimeUnixNano": "1795168800387211747", "endTimeUnixNano": "1795168802386691769",
        "attributes": attributes,
    }))
}

pub(crate) fn export_of_span(span: &Value) -> Value {
    let scope = json!({ "scope": { "name": "test" }, "spans": [span] });
    json!({ "resourceSpans": [{ "resource": { "attributes": [] }, "scopeSpans": [scope] }] })
}

fn any_value(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(truth) => json!({ "boolValue": truth }),
        Value::Number(number) if number.is_i64() => json!({ "intValue": number.to_string() }),
        Value::Number(number) => json!({ "doubleValue": number }),
        Value::Array(items) => {
            json!({ "arrayValue": { "values": items.iter().map(any_value).collect::<Vec<_>>() } })
        }
        // Anything else is given in OTLP's own form.
        other => other.clone(),
    }
}

/// One request as a tiny server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Answers every HTTP request with `status` and remembers what came.
pub(crate) async fn http_receiver(status: u16) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let request = loop {
                let mut chunk = [0; 4096];
                let n_bytes = stream.read(&mut chunk).await.unwrap();
                bytes.extend_from_slice(&chunk[..n_bytes]);
                if let Some(request) = complete(&bytes) {
                    break request;
                }
                assert!(n_bytes > 0, "the client hung up early");
            };
            log.lock().unwrap().push(request);
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, seen)
}

fn complete(bytes: &[u8]) -> Option<Seen> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let body = bytes[end + 4..].to_vec();
    (body.len() >= length.unwrap_or(0)).then_some(Seen { head, body })
}
