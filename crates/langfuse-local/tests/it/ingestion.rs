//! What a span becomes, and what is refused before it becomes anything.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PUBLIC, SECRET, TestServer, answer, export, export_of_span};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ROUTE: &str = "/api/public/otel/v1/traces";

/// Stores one span with these attributes and gives the row.
async fn row(server: &TestServer, attributes: Value) -> Value {
    let (status, body) = server.send(&export(TRACE, &attributes)).await;
    assert_eq!(status, 200, "{body}");
    let mut rows = server.trace(TRACE).await;
    assert_eq!(rows.len(), 1, "a span sent again replaces its row");
    rows.remove(0)
}

/// Attributes on the left give the fields on the right.
#[tokio::test]
async fn attributes_become_fields() {
    let server = TestServer::start(&[]).await;
    let cases = [
        (
            json!({}),
            json!({ "type": "SPAN", "name": "own name", "level": "DEFAULT", "environment": "default",
            "input": null, "output": null, "tags": [], "promptVersion": null, "totalCost": 0 }),
        ),
        (json!({ "langfuse.observation.type": "guardrail" }), json!({ "type": "GUARDRAIL" })),
        (
            json!({ "langfuse.observation.type": "nonsense", "openinference.span.kind": "LLM" }),
            json!({ "type": "GENERATION" }),
        ),
        (json!({ "gen_ai.operation.name": "embeddings" }), json!({ "type": "EMBEDDING" })),
        (json!({ "gen_ai.tool.name": "search" }), json!({ "type": "TOOL", "name": "search" })),
        (
            json!({ "ai.operationId": "ai.streamText.doStream", "ai.telemetry.functionId": "answer" }),
            json!({ "type": "GENERATION", "name": "answer:ai.streamText.doStream" }),
        ),
        (
            json!({ "gen_ai.request.model": "m", "gen_ai.request.temperature": 0.5, "gen_ai.request.stop": ["x"] }),
            json!({ "type": "GENERATION", "model": "m",
                "modelParameters": { "temperature": 0.5, "stop": "[\"x\"]" } }),
        ),
        (json!({ "langfuse.observation.level": "Fatal" }), json!({ "level": "ERROR" })),
        (json!({ "langfuse.observation.level": "verbose" }), json!({ "level": "DEBUG" })),
        (json!({ "langfuse.environment": "Langfuse-Prod" }), json!({ "environment": "prod" })),
        (json!({ "langfuse.environment": "no blanks" }), json!({ "environment": "default" })),
        (json!({ "deployment.environment.name": "e".repeat(50) }), json!({ "environment": "e".repeat(40) })),
        (
            json!({ "user.id": "u", "gen_ai.conversation.id": "s" }),
            json!({ "userId": "u", "sessionId": "s" }),
        ),
        (json!({ "langfuse.tags": "a, b" }), json!({ "tags": ["a", "b"] })),
        (json!({ "langfuse.trace.tags": "[\"a,b\"]" }), json!({ "tags": ["a,b"] })),
        (
            json!({ "langfuse.trace.public": "true", "langfuse.release": "r", "langfuse.trace.name": "t" }),
            json!({ "public": true, "release": "r", "traceName": "t" }),
        ),
        (json!({ "input.value": "in", "output.value": 7 }), json!({ "input": "in", "output": "7" })),
        (
            json!({ "langfuse.observation.output": "own", "input.value": "not looked at" }),
            json!({ "input": null, "output": "own" }),
        ),
        (
            json!({ "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi", "gen_ai.prompt.1.role": "x" }),
            json!({ "input": "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"x\"}]" }),
        ),
        (
            json!({ "gen_ai.input.messages": "[{\"role\":\"user\"}]", "gen_ai.system_instructions": "be kind" }),
            json!({ "input": "[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\"}]" }),
        ),
        (
            json!({ "langfuse.observation.completion_start_time": "\"2026-11-20T10:00:01.387Z\"" }),
            json!({ "completionStartTime": "2026-11-20T10:00:01.387Z", "timeToFirstToken": 1 }),
        ),
        (json!({ "ai.response.msToFirstChunk": 12.1 }), json!({ "timeToFirstToken": 0.013 })),
        (
            json!({ "langfuse.observation.type": "generation", "langfuse.observation.prompt.name": "p",
            "langfuse.observation.prompt.version": 3 }),
            json!({ "promptName": "p", "promptVersion": 3 }),
        ),
        (json!({ "langfuse.observation.prompt.name": "p" }), json!({ "promptName": "" })),
    ];
    for (attributes, expected) in cases {
        let row = row(&server, attributes.clone()).await;
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&row[field], value, "{field} of {attributes}");
        }
    }
}

