//! Turns of a running Ken, as Langfuse shows them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use langfuse_local::Server;
use langfuse_local::settings::{Role, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

const KEYS: (&str, &str) = ("pk-lf-1234567890", "sk-lf-1234567890");

/// A Ken in a process of its own.
struct Ken {
    process: Child,
    url: String,
    client: reqwest::Client,
}

impl Drop for Ken {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

impl Ken {
    async fn start(langfuse: &str, spill: &TempDir) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_ken-example"))
            .env("KEN_ADDRESS", address.to_string())
            .env("LANGFUSE_BASE_URL", langfuse)
            .env("LANGFUSE_PUBLIC_KEY", KEYS.0)
            .env("LANGFUSE_SECRET_KEY", KEYS.1)
            .env("LANGFUSE_TRACING_ENVIRONMENT", "staging")
            .env("KEN_TRACING_SPILL", spill.path().join("spill"))
            .env_remove("DATABASE_URL")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let ken = Self { process, url: format!("http://{address}"), client: reqwest::Client::new() };
        let started = Instant::now();
        while ken.client.get(format!("{}/healthz", ken.url)).send().await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "Ken does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ken
    }

    async fn chat(&self, message: &str) -> (u16, Value) {
        let body = json!({ "conversation_id": "c-1", "thread_id": "t-1", "channel": "telegram", "user_id": "u-1", "message": message });
        let response = self.client.post(format!("{}/chat", self.url)).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// As a container is stopped; Ken sends what is under way.
    fn stop(mut self) {
        let ended = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(ended.success());
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

struct Langfuse {
    server: Server,
    url: String,
    client: reqwest::Client,
    _data: TempDir,
}

impl Langfuse {
    async fn start() -> Self {
        let data = TempDir::new().unwrap();
        let environment = [
            ("LANGFUSE_INIT_ORG_ID", "org"),
            ("LANGFUSE_INIT_PROJECT_ID", "ken"),
            ("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", KEYS.0),
            ("LANGFUSE_INIT_PROJECT_SECRET_KEY", KEYS.1),
        ];
        let find = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut settings = Settings::read(Role::Standalone, &find).unwrap();
        settings.data = data.path().to_owned();
        (settings.port, settings.worker_port) = (0, 0);
        let server = Server::start(settings, Arc::new(|_notice| {})).await.unwrap();
        let url = format!("http://{}", server.web_address().unwrap());
        Self { server, url, client: reqwest::Client::new(), _data: data }
    }

    /// The observations of a trace, with everything.
    async fn trace(&self, id: &Value) -> Vec<Value> {
        let fields = "core,basic,time,io,metadata,model,usage,trace_context";
        let url = format!(
            "{}/api/public/v2/observations?traceId={}&fields={fields}&limit=100",
            self.url,
            id.as_str().unwrap()
        );
        let response = self.client.get(url).basic_auth(KEYS.0, Some(KEYS.1)).send().await.unwrap();
        response.json::<Value>().await.unwrap()["data"].as_array().unwrap().clone()
    }
}

fn row<'a>(rows: &'a [Value], name: &str) -> &'a Value {
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}: {rows:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_of_every_kind_are_seen_whole_and_without_their_secrets() {
    let (langfuse, spill) = (Langfuse::start().await, TempDir::new().unwrap());
    let ken = Ken::start(&langfuse.url, &spill).await;
    let secret = format!("sk-{}", "q7W2e8R4".repeat(5));
    let plain = ken.chat(&format!("hello, my key is {secret}")).await;
    let weather = ken.chat("what is the weather in Berlin?").await;
    let invoices = ken.chat("which invoices are open?").await;
    let failing = ken.chat("please fail now").await;
    assert_eq!((plain.0, weather.0, invoices.0, failing.0), (200, 200, 200, 502));
    assert!(plain.1["answer"].as_str().unwrap().contains(&secret), "the user gets what the user said");
    ken.stop();

    let rows = langfuse.trace(&plain.1["trace_id"]).await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let found = json!([
            row["sessionId"],
            row["userId"],
            row["environment"],
            row["traceName"],
            row["metadata"]["channel"],
            row["metadata"]["thread_id"]
        ]);
        assert_eq!(found, json!(["c-1", "u-1", "staging", "chat-turn", "telegram", "t-1"]));
        let text = row.to_string();
        assert!(!text.contains(&secret) && text.contains("[redacted:api_key]"), "{text}");
    }
    let generation = row(&rows, "answer");
    assert_eq!((&generation["type"], &generation["model"]), (&json!("GENERATION"), &json!("scripted-small")));
    assert!(
        generation["usageDetails"]["total"].as_u64().unwrap() > 0
            && generation["completionStartTime"].is_string()
    );

    let rows = langfuse.trace(&weather.1["trace_id"]).await;
    // Two generations, the tool, the turn, and what the tool server recorded itself.
    assert_eq!(rows.len(), 5, "{rows:#?}");
    let tool = row(&rows, "weather");
    assert_eq!(
        (&tool["type"], &tool["metadata"]["mcp_server"], &tool["level"]),
        (&json!("TOOL"), &json!("weather"), &json!("DEFAULT"))
    );
    assert_eq!(
        row(&rows, "mcp weather")["parentObservationId"],
        tool["id"],
        "the trace goes on in the tool server"
    );

    // It says success and did not: nothing but its output tells.
    let rows = langfuse.trace(&invoices.1["trace_id"]).await;
    let tool = row(&rows, "search_invoices");
    assert_eq!(tool["level"], "DEFAULT");
    assert!(tool["output"].to_string().contains("the archive is offline"), "{tool:#}");

    let rows = langfuse.trace(&failing.1["trace_id"]).await;
    for name in ["chat-turn", "answer"] {
        let row = row(&rows, name);
        assert_eq!(
            (&row["level"], &row["statusMessage"]),
            (&json!("ERROR"), &json!("the model is overloaded")),
            "{name}"
        );
    }
    langfuse.server.stop().await;
}

/// Ken starts and serves where no Langfuse is, and what it said is there once there is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ken_serves_without_langfuse_and_nothing_is_lost() {
    let spill = TempDir::new().unwrap();
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ken = Ken::start(&format!("http://{nowhere}"), &spill).await;
    let mut traces = Vec::new();
    for number in 0..20 {
        let (status, said) = ken.chat(&format!("calculate 1 and {number}")).await;
        assert_eq!(status, 200);
        traces.push(said["trace_id"].clone());
    }
    ken.stop();
    let langfuse = Langfuse::start().await;
    let ken = Ken::start(&langfuse.url, &spill).await;
    let started = Instant::now();
    for trace in traces {
        // Two generations, the tool and the turn.
        while langfuse.trace(&trace).await.len() < 4 {
            assert!(started.elapsed() < Duration::from_secs(20), "{trace} is missing");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    ken.stop();
    langfuse.server.stop().await;
}
