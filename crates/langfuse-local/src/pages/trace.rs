//! One trace: what it was, and its observations as a waterfall.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use crate::app::App;
use crate::store::{MAX_TRACE_ROWS, Part, TraceRow, TraceSummary};

use super::guard::Viewer;
use super::observation::{Axis, Texts, observation};
use super::query::{Query, segment};
use super::shown::{Moment, Name, cost, count, duration, grouped, plural};
use super::{Answer, layout, traces, tree, unreadable};

/// Observations on one page.
const LIMIT: usize = 500;

pub(super) async fn page(app: &App, viewer: &Viewer, id: &str, query: &Query) -> Answer {
    let skip: usize = query.get("skip").parse().unwrap_or_default();
    let (project_id, trace_id) = (viewer.project.id.clone(), id.to_owned());
    let found = app
        .with_store(move |store| {
            let Some(summary) = store.trace_summary(&project_id, &trace_id)? else { return Ok(None) };
            let mut rows = store.trace_rows(&project_id, &trace_id)?;
            rows.truncate(MAX_TRACE_ROWS);
            let nodes = tree::nodes(&rows);
            let shown: Vec<_> = nodes.into_iter().skip(skip).take(LIMIT).collect();
            let seqs: Vec<i64> = shown.iter().map(|node| rows[node.row_idx].seq).collect();
            let mut texts = Texts::new();
            let texts = store.contents(&seqs, |contents| texts.take(contents))?;
            Ok(Some((summary, rows, shown, texts)))
        })
        .await
        .map_err(unreadable)?;
    let Some((summary, rows, nodes, texts)) = found else { return Err(Box::new(missing(viewer, id))) };
    let axis = Axis { start_ms: summary.start_ms, end_ms: summary.end_ms };
    let n_shown = nodes.len();
    let content = html! {
        (head(viewer, &summary))
        section.waterfall aria-labelledby="waterfall" {
            div.heading { h2 #waterfall { "Observations" } span.tools data-tools="waterfall" {} }
            (axis_labels(&axis))
            ol.observations {
                @for (node, texts) in nodes.iter().zip(texts) {
                    (observation(viewer, &summary.id, &rows[node.row_idx], node, &axis, &texts.unwrap_or_default()))
                }
            }
            (rest(viewer, &summary, &rows, skip, n_shown))
        }
    };
    let name = if summary.name.is_empty() { &summary.id } else { &summary.name };
    Ok(layout::page(StatusCode::OK, name, Some(viewer), content))
}

fn missing(viewer: &Viewer, id: &str) -> Response {
    let content = html! {
        div.message {
            h1 { "This trace is not stored" }
            p { code { (Name(id)) } }
            p { "It may have been deleted, be past the retention, belong to another project, or not have arrived yet: \
                 exporters send in batches. Reload this page in a few seconds, or "
                a href=(viewer.link("/traces", &[])) { "see all traces" } "." }
        }
    };
    layout::page(StatusCode::NOT_FOUND, "This trace is not stored", Some(viewer), content)
}

fn head(viewer: &Viewer, trace: &TraceSummary) -> Markup {
    let link = |name: &'static str, value: &str| {
        html! { a href=(viewer.link("/traces", &[(name, value)])) { (Name(value)) } }
    };
    let facts: [(&str, &str, &str); 4] = [
        ("Session", "session", &trace.session),
        ("User", "user", &trace.user),
        ("Channel", "channel", &trace.channel),
        ("Environment", "environment", &trace.environment),
    ];
    html! {
        p.path { a href=(viewer.link("/traces", &[])) { "Traces" } " / " }
        h1 { @if trace.name.is_empty() { "(no name)" } @else { (Name(&trace.name)) }
            " " (traces::level(trace.level, trace.n_errors)) }
        dl.summary {
            div { dt { "Latency" } dd { (duration((trace.end_ms - trace.start_ms) as f64)) } }
            div { dt { "Cost" } dd { (cost(trace.cost)) } }
            div { dt { "Tokens" } dd { (count(trace.total_tokens))
                @if trace.total_tokens > 0.0 {
                    " " span.quiet { (count(trace.input_tokens)) " in, " (count(trace.output_tokens)) " out" } } } }
            div { dt { "Observations" } dd { (grouped(trace.n_observations as f64)) } }
            div { dt { "Started (UTC)" } dd { (Moment(trace.start_ms)) } }
            @for (label, name, value) in facts {
                @if !value.is_empty() { div { dt { (label) } dd { (link(name, value)) } } }
            }
            @for (label, value) in [("Release", &trace.release), ("Version", &trace.version)] {
                @if !value.is_empty() { div { dt { (label) } dd { (Name(value)) } } }
            }
            @if !trace.tags.is_empty() { div { dt { "Tags" } dd { (traces::tags(viewer, &trace.tags)) } } }
            div.id { dt { "Id" } dd { code data-copy="" { (Name(&trace.id)) } } }
        }
    }
}

fn axis_labels(axis: &Axis) -> Markup {
    let length = (axis.end_ms - axis.start_ms) as f64;
    html! {
        div.axis aria-hidden="true" {
            span {}
            span.marks { @for quarter in 0..=4 { span { (duration(length * f64::from(quarter) / 4.0)) } } }
            span.number { "Duration" } span.number { "Tokens" } span.number { "Cost" }
        }
    }
}

fn rest(viewer: &Viewer, trace: &TraceSummary, rows: &[TraceRow], skip: usize, n_shown: usize) -> Markup {
    let path = format!("/trace/{}", segment(&trace.id));
    let next = skip.saturating_add(n_shown);
    html! {
        @if skip > 0 || next < rows.len() {
            nav.turning aria-label="More observations" {
                @if skip > 0 { a href=(viewer.link(&path, &[])) { "← First" } }
                span { @if n_shown == 0 { "None" } @else { (grouped((skip + 1) as f64)) " to " (grouped(next as f64)) }
                    " of " (plural(rows.len(), "observation")) }
                @if next < rows.len() {
                    a.next href=(viewer.link(&path, &[("skip", &next.to_string())])) { "Next →" }
                }
            }
        }
        @if trace.n_observations > rows.len() {
            p.note { "This trace has " (plural(trace.n_observations, "observation")) "; the first "
                (grouped(rows.len() as f64)) " can be seen here, all of them through the API." }
        }
    }
}

/// `GET /trace/{id}/text`: one text whole, as it is stored.
pub(super) async fn text(app: &App, viewer: &Viewer, id: &str, query: &Query) -> Answer {
    let part = Part::ALL.into_iter().find(|part| part.name() == query.get("part"));
    let (Some(part), Ok(row)) = (part, query.get("row").parse::<i64>()) else {
        return Err(Box::new(layout::plain(
            StatusCode::BAD_REQUEST,
            "the address needs row=<number> and part=input, output, metadata or model_parameters\n"
                .to_owned(),
        )));
    };
    let (project_id, id) = (viewer.project.id.clone(), id.to_owned());
    let text =
        app.with_store(move |store| store.text(&project_id, &id, row, part)).await.map_err(unreadable)?;
    Ok(match text {
        Some(text) => layout::plain(StatusCode::OK, text),
        None => layout::plain(StatusCode::NOT_FOUND, "this text is not stored\n".to_owned()),
    })
}
