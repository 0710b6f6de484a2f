//! What all pages share: the frame, the headers, messages.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};

use super::asset;
use super::guard::Viewer;
use super::shown::Name;

/// Nothing runs or loads but our own two files, nothing is sent elsewhere, nobody frames a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const PAGES: [(&str, &str); 3] = [("/traces", "Traces"), ("/sessions", "Sessions"), ("/charts", "Charts")];

/// A whole page. Without a viewer there is no way to other pages.
pub(super) fn page(status: StatusCode, title: &str, viewer: Option<&Viewer>, content: Markup) -> Response {
    let version = asset::VERSION.as_str();
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (super::shown::tooltip(title)) " · langfuse-local" }
                link rel="icon" type="image/svg+xml" href={ "/assets/icon.svg?v=" (version) };
                link rel="stylesheet" href={ "/assets/pages.css?v=" (version) };
                script defer src={ "/assets/pages.js?v=" (version) } {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href=(viewer.map_or_else(|| "/".to_owned(), |viewer| viewer.link("/", &[]))) {
                        "langfuse-local"
                    }
                    @if let Some(viewer) = viewer { (navigation(viewer, title)) }
                }
                main #main tabindex="-1" { (content) }
            }
        }
    };
    let mut response = Response::new(Body::from(body.into_string()));
    *response.status_mut() = status;
    protect(response.headers_mut(), "text/html; charset=utf-8");
    response
}

fn navigation(viewer: &Viewer, title: &str) -> Markup {
    html! {
        nav aria-label="Pages" {
            @for (path, name) in PAGES {
                a href=(viewer.link(path, &[])) aria-current=[(name == title).then_some("page")] { (name) }
            }
        }
        @if viewer.choice.is_empty() {
            span.project title="Project" { (Name(&viewer.project.name)) }
        } @else {
            form.project method="get" action="/traces" {
                label { span.quiet { "Project " }
                    select name="project" {
                        @for project in &viewer.choice {
                            option value=(project.id) selected[project.id == viewer.project.id] {
                                (super::shown::tooltip(&project.name))
                            }
                        }
                    }
                }
                button { "Go" }
            }
        }
    }
}

/// A page that says one thing and the way on.
pub(super) fn message(status: StatusCode, viewer: Option<&Viewer>, what: &str, how: &str) -> Response {
    page(status, what, viewer, html! { div.message { h1 { (what) } p { (how) } } })
}

/// In the place of rows that are not there.
pub(super) fn empty(what: &str, how: Markup) -> Markup {
    html! { div.empty { p { strong { (what) } } (how) } }
}

/// A finding about the request, above the content.
pub(super) fn warning(text: &str) -> Markup {
    html! { p.warning role="alert" { (text) } }
}

/// A text without markup.
pub(super) fn plain(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    protect(response.headers_mut(), "text/plain; charset=utf-8");
    response
}

fn protect(headers: &mut HeaderMap, content_type: &'static str) {
    let pairs: [(HeaderName, &'static str); 8] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in pairs {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
