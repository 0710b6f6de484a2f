//! The three charts that an operator wants, each with its figures in a table below.

use axum::http::StatusCode;
use maud::{Markup, html};

use crate::app::App;
use crate::store::{Charts, ToolErrors, UseOfModel};

use super::guard::Viewer;
use super::line_chart;
use super::query::{Query, field_time};
use super::shown::{Moment, Name, cost, count, duration, grouped};
use super::{Answer, layout, unreadable};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The ranges to choose from: name in the address, name for people, length.
const RANGES: [(&str, &str, i64); 6] = [
    ("1h", "Last hour", HOUR_MS),
    ("6h", "Last 6 hours", 6 * HOUR_MS),
    ("24h", "Last 24 hours", DAY_MS),
    ("7d", "Last 7 days", 7 * DAY_MS),
    ("30d", "Last 30 days", 30 * DAY_MS),
    ("90d", "Last 90 days", 90 * DAY_MS),
];
const DEFAULT_RANGE: usize = 3;
/// The longest range of one's own.
const MAX_RANGE_MS: i64 = 400 * DAY_MS;
/// Steps of time that read well.
const STEPS_MS: [i64; 13] = [
    MINUTE_MS / 6,
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
];
/// Steps in one chart at most.
const MAX_STEPS: i64 = 64;
/// Names in a chart; all are in the table.
const SHOWN: usize = 8;
/// Names in a table.
const LISTED: usize = 200;

/// A span of time that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    /// Which of the ranges it is, `None` when it is one's own.
    preset: Option<usize>,
}

impl Range {
    /// The range that is shown when none is asked for.
    pub(super) fn recent(now_ms: i64) -> Self {
        Self::preset(DEFAULT_RANGE, now_ms)
    }

    /// Goes a little beyond the present, as clocks differ.
    fn preset(preset: usize, now_ms: i64) -> Self {
        let to_ms = now_ms + MINUTE_MS;
        Self { from_ms: to_ms - RANGES[preset].2, to_ms, preset: Some(preset) }
    }

    /// The range asked for, or what is wrong with it.
    pub(super) fn read(query: &Query, now_ms: i64) -> Result<Self, String> {
        let (from_ms, to_ms) = (query.time("from")?, query.time("to")?);
        let wish = query.get("range");
        if !wish.is_empty() && wish != "own" {
            return match RANGES.iter().position(|(name, _, _)| *name == wish) {
                Some(preset) => Ok(Self::preset(preset, now_ms)),
                None => Err("“range” is none of those to choose from.".to_owned()),
            };
        }
        if from_ms.is_none() && to_ms.is_none() {
            return Ok(Self::recent(now_ms));
        }
        let to_ms = to_ms.unwrap_or(now_ms + MINUTE_MS);
        let from_ms = from_ms.unwrap_or(to_ms.saturating_sub(RANGES[DEFAULT_RANGE].2));
        if from_ms >= to_ms {
            return Err("“from” is not before “to”.".to_owned());
        }
        if to_ms.saturating_sub(from_ms) > MAX_RANGE_MS {
            return Err(format!("Choose {} days at most.", MAX_RANGE_MS / DAY_MS));
        }
        Ok(Self { from_ms, to_ms, preset: None })
    }

    /// The shortest good step that does not make too many.
    pub(super) fn step_ms(&self) -> i64 {
        let length = self.to_ms - self.from_ms;
        STEPS_MS.into_iter().find(|step| length / step < MAX_STEPS).unwrap_or(7 * DAY_MS)
    }

    /// The form that chooses another.
    pub(super) fn form(&self, viewer: &Viewer, path: &'static str, query: &Query) -> Markup {
        html! {
            form.range method="get" action=(path) {
                @if !viewer.choice.is_empty() { input type="hidden" name="project" value=(viewer.project.id); }
                ul.presets {
                    @for (idx, (name, label, _)) in RANGES.iter().enumerate() {
                        li { a href=(viewer.link(path, &[("range", name)]))
                            aria-current=[(self.preset == Some(idx)).then_some("true")] { (label) } }
                    }
                }
                details open[self.preset.is_none()] {
                    summary { "Own range" }
                    div.fields {
                        label { span { "From (UTC)" }
                            input type="datetime-local" step="1" name="from" value=(query.time_field("from")); }
                        label { span { "To (UTC)" }
                            input type="datetime-local" step="1" name="to" value=(query.time_field("to")); }
                        button { "Show" }
                    }
                }
            }
        }
    }

