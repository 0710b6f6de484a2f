//! Spans of made-up conversations. The same number and time give the same spans.

use serde_json::{Value, json};

const MODELS: [(&str, f64, f64, f64); 4] = [
    // Name, dollars for a million input and output tokens, slowness.
    ("claude-sonnet-4-5", 3.0, 15.0, 1.0),
    ("gpt-5.2", 1.75, 14.0, 1.35),
    ("gemini-2.5-flash", 0.3, 2.5, 0.45),
    ("claude-haiku-4-5", 1.0, 5.0, 0.5),
];
const TOOLS: [(&str, u64); 5] =
    [("web_search", 9), ("calendar.read", 4), ("sql.query", 14), ("send_email", 2), ("read_file", 6)];
const CHANNELS: [&str; 4] = ["web", "cli", "telegram", "api"];
const QUESTIONS: [(&str, &str); 6] = [
    (
        "Which invoices of October are still open?",
        "Three invoices are open, together 4,180 EUR. The oldest is **2026-1017**.",
    ),
    ("Move my meeting with Ada to Thursday afternoon.", "Done: Thursday, 15:00 to 15:30. Ada has been told."),
    (
        "Summarise the incident of last night.",
        "The queue stood still for 14 minutes because the disk was full.\n\n1. 02:11 first alert\n2. 02:25 space freed",
    ),
    (
        "Schreib eine kurze Antwort auf Müllers Mail.",
        "Sehr geehrter Herr Müller,\n\nvielen Dank für Ihre Nachricht. Wir liefern am Freitag.",
    ),
    (
        "What does error E1047 mean?",
        "The certificate of the upstream has expired; renew it and restart the gateway.",
    ),
    ("東京の天気は?", "東京は晴れ、最高気温は18度です。"),
];

/// A sequence of numbers that looks random and is always the same.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // Splitmix: each state gives a well-mixed number.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Mostly near 1, now and then several times that.
    fn slowness(&mut self) -> f64 {
        let share = self.below(10_000) as f64 / 10_000.0;
        0.6 + 0.8 * share + 4.0 * share.powi(24)
    }
}

/// The spans of each trace. The latest ended just before `now_ms`, the first some six days earlier.
pub(crate) fn traces(n_traces: usize, now_ms: i64) -> Vec<Vec<Value>> {
    let between_ms = 6 * 86_400_000 / n_traces.max(1) as i64;
    (0..n_traces).map(|number| trace(number as u64, now_ms - 60_000 - number as i64 * between_ms)).collect()
}

/// An OTLP export of these spans.
pub(crate) fn export(spans: Vec<Value>) -> Value {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "ken" } }] });
    let scope = json!({ "name": "ken-tracing", "version": "0.1.0" });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": scope, "spans": spans }] }] })
}

struct Trace {
    id: String,
    number: u64,
    common: Value,
    spans: Vec<Value>,
}

impl Trace {
    fn push(
        &mut self,
        name: &str,
        parent: Option<usize>,
        times: (i64, i64),
        kind: &str,
        own: Value,
    ) -> usize {
        let mut attributes = self.common.clone();
        attributes["langfuse.observation.type"] = json!(kind);
        if let (Some(all), Some(own)) = (attributes.as_object_mut(), own.as_object()) {
            all.extend(own.clone());
        }
        let span_id = |idx: usize| format!("{:08x}{idx:08x}", self.number + 1);
        self.spans.push(json!({
            "traceId": self.id, "spanId": span_id(self.spans.len()), "name": name,
            "parentSpanId": parent.map_or_else(String::new, span_id),
            "startTimeUnixNano": format!("{}", times.0 * 1_000_000),
            "endTimeUnixNano": format!("{}", times.1 * 1_000_000),
            "attributes": list(&attributes),
        }));
        self.spans.len() - 1
    }
}

fn list(attributes: &Value) -> Vec<Value> {
    let entries = attributes.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| {
            let value = match value {
                Value::Array(items) => {
                    json!({ "arrayValue": { "values": items.iter().map(|it| json!({ "stringValue": it })).collect::<Vec<_>>() } })
                }
                other => json!({ "stringValue": other }),
            };
            json!({ "key": key, "value": value })
        })
        .collect()
}

