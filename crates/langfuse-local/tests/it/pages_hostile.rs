//! Whatever clients send, pages keep their structure and show it as text.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use crate::pages::{Span, page, send, span, trace_id};
use crate::support::TestServer;

/// Reads a page strictly: tags with the names of their attributes, and the texts between them.
fn read(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut tags, mut texts, mut rest) = (Vec::new(), Vec::new(), page);
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        assert!(!text.contains('>'), "a bare > in {text:?}");
        texts.push(text.to_owned());
        let mut tag = &tag[1..];
        let end = tag.find([' ', '>']).unwrap();
        let mut shown = tag[..end].to_owned();
        assert!(shown.chars().all(|c| c.is_ascii_alphanumeric() || "/!".contains(c)), "{shown:?} is no tag");
        tag = &tag[end..];
        while let Some(attribute) = tag.strip_prefix(' ') {
            let end = attribute.find([' ', '=', '>']).unwrap();
            shown.push_str(&format!(" {}", &attribute[..end]));
            assert!(!attribute.starts_with("on") && !attribute.starts_with("style"), "{attribute}");
            tag = &attribute[end..];
            if let Some(value) = tag.strip_prefix("=\"") {
                let (value, after) = value.split_once('"').unwrap();
                assert!(!value.contains(['<', '>']), "{value:?} is not escaped");
                if shown.ends_with(" href") || shown.ends_with(" src") || shown.ends_with(" action") {
                    assert!(
                        value.starts_with('/') && !value.starts_with("//") || value == "#main",
                        "{value} leads elsewhere"
                    );
                }
                texts.push(value.to_owned());
                tag = after;
            }
        }
        rest = tag.strip_prefix('>').unwrap_or_else(|| panic!("{tag:.80} does not end"));
        tags.push(shown);
    }
    (tags, texts)
}

/// Sends one trace with the text wherever a client can put one, and gives all pages that show it.
async fn pages_with(server: &TestServer, text: &str) -> Vec<String> {
    let attributes = |kind: &str, level: &str| {
        json!({
            "langfuse.trace.name": text, "langfuse.session.id": text, "langfuse.user.id": text, "langfuse.release": text,
            "langfuse.version": text, "langfuse.trace.tags": [text], "langfuse.trace.metadata.channel": text,
            "langfuse.observation.type": kind, "langfuse.observation.level": level,
            "langfuse.observation.status_message": text, "langfuse.observation.model.name": text,
            "langfuse.observation.input": text, "langfuse.observation.output": json!({ "k": text }).to_string(),
            "langfuse.observation.usage_details": "{\"input\":1}", "langfuse.observation.cost_details": "{\"total\":1}",
            "langfuse.observation.prompt.name": text, "langfuse.observation.prompt.version": "1",
        })
    };
    let one = |id, parent, kind, level| {
        let mut span = span(&Span {
            trace: 1,
            id,
            parent,
            name: "",
            after_ms: 0,
            length_ms: 1,
            attributes: attributes(kind, level),
        });
        span["name"] = json!(text);
        span
    };
    send(server, vec![one(1, 0, "generation", "ERROR"), one(2, 77, "tool", "ERROR")]).await;
    let word: String = byte_serialize(text.as_bytes()).collect();
    let paths = [
        "/".to_owned(),
        format!("/traces?q={word}&name={word}&session={word}&user={word}&tag={word}&channel={word}"),
        format!("/traces?from={word}&level={word}&environment={word}"),
        format!("/trace/{}", trace_id(1)),
        format!("/trace/{}", word.replace('+', "%20")),
        "/sessions?from=2026-11-20T00:00&to=2026-11-21T00:00".to_owned(),
        "/charts?from=2026-11-20T00:00&to=2026-11-21T00:00".to_owned(),
        format!("/charts?range={word}"),
        format!("/?project={word}"),
    ];
    let mut pages = Vec::new();
    for path in paths {
        pages.push(page(server, &path).await.1);
    }
    pages
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' onmouseover='alert(1)",
            "javascript:alert(1)",
            "</pre></details></li>",
            "</title><script>",
            "<!--",
            "-->",
            "]]>",
            "&lt;b&gt;",
            "&#60;",
            "{{7*7}}",
            "\u{202e}gpj.exe",
            "\u{2066}a\u{2069}",
            "\u{200f}",
            "\r\n",
            "\u{1b}[31m",
            "\u{7f}",
            "\u{85}",
            "\u{feff}",
            "\u{2028}",
            "a=\"b\"",
            "`${1}`",
            "%3Cscript%3E",
            "//evil.example",
            "\\\"",
            "\u{e0041}",
        ])
        .prop_map(str::to_owned),
        ".{0,10}",
    ];
    // Begins and ends with a letter, so that it is neither empty nor JSON nor trimmed anywhere.
    prop::collection::vec(piece, 1..5).prop_map(|pieces| {
        let text: String = pieces.concat().chars().take(100).collect();
        format!("x{text}y")
    })
}

#[test]
fn texts_of_clients_stay_texts() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(TestServer::start(&[]));
    let plain: Vec<_> =
        runtime.block_on(pages_with(&server, "plain")).iter().map(|page| read(page).0).collect();
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    });
    runner
        .run(&hostile(), |text| {
            for (page, expected) in runtime.block_on(pages_with(&server, &text)).iter().zip(&plain) {
                let (tags, texts) = read(page);
                prop_assert_eq!(&tags, expected, "{}", page);
                for text in texts {
                    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t')
                        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
                    // Values of form fields go back to the server as they came.
                    prop_assert!(!text.contains(acts) || page.contains("class=\"filters\""), "{:?}", text);
                }
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn very_long_and_broken_texts_are_shown_in_part() {
    let server = TestServer::start(&[]).await;
    let long = "<b>\"&".repeat(40_000);
    let mut one = span(&Span {
        trace: 1,
        id: 1,
        parent: 0,
        name: "",
        after_ms: 0,
        length_ms: 1,
        attributes: json!({
        "langfuse.trace.name": long, "langfuse.observation.status_message": long, "langfuse.observation.model.name": long,
        "langfuse.observation.type": "generation" }),
    });
    one["name"] = json!(long);
    send(&server, vec![one]).await;
    let paths = [
        "/".to_owned(),
        format!("/trace/{}", trace_id(1)),
        "/charts?from=2026-11-20T00:00&to=2026-11-21T00:00".to_owned(),
    ];
    for path in paths {
        let (status, page) = page(&server, &path).await;
        assert_eq!(status, 200, "{path}");
        assert!(page.len() < 400_000, "{path}: {}", page.len());
        read(&page);
    }
    let (_, page) = page(&server, "/traces?q=%FF%C3").await;
    assert!(page.contains("value=\"\u{fffd}"), "invalid UTF-8 is replaced: {page}");
}
