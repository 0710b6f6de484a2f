//! What the pages show of what was sent: the list with its search, one trace, sessions.

use serde_json::{Value, json};

use crate::support::{TestServer, export_of_span};
use crate::traces_seed;
use langfuse_local::observation::Observation;
use langfuse_local::store::{Batch, Store};

/// 2026-11-20T10:00:00Z.
const BEGIN_MS: i64 = 1_795_168_800_000;

/// A span of a trace that begins `after_ms` and takes `length_ms`.
pub(crate) struct Span {
    pub(crate) trace: u32,
    pub(crate) id: u32,
    pub(crate) parent: u32,
    pub(crate) name: &'static str,
    pub(crate) after_ms: i64,
    pub(crate) length_ms: i64,
    pub(crate) attributes: Value,
}

pub(crate) fn trace_id(number: u32) -> String {
    format!("{number:032x}")
}

pub(crate) fn span(span: &Span) -> Value {
    let id = |number: u32| if number == 0 { String::new() } else { format!("{number:016x}") };
    let start_ms = BEGIN_MS + span.after_ms;
    let value = |value: &Value| match value {
        Value::Array(items) => {
            json!({ "arrayValue": { "values": items.iter().map(|it| json!({ "stringValue": it })).collect::<Vec<_>>() } })
        }
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    };
    let attributes: Vec<Value> = span
        .attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, it)| {
            json!({ "key": if key.contains('.') { key.clone() } else { format!("langfuse.{key}") }, "value": value(it) })
        })
        .collect();
    json!({
        "traceId": trace_id(span.trace), "spanId": id(span.id), "parentSpanId": id(span.parent), "name": span.name,
        "startTimeUnixNano": format!("{}", start_ms * 1_000_000),
        "endTimeUnixNano": format!("{}", (start_ms + span.length_ms) * 1_000_000),
        "attributes": attributes,
    })
}

pub(crate) async fn send(server: &TestServer, spans: Vec<Value>) {
    let (status, body) = server.send(&traces_seed::export(spans)).await;
    assert_eq!(status, 200, "{body}");
}

