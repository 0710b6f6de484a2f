//! The sessions of a time range.

use axum::http::StatusCode;
use maud::{Markup, html};

use crate::app::App;
use crate::store::SessionSummary;

use super::charts::Range;
use super::guard::Viewer;
use super::query::Query;
use super::shown::{Moment, Name, cost, duration, grouped, plural};
use super::{Answer, layout, unreadable};

/// Sessions on one page.
const LIMIT: usize = 100;

pub(super) async fn page(app: &App, viewer: &Viewer, query: &Query) -> Answer {
    let now_ms = crate::time::now_ms();
    let range = match Range::read(query, now_ms) {
        Ok(range) => range,
        Err(finding) => {
            let form = Range::recent(now_ms).form(viewer, "/sessions", query);
            let content = html! { h1 { "Sessions" } (layout::warning(&finding)) (form) };
            return Ok(layout::page(StatusCode::BAD_REQUEST, "Sessions", Some(viewer), content));
        }
    };
    let skip: usize = query.get("skip").parse().unwrap_or_default();
    let project_id = viewer.project.id.clone();
    let (found, newest_ms) = app
        .with_store(move |store| {
            let found = store.sessions(&project_id, range.from_ms, range.to_ms)?;
            Ok((found, store.newest_ms(&project_id)?))
        })
        .await
        .map_err(unreadable)?;
    let shown: Vec<_> = found.sessions.iter().skip(skip).take(LIMIT).collect();
    let content = html! {
        h1 { "Sessions" }
        (range.form(viewer, "/sessions", query))
        @if let Some(n_rows) = found.cut_short_at {
            p.note { "Only the newest " (grouped(n_rows as f64)) " observations of this range are counted." }
        }
        @if shown.is_empty() {
            (range.empty(viewer, "/sessions", "sessions", newest_ms, html! {
                p { "A trace belongs to a session when one of its spans has " code { "langfuse.session.id" } "." }
            }))
        } @else {
            (table(viewer, &shown))
        }
        (turning(viewer, query, found.sessions.len(), skip, shown.len()))
    };
    Ok(layout::page(StatusCode::OK, "Sessions", Some(viewer), content))
}

fn table(viewer: &Viewer, sessions: &[&SessionSummary]) -> Markup {
    html! {
        table.rows.sessions {
            caption.away { "Sessions, the latest first" }
            thead {
                tr {
                    th scope="col" { "Session" }
                    th.number scope="col" { "Traces" }
                    th scope="col" { "First (UTC)" }
                    th scope="col" { "Last (UTC)" }
                    th.number scope="col" { "Span of time" }
                    th.number scope="col" { "Cost" }
                    th.number scope="col" { "Errors" }
                    th scope="col" { "User" }
                }
            }
            tbody {
                @for session in sessions {
                    tr {
                        td.name { a href=(viewer.link("/traces", &[("session", &session.id)])) { (Name(&session.id)) } }
                        td.number.count data-label="Traces" { (grouped(session.n_traces as f64)) }
                        td.time.first data-label="First" { (Moment(session.first_ms)) }
                        td.time.last data-label="Last" { (Moment(session.last_ms)) }
                        td.number.latency data-label="Span of time" {
                            (duration((session.last_ms - session.first_ms) as f64)) }
                        td.number.cost data-label="Cost" { (cost(session.cost)) }
                        td.number.errors data-label="Errors" {
                            @if session.n_errors == 0 { span.quiet { "–" } }
                            @else { span.mark.error { (grouped(session.n_errors as f64)) } }
                        }
                        td.user data-label="User" {
                            @if !session.user.is_empty() {
                                a href=(viewer.link("/traces", &[("user", &session.user)])) { (Name(&session.user)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn turning(viewer: &Viewer, query: &Query, n_sessions: usize, skip: usize, n_shown: usize) -> Markup {
    let range = query.only(&["range", "from", "to"]);
    let next = skip.saturating_add(n_shown);
    html! {
        @if n_shown > 0 || skip > 0 {
            nav.turning aria-label="More sessions" {
                @if skip > 0 { a href=(viewer.link("/sessions", &range)) { "← Latest" } }
                span { @if n_shown > 0 { (grouped((skip + 1) as f64)) " to " (grouped(next as f64)) " of " }
                    (plural(n_sessions, "session")) }
                @if next < n_sessions {
                    @let next = next.to_string();
                    @let pairs: Vec<_> = range.iter().copied().chain([("skip", next.as_str())]).collect();
                    a.next rel="next" href=(viewer.link("/sessions", &pairs)) { "Earlier →" }
                }
            }
        }
    }
}