#[tokio::test]
async fn usage_and_cost() {
    let server = TestServer::start(&[]).await;
    let usage = |details: Value| json!({ "langfuse.observation.usage_details": details.to_string() });
    let cost = |details: Value| json!({ "langfuse.observation.cost_details": details.to_string() });
    let cases = [
        (
            usage(json!({ "input": 10, "output": "5", "cached": 1.5, "bad": -1 })),
            json!({ "usageDetails": { "input": 10, "output": 5, "total": 15 }, "inputUsage": 10,
                "outputUsage": 5, "totalUsage": 15 }),
        ),
        (
            usage(json!({ "prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14,
            "prompt_tokens_details": { "cached_tokens": 3 } })),
            json!({ "usageDetails": { "input": 7, "output": 4, "total": 14, "input_cached_tokens": 3 },
                "inputUsage": 10 }),
        ),
        (usage(json!([1])), json!({ "usageDetails": {}, "totalUsage": 0 })),
        (
            json!({ "langfuse.observation.usage_details": "{", "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 2, "gen_ai.usage.cache_read_input_tokens": 4 }),
            json!({ "usageDetails": { "input": 5, "output": 2, "input_cached_tokens": 4, "total": 11 } }),
        ),
        (
            json!({ "llm.token_count.prompt": 3, "llm.token_count.completion": 1 }),
            json!({ "usageDetails": { "input": 3, "output": 1, "total": 4 } }),
        ),
        (
            json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 9,
            "gen_ai.request.model": "m" }),
            json!({ "type": "AGENT", "usageDetails": {}, "model": "" }),
        ),
        (
            cost(json!({ "input": 0.1, "output": 0.2 })),
            json!({ "costDetails": { "input": 0.1, "output": 0.2, "total": 0.3 }, "totalCost": 0.3 }),
        ),
        // Cut after twelve decimals, not rounded.
        (
            cost(json!({ "input": 0.000_328_799_999_999_999_97_f64, "total": 1 })),
            json!({ "costDetails": { "input": 0.000_328_799_999, "total": 1 } }),
        ),
        (
            cost(json!({ "audio": 0.5 })),
            json!({ "costDetails": { "audio": 0.5 }, "totalCost": 0, "inputCost": null }),
        ),
        (
            json!({ "gen_ai.usage.cost": 0.25 }),
            json!({ "costDetails": { "total": 0.25 }, "totalCost": 0.25 }),
        ),
    ];
    for (attributes, expected) in cases {
        let row = row(&server, attributes.clone()).await;
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&row[field], value, "{field} of {attributes}");
        }
    }
}

#[tokio::test]
async fn metadata_is_flat_cut_and_expandable() {
    let server = TestServer::start(&[]).await;
    let long = "x".repeat(300);
    let attributes = json!({
        "langfuse.observation.metadata.k": "observation",
        "langfuse.trace.metadata.k": "trace",
        "langfuse.metadata": "{\"deep\":{\"er\":[1,2]},\"none\":null}",
        "langfuse.trace.metadata.long": long,
        "langfuse.trace.input": "ignored",
        "other": 5,
        "empty": { "arrayValue": {} },
        "map": { "kvlistValue": { "values": [] } },
    });
    let row = row(&server, attributes).await;
    let metadata = &row["metadata"];
    assert_eq!(metadata["k"], "trace", "the trace's key overrides the observation's");
    assert_eq!(metadata["deep.er"], json!([1, 2]));
    assert_eq!(metadata["none"], "");
    assert_eq!(metadata["long"].as_str().unwrap().len(), 200);
    assert_eq!(metadata["attributes.other"], 5);
    assert_eq!(metadata["attributes.empty"], json!({ "arrayValue": {} }));
    assert_eq!(metadata["attributes.map"], json!({ "kvlistValue": { "values": [] } }));
    assert_eq!(metadata["scope.name"], "test");
    assert!(metadata.get("attributes.langfuse.trace.input").is_none());
    let (_, body) = server
        .get(&format!("/api/public/v2/observations?traceId={TRACE}&fields=metadata&expandMetadata=long"))
        .await;
    assert_eq!(body["data"][0]["metadata"]["long"], long);
}

