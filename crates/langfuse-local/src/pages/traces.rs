//! The list of traces, newest first, with its search.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use crate::app::{App, LANGFUSE_VERSION};
use crate::query::Cursor;
use crate::store::{Level, TraceFilter, TracePage, TraceSummary};

use super::guard::Viewer;
use super::query::{Query, segment};
use super::shown::{Moment, Name, cost, count, duration, grouped, plural, tooltip};
use super::{Answer, layout, unreadable};

/// Traces on one page.
const LIMIT: usize = 50;
/// Everything that narrows the list, in the order of the form.
const PARAMETERS: [&str; 10] =
    ["q", "name", "level", "session", "user", "tag", "environment", "channel", "from", "to"];
/// The levels to ask for, and how that is called.
const LEVELS: [(&str, &str); 3] =
    [("ERROR", "error"), ("WARNING", "warning or worse"), ("DEFAULT", "above debug")];

pub(super) async fn page(app: &App, viewer: &Viewer, query: &Query) -> Answer {
    let (filter, after, findings) = read(query);
    if !findings.is_empty() {
        let content = html! {
            h1 { "Traces" }
            @for finding in &findings { (layout::warning(finding)) }
            (form(viewer, query, &TracePage::default()))
        };
        return Ok(layout::page(StatusCode::BAD_REQUEST, "Traces", Some(viewer), content));
    }
    let project_id = viewer.project.id.clone();
    let is_later = after.is_some();
    let (page, n_observations) = app
        .with_store(move |store| {
            Ok((store.traces(&project_id, &filter, after.as_ref(), LIMIT)?, store.count()?))
        })
        .await
        .map_err(unreadable)?;
    Ok(render(app, viewer, query, &page, is_later, n_observations))
}

/// What is asked for, and what is wrong with that.
fn read(query: &Query) -> (TraceFilter, Option<Cursor>, Vec<String>) {
    let mut findings = Vec::new();
    let mut time = |name| {
        query.time(name).unwrap_or_else(|finding| {
            findings.push(finding);
            None
        })
    };
    let (from_ms, to_ms) = (time("from"), time("to"));
    if let (Some(from_ms), Some(to_ms)) = (from_ms, to_ms)
        && from_ms >= to_ms
    {
        findings.push("“from” is not before “to”: no trace can begin between them.".to_owned());
    }
    let level = query.get("level");
    if !level.is_empty() && Level::parse(level).is_none() {
        findings.push("“level” is no level: write DEBUG, DEFAULT, WARNING or ERROR.".to_owned());
    }
    let after = Cursor::decode(query.get("after"));
    if after.is_none() && !query.get("after").is_empty() {
        findings.push("“after” is no place in the list: leave it out to begin with the newest.".to_owned());
    }
    let text = |name| query.get(name).to_owned();
    let filter = TraceFilter {
        text: text("q"),
        name: text("name"),
        level: Level::parse(level),
        session: text("session"),
        user: text("user"),
        tag: text("tag"),
        environment: text("environment"),
        channel: text("channel"),
        from_ms,
        to_ms,
    };
    (filter, after, findings)
}

fn render(
    app: &App,
    viewer: &Viewer,
    query: &Query,
    page: &TracePage,
    is_later: bool,
    n_observations: i64,
) -> Response {
    let active = query.only(&PARAMETERS);
    let content = html! {
        h1 { "Traces" }
        (form(viewer, query, page))
        @if !active.is_empty() { (chips(viewer, &active)) }
        @if page.traces.is_empty() {
            (nothing(viewer, page, !active.is_empty(), is_later, n_observations))
        } @else {
            (table(viewer, &page.traces))
        }
        (turning(viewer, &active, page, is_later))
        footer.facts {
            dl {
                div { dt { "Observations stored" } dd { (n_observations) } }
                div { dt { "Batches accepted and lost because they could not be converted, since the start" }
                    dd { (app.lost_batches()) } }
                div { dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) ", API of Langfuse " (LANGFUSE_VERSION) } }
            }
        }
    };
    layout::page(StatusCode::OK, "Traces", Some(viewer), content)
}

