//! Metrics over HTTP: grouping, aggregation, time, filters, order, and refusals.

use serde_json::{Value, json};

use crate::support::TestServer;

const DAY: &str = "2026-11-20";

/// Ten generations, one each minute from noon, of 1 to 10 seconds and two models, in five traces; and a tool.
async fn filled() -> TestServer {
    let server = TestServer::start(&[]).await;
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let noon: i64 = 1_795_176_000_000;
    let mut spans = Vec::new();
    for n in 0..10_i64 {
        let (start, latency) = (noon + n * 60_000, (n + 1) * 1_000);
        spans.push(json!({
            "traceId": format!("trace-{}", n / 2), "spanId": format!("span-{n}"), "name": "llm",
            "startTimeUnixNano": format!("{start}000000"),
            "endTimeUnixNano": format!("{}000000", start + latency),
            "attributes": [
                text("langfuse.observation.type", "generation"),
                text("langfuse.observation.model.name", if n % 2 == 0 { "even" } else { "odd" }),
                text("langfuse.observation.usage_details", &format!("{{\"input\":{n},\"output\":1}}")),
                text("langfuse.observation.cost_details", "{\"input\":0.1,\"output\":0.2}"),
                text("langfuse.trace.tags", if n < 4 { "a,b" } else { "b" }),
                text("langfuse.trace.metadata.channel", if n < 3 { "slack" } else { "web" }),
                text("user.id", if n < 6 { "ann" } else { "bob" }),
            ],
        }));
    }
    spans.push(json!({
        "traceId": "trace-0", "spanId": "tool", "name": "search",
        "startTimeUnixNano": format!("{}000000", noon + 7_200_000),
        "endTimeUnixNano": format!("{}000000", noon + 7_200_500),
        "status": { "code": 2, "message": "no" },
        "attributes": [text("langfuse.observation.type", "tool")],
    }));
    let export = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    assert_eq!(server.send(&export).await.0, 200);
    server
}

async fn ask(server: &TestServer, query: &Value) -> (u16, Value) {
    server.get_with("/api/public/v2/metrics", "query", query).await
}

/// The rows of a query over one day of observations.
async fn rows(server: &TestServer, parts: Value) -> Value {
    let (status, mut body) = ask(server, &query(parts)).await;
    assert_eq!(status, 200, "{body}");
    body["data"].take()
}

fn query(parts: Value) -> Value {
    let mut query = json!({ "view": "observations", "dimensions": [], "filters": [],
        "fromTimestamp": format!("{DAY}T00:00:00Z"), "toTimestamp": format!("{DAY}T23:59:59Z") });
    let Value::Object(parts) = parts else { panic!("parts are an object") };
    query.as_object_mut().unwrap().extend(parts);
    query
}

fn metric(measure: &str, aggregation: &str) -> Value {
    json!({ "measure": measure, "aggregation": aggregation })
}

fn only(kind: &str) -> Value {
    json!([{ "column": "type", "operator": "=", "value": kind, "type": "string" }])
}

#[tokio::test]
async fn every_aggregation_gives_its_number() {
    let server = filled().await;
    let names = ["sum", "avg", "count", "max", "min", "p50", "p75", "p90", "p95", "p99", "uniq"];
    let metrics: Vec<Value> = names.iter().map(|it| metric("latency", it)).collect();
    let found = rows(&server, json!({ "metrics": metrics, "filters": only("GENERATION") })).await;
    let expected =
        [55_000.0, 5_500.0, 10.0, 10_000.0, 1_000.0, 5_500.0, 7_750.0, 9_100.0, 9_550.0, 9_910.0, 10.0];
    for (name, expected) in names.iter().zip(expected) {
        let number = found[0][format!("{name}_latency")].as_f64().unwrap();
        assert!((number - expected).abs() < 1e-6, "{name}: {number}, expected {expected}");
    }
    let found =
        rows(&server, json!({ "metrics": [metric("latency", "histogram")], "config": { "bins": 3 } })).await;
    let bins = found[0]["histogram_latency"].as_array().unwrap();
    assert_eq!(bins.len(), 3);
    assert_eq!((bins[0][0].as_f64(), bins[2][1].as_f64()), (Some(500.0), Some(10_000.0)));
    assert_eq!(bins.iter().map(|bin| bin[2].as_f64().unwrap()).sum::<f64>(), 11.0);
    server.stop().await;
}

