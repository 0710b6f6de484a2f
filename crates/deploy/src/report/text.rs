//! Events as lines for a tired operator. Words carry the meaning; colour only repeats it.

use super::{Check, Event, Finding};

/// How a line stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// Less important.
    Dim,
    /// Good.
    Good,
    /// To be looked at.
    Warn,
    /// Bad.
    Bad,
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
#[must_use]
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// `512 B`, `3.0 MiB`, `15.6 GiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

fn check_line(check: &Check) -> (Style, String) {
    let (style, word) = match check.finding {
        Finding::Ok => (Style::Good, "ok  "),
        Finding::Warning => (Style::Warn, "warn"),
        Finding::Failed => (Style::Bad, "FAIL"),
        Finding::Skipped => (Style::Dim, "--  "),
    };
    let limit = if check.limit.is_empty() { String::new() } else { format!("  ({})", check.limit) };
    (style, format!("  {word}  {:<20} {}{limit}", check.id, check.measured))
}

/// The lines of an event; none for those that only move a progress bar.
#[must_use]
pub fn text(event: &Event) -> Vec<(Style, String)> {
    match event {
        Event::Schema { .. } | Event::Pulling { .. } | Event::Waiting { .. } => Vec::new(),
        Event::Note { text } => vec![(Style::Dim, text.clone())],
        Event::Warning { text, mend } => {
            let mut lines = vec![(Style::Warn, format!("warning: {text}"))];
            if !mend.is_empty() {
                lines.push((Style::Plain, format!("   hint: {mend}")));
            }
            lines
        }
        Event::Planned { lines, summary, empty, plan } => {
            let mut out = Vec::new();
            if *empty {
                return out;
            }
            out.push((Style::Bold, format!("plan {plan}")));
            out.extend(lines.iter().map(|line| {
                let style = match line.trim_start().chars().next() {
                    Some('+') => Style::Good,
                    Some('~') => Style::Warn,
                    Some('-' | '!') => Style::Bad,
                    Some('=') => Style::Dim,
                    _ => Style::Bold,
                };
                (style, line.clone())
            }));
            out.push((Style::Bold, format!("  {summary}")));
            out
        }
        Event::RunBegan { run, command, resumes } => {
            let resumed = resumes.as_ref().map_or_else(String::new, |stage| {
                format!(", resuming where an interrupted run was: {stage}")
            });
            vec![(Style::Bold, format!("{run}: {command}{resumed}"))]
        }
        Event::StageBegan { .. } | Event::ActionBegan { .. } => Vec::new(),
        Event::Checked { check } => {
            let mut lines = vec![check_line(check)];
            if !check.mend.is_empty() && check.finding != Finding::Ok {
                lines.push((Style::Plain, format!("        hint: {}", check.mend)));
            }
            lines
        }
        Event::Impact { undo } => {
            vec![(Style::Bold, format!("from here on things change   undo: {undo}"))]
        }
        Event::Pulled { reference } => vec![(Style::Plain, format!("        pulled {reference}"))],
        Event::StageDone { stage, evidence, elapsed_ms, unchanged } => {
            let word = if *unchanged { "same" } else { "ok  " };
            let style = if *unchanged { Style::Dim } else { Style::Good };
            vec![(style, format!("  {word}  {stage:<10} {evidence:<60} {:>8}", duration(*elapsed_ms)))]
        }
        Event::StageFailed { stage, closed, elapsed_ms, in_place } => {
            let mut lines = vec![(
                Style::Bad,
                format!("  FAIL  {stage:<10} {:<60} {:>8}", closed.reason, duration(*elapsed_ms)),
            )];
            if let Some(culprit) = closed.culprit.as_ref().filter(|_| !closed.logs.is_empty()) {
                lines.push((Style::Plain, format!("        last lines of {culprit}:")));
                lines.extend(closed.logs.iter().map(|line| (Style::Dim, format!("          | {line}"))));
            }
            lines.push((Style::Plain, format!("        next: {}", closed.next)));
            if !in_place.is_empty() {
                lines.push((Style::Plain, format!("        in place now: {}", in_place.join(", "))));
            }
            lines
        }
        Event::Finished { text, ok, elapsed_ms, next } => {
            let style = if *ok { Style::Good } else { Style::Bad };
            let mut lines = vec![(style, format!("{text}   {}", duration(*elapsed_ms)))];
            let width = next.iter().map(|n| n.purpose.len()).max().unwrap_or(0);
            lines.extend(
                next.iter().map(|n| (Style::Plain, format!("  {:<width$}  {}", n.purpose, n.command))),
            );
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let shown: Vec<_> = [0, 420, 9_999, 12_345, 119_000, 185_000].into_iter().map(duration).collect();
        assert_eq!(shown, ["0.0 s", "0.4 s", "9.9 s", "12 s", "119 s", "3 min 05 s"]);
    }
}