fn form(viewer: &Viewer, query: &Query, page: &TracePage) -> Markup {
    let n_filters = query.only(&PARAMETERS[1..]).len();
    let known = |values: &dyn Fn(&TraceSummary) -> Vec<&str>| {
        let mut known: Vec<String> = page.traces.iter().flat_map(values).map(tooltip).collect();
        known.sort_unstable();
        known.dedup();
        known.retain(|value| !value.is_empty());
        known
    };
    let field = |name: &'static str, label: &'static str, known: Vec<String>| {
        html! {
            label { span { (label) }
                input name=(name) value=(query.get(name)) list={ "known-" (name) } autocomplete="off";
            }
            datalist id={ "known-" (name) } { @for value in known { option value=(value) {} } }
        }
    };
    html! {
        form.filters role="search" method="get" action="/traces" {
            @if !viewer.choice.is_empty() { input type="hidden" name="project" value=(viewer.project.id); }
            div.search {
                label for="q" { "Search" }
                input #q type="search" name="q" value=(query.get("q")) placeholder="Name, id or text" autocomplete="off";
                button { "Search" }
            }
            details open[n_filters > 0] {
                summary { "Filters" @if n_filters > 0 { " (" (n_filters) ")" } }
                div.fields {
                    (field("name", "Name contains", known(&|it| vec![&it.name])))
                    label { span { "Level" }
                        select name="level" {
                            option value="" { "any" }
                            @for (level, name) in LEVELS {
                                option value=(level) selected[query.get("level") == level] { (name) }
                            }
                        }
                    }
                    (field("session", "Session", known(&|it| vec![&it.session])))
                    (field("user", "User", known(&|it| vec![&it.user])))
                    (field("tag", "Tag", known(&|it| it.tags.iter().map(String::as_str).collect())))
                    (field("environment", "Environment", known(&|it| vec![&it.environment])))
                    (field("channel", "Channel", known(&|it| vec![&it.channel])))
                    label { span { "From (UTC)" }
                        input type="datetime-local" step="1" name="from" value=(query.time_field("from"));
                    }
                    label { span { "To (UTC)" }
                        input type="datetime-local" step="1" name="to" value=(query.time_field("to"));
                    }
                    button { "Apply" }
                }
            }
        }
    }
}

/// Each active filter with the way to take it away.
fn chips(viewer: &Viewer, active: &[(&str, &str)]) -> Markup {
    html! {
        ul.chips aria-label="Active filters" {
            @for (name, value) in active {
                @let others: Vec<_> = active.iter().copied().filter(|(other, _)| other != name).collect();
                li {
                    (if *name == "q" { "text" } else { name }) ": " (Name(value)) " "
                    a href=(viewer.link("/traces", &others)) aria-label={ "Remove " (name) } { "×" }
                }
            }
            li.all { a href=(viewer.link("/traces", &[])) { "Remove all" } }
        }
    }
}

fn table(viewer: &Viewer, traces: &[TraceSummary]) -> Markup {
    html! {
        table.rows.traces {
            caption.away { "Traces, newest first" }
            thead {
                tr {
                    th scope="col" { "Started (UTC)" }
                    th scope="col" { "Name" }
                    th scope="col" { "Level" }
                    th.number scope="col" { "Latency" }
                    th.number scope="col" { "Tokens" }
                    th.number scope="col" { "Cost" }
                    th scope="col" { "Session" }
                    th scope="col" { "Channel" }
                    th scope="col" { "Tags" }
                }
            }
            tbody { @for trace in traces { (row(viewer, trace)) } }
        }
    }
}

