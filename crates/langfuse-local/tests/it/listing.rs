//! Reading back: filters, pages, deletion, and the routes that are not.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestServer, answer, client};

/// Three traces of two spans each, all spans of equal start.
async fn filled() -> TestServer {
    let server = TestServer::start(&[]).await;
    for trace_idx in 0..3 {
        let span = |id: &str, parent: &str, attributes: Value| {
            json!({ "traceId": format!("trace-{trace_idx}"), "spanId": id, "parentSpanId": parent, "name": id,
                "startTimeUnixNano": "1795168800000000000", "endTimeUnixNano": "1795168802500000000",
                "attributes": attributes })
        };
        let text = |key: &str, value: String| json!({ "key": key, "value": { "stringValue": value } });
        let spans = [
            span(
                "root",
                "",
                json!([
                    text("langfuse.trace.tags", format!("t{trace_idx},all")),
                    text("langfuse.trace.metadata.n", format!("value {trace_idx}")),
                    text("langfuse.environment", format!("env-{trace_idx}"))
                ]),
            ),
            span(
                "child",
                "root",
                json!([
                    text("langfuse.observation.input", format!("Hello {trace_idx}")),
                    text("langfuse.observation.usage_details", format!("{{\"input\":{trace_idx}}}"))
                ]),
            ),
        ];
        let export = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
        assert_eq!(server.send(&export).await.0, 200);
    }
    server
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The found rows as `trace/id`, sorted.
async fn found(server: &TestServer, query: &str) -> Vec<String> {
    let (status, body) = server.get(&format!("/api/public/v2/observations?{query}")).await;
    assert_eq!(status, 200, "{query}: {body}");
    let name = |row: &Value| {
        format!(
            "{}/{}",
            row["traceId"].as_str().unwrap().trim_start_matches("trace-"),
            row["id"].as_str().unwrap()
        )
    };
    let mut names: Vec<String> = body["data"].as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn filters_of_every_type() {
    let server = filled().await;
    let filter = |kind: &str, column: &str, operator: &str, value: Value, key: Option<&str>| {
        let mut filter = json!({ "type": kind, "column": column, "operator": operator, "value": value });
        if let Some(key) = key {
            filter["key"] = json!(key);
        }
        filter
    };
    let all = ["0/child", "0/root", "1/child", "1/root", "2/child", "2/root"];
    let roots = ["0/root", "1/root", "2/root"];
    let children = ["0/child", "1/child", "2/child"];
    let cases: Vec<(Value, &[&str])> = vec![
        (filter("datetime", "startTime", ">=", json!("2026-11-20T10:00:00Z"), None), &all),
        (filter("datetime", "endTime", "<", json!("2026-11-20T11:00:02+01:00"), None), &[]),
        (filter("string", "name", "starts with", json!("ro"), None), &roots),
        (filter("string", "name", "ends with", json!("ild"), None), &children),
        (filter("string", "name", "contains", json!("oo"), None), &roots),
        (filter("string", "name", "does not contain", json!("oo"), None), &children),
        (filter("string", "input", "=", json!("Hello 1"), None), &["1/child"]),
        (filter("string", "input", "matches", json!("hello"), None), &children),
        (filter("number", "latency", "=", json!(2.5), None), &all),
        (filter("number", "inputTokens", ">", json!(0), None), &["1/child", "2/child"]),
        (
            filter("stringOptions", "environment", "any of", json!(["env-0", "env-2"]), None),
            &["0/root", "2/root"],
        ),
        (filter("stringOptions", "environment", "none of", json!(["default"]), None), &roots),
        (filter("arrayOptions", "tags", "any of", json!(["t1", "t2"]), None), &["1/root", "2/root"]),
        (filter("arrayOptions", "tags", "all of", json!(["t1", "all"]), None), &["1/root"]),
        (filter("arrayOptions", "traceTags", "none of", json!(["all"]), None), &children),
        (filter("stringObject", "metadata", "=", json!("value 2"), Some("n")), &["2/root"]),
        (filter("stringObject", "metadata", "contains", json!("value"), Some("n")), &roots),
        (filter("boolean", "isRootObservation", "=", json!(true), None), &roots),
        (filter("boolean", "hasParentObservation", "<>", json!(true), None), &roots),
        (filter("null", "parentObservationId", "is null", json!(""), None), &roots),
        (filter("null", "timeToFirstToken", "is not null", json!(""), None), &[]),
        (filter("null", "tags", "is not null", json!(""), None), &roots),
    ];
    for (filter, expected) in cases {
        let query = format!("filter={}", encoded(&json!([filter]).to_string()));
        assert_eq!(found(&server, &query).await, expected, "{filter}");
    }
    // Several conditions hold together; a column of the filter overrides its simple parameter.
    let both = json!([{ "type": "string", "column": "name", "operator": "=", "value": "root" },
        { "type": "string", "column": "traceId", "operator": "=", "value": "trace-1" }]);
    let query = format!("name=child&filter={}", encoded(&both.to_string()));
    assert_eq!(found(&server, &query).await, ["1/root"]);
    assert_eq!(found(&server, "parentObservationId=").await, roots);
    assert_eq!(found(&server, "environment=env-0&environment=env-1").await, ["0/root", "1/root"]);
    assert_eq!(found(&server, "isRootObservation=false&traceId=trace-2").await, ["2/child"]);
}

#[tokio::test]
async fn bad_queries_get_one_clear_answer() {
    let server = filled().await;
    let filter = |text: &str| format!("filter={}", encoded(text));
    let cases = [
        ("limit=-1".to_owned(), "Too small"),
        ("limit=x".to_owned(), "received NaN"),
        ("limit=1.5".to_owned(), "expected int"),
        ("fromStartTime=yesterday".to_owned(), "Invalid ISO datetime"),
        ("isRootObservation=maybe".to_owned(), "Invalid option"),
        (filter("{}"), "JSON array"),
        (filter(r#"[{"type":"string","column":"name","operator":"is","value":"x"}]"#), "operator"),
        (filter(r#"[{"type":"number","column":"name","operator":"=","value":1}]"#), "does not fit"),
        (filter(r#"[{"type":"number","column":"latency","operator":"=","value":"1"}]"#), "expected number"),
        (filter(r#"[{"type":"string","column":"input","operator":"contains","value":"x"}]"#), "= or matches"),
        (
            filter(r#"[{"type":"number","column":"scores_avg","operator":"=","value":1,"key":"k"}]"#),
            "does not fit",
        ),
        (filter("[1]"), "column"),
        ("cursor=e30=".to_owned(), "Invalid cursor"),
    ];
    for (query, text) in cases {
        let (status, body) = server.get(&format!("/api/public/v2/observations?{query}")).await;
        assert_eq!(status, 400, "{query}: {body}");
        assert!(body.to_string().contains(text), "{query}: {body}");
    }
}

/// Rows of equal time have an order too: no page repeats or loses one.
#[tokio::test]
async fn pages_cover_rows_of_equal_time_once() {
    let server = filled().await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for _page in 0..6 {
        let (status, body) = server.get(&format!("/api/public/v2/observations?limit=1{cursor}")).await;
        assert_eq!(status, 200);
        seen.extend(
            body["data"].as_array().unwrap().iter().map(|row| (row["traceId"].clone(), row["id"].clone())),
        );
        match body["meta"]["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", encoded(next)),
            None => cursor = "&end".to_owned(),
        }
    }
    assert_eq!(cursor, "&end", "the last page has no cursor");
    let (_, all) = server.get("/api/public/v2/observations").await;
    let all: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["traceId"].clone(), row["id"].clone()))
        .collect();
    assert_eq!(seen, all);
    assert_eq!(server.get("/api/public/v2/observations?limit=0").await.1["data"], json!([]));
}

#[tokio::test]
async fn traces_are_deleted_one_by_one_and_in_bulk() {
    let server = filled().await;
    assert_eq!(answer(server.request(Method::DELETE, "/api/public/traces/trace-0")).await.0, 200);
    assert_eq!(found(&server, "name=root").await, ["1/root", "2/root"]);
    for (body, status) in [
        (json!({ "traceIds": [] }), 400),
        (json!({ "traceIds": [1] }), 400),
        (json!({}), 400),
        (json!({ "traceIds": vec!["x"; 1_001] }), 400),
        (json!({ "traceIds": ["trace-1", "unknown"] }), 200),
    ] {
        let call = server.request(Method::DELETE, "/api/public/traces").body(body.to_string());
        assert_eq!(answer(call).await.0, status, "{body}");
    }
    assert_eq!(found(&server, "").await, ["2/child", "2/root"]);
    let unauthorized = client().delete(server.url("/api/public/traces/trace-2"));
    assert_eq!(answer(unauthorized).await.0, 401);
    assert_eq!(found(&server, "").await.len(), 2);
}

#[tokio::test]
async fn routes_that_are_not_say_why() {
    let server = TestServer::start(&[]).await;
    let cases = [
        (Method::POST, "/api/public/traces", 404, "events_only"),
        (Method::PATCH, "/api/public/spans", 404, "events_only"),
        (Method::DELETE, "/api/public/datasets/a/runs/b", 404, "events_only"),
        (Method::PUT, "/api/public/traces", 405, "MethodNotAllowedError"),
        (Method::GET, "/api/public/otel/v1/traces", 405, "MethodNotAllowedError"),
        (Method::GET, "/api/public/v2/prompts?name=x", 501, "langfuse-local does not offer"),
        (Method::GET, "/api/public/scores", 404, "events_only"),
        (Method::POST, "/api/public/datasets", 501, "NotImplementedError"),
        (Method::POST, "/api/public/sessions", 405, "MethodNotAllowedError"),
        (Method::GET, "/api/public/otel/v1/logs", 404, "404"),
        (Method::GET, "/no/such/page", 404, "404"),
    ];
    for (method, path, status, text) in cases {
        let (found, body) = answer(server.request(method, path)).await;
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.to_string().contains(text), "{path}: {body}");
    }
    let metrics = server.request(Method::POST, "/api/public/otel/v1/metrics").body("x");
    assert_eq!(answer(metrics).await, (200, json!({ "message": "OK" })));
}

#[tokio::test]
async fn the_page_tells_what_is_stored_and_no_secret() {
    let server = filled().await;
    let response = server.client.get(server.url("/")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let page = response.text().await.unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<title>Traces · langfuse-local</title>"));
    assert!(page.contains("Observations stored</dt><dd>6</dd>"), "{page}");
    assert!(!page.contains("lf-1234567890"), "{page}");
}

#[tokio::test]
async fn health_knows_recent_events() {
    let server = filled().await;
    let path = "/api/public/health?failIfNoRecentEvents=true";
    let (status, body) = server.get(path).await;
    assert_eq!((status, &body["status"]), (503, &json!("No events within the last 3 minutes")));
    // Without times a span is of now.
    let export =
        json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{ "traceId": "t", "spanId": "s" }] }] }] });
    assert_eq!(server.send(&export).await.0, 200);
    assert_eq!(server.get(path).await.0, 200);
}

#[tokio::test]
async fn tools_are_found_moved_into_the_input_and_filtered_by() {
    let server = TestServer::start(&[]).await;
    let text = |key: &str, value: Value| json!({ "key": key, "value": { "stringValue": value.to_string() } });
    let span = |id: &str, attributes: Value| {
        json!({ "traceId": "trace-0", "spanId": id, "name": id, "startTimeUnixNano": "1795168800000000000",
            "attributes": attributes })
    };
    let definition = json!([{ "type": "function", "function": { "name": "search" } }, { "name": "run_sql" }]);
    let call = |name: &str| json!({ "function": { "name": name } });
    let spans = [
        span(
            "moved",
            json!([
                text("gen_ai.tool.definitions", definition.clone()),
                text("langfuse.observation.input", json!([{ "role": "user", "content": "hi" }])),
                text(
                    "langfuse.observation.output",
                    json!({ "tool_calls": [call("search"), call("search")] })
                ),
            ]),
        ),
        span("none", json!([text("langfuse.observation.input", json!("tools"))])),
    ];
    let export = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    assert_eq!(server.send(&export).await.0, 200);

    let moved = &server.trace("trace-0").await.into_iter().find(|row| row["id"] == "moved").unwrap();
    let input: Value = serde_json::from_str(moved["input"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({ "messages": [{ "role": "user", "content": "hi" }], "tools": definition }));
    assert!(!moved["metadata"].to_string().contains("gen_ai.tool.definitions"), "{moved}");

    let filter = |kind: &str, column: &str, operator: &str, value: Value| {
        let filter = json!([{ "type": kind, "column": column, "operator": operator, "value": value }]);
        format!("filter={}", encoded(&filter.to_string()))
    };
    for (query, ids) in [
        (filter("arrayOptions", "toolNames", "all of", json!(["search", "run_sql"])), vec!["0/moved"]),
        (filter("arrayOptions", "calledToolNames", "any of", json!(["run_sql"])), vec![]),
        (filter("arrayOptions", "calledToolNames", "none of", json!(["search"])), vec!["0/none"]),
        (filter("number", "toolCalls", "=", json!(2)), vec!["0/moved"]),
        (filter("number", "toolDefinitions", "<", json!(1)), vec!["0/none"]),
    ] {
        assert_eq!(found(&server, &query).await, ids, "{query}");
    }
}
