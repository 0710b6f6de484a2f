//! No input makes it panic, and what must hold of every input does.

use langfuse_local::mapping::observations;
use langfuse_local::observation::Observation;
use langfuse_local::otlp::{decode_json, decode_protobuf};
use langfuse_local::query::{Cursor, ObservationQuery, parse_filters};
use langfuse_local::store::{Batch, Store};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Keys that the mapping looks at, among them indexed and nested ones.
fn known_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "langfuse.observation.type",
            "langfuse.observation.level",
            "langfuse.environment",
            "langfuse.observation.usage_details",
            "langfuse.observation.cost_details",
            "langfuse.trace.tags",
            "langfuse.observation.completion_start_time",
            "ai.response.msToFirstChunk",
            "langfuse.metadata",
            "langfuse.observation.model.parameters",
            "gen_ai.usage.input_tokens",
            "gen_ai.system_instructions",
            "gen_ai.input.messages",
            "events",
            "langfuse.prompt.version",
            "gen_ai.usage.cost",
            "ai.operationId",
        ])
        .prop_map(str::to_owned),
        "(gen_ai\\.prompt|llm\\.input_messages)(\\.([0-9]{1,6}|a|__proto__)){1,4}",
        ".{0,10}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_json().prop_map(|text| json!({ "stringValue": text.to_string() })),
        any::<i64>().prop_map(|number| json!({ "intValue": number.to_string() })),
        any::<f64>().prop_map(|number| json!({ "doubleValue": number })),
        any_json(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn protobuf_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), now in any::<i64>()) {
        if let Ok((export, raw)) = decode_protobuf(&bytes, true) {
            prop_assert!(raw.is_some());
            let _ = observations(export, now);
        }
    }

    #[test]
    fn json_never_panics(body in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode_json(&bytes, true);
        for body in [body.clone(), json!({ "resourceSpans": body })] {
            if let Ok((export, _)) = decode_json(body.to_string().as_bytes(), true) {
                let _ = observations(export, 0);
            }
        }
    }

    /// Every span of an export that converts is one row with its ids, whatever its attributes.
    #[test]
    fn each_span_is_one_row(
        attributes in prop::collection::vec((known_key(), any_value()), 0..12),
        times in any::<(u64, u64)>(),
        scope in "(langfuse-sdk|ai|genkit-tracer|other)",
    ) {
        let attributes: Vec<Value> =
            attributes.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let span = json!({ "traceId": "t", "spanId": "s", "attributes": attributes, "events": [
            { "name": "gen_ai.choice", "attributes": attributes }],
            "startTimeUnixNano": times.0.to_string(), "endTimeUnixNano": times.1 });
        let body = json!({ "resourceSpans": [{ "resource": { "attributes": attributes },
            "scopeSpans": [{ "scope": { "name": scope }, "spans": [span] }] }] });
        let (export, _) = decode_json(body.to_string().as_bytes(), false).unwrap();
        if let Ok(rows) = observations(export, 1) {
            prop_assert_eq!(rows.len(), 1);
            prop_assert_eq!((rows[0].trace_id.as_str(), rows[0].id.as_str()), ("t", "s"));
            prop_assert!(rows[0].environment.len() <= 40 && !rows[0].environment.is_empty());
            for bucket in rows[0].usage.values() {
                prop_assert!(bucket.as_f64().unwrap() >= 0.0);
            }
        }
    }

    #[test]
    fn queries_never_panic(query in ".{0,80}", name in "[a-zA-Z]{1,20}", value in ".{0,30}") {
        let _ = ObservationQuery::parse(&query);
        for name in [name.as_str(), "limit", "fromStartTime", "filter", "cursor", "fields", "isRootObservation"] {
            let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            if let Ok(query) = ObservationQuery::parse(&format!("{name}={encoded}")) {
                prop_assert!(query.limit <= 1_000);
            }
        }
    }

    #[test]
    fn filters_never_panic(
        any in any_json(),
        kind in "(datetime|string|number|stringOptions|arrayOptions|stringObject|boolean|null)",
        column in "(startTime|name|latency|tags|metadata|input|isRootObservation|x)",
        operator in "(=|>|<>|contains|ends with|any of|all of|is null|matches)",
    ) {
        let _ = parse_filters(&any.to_string());
        let filter = json!([{ "type": kind, "column": column, "operator": operator, "value": any, "key": "k" }]);
        let _ = parse_filters(&filter.to_string());
    }

    #[test]
    fn cursors_never_panic_and_come_back(
        text in ".{0,60}",
        start_ms in 0_i64..4_000_000_000_000,
        trace_id in ".{0,20}",
        id in ".{0,20}",
    ) {
        let _ = Cursor::decode(&text);
        let cursor = Cursor { start_ms, trace_id, id };
        prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }
}

