//! Whatever is sent by whoever has a key: each request is answered, none by a fault of the server.
//!
//! Over real HTTP, so that a panic anywhere on the way shows as an answer that does not come.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{PUBLIC, SECRET, TestServer};
use crate::traces_seed;

/// 2026-11-20T10:00:00Z.
const NOW_MS: i64 = 1_795_168_800_000;

struct Target {
    runtime: Runtime,
    server: TestServer,
    n_accepted: Cell<u32>,
}

impl Target {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = runtime.block_on(async {
            let server = TestServer::start(&[]).await;
            let traces = traces_seed::traces(12, NOW_MS).concat();
            assert_eq!(server.send(&traces_seed::export(traces)).await.0, 200);
            server
        });
        Self { runtime, server, n_accepted: Cell::new(0) }
    }

    /// The status and body of an answer that had to come.
    fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), TestCaseError> {
        let request = self.server.request(method.clone(), path).header("content-type", kind).body(body);
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.bytes().await?.to_vec()))
        });
        let (status, body) =
            answer.map_err(|error| TestCaseError::fail(format!("{method} {path}: {error}")))?;
        prop_assert!(status < 500, "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        self.n_accepted.set(self.n_accepted.get() + u32::from(status < 300));
        Ok((status, body))
    }

    fn run<S: Strategy>(
        &self,
        n_cases: u32,
        cases: &S,
        test: impl Fn(S::Value) -> Result<(), TestCaseError>,
    ) {
        let config = Config { cases: n_cases, failure_persistence: None, ..Config::default() };
        // The same cases every time: what it finds can be found again.
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, rng).run(cases, test).unwrap();
        // The server lives and has lost nothing.
        let (status, body) = self.runtime.block_on(self.server.get("/api/public/projects"));
        assert_eq!((status, body["data"][0]["id"].as_str()), (200, Some("my-project")));
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::collection::vec(any::<i8>().prop_map(Value::from), 0..4).prop_map(Value::from),
        Just(json!({})),
        Just(json!({ "__proto__": { "a": [] }, "constructor": "x" })),
        Just(json!("' OR 1=1 --\u{0}")),
        Just(json!(1e308)),
    ]
}

