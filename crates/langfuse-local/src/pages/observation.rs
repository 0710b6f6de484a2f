//! One observation: its line in the waterfall, and below it what it holds.

use maud::{Markup, html};

use crate::store::{Level, Part, TraceRow};

use super::guard::Viewer;
use super::json_text;
use super::query::segment;
use super::shown::{self, Moment, Name, block, bytes, cost, count, duration, grouped};
use super::traces;
use super::tree::Node;

/// Bytes of a text that may be laid out as JSON.
const LAID_OUT: usize = 256 << 10;
/// Characters of a text that are shown.
const SHOWN: usize = 16_000;
/// Characters that are shown of each once the page holds [`PAGE`].
const SHOWN_LATE: usize = 500;
/// Characters of texts on one page before they get shorter.
const PAGE: usize = 2_000_000;
/// Indentation ends somewhere.
const MAX_INDENT: usize = 16;
/// The width of the time axis in its own units.
const WIDTH: f64 = 1000.0;
/// The least width at which a bar is seen.
const LEAST: f64 = 3.0;

/// The beginning of a long text, made for reading.
#[derive(Debug, Default)]
pub(super) struct Excerpt {
    shown: String,
    is_cut: bool,
    n_bytes: usize,
}

/// Makes excerpts until the page is full, and short ones then.
#[derive(Debug)]
pub(super) struct Texts {
    n_shown: usize,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self { n_shown: 0 }
    }

    /// Excerpts in the order of [`Part::ALL`].
    pub(super) fn take(&mut self, contents: [&str; 4]) -> [Excerpt; 4] {
        contents.map(|text| {
            let limit = if self.n_shown < PAGE { SHOWN } else { SHOWN_LATE };
            let laid_out = if text.len() <= LAID_OUT { json_text::laid_out(text) } else { None };
            let whole = laid_out.as_deref().unwrap_or(text);
            let head = shown::cut(whole, limit);
            let shown = head.unwrap_or(whole).to_owned();
            self.n_shown += shown.len();
            Excerpt { shown, is_cut: head.is_some(), n_bytes: text.len() }
        })
    }
}

/// The time that the waterfall spans.
pub(super) struct Axis {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
}

impl Axis {
    /// A place on the axis, from 0 to [`WIDTH`].
    fn place(&self, ms: i64) -> f64 {
        let length = self.end_ms.saturating_sub(self.start_ms);
        if length <= 0 {
            return 0.0;
        }
        (ms.saturating_sub(self.start_ms) as f64 / length as f64 * WIDTH).clamp(0.0, WIDTH)
    }
}

pub(super) fn observation(
    viewer: &Viewer,
    trace_id: &str,
    row: &TraceRow,
    node: &Node,
    axis: &Axis,
    texts: &[Excerpt; 4],
) -> Markup {
    let indent = node.depth.min(MAX_INDENT);
    let name = if row.name.is_empty() { "(no name)" } else { &row.name };
    html! {
        li class={ "observation d" (indent) } data-depth=(node.depth) data-below=(node.n_below) {
            details {
                summary {
                    span.name {
                        span class={ "kind " (kind_class(&row.kind)) } { (shown::tooltip(&row.kind).to_lowercase()) }
                        " " (Name(name))
                        @if node.is_orphan { " " span.quiet title=(shown::tooltip(&row.parent_id)) { "parent not stored" } }
                        @if row.level >= Level::Warning { " " (traces::level(row.level, 0)) }
                        @if !row.model.is_empty() { " " span.model { (Name(&row.model)) } }
                    }
                    (bar(row, axis))
                    span.number.duration data-label="Duration" { (duration((row.end_ms - row.start_ms) as f64)) }
                    span.number.tokens data-label="Tokens" { (count(row.total_tokens)) }
                    span.number.cost data-label="Cost" { (cost(row.cost)) }
                }
                div.body {
                    @if !row.status_message.is_empty() {
                        p class=(if row.level == Level::Error { "status error" } else { "status" }) {
                            bdi { (block(shown::cut(&row.status_message, SHOWN).unwrap_or(&row.status_message))) }
                        }
                    }
                    (facts(row, axis))
                    @for (part, excerpt) in Part::ALL.into_iter().zip(texts) {
                        (text(viewer, trace_id, row, part, excerpt))
                    }
                }
            }
        }
    }
}

fn kind_class(kind: &str) -> &'static str {
    match kind {
        "GENERATION" | "EMBEDDING" => "k-model",
        "TOOL" | "RETRIEVER" => "k-tool",
        "AGENT" | "CHAIN" => "k-agent",
        "EVALUATOR" | "GUARDRAIL" => "k-check",
        _ => "k-other",
    }
}