/// Status and text of a page.
pub(crate) async fn page(server: &TestServer, path: &str) -> (u16, String) {
    let response = server.client.get(server.url(path)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The texts of a page between its tags, entities read, without blanks alone.
pub(crate) fn texts(page: &str) -> Vec<String> {
    let main = page.split_once("<main").map_or(page, |(_, main)| main);
    let texts = main.split('<').filter_map(|piece| piece.split_once('>').map(|(_tag, text)| text.trim()));
    let read = |text: &str| {
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
    };
    texts.filter(|text| !text.is_empty()).map(read).collect()
}

/// The texts in each row of the only table's body.
pub(crate) fn rows(page: &str) -> Vec<String> {
    let Some((_, body)) = page.split_once("<tbody>") else { return Vec::new() };
    let body = body.split_once("</tbody>").unwrap().0;
    body.split("</tr>").filter(|row| row.contains("<tr>")).map(|row| texts(row).join(" | ")).collect()
}

/// Two traces of different fields, and one of a single plain span.
async fn filled() -> TestServer {
    let server = TestServer::start(&[]).await;
    let common = json!({
        "trace.name": "chat-turn", "langfuse.session.id": "s-1", "langfuse.user.id": "u-1",
        "langfuse.environment": "staging", "langfuse.trace.metadata.channel": "cli", "langfuse.trace.tags": ["cli", "vip"],
    });
    let with = |own: Value| {
        let mut all = common.clone();
        all.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        all["langfuse.trace.name"] = json!("chat-turn");
        all
    };
    let spans = [
        Span {
            trace: 1,
            id: 1,
            parent: 0,
            name: "root",
            after_ms: 0,
            length_ms: 2_500,
            attributes: with(json!({ "observation.type": "agent", "langfuse.observation.type": "agent",
                "langfuse.observation.input": "Where is the Needle?" })),
        },
        Span {
            trace: 1,
            id: 2,
            parent: 1,
            name: "llm",
            after_ms: 100,
            length_ms: 900,
            attributes: with(json!({ "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "gpt-5.2",
                "langfuse.observation.model.parameters": "{\"temperature\":0.2}",
                "langfuse.observation.usage_details": "{\"input\":1200,\"output\":34}",
                "langfuse.observation.cost_details": "{\"input\":0.01,\"output\":0.0025}",
                "langfuse.observation.completion_start_time": "\"2026-11-20T10:00:00.400Z\"",
                "langfuse.observation.output": "{\"answer\":[1,2.50],\"text\":\"a<b\"}" })),
        },
        Span {
            trace: 1,
            id: 3,
            parent: 2,
            name: "search",
            after_ms: 1_000,
            length_ms: 250,
            attributes: with(
                json!({ "langfuse.observation.type": "tool", "langfuse.observation.level": "ERROR",
                "langfuse.observation.status_message": "upstream said 503" }),
            ),
        },
        Span {
            trace: 2,
            id: 4,
            parent: 0,
            name: "report",
            after_ms: 60_000,
            length_ms: 90_000,
            attributes: json!({ "langfuse.session.id": "s-2", "langfuse.observation.level": "WARNING",
                "langfuse.observation.cost_details": "{\"total\":1.5}" }),
        },
        Span {
            trace: 3,
            id: 5,
            parent: 99,
            name: "orphan",
            after_ms: -60_000,
            length_ms: 0,
            attributes: json!({}),
        },
    ];
    send(&server, spans.iter().map(span).collect()).await;
    server
}

#[tokio::test]
async fn the_list_joins_what_the_observations_of_a_trace_tell() {
    let server = filled().await;
    for path in ["/", "/traces"] {
        let (status, page) = page(&server, path).await;
        assert_eq!(status, 200);
        let expected = [
            "2026-11-20 10:01:00 | report | 1 obs. | warning | 1 min 30 s | – | $1.50 | s-2",
            "2026-11-20 10:00:00 | chat-turn | 3 obs. | error | 2.50 s | 1,234 | $0.0125 | s-1 | cli | cli | vip",
            "2026-11-20 09:59:00 | orphan | 1 obs. | default | 0 ms | – | –",
        ];
        assert_eq!(rows(&page), expected);
    }
}

#[tokio::test]
async fn each_filter_narrows_the_list() {
    let server = filled().await;
    let cases = [
        ("q=CHAT", "chat-turn"),
        ("q=needle", "chat-turn"),
        ("q=said+503", "chat-turn"),
        ("q=%22answer%22", "chat-turn"),
        ("q=0000000000000003", "chat-turn,orphan"),
        ("q=00000000000000000000000000000003", "orphan"),
        ("q=nowhere", ""),
        ("name=REP", "report"),
        ("level=ERROR", "chat-turn"),
        ("level=WARNING", "report,chat-turn"),
        ("level=DEBUG", "report,chat-turn,orphan"),
        ("session=s-1", "chat-turn"),
        ("session=s", ""),
        ("user=u-1", "chat-turn"),
        ("tag=vip", "chat-turn"),
        ("tag=vi", ""),
        ("environment=staging", "chat-turn"),
        ("environment=default", "report,orphan"),
        ("channel=cli", "chat-turn"),
        ("from=2026-11-20T10:00", "report,chat-turn"),
        ("to=2026-11-20T10:00:00", "orphan"),
        ("from=2026-11-20T11:00:00%2B01:00&to=2026-11-20T10:01:00Z", "chat-turn"),
        ("session=s-1&level=ERROR&q=needle&name=&tag=", "chat-turn"),
        ("session=s-1&name=report", ""),
    ];
    for (query, expected) in cases {
        let (status, page) = page(&server, &format!("/traces?{query}")).await;
        assert_eq!(status, 200, "{query}");
        let names: Vec<_> =
            rows(&page).iter().map(|row| row.split(" | ").nth(1).unwrap().to_owned()).collect();
        assert_eq!(names.join(","), expected, "{query}");
        assert_eq!(page.contains("No trace matches."), expected.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_the_way_out() {
    let server = filled().await;
    let cases = [
        ("/traces?from=yesterday", "“from” is no time: write it as 2026-11-20T10:00, in UTC."),
        ("/traces?from=2026-11-20T10:00&to=2026-11-20T10:00", "“from” is not before “to”"),
        ("/traces?level=loud", "“level” is no level: write DEBUG, DEFAULT, WARNING or ERROR."),
        ("/traces?after=x", "“after” is no place in the list"),
        ("/sessions?range=2h", "“range” is none of those to choose from."),
        ("/charts?from=2026-11-20T10:00&to=2026-11-19T10:00", "“from” is not before “to”."),
        ("/charts?from=2020-01-01T00:00", "Choose 400 days at most."),
        ("/trace/%FF", "not valid UTF-8"),
        ("/trace/1/text?row=x&part=input", "the address needs row="),
        ("/trace/1/text?row=1&part=secret_hash", "the address needs row="),
    ];
    for (path, expected) in cases {
        let (status, page) = page(&server, path).await;
        assert_eq!(status, 400, "{path}");
        assert!(page.contains(expected), "{path}: {page}");
    }
    for path in ["/trace/none", "/trace/1/text?row=1&part=input", "/assets/none", "/trace/", "/nothing"] {
        assert_eq!(page(&server, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn pages_of_the_list_follow_each_other_without_gap_or_repetition() {
    let server = TestServer::start(&[]).await;
    // Several begin at the same time, and each has a later observation.
    let spans = (1..=120).flat_map(|number: u32| {
        let after_ms = i64::from(number / 3) * 1_000;
        let root = Span {
            trace: number,
            id: 1,
            parent: 0,
            name: "root",
            after_ms,
            length_ms: 5,
            attributes: json!({}),
        };
        let late = Span {
            trace: number,
            id: 2,
            parent: 1,
            name: "late",
            after_ms: after_ms + 90_000,
            length_ms: 5,
            attributes: json!({}),
        };
        [span(&root), span(&late)]
    });
    send(&server, spans.collect()).await;
    let (mut path, mut seen, mut times) = ("/traces".to_owned(), Vec::new(), Vec::new());
    for expected in [50, 50, 20] {
        let (status, page) = page(&server, &path).await;
        assert_eq!((status, rows(&page).len()), (200, expected));
        times.extend(rows(&page).iter().map(|row| row.split(" | ").next().unwrap().to_owned()));
        let ids = page.split("href=\"/trace/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        seen.extend(ids);
        let next = page.split("rel=\"next\" href=\"").nth(1).map(|rest| rest.split('"').next().unwrap());
        path = next.unwrap_or_default().replace("&amp;", "&");
    }
    assert_eq!(path, "", "there is no fourth page");
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

/// A search looks at a bounded number of rows, says how far it came, and goes on from there.
#[tokio::test]
async fn a_long_search_is_cut_into_pages() {
    let server = TestServer::start_with(&[], |settings| {
        let store = Store::open(&settings.data).unwrap();
        let row = |number: u32| Observation {
            trace_id: trace_id(number),
            id: "1".to_owned(),
            start_ms: BEGIN_MS + i64::from(number),
            end_ms: BEGIN_MS + i64::from(number),
            kind: "SPAN",
            level: "DEFAULT",
            name: if number == 0 { "the oldest" } else { "other" }.to_owned(),
            ..Observation::default()
        };
        for numbers in (0..60_000).collect::<Vec<u32>>().chunks(10_000) {
            let rows = numbers.iter().map(|number| row(*number)).collect();
            let batch = Batch {
                project_id: "my-project".to_owned(),
                public_key: String::new(),
                sdk: (String::new(), String::new()),
                now_ms: BEGIN_MS,
                rows,
            };
            store.insert(batch).unwrap();
        }
    })
    .await;
    let (status, first) = page(&server, "/traces?name=oldest").await;
    assert_eq!((status, rows(&first).len()), (200, 0));
    assert!(first.contains("Nothing found so far.") && first.contains("Looked back to "), "{first}");
    let next =
        first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let (_, second) = page(&server, &next).await;
    assert_eq!(rows(&second).len(), 1, "{second}");
    assert!(!second.contains("Looked back to"));
    assert_eq!(
        rows(&page(&server, &format!("/traces?q={}", trace_id(0))).await.1).len(),
        1,
        "a whole id is found at once"
    );
}

#[tokio::test]
async fn a_trace_is_a_waterfall_with_all_that_its_observations_hold() {
    let server = filled().await;
    let (status, page) = page(&server, &format!("/trace/{}", trace_id(1))).await;
    assert_eq!(status, 200);
    assert!(page.contains("<title>chat-turn · langfuse-local</title>"));
    let depths: Vec<_> = page.split("<li class=\"observation d").skip(1).map(|it| &it[..1]).collect();
    assert_eq!(depths, ["0", "1", "2"]);
    // 100 to 1,000 of 2,500 ms, the first token after 300 ms; then 1,000 to 1,250 ms.
    for bar in [
        "<rect class=\"wait\" x=\"40.0\" y=\"0\" width=\"120.0\" height=\"10\"></rect>\
         <rect x=\"160.0\" y=\"0\" width=\"240.0\" height=\"10\"></rect>",
        "<rect x=\"400.0\" y=\"0\" width=\"100.0\" height=\"10\"></rect>",
    ] {
        assert!(page.contains(bar), "{bar}\n{page}");
    }
    let texts = texts(&page).join("|");
    for text in [
        "chat-turn|error|",
        "Latency|2.50 s",
        "Cost|$0.0125",
        "Tokens|1,234|1,200 in, 34 out",
        "Session|s-1",
        "User|u-1",
        "Channel|cli",
        "Environment|staging",
        "Tags|cli|vip",
        "generation|llm|gpt-5.2|900 ms|1,234|$0.0125",
        "tool|search|error|250 ms",
        "upstream said 503",
        "First token after|300 ms",
        "Where is the Needle?",
        "{\n  \"answer\": [\n    1,\n    2.50\n  ],\n  \"text\": \"a<b\"\n}",
        "{\n  \"temperature\": \"0.2\"\n}",
    ] {
        let text = text.replace("\"0.2\"", if texts.contains("\"0.2\"") { "\"0.2\"" } else { "0.2" });
        assert!(texts.contains(&text), "{text}\n{texts}");
    }
    let (_, orphan) = self::page(&server, &format!("/trace/{}", trace_id(3))).await;
    assert!(orphan.contains("parent not stored"));
    let (status, missing) = self::page(&server, "/trace/none").await;
    assert_eq!(status, 404);
    assert!(missing.contains("Reload this page in a few seconds"), "{missing}");
}

#[tokio::test]
async fn a_long_text_is_cut_and_can_be_had_whole() {
    let server = TestServer::start(&[]).await;
    let text = format!("{}<end>", "ä<script>\n".repeat(20_000));
    let one = Span {
        trace: 1,
        id: 1,
        parent: 0,
        name: "n",
        after_ms: 0,
        length_ms: 1,
        attributes: json!({ "langfuse.observation.input": text }),
    };
    send(&server, vec![span(&one)]).await;
    let (_, page) = page(&server, &format!("/trace/{}", trace_id(1))).await;
    assert!(page.len() < 150_000 && !page.contains("&lt;end&gt;"), "{}", page.len());
    let link =
        page.split("Cut here. <a href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let response = server.client.get(server.url(&link)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.text().await.unwrap(), text);
    let other = link.replace(&trace_id(1), &trace_id(2));
    assert_eq!(self::page(&server, &other).await.0, 404, "a row belongs to its trace");
}

#[tokio::test]
async fn a_trace_of_many_observations_has_pages() {
    let server = TestServer::start(&[]).await;
    let one = |number: u32| {
        span(&Span {
            trace: 1,
            id: number,
            parent: number / 3,
            name: "n",
            after_ms: i64::from(number),
            length_ms: 1,
            attributes: json!({}),
        })
    };
    send(&server, (1..=1_200).map(one).collect()).await;
    let (mut path, mut seen) = (format!("/trace/{}", trace_id(1)), Vec::new());
    for expected in [500, 500, 200] {
        let (_, page) = page(&server, &path).await;
        let ids: Vec<_> = page
            .split("<dt>Id</dt><dd><code data-copy=\"\"><bdi>")
            .skip(2)
            .map(|it| it[..16].to_owned())
            .collect();
        assert_eq!(ids.len(), expected, "{path}");
        seen.extend(ids);
        let next = page.split("class=\"next\" href=\"").nth(1).map(|rest| rest.split('"').next().unwrap());
        path = next.unwrap_or_default().replace("&amp;", "&");
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), path.as_str()), (1_200, ""));
}

#[tokio::test]
async fn sessions_count_their_traces_cost_and_errors() {
    let server = filled().await;
    // The session is named by the root alone: the other observations belong to it all the same.
    let attributes = json!({ "langfuse.session.id": "s-1" });
    let more = [
        Span { trace: 7, id: 1, parent: 0, name: "again", after_ms: 600_000, length_ms: 1_000, attributes },
        Span {
            trace: 7,
            id: 2,
            parent: 1,
            name: "x",
            after_ms: 600_100,
            length_ms: 100,
            attributes: json!({
            "langfuse.observation.level": "ERROR", "langfuse.observation.cost_details": "{\"total\":2}" }),
        },
    ];
    send(&server, more.iter().map(span).collect()).await;
    let (status, own) = page(&server, "/sessions?from=2026-11-20T00:00&to=2026-11-21T00:00").await;
    assert_eq!(status, 200);
    let expected = [
        "s-1 | 2 | 2026-11-20 10:00:00 | 2026-11-20 10:10:01 | 10 min 1 s | $2.01 | 2 | u-1",
        "s-2 | 1 | 2026-11-20 10:01:00 | 2026-11-20 10:02:30 | 1 min 30 s | $1.50 | –",
    ];
    assert_eq!(rows(&own), expected);
    let (_, none) = page(&server, "/sessions?from=2025-11-20T00:00&to=2025-11-21T00:00").await;
    assert!(
        none.contains("No sessions in this range.") && none.contains("look at the day before it"),
        "{none}"
    );
    let link = none.split("UTC: <a href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    assert_eq!(rows(&page(&server, &link).await.1).len(), 2, "{link}");
}

#[tokio::test]
async fn an_empty_server_says_how_to_send_a_trace() {
    let server = TestServer::start(&[]).await;
    for (path, text) in
        [("/", "/api/public/otel"), ("/sessions", "how to send a trace"), ("/charts", "how to send a trace")]
    {
        let (status, page) = page(&server, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(page.contains(text), "{path}: {page}");
    }
}

/// Links in logs are made for Langfuse's own pages.
#[tokio::test]
async fn addresses_of_langfuse_lead_to_ours() {
    let server = filled().await;
    let (status, page) = page(&server, &format!("/project/my-project/traces/{}", trace_id(1))).await;
    assert!(status == 200 && page.contains("<title>chat-turn"), "{page}");
    let (_, list) = self::page(&server, "/project/my-project/sessions/s-2").await;
    assert_eq!(rows(&list).len(), 1);
    // What such an address names stays a name.
    let (status, _) = self::page(&server, "/project/my-project/traces/..%2F..%2Fapi%0d%0aX:1").await;
    assert_eq!(status, 404);
    let sent = server
        .send(&export_of_span(&json!({ "traceId": trace_id(9), "spanId": "01", "name": "a/b?c" })))
        .await;
    assert_eq!(sent.0, 200);
}