/// Mostly one of these, sometimes anything.
fn mostly(known: &[&'static str]) -> impl Strategy<Value = Value> + use<> {
    prop_oneof![60 => prop::sample::select(known.to_vec()).prop_map(Value::from), 1 => junk()]
}

const FIELDS: &[&str] = &[
    "name",
    "model",
    "providedModelName",
    "environment",
    "type",
    "level",
    "traceName",
    "userId",
    "sessionId",
    "tags",
    "release",
    "version",
    "toolNames",
    "calledToolNames",
    "promptName",
    "costType",
    "usageType",
    "metadata",
    "source",
    "dataType",
    "stringValue",
    "value",
    "startTime",
    "endTime",
    "latency",
    "timestamp",
    "traceId",
    "id",
    "scores",
];
const MEASURES: &[&str] = &[
    "count",
    "latency",
    "timeToFirstToken",
    "streamingLatency",
    "tokensPerSecond",
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "inputCost",
    "outputCost",
    "totalCost",
    "value",
    "uniqueUserIds",
    "uniqueSessionIds",
    "toolCalls",
    "costByType",
    "usageByType",
    "countScores",
];

/// What every view knows, more often than the rest.
fn known_field() -> impl Strategy<Value = Value> {
    prop_oneof![mostly(&["name", "environment", "traceName", "userId"]), mostly(FIELDS)]
}

fn metrics_query() -> impl Strategy<Value = Value> {
    let operator = mostly(&[
        "=",
        "<",
        ">",
        "<=",
        ">=",
        "contains",
        "does not contain",
        "starts with",
        "ends with",
        "any of",
        "none of",
        "all of",
        "is null",
        "is not null",
    ]);
    let kind = mostly(&[
        "string",
        "number",
        "datetime",
        "stringOptions",
        "arrayOptions",
        "stringObject",
        "numberObject",
        "boolean",
        "null",
        "categoryOptions",
    ]);
    let value = prop_oneof![
        3 => junk(),
        2 => Just(json!("production")),
        2 => Just(json!(["chat-turn", "llm"])),
        2 => Just(json!(3)),
        1 => Just(json!("2026-11-20T00:00:00Z")),
    ];
    let filter = (known_field(), operator, kind, value)
        .prop_map(|(column, operator, kind, value)| json!({ "column": column, "operator": operator, "type": kind, "value": value, "key": "channel" }));
    let aggregation = mostly(&[
        "sum",
        "avg",
        "count",
        "max",
        "min",
        "p50",
        "p75",
        "p90",
        "p95",
        "p99",
        "histogram",
        "uniq",
    ]);
    let measure = prop_oneof![mostly(&["count", "latency", "value"]), mostly(MEASURES)];
    let metric = (measure, aggregation)
        .prop_map(|(measure, aggregation)| json!({ "measure": measure, "aggregation": aggregation }));
    let granularity = mostly(&["auto", "minute", "hour", "day", "week", "month"]);
    let from = mostly(&["2026-11-20T00:00:00Z", "2026-11-01T00:00:00Z", "2026-11-20T09:00:00Z"]);
    let order = (mostly(&["count_count", "p95_latency", "name", "time_dimension"]), mostly(&["asc", "desc"]));
    (
        mostly(&["observations", "scores-numeric", "scores-categorical", "scores-boolean", "traces"]),
        prop::collection::vec(known_field().prop_map(|field| json!({ "field": field })), 0..2),
        prop::collection::vec(metric, 1..3),
        prop::collection::vec(filter, 0..2),
        prop::option::of(granularity),
        from,
        prop::option::of(order),
        prop::option::of((prop_oneof![any::<i32>(), 1..100_i32], prop_oneof![any::<i32>(), 1..1000_i32])),
    )
        .prop_map(|(view, dimensions, metrics, filters, granularity, from, order, config)| {
            let mut query = json!({ "view": view, "dimensions": dimensions, "metrics": metrics, "filters": filters,
                "fromTimestamp": from, "toTimestamp": "2026-11-21T00:00:00Z" });
            if let Some(granularity) = granularity {
                query["timeDimension"] = json!({ "granularity": granularity });
            }
            if let Some((field, direction)) = order {
                query["orderBy"] = json!([{ "field": field, "direction": direction }]);
            }
            if let Some((bins, rows)) = config {
                query["config"] = json!({ "bins": bins, "row_limit": rows });
            }
            query
        })
}

#[test]
fn metrics_are_answered_or_refused() {
    let target = Target::start();
    target.run(3_000, &metrics_query(), |query| {
        let path = format!("/api/public/v2/metrics?query={}", encoded(&query.to_string()));
        let (status, body) = target.ask(Method::GET, &path, "text/plain", Vec::new())?;
        if status == 200 {
            let body: Value = serde_json::from_slice(&body).unwrap();
            prop_assert!(body["data"].is_array(), "{query}: {body}");
        }
        Ok(())
    });
    assert!(target.n_accepted.get() > 100, "only {} queries were accepted", target.n_accepted.get());
}

#[test]
fn every_route_answers_any_parameter() {
    const ROUTES: [&str; 12] = [
        "/api/public/v2/observations",
        "/api/public/v3/scores",
        "/api/public/models",
        "/api/public/unstable/dashboards",
        "/api/public/unstable/dashboard-widgets",
        "/api/public/v2/metrics",
        "/api/public/models/x",
        "/api/public/traces/x",
        "/traces",
        "/sessions",
        "/charts",
        "/trace/x",
    ];
    const NAMES: [&str; 30] = [
        "limit",
        "page",
        "cursor",
        "fields",
        "filter",
        "fromStartTime",
        "toStartTime",
        "fromTimestamp",
        "toTimestamp",
        "name",
        "userId",
        "sessionId",
        "traceId",
        "observationId",
        "id",
        "value",
        "operator",
        "source",
        "dataType",
        "level",
        "type",
        "environment",
        "version",
        "parseIoAsJson",
        "isRootObservation",
        "from",
        "to",
        "after",
        "q",
        "range",
    ];
    let target = Target::start();
    let value = prop_oneof![
        ".{0,30}",
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "[A-Za-z0-9+/=_-]{0,80}",
        Just("2026-11-20T10:00:00Z".to_owned()),
        "[0-9+-]{1,7}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}",
        junk().prop_map(|value| value.to_string()),
    ];
    let query = prop::collection::vec((prop::sample::select(NAMES.to_vec()), value), 0..4);
    let case = (prop::sample::select(ROUTES.to_vec()), query, prop::bool::weighted(0.05), "[ -~]{0,20}");
    target.run(4_000, &case, |(route, query, is_raw, raw)| {
        let mut path = format!("{route}?");
        for (name, value) in &query {
            path += &format!("{name}={}&", encoded(value));
        }
        if is_raw {
            path += &raw.replace('#', "%");
        }
        target.ask(Method::GET, &path, "text/plain", Vec::new()).map(drop)
    });
    assert!(target.n_accepted.get() > 100, "only {} queries were accepted", target.n_accepted.get());
}

#[test]
fn every_body_is_answered() {
    const ROUTES: [(&str, &str); 9] = [
        ("POST", "/api/public/scores"),
        ("POST", "/api/public/models"),
        ("POST", "/api/public/ingestion"),
        ("POST", "/api/public/unstable/dashboards"),
        ("POST", "/api/public/unstable/dashboard-widgets"),
        ("DELETE", "/api/public/traces"),
        ("PATCH", "/api/public/unstable/dashboards/x"),
        ("PUT", "/api/public/scores"),
        ("POST", "/api/public/otel/v1/traces"),
    ];
    const NAMES: [&str; 24] = [
        "id",
        "traceId",
        "observationId",
        "sessionId",
        "name",
        "value",
        "dataType",
        "comment",
        "metadata",
        "environment",
        "modelName",
        "matchPattern",
        "unit",
        "inputPrice",
        "pricingTiers",
        "tokenizerId",
        "traceIds",
        "batch",
        "description",
        "definition",
        "view",
        "dimensions",
        "metrics",
        "resourceSpans",
    ];
    let target = Target::start();
    let value = prop_oneof![
        4 => junk(),
        1 => Just(json!("(?i)^(a|b")),
        1 => Just(json!("NUMERIC")),
        1 => Just(json!("trace-1")),
        1 => Just(json!("TOKENS")),
        1 => Just(json!(0.5)),
        1 => Just(json!(["x"])),
        1 => Just(json!([{ "id": "e", "type": "score-create", "timestamp": "2026-11-20T10:00:00Z", "body": { "name": "n", "value": 1, "traceId": "t" } }])),
        1 => Just(json!([{ "name": "Standard", "isDefault": true, "priority": 0, "conditions": [], "prices": { "input": 1 } }])),
        1 => metrics_query(),
    ];
    let object = prop::collection::hash_map(prop::sample::select(NAMES.to_vec()), value, 0..8);
    let body = prop_oneof![
        6 => object.prop_map(|object| json!(object).to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ];
    let case = (prop::sample::select(ROUTES.to_vec()), body);
    target.run(3_000, &case, |((method, path), body)| {
        target.ask(method.parse().unwrap(), path, "application/json", body).map(drop)
    });
    assert!(target.n_accepted.get() > 20, "only {} bodies were accepted", target.n_accepted.get());
}

/// An export that is good but for a few bytes gets past the first checks, which noise does not.
#[test]
fn damaged_exports_are_answered() {
    let target = Target::start();
    let good = protobuf(&traces_seed::traces(1, NOW_MS).concat());
    assert_eq!(
        target
            .ask(Method::POST, "/api/public/otel/v1/traces", "application/x-protobuf", good.clone())
            .unwrap()
            .0,
        200
    );
    let damage = prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| (at, 1, vec![byte])),
        (any::<prop::sample::Index>(), 0..40_usize).prop_map(|(at, length)| (at, length, Vec::new())),
        (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, bytes)| (at, 0, bytes)),
        // The greatest length that a field can claim.
        any::<prop::sample::Index>().prop_map(|at| (at, 1, vec![0xff, 0xff, 0xff, 0xff, 0x0f])),
    ];
    let case = (prop::collection::vec(damage, 1..3), any::<bool>());
    target.run(3_000, &case, |(damages, is_zipped)| {
        let mut body = good.clone();
        for (at, length, bytes) in damages {
            let at = at.index(body.len());
            let end = body.len().min(at + length);
            body.splice(at..end, bytes);
        }
        let kind = "application/x-protobuf";
        if !is_zipped {
            return target.ask(Method::POST, "/api/public/otel/v1/traces", kind, body).map(drop);
        }
        // Not zipped, and said to be.
        let request = target
            .server
            .client
            .post(target.server.url("/api/public/otel/v1/traces"))
            .basic_auth(PUBLIC, Some(SECRET));
        let request = request.header("content-type", kind).header("content-encoding", "gzip").body(body);
        let answer = target
            .runtime
            .block_on(request.send())
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!((400..500).contains(&answer.status().as_u16()), "{}", answer.status());
        Ok(())
    });
    assert!(target.n_accepted.get() > 50, "only {} exports were accepted", target.n_accepted.get());
}

