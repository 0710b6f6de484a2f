//! The figures of the charts.

use serde_json::{Value, json};

use crate::pages::{Span, page, send, span, texts};
use crate::support::TestServer;

const RANGE: &str = "/charts?from=2026-11-20T09:30&to=2026-11-20T10:30";

/// The rows of the table with this caption, cells joined.
fn table(page: &str, caption: &str) -> Vec<String> {
    let (_, rest) = page
        .split_once(&format!("<caption>{caption}</caption>"))
        .unwrap_or_else(|| panic!("{caption}: {page}"));
    let body = rest.split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
    body.split("</tr>").filter(|row| row.contains("<tr>")).map(|row| texts(row).join(" | ")).collect()
}

fn generation(id: u32, model: &str, after_ms: i64, length_ms: i64) -> Value {
    span(&Span {
        trace: 1,
        id,
        parent: 0,
        name: "llm",
        after_ms,
        length_ms,
        attributes: json!({
        "langfuse.observation.type": "generation", "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": "{\"input\":1000,\"output\":10}",
        "langfuse.observation.cost_details": "{\"total\":0.25}" }),
    })
}

fn tool(id: u32, name: &'static str, level: &str) -> Value {
    span(&Span {
        trace: 1,
        id,
        parent: 0,
        name,
        after_ms: 0,
        length_ms: 1,
        attributes: json!({
        "langfuse.observation.type": "tool", "langfuse.observation.level": level }),
    })
}

#[tokio::test]
async fn latency_tools_tokens_and_cost() {
    let server = TestServer::start(&[]).await;
    let mut spans: Vec<Value> =
        (1..=4).map(|number| generation(number, "m-a", 0, i64::from(number) * 100)).collect();
    spans.push(generation(5, "m-a", 600_000, 5_000));
    spans.push(generation(6, "m-b", 0, 50));
    // Outside the range.
    spans.push(generation(7, "m-b", 3_600_000, 90_000));
    spans.extend(
        [
            (10, "search", "ERROR"),
            (11, "search", "DEFAULT"),
            (12, "mail", "DEFAULT"),
            (13, "search", "WARNING"),
        ]
        .map(|(id, name, level)| tool(id, name, level)),
    );
    send(&server, spans).await;
    let (status, page) = page(&server, RANGE).await;
    assert_eq!(status, 200);
    // Of 100, 200, 300, 400 and 5,000 ms: between the closest ranks, as ClickHouse's `quantile`.
    assert_eq!(
        table(&page, "Latency over the whole range"),
        ["m-a | 5 | 300 ms | 4.08 s | 4.82 s", "m-b | 1 | 50 ms | 50 ms | 50 ms"]
    );
    let steps: Vec<_> = page
        .split("<caption class=\"away\">Latency over time</caption>")
        .nth(1)
        .unwrap()
        .split("</tr>")
        .filter(|row| row.contains("<td>"))
        .map(|row| texts(row).join(" | "))
        .take(3)
        .collect();
    assert_eq!(
        steps,
        [
            "2026-11-20 10:00:00 | m-a | 4 | 250 ms | 385 ms | 397 ms",
            "2026-11-20 10:10:00 | m-a | 1 | 5.00 s | 5.00 s | 5.00 s",
            "2026-11-20 10:00:00 | m-b | 1 | 50 ms | 50 ms | 50 ms",
        ]
    );
    assert_eq!(page.matches("<figure>").count(), 2);
    assert!(
        page.contains("aria-label=\"Latency of m-a: 5 calls, p50 300 ms, p95 4.08 s, p99 4.82 s\""),
        "{page}"
    );
    assert_eq!(table(&page, "Tools"), ["search | 3 | 1 | 33.3 %", "mail | 1 | 0 | 0.0 %"]);
    assert!(page.contains("aria-label=\"1 errors in 3 calls\""));
    assert_eq!(
        table(&page, "Models"),
        ["m-a | 5 | 5,000 | 50 | 5,050 | $1.25", "m-b | 1 | 1,000 | 10 | 1,010 | $0.2500"]
    );
    assert!(page.contains("aria-label=\"5,000 input and 50 output tokens\""));
    // The longest bar ends the axis: input and output of m-a fill it.
    assert!(page.contains("<rect class=\"input\" x=\"0.0\" y=\"0\" width=\"990.1\""), "{page}");
    assert!(page.contains("<rect class=\"output\" x=\"990.1\" y=\"0\" width=\"9.9\""), "{page}");
}

#[tokio::test]
async fn a_range_without_calls_leads_to_the_newest() {
    let server = TestServer::start(&[]).await;
    send(&server, vec![generation(1, "m", 0, 1)]).await;
    let (_, none) = page(&server, "/charts?from=2025-11-20T00:00&to=2025-11-21T00:00").await;
    assert_eq!(none.matches("class=\"empty\"").count(), 3);
    let link = none.split("UTC: <a href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let (_, found) = page(&server, &link).await;
    assert_eq!(table(&found, "Models").len(), 1, "{link}");
}
