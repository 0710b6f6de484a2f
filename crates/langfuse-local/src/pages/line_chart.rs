//! Three lines over time: the latency quantiles of one model.

use maud::{Markup, html};

use crate::store::{LatencyOfModel, LatencyStep};

use super::shown::{duration, grouped, tooltip};

/// The drawing, in units that are about pixels.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 24.0;
const CLASSES: [&str; 3] = ["p50", "p95", "p99"];
const DAY_MS: i64 = 86_400_000;

/// Draws them; the vertical axis ends above `top_ms`.
pub(super) fn line_chart(
    model: &LatencyOfModel,
    from_ms: i64,
    to_ms: i64,
    step_ms: i64,
    top_ms: f64,
) -> Markup {
    let tick = good_tick(top_ms / 4.0);
    let n_ticks = (top_ms / tick).ceil().clamp(1.0, 8.0) as u32;
    let end_ms = tick * f64::from(n_ticks);
    let length = (to_ms - from_ms).max(1) as f64;
    let x =
        |ms: f64| (LEFT + (ms - from_ms as f64) / length * (WIDTH - LEFT - RIGHT)).clamp(LEFT, WIDTH - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - (value / end_ms).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM);
    let middle = |step: &LatencyStep| x(step.start_ms as f64 + step_ms as f64 / 2.0);
    let label = format!(
        "Latency of {}: {} calls, p50 {}, p95 {}, p99 {}",
        tooltip(&model.model),
        grouped(model.n_calls as f64),
        duration(model.overall[0]),
        duration(model.overall[1]),
        duration(model.overall[2])
    );
    html! {
        svg.lines viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            @for number in 0..=n_ticks {
                @let value = tick * f64::from(number);
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(short(y(value))) y2=(short(y(value))) {}
                text x=(LEFT - 6.0) y=(short(y(value) + 3.5)) text-anchor="end" { (duration(value)) }
            }
            @for (ms, anchor) in [(from_ms, "start"), (from_ms + (to_ms - from_ms) / 2, "middle"), (to_ms, "end")] {
                text x=(short(x(ms as f64))) y=(HEIGHT - 7.0) text-anchor=(anchor) { (time_label(ms, to_ms - from_ms)) }
            }
            // The highest first, so that the others lie above it where they meet.
            @for idx in (0..CLASSES.len()).rev() {
                @for run in runs(&model.steps, step_ms) {
                    @if let [alone] = run {
                        circle class=(CLASSES[idx]) cx=(short(middle(alone))) cy=(short(y(alone.quantiles[idx]))) r="2.5" {}
                    } @else {
                        polyline class=(CLASSES[idx]) points=(points(run, idx, &middle, &y)) {}
                    }
                }
            }
        }
    }
}

/// Steps without a gap between them: a line must not invent what was in it.
fn runs(steps: &[LatencyStep], step_ms: i64) -> impl Iterator<Item = &[LatencyStep]> {
    steps.chunk_by(move |a, b| b.start_ms - a.start_ms <= step_ms)
}

fn points(
    run: &[LatencyStep],
    idx: usize,
    x: &dyn Fn(&LatencyStep) -> f64,
    y: &dyn Fn(f64) -> f64,
) -> String {
    let points: Vec<_> =
        run.iter().map(|step| format!("{:.1},{:.1}", x(step), y(step.quantiles[idx]))).collect();
    points.join(" ")
}

fn short(number: f64) -> String {
    format!("{number:.1}")
}

/// The least of 1, 2, 5, 10, 20, … that is not less; of seconds and minutes where those read better.
fn good_tick(least: f64) -> f64 {
    let least = if least.is_finite() { least.max(1.0) } else { 1.0 };
    let base = 10f64.powf(least.log10().floor());
    let tick = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * base).into_iter().find(|it| *it >= least);
    let tick = tick.unwrap_or(least);
    if tick >= 60_000.0 { (tick / 60_000.0).ceil() * 60_000.0 } else { tick }
}

/// Hours within two days, days beyond.
fn time_label(ms: i64, length_ms: i64) -> String {
    let Some(iso) = crate::time::iso(ms) else { return String::new() };
    if length_ms <= 2 * DAY_MS { format!("{} {}", &iso[5..10], &iso[11..16]) } else { iso[..10].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{good_tick, line_chart, runs};
    use crate::store::{LatencyOfModel, LatencyStep};

    fn step(start_ms: i64, p50: f64) -> LatencyStep {
        LatencyStep { start_ms, n_calls: 1, quantiles: [p50, 2.0 * p50, 4.0 * p50] }
    }

    #[test]
    fn lines_break_where_nothing_is_known() {
        let steps = [step(0, 1.0), step(10, 1.0), step(30, 1.0)];
        let lengths: Vec<_> = runs(&steps, 10).map(<[_]>::len).collect();
        assert_eq!(lengths, [2, 1]);
    }

    #[test]
    fn ticks() {
        for (least, expected) in
            [(0.0, 1.0), (3.0, 5.0), (120.0, 200.0), (2_400.0, 2_500.0), (70_000.0, 120_000.0)]
        {
            assert_eq!(good_tick(least), expected, "{least}");
        }
        assert_eq!(good_tick(f64::NAN), 1.0);
    }

    #[test]
    fn points_stand_where_their_values_are() {
        let model = LatencyOfModel {
            model: "m<\"".to_owned(),
            n_calls: 2,
            overall: [100.0, 200.0, 400.0],
            steps: vec![step(0, 100.0), step(500, 100.0)],
        };
        let shown = line_chart(&model, 0, 1_000, 500, 400.0).into_string();
        // The axis goes to 400 ms: p99 at its top, p50 at a quarter; the steps' middles at 1/4 and 3/4.
        assert!(
            shown.contains(r#"<polyline class="p99" points="136.5,8.0 305.5,8.0"></polyline>"#),
            "{shown}"
        );
        assert!(
            shown.contains(r#"<polyline class="p50" points="136.5,119.0 305.5,119.0"></polyline>"#),
            "{shown}"
        );
        assert!(
            shown.contains(
                "aria-label=\"Latency of m&lt;&quot;: 2 calls, p50 100 ms, p95 200 ms, p99 400 ms\""
            )
        );
    }
}