/// The spans of an OTLP/JSON export in protobuf, by the field numbers of `trace.proto` and `common.proto`.
fn protobuf(spans: &[Value]) -> Vec<u8> {
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
        out
    }
    let text = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    let id = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let time = |number: u8, value: &Value| {
        let nanoseconds: u64 = value.as_str().unwrap().parse().unwrap();
        [vec![number << 3 | 1], nanoseconds.to_le_bytes().to_vec()].concat()
    };
    let spans = spans.iter().flat_map(|span| {
        let attributes = span["attributes"].as_array().unwrap().iter().flat_map(|attribute| {
            let value = match &attribute["value"]["arrayValue"]["values"] {
                Value::Array(items) => {
                    let items: Vec<u8> =
                        items.iter().flat_map(|it| field(1, &field(1, &text(&it["stringValue"])))).collect();
                    field(5, &items)
                }
                _ => field(1, &text(&attribute["value"]["stringValue"])),
            };
            field(9, &[field(1, &text(&attribute["key"])), field(2, &value)].concat())
        });
        let head = [
            field(1, &id(&span["traceId"])),
            field(2, &id(&span["spanId"])),
            field(4, &id(&span["parentSpanId"])),
            field(5, &text(&span["name"])),
            time(7, &span["startTimeUnixNano"]),
            time(8, &span["endTimeUnixNano"]),
        ];
        field(2, &head.concat().into_iter().chain(attributes).collect::<Vec<u8>>())
    });
    field(1, &field(2, &spans.collect::<Vec<u8>>()))
}