/// A filter that makes sense for its column, more or less.
fn sensible_filter() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>().prop_map(Value::from), Just(json!("")), Just(json!("%'\"\\"))];
    let texts = prop::collection::vec(any::<String>(), 0..5).prop_map(Value::from);
    let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let operator = prop::sample::select(vec![
        "=",
        "contains",
        "does not contain",
        "starts with",
        "ends with",
        "matches",
    ]);
    let compare = prop::sample::select(vec!["=", ">", "<", ">=", "<="]);
    let choice = prop::sample::select(vec!["any of", "none of", "all of"]);
    let null = prop::sample::select(vec!["is null", "is not null"]);
    let column = prop::sample::select(vec![
        "id",
        "type",
        "name",
        "traceId",
        "startTime",
        "endTime",
        "environment",
        "level",
        "statusMessage",
        "version",
        "release",
        "userId",
        "sessionId",
        "traceName",
        "tags",
        "latency",
        "timeToFirstToken",
        "tokensPerSecond",
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "inputCost",
        "outputCost",
        "totalCost",
        "model",
        "promptName",
        "promptVersion",
        "input",
        "output",
        "metadata",
        "isRootObservation",
        "hasParentObservation",
        "hasInput",
        "hasOutput",
        "parentObservationId",
        "experimentId",
        "experimentName",
        "experimentDatasetId",
        "ingestionApiKey",
        "ingestionSdkName",
        "ingestionSdkVersion",
    ]);
    let test = prop_oneof![
        (operator.clone(), text.clone()).prop_map(|(operator, value)| ("string", operator, value)),
        (operator, text).prop_map(|(operator, value)| ("stringObject", operator, value)),
        (compare.clone(), number).prop_map(|(operator, value)| ("number", operator, value)),
        (compare, Just(json!("2026-01-01T00:00:00Z")))
            .prop_map(|(operator, value)| ("datetime", operator, value)),
        (choice.clone(), texts.clone()).prop_map(|(operator, value)| ("stringOptions", operator, value)),
        (choice, texts).prop_map(|(operator, value)| ("arrayOptions", operator, value)),
        (Just("="), any::<bool>()).prop_map(|(operator, value)| ("boolean", operator, json!(value))),
        null.prop_map(|operator| ("null", operator, json!(""))),
    ];
    (column, test, any::<String>()).prop_map(|(column, (kind, operator, value), key)| {
        json!({ "type": kind, "column": column, "operator": operator, "value": value, "key": key })
    })
}

/// What the parser lets through the database understands: a bad query is a 400, never a 500.
#[test]
fn every_accepted_query_runs() {
    let folder = tempfile::TempDir::new().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let row = Observation { trace_id: "t".into(), id: "i".into(), kind: "SPAN", ..Observation::default() };
    let sdk = (String::new(), String::new());
    let batch = Batch { project_id: "p".into(), public_key: String::new(), sdk, now_ms: 0, rows: vec![row] };
    store.insert(batch).unwrap();
    let n_run = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(2_000));
    let filters = prop::collection::vec(sensible_filter(), 1..3);
    runner
        .run(&filters, |filters| {
            let Ok(filters) = parse_filters(&json!(filters).to_string()) else { return Ok(()) };
            let query = ObservationQuery { filters, limit: 10, ..ObservationQuery::default() };
            prop_assert!(store.observations("p", &query).is_ok());
            n_run.set(n_run.get() + 1);
            Ok(())
        })
        .unwrap();
    assert!(n_run.get() > 50, "only {} queries were accepted", n_run.get());
}

/// Nesting beyond any stack is refused, not walked.
#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode_json(format!("{{\"resourceSpans\":{deep}}}").as_bytes(), true).is_err());
    assert!(parse_filters(&deep).is_err());
    // An AnyValue within lists within lists: field 5 (array) of field 1 (values), over and over.
    let mut value = Vec::new();
    for _level in 0..200 {
        let list = [vec![0x0a], length(value.len()), value].concat();
        value = [vec![0x2a], length(list.len()), list].concat();
    }
    let mut message = [vec![0x12], length(value.len()), value].concat();
    for tag in [0x0a, 0x0a, 0x0a] {
        message = [vec![tag], length(message.len()), message].concat();
    }
    assert!(decode_protobuf(&message, true).is_err());
    // A key of a hundred thousand segments.
    let key = format!("gen_ai.prompt{}", ".a".repeat(100_000));
    let span = json!({ "traceId": "t", "spanId": "s",
        "attributes": [{ "key": key, "value": { "stringValue": "v" } }] });
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    let (export, _) = decode_json(body.to_string().as_bytes(), false).unwrap();
    assert_eq!(observations(export, 0).unwrap()[0].input, "");
}

fn length(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}