/// The same spans by hand-written protobuf and by JSON.
#[tokio::test]
async fn protobuf_and_json_give_the_same_rows() {
    let server = TestServer::start(&[]).await;
    let mut span = Vec::new();
    bytes(&mut span, 1, &hex::decode(TRACE).unwrap());
    bytes(&mut span, 2, &hex::decode("00f067aa0ba902b7").unwrap());
    bytes(&mut span, 4, &hex::decode("00f067aa0ba90200").unwrap());
    bytes(&mut span, 5, b"own name");
    fixed64(&mut span, 7, 1_795_168_800_387_211_747);
    fixed64(&mut span, 8, 1_795_168_802_386_691_769);
    let int = [&[0x18][..], &varint(12_345)].concat();
    let double = [&[0x21][..], &0.25f64.to_le_bytes()].concat();
    let list = message(5, &message(1, &message(1, b"a")));
    for (key, value) in [
        ("langfuse.observation.type", message(1, b"tool")),
        ("langfuse.observation.input", message(1, "ein Häuschen".as_bytes())),
        ("count", int),
        ("share", double),
        ("truth", vec![0x10, 1]),
        ("list", list),
        ("bytes", message(7, &[1, 2, 3])),
    ] {
        bytes(&mut span, 9, &[message(1, key.as_bytes()), message(2, &value)].concat());
    }
    bytes(&mut span, 15, &[message(2, b"boom"), vec![0x18, 2]].concat());
    let resource =
        message(1, &message(1, &[message(1, b"service.version"), message(2, &message(1, b"7"))].concat()));
    let scope_spans = message(2, &[message(1, &message(1, b"test")), message(2, &span)].concat());
    let request = message(1, &[resource, scope_spans].concat());
    let call = server.request(Method::POST, ROUTE).header("content-type", "application/x-protobuf");
    let (status, body) = answer(call.body(request)).await;
    assert_eq!(status, 200, "{body}");
    let mut by_protobuf = server.trace(TRACE).await;

    let attributes = json!([
        { "key": "langfuse.observation.type", "value": { "stringValue": "tool" } },
        { "key": "langfuse.observation.input", "value": { "stringValue": "ein Häuschen" } },
        { "key": "count", "value": { "intValue": 12345 } },
        { "key": "share", "value": { "doubleValue": 0.25 } },
        { "key": "truth", "value": { "boolValue": true } },
        { "key": "list", "value": { "arrayValue": { "values": [{ "stringValue": "a" }] } } },
        { "key": "bytes", "value": { "bytesValue": "AQID" } },
    ]);
    let mut export = export_of_span(&json!({
        "traceId": TRACE, "spanId": "00f067aa0ba902b7", "parentSpanId": "00f067aa0ba90200", "name": "own name",
        "startTimeUnixNano": "1795168800387211747", "endTimeUnixNano": 1_795_168_802_386_691_769_u64,
        "attributes": attributes, "status": { "code": 2, "message": "boom" },
    }));
    export["resourceSpans"][0]["resource"]["attributes"] =
        json!([{ "key": "service.version", "value": { "stringValue": "7" } }]);
    let (status, _) = server.send(&export).await;
    assert_eq!(status, 200);
    let mut by_json = server.trace(TRACE).await;
    for row in [&mut by_protobuf[0], &mut by_json[0]] {
        row["createdAt"] = Value::Null;
        row["updatedAt"] = Value::Null;
    }
    assert_eq!(by_protobuf, by_json);
    assert_eq!(by_json[0]["statusMessage"], "boom");
    assert_eq!(by_json[0]["metadata"]["attributes.count"], 12345);
    assert_eq!(by_json[0]["metadata"]["attributes.bytes"], json!({ "bytesValue": "AQID" }));
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn message(field: u64, content: &[u8]) -> Vec<u8> {
    let mut out = varint(field << 3 | 2);
    out.extend(varint(content.len() as u64));
    out.extend_from_slice(content);
    out
}

fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    out.extend(message(field, content));
}

fn fixed64(out: &mut Vec<u8>, field: u64, number: u64) {
    out.extend(varint(field << 3 | 1));
    out.extend_from_slice(&number.to_le_bytes());
}

#[tokio::test]
async fn gzip_is_unpacked_within_limits() {
    let server = TestServer::start_with(&[], |settings| settings.limits.decompressed = 100_000).await;
    let send = async |body: Vec<u8>| {
        let call = server.request(Method::POST, ROUTE).header("content-type", "application/json");
        answer(call.header("content-encoding", "gzip").body(body)).await
    };
    let (status, _) = send(gzip(export(TRACE, &json!({})).to_string().as_bytes())).await;
    assert_eq!(status, 200);
    assert_eq!(server.trace(TRACE).await.len(), 1);
    let (status, body) = send(gzip(&vec![b' '; 10_000_000])).await;
    assert_eq!(status, 413);
    assert!(body["error"].as_str().unwrap().contains("100000 bytes"), "{body}");
    let (status, body) = send(b"not gzip".to_vec()).await;
    assert_eq!((status, body), (400, json!({ "error": "Failed to decompress gzip body" })));
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn large_bodies_are_refused_announced_or_not() {
    let server = TestServer::start_with(&[], |settings| settings.limits.body = 1_000).await;
    let call = || server.request(Method::POST, ROUTE).header("content-type", "application/json");
    let (status, body) = answer(call().body(vec![b' '; 1_001])).await;
    assert_eq!(status, 413);
    assert!(body["error"].as_str().unwrap().contains("1000 bytes"), "{body}");
    // Chunked: nothing announces the length.
    let mut stream = tokio::net::TcpStream::connect(server.web_address()).await.unwrap();
    let authorization = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{PUBLIC}:{SECRET}"))
    };
    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 2_000, " ".repeat(2_000));
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(format!("{head}{chunk}").as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 413");
}