#[tokio::test]
async fn groups_are_ordered_bounded_and_null_where_nothing_was_given() {
    let server = filled().await;
    let by_model = |rest: Value| {
        let mut parts = json!({ "dimensions": [{ "field": "providedModelName" }],
            "metrics": [metric("count", "count"), metric("totalCost", "sum")] });
        parts.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        parts
    };
    let found = rows(&server, by_model(json!({}))).await;
    assert_eq!(
        found,
        json!([
            { "providedModelName": "even", "count_count": 5, "sum_totalCost": 1.5 },
            { "providedModelName": "odd", "count_count": 5, "sum_totalCost": 1.5 },
            { "providedModelName": null, "count_count": 1, "sum_totalCost": null },
        ])
    );
    let order = json!({ "orderBy": [{ "field": "providedModelName", "direction": "desc" }],
        "config": { "row_limit": 1 } });
    assert_eq!(rows(&server, by_model(order)).await[0]["providedModelName"], "odd");
    // A list gives one row for each entry, and none for none.
    let by_tag = json!({ "dimensions": [{ "field": "tags" }], "metrics": [metric("count", "count")] });
    let found = rows(&server, by_tag).await;
    assert_eq!(found, json!([{ "tags": "b", "count_count": 10 }, { "tags": "a", "count_count": 4 }]));
    let by_type = json!({ "metrics": [metric("usageByType", "sum")], "filters": only("GENERATION") });
    let found = rows(&server, by_type).await;
    let of = |name: &str| {
        let row = found.as_array().unwrap().iter().find(|row| row["usageType"] == name).unwrap();
        row["sum_usageByType"].clone()
    };
    assert_eq!((of("input"), of("output"), of("total")), (json!(45), json!(10), json!(55)));
    server.stop().await;
}

#[tokio::test]
async fn time_is_cut_into_buckets_and_gaps_are_filled() {
    let server = filled().await;
    let hourly = |order: Value| {
        json!({ "metrics": [metric("count", "count"), metric("latency", "max")],
            "timeDimension": { "granularity": "hour" }, "orderBy": order })
    };
    let found = rows(&server, hourly(Value::Null)).await;
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 23, "the hour of the end is not filled");
    assert_eq!(
        found[12],
        json!({ "time_dimension": format!("{DAY}T12:00:00Z"), "count_count": 10, "max_latency": 10_000 })
    );
    assert_eq!(
        found[13],
        json!({ "time_dimension": format!("{DAY}T13:00:00Z"), "count_count": 0, "max_latency": null })
    );
    let ordered = json!([{ "field": "time_dimension", "direction": "desc" }]);
    let found = rows(&server, hourly(ordered)).await;
    let times: Vec<_> = found.as_array().unwrap().iter().map(|row| row["time_dimension"].clone()).collect();
    assert_eq!(times, [json!(format!("{DAY}T14:00:00Z")), json!(format!("{DAY}T12:00:00Z"))]);
    server.stop().await;
}