    /// What to do when there is nothing in the range.
    pub(super) fn empty(
        &self,
        viewer: &Viewer,
        path: &str,
        what: &str,
        newest_ms: Option<i64>,
        advice: Markup,
    ) -> Markup {
        let Some(newest_ms) = newest_ms else {
            let traces = viewer.link("/traces", &[]);
            let way = html! { p { "Nothing is stored yet: " a href=(traces) { "how to send a trace" } "." } };
            return layout::empty(&format!("No {what} yet."), way);
        };
        let is_outside = !(self.from_ms..self.to_ms).contains(&newest_ms);
        let (from, to) = (field_time(newest_ms - DAY_MS), field_time(newest_ms + MINUTE_MS));
        layout::empty(
            &format!("No {what} in this range."),
            html! {
                (advice)
                @if is_outside {
                    p { "The newest observation is of " (Moment(newest_ms)) " UTC: "
                        a href=(viewer.link(path, &[("from", &from), ("to", &to)])) { "look at the day before it" } "." }
                }
            },
        )
    }
}

pub(super) async fn page(app: &App, viewer: &Viewer, query: &Query) -> Answer {
    let now_ms = crate::time::now_ms();
    let range = match Range::read(query, now_ms) {
        Ok(range) => range,
        Err(finding) => {
            let form = Range::recent(now_ms).form(viewer, "/charts", query);
            let content = html! { h1 { "Charts" } (layout::warning(&finding)) (form) };
            return Ok(layout::page(StatusCode::BAD_REQUEST, "Charts", Some(viewer), content));
        }
    };
    let project_id = viewer.project.id.clone();
    let step_ms = range.step_ms();
    let (charts, newest_ms) = app
        .with_store(move |store| {
            let charts = store.charts(&project_id, range.from_ms, range.to_ms, step_ms)?;
            Ok((charts, store.newest_ms(&project_id)?))
        })
        .await
        .map_err(unreadable)?;
    let nothing =
        |what: &str, advice: &str| range.empty(viewer, "/charts", what, newest_ms, html! { p { (advice) } });
    let content = html! {
        h1 { "Charts" }
        (range.form(viewer, "/charts", query))
        @if let Some(n_rows) = charts.cut_short_at {
            p.note { "Only the newest " (grouped(n_rows as f64)) " observations of this range are counted." }
        }
        section aria-labelledby="latency" {
            h2 #latency { "Latency by model" }
            @if charts.latency.is_empty() {
                (nothing("calls of models", "Spans of type generation that name a model are counted here."))
            } @else { (latency(&charts, &range, step_ms)) }
        }
        section aria-labelledby="tools" {
            h2 #tools { "Tool errors" }
            @if charts.tools.is_empty() {
                (nothing("calls of tools", "Spans of type tool are counted here; those at level ERROR failed."))
            } @else { (tools(&charts.tools)) }
        }
        section aria-labelledby="models" {
            h2 #models { "Tokens and cost by model" }
            @if charts.models.is_empty() {
                (nothing("calls of models", "Spans of type generation that name a model are counted here."))
            } @else { (models(&charts.models)) }
        }
    };
    Ok(layout::page(StatusCode::OK, "Charts", Some(viewer), content))
}