/// One bad span refuses its whole batch.
#[tokio::test]
async fn malformed_batches_are_refused_whole() {
    let server = TestServer::start(&[]).await;
    let good = json!({ "traceId": TRACE, "spanId": "01", "name": "good" });
    let with = |bad: Value| {
        let mut export = export_of_span(&good);
        export["resourceSpans"][0]["scopeSpans"][0]["spans"] = json!([good, bad]);
        export
    };
    let cases = [
        (with(json!({ "spanId": "02" })), "resourceSpans[0].scopeSpans[0].spans[1].traceId"),
        (with(json!({ "traceId": 7, "spanId": "02" })), "spans[1].traceId"),
        (with(json!({ "traceId": TRACE, "spanId": "" })), "spans[1].spanId"),
        (with(json!({ "traceId": TRACE, "spanId": "02", "parentSpanId": 1 })), "spans[1].parentSpanId"),
        (with(json!({ "traceId": TRACE, "spanId": "02", "attributes": {} })), "spans[1].attributes"),
        (with(json!({ "traceId": TRACE, "spanId": "02", "events": "x" })), "spans[1].events"),
        (json!({ "resourceSpans": { "a": 1 } }), "resourceSpans must be an array"),
    ];
    for (export, place) in cases {
        let (status, body) = server.send(&export).await;
        assert_eq!(status, 400, "{body}");
        assert!(body["error"].as_str().unwrap().contains(place), "{body} names {place}");
        assert!(server.trace(TRACE).await.is_empty(), "nothing of a refused batch is stored");
    }
}

/// As in Langfuse: the answer comes before the worker stumbles.
#[tokio::test]
async fn an_attribute_without_value_loses_the_batch_after_its_answer() {
    let server = TestServer::start(&[]).await;
    let (status, body) = server
        .send(&export_of_span(&json!({ "traceId": TRACE, "spanId": "01", "attributes": [{ "key": "k" }] })))
        .await;
    assert_eq!(status, 200, "{body}");
    assert!(server.trace(TRACE).await.is_empty());
    assert_eq!(server.notices.lock().unwrap().len(), 1, "the operator hears of it");
    let page = server.client.get(server.url("/")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("since the start</dt><dd>1</dd>"), "{page}");
}

#[tokio::test]
async fn headers_of_the_client_are_checked_and_shown() {
    let server = TestServer::start(&[]).await;
    let send = async |headers: &[(&str, &str)]| {
        let mut call = server.request(Method::POST, ROUTE).header("content-type", "application/json");
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        answer(call.body(export(TRACE, &json!({})).to_string())).await
    };
    let (status, body) =
        send(&[("x_langfuse_sdk_name", "rust-ken"), ("x-langfuse-sdk-version", "1.0")]).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"]["payload"]["sdkName"], "rust-ken");
    assert_eq!(body["data"]["payload"]["sdkVersion"], "1.0");
    assert!(body["data"]["payload"].get("ingestionVersion").is_none());
    for bad in ["5", "four"] {
        let (status, body) = send(&[("x-langfuse-ingestion-version", bad)]).await;
        assert_eq!(status, 400, "{body}");
    }
    let path = |name: &str| {
        let filter =
            json!([{ "type": "string", "column": "ingestionSdkName", "operator": "=", "value": name }]);
        let filter: String = url::form_urlencoded::byte_serialize(filter.to_string().as_bytes()).collect();
        format!("/api/public/v2/observations?filter={filter}")
    };
    assert_eq!(server.get(&path("rust-ken")).await.1["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.get(&path("other")).await.1["data"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn keys_are_checked_strictly() {
    let server = TestServer::start(&[]).await;
    let status = async |header: &str| {
        let call = server.client.get(server.url("/api/public/projects")).header("authorization", header);
        answer(call).await.0
    };
    let basic = |pair: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    assert_eq!(status(&basic(&format!("{PUBLIC}:{SECRET}"))).await, 200);
    for bad in [
        basic(&format!("{PUBLIC}:{SECRET}x")),
        basic(&format!("pk-lf-other:{SECRET}")),
        basic(PUBLIC),
        basic(&format!("{PUBLIC}:")),
        basic(":"),
        "Basic %%%".to_owned(),
        "Basic".to_owned(),
        "Digest x".to_owned(),
        "Bearer pk-lf-unknown".to_owned(),
    ] {
        assert_eq!(status(&bad).await, 401, "{bad}");
    }
    assert_eq!(status(&format!("Bearer {PUBLIC}")).await, 403);
}
