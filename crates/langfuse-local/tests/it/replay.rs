//! What a real Langfuse 4.16.0 was asked and answered, asked again here.
//!
//! The files of `tests/recorded` are replayed in their order. Status, content type and body are
//! compared; every exception is a rule with a name below.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Map, Value};

use crate::support::{PUBLIC, SECRET, TestServer};

/// Why a part of an answer is not compared.
struct Ignored {
    rule: &'static str,
    /// Whether the rule speaks of this member of this object.
    applies: fn(key: &str, object: &Map<String, Value>) -> bool,
}

const IGNORED: [Ignored; 5] = [
    Ignored {
        rule: "times of processing are the server's",
        applies: |key, _| matches!(key, "createdAt" | "updatedAt"),
    },
    Ignored {
        rule: "ids, times and tracing of the queue's job are the server's",
        applies: |key, object| match key {
            "id" => object.contains_key("queueQualifiedName") || object.contains_key("payload"),
            "timestamp" => object.contains_key("queueQualifiedName") || object.contains_key("payload"),
            "traceparent" => true,
            _ => false,
        },
    },
    Ignored { rule: "the object's name holds the time and a fresh id", applies: |key, _| key == "fileKey" },
    Ignored { rule: "the baggage ends with the key record's id", applies: |key, _| key == "baggage" },
    Ignored {
        rule: "costs and prices of built-in models need the model price list, which is not offered",
        applies: |key, object| {
            let built_in = object.get("model").and_then(Value::as_str);
            built_in.is_some_and(|model| !model.is_empty() && model != "ken-tiny-1")
                && matches!(
                    key,
                    "internalModelId"
                        | "modelId"
                        | "costDetails"
                        | "inputCost"
                        | "outputCost"
                        | "totalCost"
                        | "usagePricingTierId"
                        | "usagePricingTierName"
                        | "inputPrice"
                        | "outputPrice"
                )
        },
    },
];

#[tokio::test]
async fn recorded_exchanges_come_out_the_same() {
    let server = TestServer::start(&[]).await;
    let files = recordings();
    assert_eq!(files.len(), 47, "every recording is there");
    let mut differences = Vec::new();
    for file in &files {
        let recorded: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for difference in replay(&server, &recorded).await {
            differences.push(format!("{name}: {difference}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A rule that nothing needs any more would hide a difference one day.
#[test]
fn every_rule_is_needed() {
    fn mark(value: &Value, used: &mut [bool]) {
        match value {
            Value::Object(object) => {
                for (key, member) in object {
                    for (rule_idx, ignored) in IGNORED.iter().enumerate() {
                        used[rule_idx] |= (ignored.applies)(key, object);
                    }
                    mark(member, used);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| mark(item, used)),
            _ => {}
        }
    }
    let mut used = [false; IGNORED.len()];
    for file in recordings() {
        let recorded: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        mark(&recorded["response"]["body"], &mut used);
    }
    for (ignored, used) in IGNORED.iter().zip(used) {
        assert!(used, "no recording needs the rule: {}", ignored.rule);
    }
}

pub(crate) fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn replay(server: &TestServer, recorded: &Value) -> Vec<String> {
    let (request, expected) = (&recorded["request"], &recorded["response"]);
    let method = request["method"].as_str().unwrap().parse().unwrap();
    let mut call = server.client.request(method, server.url(request["path"].as_str().unwrap()));
    call = match request["auth"].as_str().unwrap() {
        "project key" => call.basic_auth(PUBLIC, Some(SECRET)),
        "unknown key" => call.basic_auth("pk-lf-unknown", Some("sk-lf-unknown")),
        "none" => call,
        other => panic!("unknown auth {other}"),
    };
    let headers = request["headers"].as_object().unwrap();
    for (name, value) in headers {
        call = call.header(name, value.as_str().unwrap());
    }
    match &request["body"] {
        Value::Null => {}
        Value::Object(body) if body.contains_key("_bytes_base64") => {
            let text = body["_bytes_base64"].as_str().unwrap();
            call = call.body(base64::engine::general_purpose::STANDARD.decode(text).unwrap());
        }
        body => {
            call = call.header("content-type", "application/json").body(body.to_string());
        }
    }
    let answer = call.send().await.unwrap();
    let mut differences = Vec::new();
    let status = u64::from(answer.status().as_u16());
    if status != expected["status"] {
        differences.push(format!("status {status}, recorded {}", expected["status"]));
    }
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    if content_type != expected["headers"]["content-type"] {
        differences.push(format!("{content_type}, recorded {}", expected["headers"]["content-type"]));
    }
    let text = answer.text().await.unwrap();
    if expected["body"].get("_text").is_some() {
        // A page: ours is our own.
        assert!(text.starts_with("<!DOCTYPE html>"), "{text}");
        return differences;
    }
    let body: Value = serde_json::from_str(&text).unwrap();
    compare("body", &body, &expected["body"], &mut differences);
    differences
}

fn compare(path: &str, ours: &Value, recorded: &Value, differences: &mut Vec<String>) {
    match (ours, recorded) {
        (Value::Object(our_members), Value::Object(members)) => {
            let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            if keys(our_members) != keys(members) {
                differences.push(format!(
                    "{path}: members {:?}, recorded {:?}",
                    keys(our_members),
                    keys(members)
                ));
            }
            for (key, value) in members {
                if !IGNORED.iter().any(|ignored| (ignored.applies)(key, members)) {
                    compare(&format!("{path}.{key}"), &our_members[key], value, differences);
                }
            }
        }
        (Value::Array(our_items), Value::Array(items)) if our_items.len() == items.len() => {
            for (at, (ours, recorded)) in our_items.iter().zip(items).enumerate() {
                compare(&format!("{path}[{at}]"), ours, recorded, differences);
            }
        }
        (Value::Number(ours), Value::Number(recorded)) if ours.as_f64() == recorded.as_f64() => {}
        (ours, recorded) if ours == recorded => {}
        (ours, recorded) => differences.push(format!("{path}: {ours}, recorded {recorded}")),
    }
}
