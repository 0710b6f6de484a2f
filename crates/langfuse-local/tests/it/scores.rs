//! Scores over HTTP: giving, reading, pages, deletion, and what other routes make of them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestServer, answer, export};

async fn give(server: &TestServer, score: Value) -> (u16, Value) {
    answer(server.request(Method::POST, "/api/public/scores").json(&score)).await
}

async fn ids(server: &TestServer, query: &str) -> Vec<String> {
    let (status, body) = server.get(&format!("/api/public/v3/scores?{query}")).await;
    assert_eq!(status, 200, "{query}: {body}");
    let mut ids: Vec<String> =
        body["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn filled() -> TestServer {
    let server = TestServer::start(&[]).await;
    assert_eq!(server.send(&export("t1", &json!({ "langfuse.trace.name": "turn" }))).await.0, 200);
    for score in [
        json!({ "id": "n", "name": "helpful", "value": 0.5, "traceId": "t1" }),
        json!({ "id": "o", "name": "helpful", "value": 0.9, "traceId": "t1", "observationId": "00f067aa0ba902b7" }),
        json!({ "id": "b", "name": "right", "value": 1, "dataType": "BOOLEAN", "traceId": "t1" }),
        json!({ "id": "c", "name": "tone", "value": "kind", "traceId": "t1", "observationId": "00f067aa0ba902b7" }),
        json!({ "id": "s", "name": "mood", "value": "good", "sessionId": "s1", "environment": "staging", "metadata": { "k": 1 } }),
    ] {
        let (status, body) = give(&server, score.clone()).await;
        assert_eq!((status, &body), (200, &json!({ "id": score["id"] })), "{score}");
    }
    server
}

#[tokio::test]
async fn scores_are_found_by_what_they_are() {
    let server = filled().await;
    for (query, expected) in [
        ("", vec!["b", "c", "n", "o", "s"]),
        ("name=helpful,tone", vec!["c", "n", "o"]),
        ("traceId=t1&observationId=00f067aa0ba902b7", vec!["c", "o"]),
        ("dataType=BOOLEAN&value=true", vec!["b"]),
        ("dataType=NUMERIC&valueMin=0.6", vec!["o"]),
        ("dataType=NUMERIC&valueMax=0.5&valueMin=0.5", vec!["n"]),
        ("dataType=CATEGORICAL&value=kind,good", vec!["c", "s"]),
        ("sessionId=s1", vec!["s"]),
        ("environment=staging", vec!["s"]),
        ("toTimestamp=2020-01-01T00:00:00Z", vec![]),
    ] {
        assert_eq!(ids(&server, query).await, expected, "{query}");
    }
    let (_, body) = server.get("/api/public/v3/scores?id=b,s,o&fields=core,details,subject,annotation").await;
    let of = |id: &str| body["data"].as_array().unwrap().iter().find(|it| it["id"] == id).unwrap().clone();
    assert_eq!(of("b")["value"], true);
    assert_eq!(of("s")["value"], "good");
    assert_eq!(of("s")["subject"], json!({ "kind": "session", "id": "s1" }));
    assert_eq!(of("s")["metadata"], json!({ "k": "1" }));
    assert_eq!(
        of("o")["subject"],
        json!({ "kind": "observation", "id": "00f067aa0ba902b7", "traceId": "t1" })
    );
    server.stop().await;
}

#[tokio::test]
async fn pages_hold_each_score_once() {
    let server = filled().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, body) = server.get(&format!("/api/public/v3/scores?limit=2{cursor}")).await;
        assert_eq!(status, 200, "{body}");
        seen.extend(body["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        match body["meta"]["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["b", "c", "n", "o", "s"]);
    server.stop().await;
}

#[tokio::test]
async fn a_score_is_replaced_and_removed() {
    let server = filled().await;
    give(&server, json!({ "id": "n", "name": "helpful", "value": 1, "traceId": "t1" })).await;
    assert_eq!(ids(&server, "dataType=NUMERIC&value=1").await, ["n"]);
    let gone = server.request(Method::DELETE, "/api/public/scores/n");
    assert_eq!(answer(gone).await.0, 202);
    assert_eq!(ids(&server, "name=helpful").await, ["o"]);
    // Scores go with their trace; those of a session stay.
    assert_eq!(answer(server.request(Method::DELETE, "/api/public/traces/t1")).await.0, 200);
    assert_eq!(ids(&server, "").await, ["s"]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_stores_nothing() {
    let server = TestServer::start(&[]).await;
    for (score, words) in [
        (json!({ "value": 1, "traceId": "t" }), "expected string, received undefined"),
        (json!({ "name": "x", "value": 1 }), "exactly one"),
        (json!({ "name": "x", "value": 1, "traceId": "t", "sessionId": "s" }), "exactly one"),
        (json!({ "name": "x", "value": 1, "sessionId": "s", "observationId": "o" }), "needs traceId"),
        (json!({ "name": "x", "value": 2, "dataType": "BOOLEAN", "traceId": "t" }), "0 or 1"),
        (json!({ "name": "x", "value": "a", "dataType": "NUMERIC", "traceId": "t" }), "expected number"),
        (json!({ "name": "x", "value": 1, "dataType": "CATEGORICAL", "traceId": "t" }), "expected string"),
        (json!({ "name": "x", "value": 1, "dataType": "COLOUR", "traceId": "t" }), "Invalid option"),
        (json!({ "name": "x", "value": 1, "traceId": "t", "environment": "Not This" }), "environment"),
        (json!([]), "expected object, received array"),
    ] {
        let (status, body) = give(&server, score.clone()).await;
        assert_eq!(status, 400, "{score}");
        assert!(body.to_string().contains(words), "{score}: {body} lacks {words}");
    }
    for (query, words) in [
        ("value=1", "single dataType"),
        ("valueMin=1", "requires dataType=NUMERIC"),
        ("observationId=o", "requires traceId"),
        ("traceId=a&sessionId=b", "At most one"),
        ("userId=a&traceTags=b", "Unrecognized keys"),
        ("limit=101", "<=100"),
        ("cursor=nonsense", "Invalid cursor"),
    ] {
        let (status, body) = server.get(&format!("/api/public/v3/scores?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(body.to_string().contains(words), "{query}: {body} lacks {words}");
    }
    assert!(ids(&server, "").await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn observations_are_filtered_and_measured_by_their_scores() {
    let server = filled().await;
    for (filter, expected) in [
        (
            json!({ "type": "numberObject", "column": "scores_avg", "key": "helpful", "operator": ">", "value": 0.8 }),
            1,
        ),
        (
            json!({ "type": "numberObject", "column": "scores_avg", "key": "helpful", "operator": "<", "value": 0.8 }),
            0,
        ),
        (
            json!({ "type": "numberObject", "column": "trace_scores_avg", "key": "helpful", "operator": "<", "value": 0.8 }),
            1,
        ),
        (
            json!({ "type": "categoryOptions", "column": "score_categories", "key": "tone", "operator": "any of", "value": ["kind"] }),
            1,
        ),
        (
            json!({ "type": "categoryOptions", "column": "score_categories", "key": "tone", "operator": "none of", "value": ["kind"] }),
            0,
        ),
        (
            json!({ "type": "booleanObject", "column": "trace_score_booleans", "key": "right", "operator": "=", "value": true }),
            1,
        ),
        (
            json!({ "type": "booleanObject", "column": "trace_score_booleans", "key": "right", "operator": "<>", "value": true }),
            0,
        ),
    ] {
        let (status, body) = server.get_with("/api/public/v2/observations", "filter", &json!([filter])).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["data"].as_array().unwrap().len(), expected, "{filter}");
    }
    let metrics = |view: &str, dimension: &str, measure: &str, aggregation: &str| {
        json!({ "view": view, "dimensions": [{ "field": dimension }],
            "metrics": [{ "measure": measure, "aggregation": aggregation }],
            "fromTimestamp": "2020-01-01T00:00:00Z", "toTimestamp": "2100-01-01T00:00:00Z" })
    };
    for (query, expected) in [
        (
            metrics("scores-numeric", "name", "value", "avg"),
            json!([{ "name": "right", "avg_value": 1 }, { "name": "helpful", "avg_value": 0.7 }]),
        ),
        (
            metrics("scores-categorical", "stringValue", "count", "count"),
            json!([{ "stringValue": "good", "count_count": 1 }, { "stringValue": "kind", "count_count": 1 }]),
        ),
        (
            metrics("scores-boolean", "booleanValue", "count", "count"),
            json!([{ "booleanValue": true, "count_count": 1 }]),
        ),
        (
            metrics("scores-numeric", "traceName", "count", "count"),
            json!([{ "traceName": "turn", "count_count": 3 }]),
        ),
        (
            metrics("observations", "type", "countScores", "sum"),
            json!([{ "type": "SPAN", "sum_countScores": 2 }]),
        ),
    ] {
        let (status, body) = server.get_with("/api/public/v2/metrics", "query", &query).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["data"], expected, "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_legacy_batch_takes_scores() {
    let server = TestServer::start(&[]).await;
    let event = |id: &str, body: Value| json!({ "id": id, "type": "score-create", "timestamp": "2026-11-20T12:00:00Z", "body": body });
    let batch = json!({ "batch": [
        event("e1", json!({ "id": "s1", "name": "x", "value": 1, "traceId": "t" })),
        event("e2", json!({ "id": "s2", "name": "x" })),
    ] });
    let (status, body) = answer(server.request(Method::POST, "/api/public/ingestion").json(&batch)).await;
    assert_eq!(status, 207);
    assert_eq!(body["successes"], json!([{ "id": "e1", "status": 201 }]));
    assert_eq!((&body["errors"][0]["id"], &body["errors"][0]["status"]), (&json!("e2"), &json!(400)));
    assert_eq!(ids(&server, "toTimestamp=2026-11-20T12:00:01Z").await, ["s1"]);
    server.stop().await;
}
