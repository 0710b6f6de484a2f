//! What a Langfuse makes of it.

use std::time::Duration;

use ken_secrets::Secret;
use ken_tracing::{Config, Cost, Flushed, Tracer, Usage};
use langfuse_local::Server;
use langfuse_local::settings::{Role, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

const ENVIRONMENT: [(&str, &str); 4] = [
    ("LANGFUSE_INIT_ORG_ID", "org"),
    ("LANGFUSE_INIT_PROJECT_ID", "ken"),
    ("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", "pk-lf-1234567890"),
    ("LANGFUSE_INIT_PROJECT_SECRET_KEY", "sk-lf-1234567890"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_arrives_where_langfuse_keeps_it() {
    let folder = TempDir::new().unwrap();
    let find = |name: &str| {
        ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let mut settings = Settings::read(Role::Standalone, &find).unwrap();
    settings.data = folder.path().join("data");
    (settings.port, settings.worker_port) = (0, 0);
    let server = Server::start(settings, std::sync::Arc::new(|_notice| {})).await.unwrap();
    let base = format!("http://{}", server.web_address().unwrap());

    let mut config =
        Config::new(base.parse().unwrap(), "pk-lf-1234567890", Secret::new("sk-lf-1234567890".to_owned()));
    config.spill = Some(folder.path().join("spill"));
    (config.environment, config.release) = (Some("staging".to_owned()), Some("ken-1.4".to_owned()));
    let tracer = Tracer::new(config).unwrap();
    let mut turn = tracer
        .turn("chat-turn")
        .thread_id("t-1")
        .conversation_id("c-1")
        .channel("telegram")
        .user_id("u-1")
        .version("v7")
        .tag("vip")
        .tag("beta")
        .metadata("plan", "pro")
        .start();
    turn.input("Which invoices are open?");
    let mut llm = turn.generation("answer");
    llm.provider("anthropic")
        .model("claude-sonnet-4-5")
        .parameters(r#"{"temperature":0.2}"#)
        .input(r#"[{"role":"user","content":"Which invoices are open?"}]"#)
        .metadata("attempt", "1");
    llm.first_token();
    llm.output("Three.").usage(Usage::openai(1_000, 50, 800, 20)).cost(Cost::new(0.01, 0.02));
    drop(llm);
    let mut tool = turn.tool("search_invoices");
    tool.arguments(r#"{"state":"open"}"#).mcp_server("billing").call_id("call-1");
    tool.error("upstream said 503");
    drop(tool);
    turn.agent("planner").output("done");
    turn.retrieval("docs").input("open invoices").documents("[]");
    turn.guardrail("policy").verdict("fine");
    turn.step("render").end();
    turn.output("Three.");
    let trace_id = turn.trace_id().unwrap().to_string();
    turn.score_trace("helpful", 0.75);
    drop(turn);
    let flushed = tokio::task::spawn_blocking(move || tracer.flush(Duration::from_secs(10))).await.unwrap();
    assert_eq!(flushed, Flushed::Sent);

    let client = reqwest::Client::new();
    let get = async |path: String| {
        let request =
            client.get(format!("{base}{path}")).basic_auth("pk-lf-1234567890", Some("sk-lf-1234567890"));
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let fields = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context";
    let rows = get(format!("/api/public/v2/observations?traceId={trace_id}&fields={fields}&expandMetadata=channel,plan,thread_id,attempt&limit=100")).await;
    let rows = rows["data"].as_array().unwrap();
    assert_eq!(rows.len(), 7, "{rows:#?}");
    let row = |name: &str| {
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {rows:#?}"))
    };
    for (name, kind) in [
        ("chat-turn", "AGENT"),
        ("answer", "GENERATION"),
        ("search_invoices", "TOOL"),
        ("planner", "AGENT"),
        ("docs", "RETRIEVER"),
        ("policy", "GUARDRAIL"),
        ("render", "SPAN"),
    ] {
        let row = row(name);
        assert_eq!(row["type"], kind, "{name}");
        // Langfuse v4 propagates nothing: it is on every one of them.
        let expected = json!(["c-1", "u-1", "staging", "ken-1.4", "v7", "chat-turn", ["vip", "beta"]]);
        let found = json!([
            row["sessionId"],
            row["userId"],
            row["environment"],
            row["release"],
            row["version"],
            row["traceName"],
            row["tags"]
        ]);
        assert_eq!(found, expected, "{name}");
        for (key, value) in
            [("thread_id", "t-1"), ("channel", "telegram"), ("plan", "pro"), ("conversation_id", "c-1")]
        {
            assert_eq!(row["metadata"][key], value, "{name} {key}");
        }
    }
    let llm = row("answer");
    assert_eq!(llm["model"], "claude-sonnet-4-5", "{llm:#}");
    assert_eq!(
        llm["usageDetails"],
        json!({ "input": 200, "output": 30, "input_cached_tokens": 800, "output_reasoning_tokens": 20, "total": 1_050 })
    );
    assert_eq!(llm["costDetails"], json!({ "input": 0.01, "output": 0.02, "total": 0.03 }));
    assert!(llm["completionStartTime"].is_string() && llm["metadata"]["attempt"] == 1, "{llm:#}");
    assert_eq!((&llm["output"], &llm["level"]), (&json!("Three."), &json!("DEFAULT")));
    assert_eq!(llm["metadata"]["provider"], "anthropic");
    assert!(
        llm["metadata"].as_object().unwrap().keys().all(|key| !key.starts_with("attributes.")),
        "kept twice: {llm:#}"
    );
    let tool = row("search_invoices");
    assert_eq!(
        (&tool["metadata"]["mcp_server"], &tool["metadata"]["tool_call_id"]),
        (&json!("billing"), &json!("call-1"))
    );
    assert_eq!(tool["metadata"]["tool_name"], "search_invoices");
    assert_eq!((&tool["level"], &tool["statusMessage"]), (&json!("ERROR"), &json!("upstream said 503")));
    assert_eq!(tool["parentObservationId"], row("chat-turn")["id"]);
    let scores = get(format!("/api/public/v3/scores?traceId={trace_id}")).await;
    assert_eq!((&scores["data"][0]["name"], &scores["data"][0]["value"]), (&json!("helpful"), &json!(0.75)));
    server.stop().await;
}