/// Where the observation lies on the axis; the time before the first token is paler.
fn bar(row: &TraceRow, axis: &Axis) -> Markup {
    let begin = axis.place(row.start_ms).min(WIDTH - LEAST);
    let width = (axis.place(row.end_ms) - begin).max(LEAST);
    let width = if axis.end_ms <= axis.start_ms { WIDTH } else { width };
    let first_token = row.completion_start_ms.filter(|ms| (row.start_ms..=row.end_ms).contains(ms));
    let wait = first_token.map_or(0.0, |ms| axis.place(ms) - begin).clamp(0.0, width);
    let error = if row.level == Level::Error { " failed" } else { "" };
    html! {
        svg class={ "bar " (kind_class(&row.kind)) (error) } viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true"
            focusable="false" {
            @if wait > 0.0 { rect.wait x=(short(begin)) y="0" width=(short(wait)) height="10" {} }
            rect x=(short(begin + wait)) y="0" width=(short((width - wait).max(0.0))) height="10" {}
        }
    }
}

fn short(number: f64) -> String {
    format!("{number:.1}")
}

fn facts(row: &TraceRow, axis: &Axis) -> Markup {
    let after = row.start_ms.saturating_sub(axis.start_ms);
    html! {
        dl.summary {
            div { dt { "Started (UTC)" } dd { (Moment(row.start_ms)) " " span.quiet { "+" (duration(after as f64)) } } }
            @if let Some(first) = row.completion_start_ms {
                div { dt { "First token after" } dd { (duration((first - row.start_ms) as f64)) } }
            }
            @if row.total_tokens > 0.0 {
                div { dt { "Tokens" } dd { (grouped(row.input_tokens)) " in, " (grouped(row.output_tokens)) " out, "
                    (grouped(row.total_tokens)) " in all" } }
            }
            @if !row.prompt_name.is_empty() {
                div { dt { "Prompt" } dd { (Name(&row.prompt_name))
                    @if let Some(version) = row.prompt_version { ", version " (version) } } }
            }
            div { dt { "Id" } dd { code data-copy="" { (Name(&row.id)) } } }
            @if !row.parent_id.is_empty() { div { dt { "Parent" } dd { code { (Name(&row.parent_id)) } } } }
        }
    }
}

fn text(viewer: &Viewer, trace_id: &str, row: &TraceRow, part: Part, excerpt: &Excerpt) -> Markup {
    let title = match part {
        Part::Input => "Input",
        Part::Output => "Output",
        Part::Metadata => "Metadata",
        Part::ModelParameters => "Model parameters",
    };
    let is_object = matches!(part, Part::Metadata | Part::ModelParameters);
    if excerpt.n_bytes == 0 || (is_object && excerpt.shown == "{}") {
        return html! {};
    }
    let path = format!("/trace/{}/text", segment(trace_id));
    let whole = viewer.link(&path, &[("row", &row.seq.to_string()), ("part", part.name())]);
    html! {
        details.text open[!is_object] {
            summary { (title) " " span.quiet { (bytes(excerpt.n_bytes)) } }
            // A line break right after the tag would not be shown.
            pre tabindex="0" { "\n" (block(&excerpt.shown)) }
            @if excerpt.is_cut {
                p.note { "Cut here. " a href=(whole) { "See all " (bytes(excerpt.n_bytes)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, PAGE, SHOWN, SHOWN_LATE, Texts, WIDTH, bar};
    use crate::store::TraceRow;

    #[test]
    fn long_texts_are_cut_and_shorter_when_the_page_is_full() {
        let mut texts = Texts::new();
        let long = "ä".repeat(SHOWN + 1);
        let [input, output, metadata, _] = texts.take([&long, "[1,2]", &long[..2 * SHOWN], ""]);
        assert_eq!((input.shown.chars().count(), input.is_cut, input.n_bytes), (SHOWN, true, 2 * SHOWN + 2));
        assert_eq!((output.shown.as_str(), output.is_cut, output.n_bytes), ("[\n  1,\n  2\n]", false, 5));
        assert!(!metadata.is_cut);
        texts.n_shown = PAGE;
        assert_eq!(texts.take([&long, "", "", ""])[0].shown.chars().count(), SHOWN_LATE);
    }

    #[test]
    fn bars_stay_on_the_axis() {
        let check = |axis: (i64, i64), row: (i64, i64), first_token: Option<i64>, expected: &[(f64, f64)]| {
            let axis = Axis { start_ms: axis.0, end_ms: axis.1 };
            let row = TraceRow {
                start_ms: row.0,
                end_ms: row.1,
                completion_start_ms: first_token,
                ..TraceRow::default()
            };
            let shown = bar(&row, &axis).into_string();
            let number = |text: &str, name: &str| -> f64 {
                text.split_once(&format!(" {name}=\"")).unwrap().1.split_once('"').unwrap().0.parse().unwrap()
            };
            let rects: Vec<_> =
                shown.split("<rect").skip(1).map(|it| (number(it, "x"), number(it, "width"))).collect();
            assert_eq!(rects, expected);
        };
        check((0, 100), (0, 100), None, &[(0.0, WIDTH)]);
        check((0, 100), (25, 75), Some(50), &[(250.0, 250.0), (500.0, 250.0)]);
        check((0, 100), (100, 100), None, &[(997.0, 3.0)]);
        check((0, 0), (0, 0), None, &[(0.0, WIDTH)]);
        check((0, 100), (50, 40), Some(1_000), &[(500.0, 3.0)]);
        check((i64::MIN, i64::MAX), (i64::MIN, i64::MAX), None, &[(0.0, WIDTH)]);
    }
}