fn trace(number: u64, end_ms: i64) -> Vec<Value> {
    let mut dice = Dice(number);
    let session = number / 4;
    let channel = CHANNELS[session as usize % CHANNELS.len()];
    let (question, answer) = QUESTIONS[dice.below(QUESTIONS.len() as u64) as usize];
    let mut tags = vec![channel];
    tags.extend(session.is_multiple_of(5).then_some("vip"));
    tags.extend(number.is_multiple_of(11).then_some("long-context"));
    let name = if number % 9 == 4 { "nightly-report" } else { "chat-turn" };
    let mut trace = Trace {
        id: format!("{:016x}{:016x}", dice.next(), dice.next()),
        number,
        common: json!({
            "langfuse.trace.name": name,
            "langfuse.session.id": format!("conversation-{}", 1_000 + session),
            "langfuse.user.id": format!("user-{}", session % 17),
            "langfuse.environment": if session.is_multiple_of(6) { "staging" } else { "production" },
            "langfuse.release": "ken-1.4.2",
            "langfuse.trace.metadata.channel": channel,
            "langfuse.trace.metadata.thread_id": format!("thread-{session}"),
            "langfuse.trace.tags": tags,
        }),
        spans: Vec::new(),
    };
    let fits = json!([
        { "role": "system", "content": "You are Ken, an assistant. Answer briefly, name your sources." },
        { "role": "user", "content": question },
    ]);
    let n_rounds = 1 + dice.below(3);
    let begin_ms = end_ms - 40_000;
    trace.push(name, None, (begin_ms, begin_ms), "agent", json!({}));
    let mut now_ms = begin_ms + 4;
    let mut has_failed = false;
    for round in 0..n_rounds {
        let model = MODELS[(dice.below(10) * dice.below(2) / 3) as usize % MODELS.len()];
        now_ms = generation(&mut trace, &mut dice, model, now_ms, &fits, round + 1 == n_rounds, answer);
        if round + 1 < n_rounds {
            let (end_ms, failed) = tools(&mut trace, &mut dice, now_ms, question);
            (now_ms, has_failed) = (end_ms, has_failed || failed);
        }
    }
    now_ms += 3;
    let checked = trace.push(
        "answer-policy",
        Some(0),
        (now_ms, now_ms + 38),
        "guardrail",
        json!({ "langfuse.observation.input": answer, "langfuse.observation.output": "{\"allowed\":true}" }),
    );
    if number % 13 == 5 {
        set(&mut trace.spans[checked], "langfuse.observation.level", "WARNING");
        set(&mut trace.spans[checked], "langfuse.observation.status_message", "the answer names no source");
    }
    now_ms += 40;
    trace.spans[0]["endTimeUnixNano"] = json!(format!("{}", now_ms * 1_000_000));
    set(&mut trace.spans[0], "langfuse.observation.input", question);
    set(&mut trace.spans[0], "langfuse.observation.output", answer);
    trace.spans
}

fn set(span: &mut Value, key: &str, value: &str) {
    if let Some(attributes) = span["attributes"].as_array_mut() {
        attributes.push(json!({ "key": key, "value": { "stringValue": value } }));
    }
}

fn generation(
    trace: &mut Trace,
    dice: &mut Dice,
    (model, input_price, output_price, slowness): (&str, f64, f64, f64),
    begin_ms: i64,
    messages: &Value,
    is_last: bool,
    answer: &str,
) -> i64 {
    let (input, output) = (700 + dice.below(5_200), 40 + dice.below(620));
    let length_ms = (slowness * dice.slowness() * (350.0 + output as f64 * 6.5)) as i64;
    let first_ms = begin_ms + length_ms / 4;
    let (input_cost, output_cost) = (input as f64 * input_price / 1e6, output as f64 * output_price / 1e6);
    let text = if is_last {
        json!({ "role": "assistant", "content": answer })
    } else {
        json!({ "role": "assistant", "tool_calls": [{ "id": "call_1", "type": "function",
            "function": { "name": "sql.query", "arguments": "{\"limit\": 20}" } }] })
    };
    let first = jiff::Timestamp::from_millisecond(first_ms).map(|it| it.to_string()).unwrap_or_default();
    trace.push("llm", Some(0), (begin_ms, begin_ms + length_ms), "generation", json!({
        "langfuse.observation.model.name": model,
        "langfuse.observation.model.parameters": json!({ "temperature": 0.2, "max_tokens": 1024 }).to_string(),
        "langfuse.observation.usage_details": json!({ "input": input, "output": output }).to_string(),
        "langfuse.observation.cost_details": json!({ "input": input_cost, "output": output_cost }).to_string(),
        "langfuse.observation.completion_start_time": Value::from(first).to_string(),
        "langfuse.observation.input": messages.to_string(),
        "langfuse.observation.output": text.to_string(),
    }));
    begin_ms + length_ms + 2
}

/// One or two tools at a time; the end of the last, and whether one failed.
fn tools(trace: &mut Trace, dice: &mut Dice, begin_ms: i64, question: &str) -> (i64, bool) {
    let (mut end_ms, mut has_failed) = (begin_ms, false);
    for _call in 0..=dice.below(2) {
        let (tool, odds) = TOOLS[dice.below(TOOLS.len() as u64) as usize];
        let length_ms = 60 + dice.below(900) as i64;
        let failed = dice.below(100) < odds;
        let mut own = json!({
            "langfuse.observation.input": json!({ "query": question, "limit": 20 }).to_string(),
            "langfuse.observation.output": json!({ "rows": [{ "id": 1017, "due": "2026-10-31", "amount": 1280.5 },
                { "id": 1023, "due": "2026-10-31", "amount": 900 }], "took_ms": length_ms }).to_string(),
        });
        if failed {
            own["langfuse.observation.level"] = json!("ERROR");
            own["langfuse.observation.status_message"] =
                json!(format!("{tool}: upstream answered 503 after 3 attempts"));
            own["langfuse.observation.output"] = json!("");
        }
        let parent = trace.push(tool, Some(0), (begin_ms, begin_ms + length_ms), "tool", own);
        if tool == "sql.query" {
            let connected_ms = begin_ms + length_ms / 5;
            trace.push("connect", Some(parent), (begin_ms + 1, connected_ms), "span", json!({}));
            trace.push(
                "fetch-rows",
                Some(parent),
                (connected_ms, begin_ms + length_ms - 1),
                "retriever",
                json!({}),
            );
        }
        (end_ms, has_failed) = (end_ms.max(begin_ms + length_ms), has_failed || failed);
    }
    (end_ms + 2, has_failed)
}