fn row(viewer: &Viewer, trace: &TraceSummary) -> Markup {
    let name = if trace.name.is_empty() { "(no name)" } else { &trace.name };
    html! {
        tr {
            td.time { (Moment(trace.start_ms)) }
            td.name {
                a href=(viewer.link(&format!("/trace/{}", segment(&trace.id)), &[])) { (Name(name)) }
                " " span.quiet { (grouped(trace.n_observations as f64)) " obs." }
            }
            td.level { (level(trace.level, trace.n_errors)) }
            td.number.latency data-label="Latency" { (duration((trace.end_ms - trace.start_ms) as f64)) }
            td.number.tokens data-label="Tokens" { (count(trace.total_tokens)) }
            td.number.cost data-label="Cost" { (cost(trace.cost)) }
            td.session data-label="Session" {
                @if !trace.session.is_empty() {
                    a href=(viewer.link("/traces", &[("session", &trace.session)])) { (Name(&trace.session)) }
                }
            }
            td.channel data-label="Channel" {
                @if !trace.channel.is_empty() {
                    a href=(viewer.link("/traces", &[("channel", &trace.channel)])) { (Name(&trace.channel)) }
                }
            }
            td.tags { (tags(viewer, &trace.tags)) }
        }
    }
}

/// Tags as links to what else has them.
pub(super) fn tags(viewer: &Viewer, tags: &[String]) -> Markup {
    const SHOWN: usize = 12;
    html! {
        @for tag in tags.iter().take(SHOWN) {
            a.tag href=(viewer.link("/traces", &[("tag", tag)])) { (Name(tag)) } " "
        }
        @if tags.len() > SHOWN { span.quiet { "and " (plural(tags.len() - SHOWN, "more tag")) } }
    }
}

/// A level as a word, the bad ones marked.
pub(super) fn level(level: Level, n_errors: usize) -> Markup {
    let (class, name) = match level {
        Level::Debug => ("quiet", "debug"),
        Level::Default => ("quiet", "default"),
        Level::Warning => ("mark warn", "warning"),
        Level::Error => ("mark error", "error"),
    };
    html! { span class=(class) { (name) @if n_errors > 1 { " ×" (n_errors) } } }
}

fn nothing(
    viewer: &Viewer,
    page: &TracePage,
    is_narrowed: bool,
    is_later: bool,
    n_observations: i64,
) -> Markup {
    if page.looked_back_to_ms.is_some() {
        return layout::empty("Nothing found so far.", html! {});
    }
    if is_narrowed {
        let way = html! { p { "Take a filter away, or " a href=(viewer.link("/traces", &[])) { "see all traces" } "." } };
        return layout::empty("No trace matches.", way);
    }
    if is_later {
        let way = html! { p { a href=(viewer.link("/traces", &[])) { "Back to the newest" } } };
        return layout::empty("No older traces.", way);
    }
    let what = if n_observations > 0 { "No traces in this project yet." } else { "No traces yet." };
    layout::empty(
        what,
        html! {
            p { "Send one: point an OpenTelemetry exporter (OTLP over HTTP) at " code { "/api/public/otel" }
                " of this server, with the project's public key as the user and its secret key as the password." }
            pre { "OTEL_EXPORTER_OTLP_ENDPOINT=<this server>/api/public/otel\n"
                "OTEL_EXPORTER_OTLP_HEADERS=\"Authorization=Basic <base64 of public:secret>\"" }
            p { "It is listed here as soon as it is stored; reload this page." }
        },
    )
}

fn turning(viewer: &Viewer, active: &[(&str, &str)], page: &TracePage, is_later: bool) -> Markup {
    let after = page.next.as_ref().map(Cursor::encode);
    html! {
        @if let Some(looked_back_to_ms) = page.looked_back_to_ms {
            p.note { "Looked back to " (Moment(looked_back_to_ms)) " UTC; older traces may match too." }
        }
        @if is_later || after.is_some() {
            nav.turning aria-label="More traces" {
                @if is_later { a href=(viewer.link("/traces", active)) { "← Newest" } }
                @if let Some(after) = &after {
                    @let pairs: Vec<_> = active.iter().copied().chain([("after", after.as_str())]).collect();
                    a.next rel="next" href=(viewer.link("/traces", &pairs)) {
                        (if page.looked_back_to_ms.is_some() { "Keep looking →" } else { "Older →" })
                    }
                }
            }
        }
    }
}
