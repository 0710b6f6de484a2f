//! Who may see pages, and what pages may do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HOST};
use serde_json::json;

use crate::pages::{Span, page, rows, send, span, trace_id};
use crate::support::{PUBLIC, SECRET, TestServer};
use langfuse_local::store::{Project, Store};

const PATHS: [&str; 8] = [
    "/",
    "/traces?level=ERROR",
    "/trace/00000000000000000000000000000001",
    "/trace/none",
    "/sessions",
    "/charts",
    "/traces?from=x",
    "/trace/00000000000000000000000000000001/text?row=1&part=input",
];

async fn filled(extra: &[(&str, &str)], need_key: bool) -> TestServer {
    let server = TestServer::start_with(extra, |settings| settings.pages_need_key = need_key).await;
    let one = Span {
        trace: 1,
        id: 1,
        parent: 0,
        name: "hidden-name",
        after_ms: 0,
        length_ms: 1,
        attributes: json!({ "langfuse.observation.input": "in" }),
    };
    send(&server, vec![span(&one)]).await;
    server
}

#[tokio::test]
async fn every_page_forbids_what_it_does_not_need() {
    let server = filled(&[], false).await;
    for path in PATHS {
        let response = server.client.get(server.url(path)).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
            "{path}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(name), value, "{path}");
        }
        assert!(response.headers().get("access-control-allow-origin").is_none());
        let page = response.text().await.unwrap();
        assert!(!page.contains(SECRET) && !page.contains(" style=") && !page.contains("<style"), "{path}");
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script defer src=\"/assets/").count(),
            "{path}"
        );
        assert!(!page.contains("http:") && !page.contains("https:"), "{path} names another place: {page}");
    }
    let (_, page) = page(&server, "/").await;
    for piece in page.split("\"/assets/").skip(1) {
        let path = format!("/assets/{}", piece.split('"').next().unwrap());
        let response = server.client.get(server.url(&path)).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-content-type-options"] == "nosniff"),
            (200, true)
        );
    }
    let posted = server.client.post(server.url("/traces")).send().await.unwrap();
    assert_eq!(posted.status(), 405, "pages only read");
}

/// A page of another site can make its own name point to this machine.
#[tokio::test]
async fn other_names_are_refused_on_the_loopback() {
    let server = filled(&[("NEXTAUTH_URL", "https://langfuse.example.com")], false).await;
    let ask = async |path: &str, host: &str| {
        let response = server.client.get(server.url(path)).header(HOST, host).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for path in PATHS {
        let (status, page) = ask(path, "evil.example:3000").await;
        assert_eq!(status, 421, "{path}");
        assert!(
            page.contains("Open it as localhost or 127.0.0.1") && !page.contains("hidden-name"),
            "{page}"
        );
        let (status, page) = ask(path, "langfuse.example.com").await;
        // The first page is the way in; every other one asks at once.
        assert_eq!(status, if path == "/" { 200 } else { 401 }, "{path}");
        let asks =
            if path == "/" { "<a href=\"/traces\">Sign in</a>" } else { "A project key is needed here" };
        assert!(page.contains(asks) && !page.contains("hidden-name"), "{page}");
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:3000"] {
        assert!(ask("/", host).await.1.contains("hidden-name"), "{host}");
    }
    assert_eq!(ask("/api/public/health", "evil.example").await.0, 200, "the API has keys");
}

#[tokio::test]
async fn where_others_can_ask_a_key_is_needed_and_shows_its_project_alone() {
    let server = filled(&[], true).await;
    let basic =
        |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let ask = async |path: &str, authorization: Option<String>| {
        let mut request = server.client.get(server.url(path));
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.unwrap();
        let asks = response.headers().contains_key("www-authenticate");
        (response.status().as_u16(), asks, response.text().await.unwrap())
    };
    for path in PATHS {
        let bad = [
            None,
            Some(basic(PUBLIC, "sk-lf-wrong")),
            Some(basic("pk-lf-unknown", SECRET)),
            Some("Basic !".to_owned()),
            Some(format!("Bearer {PUBLIC}")),
        ];
        for authorization in bad {
            let (status, asks, page) = ask(path, authorization.clone()).await;
            let is_way_in = path == "/" && authorization.is_none();
            let expected = if is_way_in { (200, false) } else { (401, true) };
            assert_eq!((status, asks), expected, "{path} {authorization:?}");
            assert!(!page.contains("hidden-name") && !page.contains("my-project"), "{page}");
        }
    }
    let (status, _, page) = ask("/", Some(basic(PUBLIC, SECRET))).await;
    assert!(status == 200 && page.contains("hidden-name"), "{page}");
    let (status, _, page) = ask("/?project=other", Some(basic(PUBLIC, SECRET))).await;
    assert!(status == 403 && !page.contains("hidden-name"), "{page}");
    assert_eq!(ask("/assets/pages.css", None).await.0, 200, "files without anything of anybody");
}

#[tokio::test]
async fn a_server_behind_a_proxy_takes_nobody_for_local() {
    let server = filled(&[], false).await;
    let request = server.client.get(server.url("/traces")).header("x-forwarded-for", "203.0.113.9");
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn several_projects_are_a_choice() {
    let server = TestServer::start_with(&[], |settings| {
        let store = Store::open(&settings.data).unwrap();
        let other = Project {
            id: "p <2>&".to_owned(),
            name: "Second <b>".to_owned(),
            org_id: "o".to_owned(),
            org_name: "O".to_owned(),
        };
        store.provision(&other, Some(("pk-lf-2", "sk-lf-2"))).unwrap();
    })
    .await;
    let one = |trace| {
        span(&Span {
            trace,
            id: 1,
            parent: 0,
            name: "n",
            after_ms: 0,
            length_ms: 1,
            attributes: json!({ "langfuse.session.id": "s" }),
        })
    };
    send(&server, vec![one(1)]).await;
    let (status, choice) = page(&server, "/sessions").await;
    assert_eq!(status, 200);
    assert!(
        choice.contains("href=\"/traces?project=my-project\"") && choice.contains("Second &lt;b&gt;"),
        "{choice}"
    );
    let (_, first) = page(&server, "/traces?project=my-project").await;
    assert_eq!(rows(&first).len(), 1);
    let links = first.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    for link in links.filter(|link| !link.starts_with("/assets/") && !link.starts_with('#')) {
        assert!(link.contains("project=my-project"), "{link} loses the project");
    }
    let (_, second) = page(&server, "/traces?project=p+%3C2%3E%26").await;
    assert!(rows(&second).is_empty() && second.contains("No traces in this project yet."), "{second}");
    let path = format!("/trace/{}?project=p+%3C2%3E%26", trace_id(1));
    assert_eq!(page(&server, &path).await.0, 404, "a trace belongs to its project");
    assert_eq!(page(&server, "/traces?project=none").await.0, 404);
    let key = server
        .client
        .get(server.url("/traces"))
        .header("x-real-ip", "203.0.113.9")
        .basic_auth("pk-lf-2", Some("sk-lf-2"));
    let text = key.send().await.unwrap().text().await.unwrap();
    assert!(
        text.contains("Second &lt;b&gt;") && !text.contains("my-project") && !text.contains("My Project"),
        "{text}"
    );
}