fn latency(charts: &Charts, range: &Range, step_ms: i64) -> Markup {
    let shown = &charts.latency[..charts.latency.len().min(SHOWN)];
    let top_ms =
        shown.iter().flat_map(|model| &model.steps).flat_map(|step| step.quantiles).fold(0.0, f64::max);
    html! {
        p.legend { span.p50 { "p50" } " " span.p95 { "p95" } " " span.p99 { "p99" } " "
            span.quiet { "per " (duration_word(step_ms)) ", all charts with the same scale" } }
        div.panels {
            @for model in shown {
                figure {
                    figcaption { (Name(&model.model)) " " span.quiet { (grouped(model.n_calls as f64)) " calls" } }
                    (line_chart::line_chart(model, range.from_ms, range.to_ms, step_ms, top_ms))
                }
            }
        }
        (more(charts.latency.len(), shown.len(), "models"))
        table.figures {
            caption { "Latency over the whole range" }
            thead { tr { th scope="col" { "Model" } th.number scope="col" { "Calls" } th.number scope="col" { "p50" }
                th.number scope="col" { "p95" } th.number scope="col" { "p99" } } }
            tbody {
                @for model in charts.latency.iter().take(LISTED) {
                    tr { th scope="row" { (Name(&model.model)) } td.number { (grouped(model.n_calls as f64)) }
                        @for value in model.overall { td.number { (duration(value)) } } }
                }
            }
        }
        details {
            summary { "Latency over time as a table" }
            table.figures {
                caption.away { "Latency over time" }
                thead { tr { th scope="col" { "From (UTC)" } th scope="col" { "Model" } th.number scope="col" { "Calls" }
                    th.number scope="col" { "p50" } th.number scope="col" { "p95" } th.number scope="col" { "p99" } } }
                tbody {
                    @for model in shown { @for step in &model.steps {
                        tr { td { (Moment(step.start_ms)) } td { (Name(&model.model)) }
                            td.number { (grouped(step.n_calls as f64)) }
                            @for value in step.quantiles { td.number { (duration(value)) } } }
                    } }
                }
            }
        }
    }
}

fn duration_word(ms: i64) -> String {
    let word =
        |number: i64, unit: &str| if number == 1 { unit.to_owned() } else { format!("{number} {unit}s") };
    match ms {
        _ if ms >= DAY_MS => word(ms / DAY_MS, "day"),
        _ if ms >= HOUR_MS => word(ms / HOUR_MS, "hour"),
        _ if ms >= MINUTE_MS => word(ms / MINUTE_MS, "minute"),
        _ => word(ms / 1_000, "second"),
    }
}

fn more(n_all: usize, n_shown: usize, what: &str) -> Markup {
    html! { @if n_all > n_shown {
        p.note { "The " (n_shown) " most important of " (grouped(n_all as f64)) " " (what) " are drawn." }
    } }
}