#[tokio::test]
async fn filters_choose_rows() {
    let server = filled().await;
    let cases = [
        (json!({ "column": "tags", "operator": "any of", "value": ["a"], "type": "arrayOptions" }), 4),
        (
            json!({ "column": "metadata", "operator": "=", "key": "channel", "value": "slack", "type": "stringObject" }),
            3,
        ),
        (json!({ "column": "userId", "operator": "any of", "value": ["bob"], "type": "stringOptions" }), 4),
        (
            json!({ "column": "startTime", "operator": ">=", "value": format!("{DAY}T12:05:00Z"), "type": "datetime" }),
            6,
        ),
        (json!({ "column": "userId", "operator": "is null", "value": "", "type": "null" }), 1),
        // A name of something that has none of its own means the row's name.
        (json!({ "column": "scoreName", "operator": "=", "value": "search", "type": "string" }), 1),
    ];
    for (filter, expected) in cases {
        let found =
            rows(&server, json!({ "metrics": [metric("count", "count")], "filters": [filter] })).await;
        assert_eq!(found[0]["count_count"], expected, "{filter}");
    }
    let found =
        rows(&server, json!({ "metrics": [metric("uniqueUserIds", "uniq"), metric("traceId", "uniq")] }))
            .await;
    assert_eq!(found, json!([{ "uniq_uniqueUserIds": 2, "uniq_traceId": 5 }]));
    server.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_place() {
    let server = filled().await;
    let count = || json!([metric("count", "count")]);
    let cases = [
        (json!({ "metrics": count(), "config": { "row_limit": 1_001 } }), "<=1000"),
        (json!({ "metrics": count(), "config": { "bins": 0 } }), ">=1"),
        (json!({ "metrics": count(), "fromTimestamp": "yesterday" }), "Invalid ISO datetime"),
        (json!({ "metrics": "count" }), "expected array, received string"),
        (json!({ "metrics": [metric("traceId", "sum")] }), "not valid for measure"),
        (
            json!({ "metrics": count(), "orderBy": [{ "field": "colour", "direction": "asc" }] }),
            "Invalid orderBy field: colour",
        ),
        (json!({ "metrics": count(), "timeDimension": { "granularity": "eon" } }), "Invalid option"),
        (
            json!({ "metrics": count(), "dimensions": [{ "field": "traceId" }], "timeDimension": { "granularity": "day" } }),
            "cannot be used with timeDimension",
        ),
        (
            json!({ "metrics": count(), "dimensions": [{ "field": "userId" }], "config": { "row_limit": 5 },
                "orderBy": [{ "field": "userId", "direction": "desc" }] }),
            "'userId' is not a measure in this query",
        ),
        (
            json!({ "metrics": count(), "filters": [{ "column": "tags", "operator": "=", "value": "a", "type": "string" }] }),
            "require type 'arrayOptions'",
        ),
        (
            json!({ "metrics": count(), "filters": [{ "column": "colour", "operator": "=", "value": "a", "type": "string" }] }),
            "Invalid filter column colour",
        ),
        (
            json!({ "metrics": count(), "filters": [{ "column": "metadata", "operator": "=", "value": "a", "type": "string" }] }),
            "type 'stringObject'",
        ),
    ];
    for (parts, words) in cases {
        let (status, body) = ask(&server, &query(parts.clone())).await;
        assert_eq!(status, 400, "{parts}");
        assert!(body.to_string().contains(words), "{parts}: {body} lacks {words}");
    }
    server.stop().await;
}

/// A thin range in a store full of others is found by index, with the same result.
#[tokio::test]
async fn a_thin_range_gives_what_a_dense_one_gives() {
    let server = filled().await;
    let parts = json!({ "metrics": [metric("latency", "sum")], "filters": only("GENERATION"),
        "fromTimestamp": format!("{DAY}T12:00:00Z"), "toTimestamp": format!("{DAY}T12:00:30Z") });
    assert_eq!(rows(&server, parts.clone()).await[0]["sum_latency"], 1_000);
    // Sent again it gets a place far from the others' places only if rows were put between.
    let parts = json!({ "metrics": [metric("count", "count")],
        "fromTimestamp": format!("{DAY}T12:09:00Z"), "toTimestamp": format!("{DAY}T14:00:00Z") });
    assert_eq!(rows(&server, parts).await[0]["count_count"], 2);
    server.stop().await;
}