/// Parts of a bar, each with its class, on an axis that ends with `top`.
fn bar(parts: &[(&'static str, f64)], top: f64, label: &str) -> Markup {
    let mut begin = 0.0;
    let mut rects = Vec::new();
    for (class, value) in parts {
        let width = if top > 0.0 { (value / top * 1000.0).clamp(0.0, 1000.0) } else { 0.0 };
        rects.push((*class, begin, width));
        begin += width;
    }
    html! {
        svg.measure viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (class, begin, width) in rects {
                rect class=(class) x=(format!("{begin:.1}")) y="0" width=(format!("{width:.1}")) height="10" {}
            }
        }
    }
}

fn tools(tools: &[ToolErrors]) -> Markup {
    let shown = &tools[..tools.len().min(SHOWN)];
    let top = shown.iter().map(|tool| tool.n_errors).max().unwrap_or_default() as f64;
    let share =
        |tool: &ToolErrors| format!("{:.1} %", tool.n_errors as f64 / tool.n_calls.max(1) as f64 * 100.0);
    html! {
        @if top == 0.0 { p { "No tool failed in this range." } } @else {
            ul.bars {
                @for tool in shown.iter().filter(|tool| tool.n_errors > 0) {
                    @let label = format!("{} errors in {} calls", tool.n_errors, tool.n_calls);
                    li { span.label { (Name(&tool.name)) }
                        (bar(&[("failed", tool.n_errors as f64)], top, &label))
                        span.value { (grouped(tool.n_errors as f64)) " " span.quiet { (share(tool)) } } }
                }
            }
            (more(tools.iter().filter(|tool| tool.n_errors > 0).count(), SHOWN, "tools"))
        }
        table.figures {
            caption { "Tools" }
            thead { tr { th scope="col" { "Tool" } th.number scope="col" { "Calls" } th.number scope="col" { "Errors" }
                th.number scope="col" { "Share" } } }
            tbody {
                @for tool in tools.iter().take(LISTED) {
                    tr { th scope="row" { (Name(&tool.name)) } td.number { (grouped(tool.n_calls as f64)) }
                        td.number { (grouped(tool.n_errors as f64)) } td.number { (share(tool)) } }
                }
            }
        }
    }
}

fn models(models: &[UseOfModel]) -> Markup {
    let shown = &models[..models.len().min(SHOWN)];
    let sum = |model: &UseOfModel| (model.input_tokens + model.output_tokens).max(model.total_tokens);
    let top_tokens = shown.iter().map(sum).fold(0.0, f64::max);
    let top_cost = shown.iter().map(|model| model.cost).fold(0.0, f64::max);
    html! {
        p.legend { span.input { "input tokens" } " " span.output { "output tokens" } " " span.cost { "cost" } }
        ul.bars.two {
            @for model in shown {
                @let tokens = format!("{} input and {} output tokens", grouped(model.input_tokens),
                    grouped(model.output_tokens));
                li { span.label { (Name(&model.model)) }
                    (bar(&[("input", model.input_tokens), ("output", model.output_tokens)], top_tokens, &tokens))
                    span.value { (count(sum(model))) }
                    (bar(&[("cost", model.cost)], top_cost, &cost(model.cost)))
                    span.value { (cost(model.cost)) } }
            }
        }
        (more(models.len(), shown.len(), "models"))
        table.figures {
            caption { "Models" }
            thead { tr { th scope="col" { "Model" } th.number scope="col" { "Calls" }
                th.number scope="col" { "Input tokens" } th.number scope="col" { "Output tokens" }
                th.number scope="col" { "All tokens" } th.number scope="col" { "Cost" } } }
            tbody {
                @for model in models.iter().take(LISTED) {
                    tr { th scope="row" { (Name(&model.model)) } td.number { (grouped(model.n_calls as f64)) }
                        td.number { (count(model.input_tokens)) } td.number { (count(model.output_tokens)) }
                        td.number { (count(model.total_tokens)) } td.number { (cost(model.cost)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, HOUR_MS, MAX_STEPS, MINUTE_MS, Query, RANGES, Range, duration_word};

    #[test]
    fn ranges() {
        let now_ms = 1_795_168_800_000;
        let read = |query: &str| Range::read(&Query::parse(Some(query)), now_ms);
        assert_eq!(read("").unwrap(), Range::recent(now_ms));
        let hour = read("range=1h&from=").unwrap();
        assert_eq!((hour.to_ms - hour.from_ms, hour.to_ms > now_ms), (HOUR_MS, true));
        let own = read("from=2026-11-01T00:00&to=2026-11-02T00:00").unwrap();
        assert_eq!((own.to_ms - own.from_ms, own.preset), (DAY_MS, None));
        for bad in
            ["range=2h", "from=x", "from=2026-11-02T00:00&to=2026-11-01T00:00", "from=1970-01-01T00:00"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn steps_are_few_and_good() {
        for (name, _, length) in RANGES {
            let range = Range { from_ms: 0, to_ms: length, preset: None };
            let n_steps = length / range.step_ms();
            assert!((14..MAX_STEPS).contains(&n_steps), "{name}: {n_steps}");
        }
        let words =
            [(MINUTE_MS / 6, "10 seconds"), (MINUTE_MS, "minute"), (6 * HOUR_MS, "6 hours"), (DAY_MS, "day")];
        for (ms, expected) in words {
            assert_eq!(duration_word(ms), expected);
        }
    }
}
