//! The only place that writes to the terminal. Data and progress go to standard output, errors to standard error.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ken_deploy::report::{Event, SCHEMA, Sink, Style, text};
use ken_secrets::Redactor;
use owo_colors::OwoColorize;

use crate::exit::Failure;

/// How events are shown.
enum Mode {
    /// One JSON object per line.
    Json,
    /// Lines only.
    Plain,
    /// Lines, and bars for what takes time.
    Terminal { bars: MultiProgress, stage: Option<ProgressBar>, pulls: BTreeMap<String, ProgressBar> },
}

/// Shows events.
pub(crate) struct Printer {
    mode: Mode,
    redactor: Redactor,
}

impl Printer {
    /// A printer for a command, with the schema line said first under `--json`.
    pub(crate) fn new(json: bool, redactor: Redactor) -> Self {
        let mode = if json {
            Mode::Json
        } else if std::io::stdout().is_terminal() && std::io::stderr().is_terminal() {
            Mode::Terminal { bars: MultiProgress::new(), stage: None, pulls: BTreeMap::new() }
        } else {
            Mode::Plain
        };
        let mut printer = Self { mode, redactor };
        printer.say(&Event::Schema {
            name: "ken-langfuse",
            version: SCHEMA,
            tool: env!("CARGO_PKG_VERSION"),
        });
        printer
    }

    pub(crate) fn is_json(&self) -> bool {
        matches!(self.mode, Mode::Json)
    }

    /// An event of the command itself.
    pub(crate) fn say(&mut self, event: &Event) {
        let redactor = self.redactor.clone();
        self.emit(event, &redactor);
    }

    fn line(&self, style: Style, line: &str) {
        let line = styled(style, line);
        if let Mode::Terminal { bars, .. } = &self.mode {
            bars.suspend(|| out(&line));
        } else {
            out(&line);
        }
    }

    fn progress(&mut self, event: &Event, redactor: &Redactor) {
        let Mode::Terminal { bars, stage, pulls } = &mut self.mode else { return };
        match event {
            Event::StageBegan { stage: name, number, of } => {
                let bar = bars.add(ProgressBar::new_spinner());
                if let Ok(style) =
                    ProgressStyle::with_template("  {spinner}     {prefix:<10} {wide_msg} {elapsed}")
                {
                    bar.set_style(style);
                }
                bar.set_prefix(name.to_string());
                bar.set_message(format!("stage {number} of {of}"));
                bar.enable_steady_tick(Duration::from_millis(120));
                *stage = Some(bar);
            }
            Event::ActionBegan { text, .. } => {
                if let (Some(bar), Some(first)) = (stage, text.lines().next()) {
                    bar.set_message(redactor.mask(first).into_owned());
                }
            }
            Event::Waiting { reason, limit_ms, .. } => {
                if let Some(bar) = stage {
                    bar.set_message(
                        redactor.mask(&format!("{reason} (up to {} s)", limit_ms / 1000)).into_owned(),
                    );
                }
            }
            Event::Pulling { reference, current, total } => {
                let bar = pulls.entry(reference.clone()).or_insert_with(|| {
                    let bar = bars.add(ProgressBar::new(*total));
                    let template = "        {prefix} {bar:24} {bytes:>10} of {total_bytes}";
                    if let Ok(style) = ProgressStyle::with_template(template) {
                        bar.set_style(style);
                    }
                    bar.set_prefix(reference.clone());
                    bar
                });
                bar.set_length(*total);
                bar.set_position(*current);
            }
            Event::Pulled { reference } => {
                if let Some(bar) = pulls.remove(reference) {
                    bar.finish_and_clear();
                }
            }
            Event::StageDone { .. } | Event::StageFailed { .. } => {
                for bar in stage.take().into_iter().chain(std::mem::take(pulls).into_values()) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}

impl Sink for Printer {
    fn emit(&mut self, event: &Event, redactor: &Redactor) {
        if let Mode::Json = self.mode {
            json(event, redactor);
            return;
        }
        self.progress(event, redactor);
        for (style, line) in text(event) {
            self.line(style, &redactor.mask(&line));
        }
    }
}

/// One value as one line of JSON, masked.
pub(crate) fn json(value: &impl serde::Serialize, redactor: &Redactor) {
    let line = serde_json::to_string(value).unwrap_or_default();
    out(&redactor.mask(&line));
}

/// One plain line on standard output. A reader that went away is nobody's error.
pub(crate) fn out(line: &str) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

fn styled(style: Style, line: &str) -> String {
    match style {
        Style::Plain => line.to_owned(),
        Style::Bold => line.bold().to_string(),
        Style::Dim => line.dimmed().to_string(),
        Style::Good => line.green().to_string(),
        Style::Warn => line.yellow().to_string(),
        Style::Bad => line.red().to_string(),
    }
}

/// Whether somebody can be asked.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Asks for one line.
pub(crate) fn ask(question: &str) -> String {
    let _ = write!(anstream::stdout(), "{question} ");
    let _ = anstream::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer.trim().to_owned()
}

/// The one place where an error is shown: what, its causes, and the way out.
pub(crate) fn fail(failure: &Failure, as_json: bool) -> std::process::ExitCode {
    let mut message = failure.error.to_string();
    for cause in failure.error.chain().skip(1) {
        let cause = cause.to_string();
        // A transparent layer says what its cause says.
        if !message.ends_with(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    if as_json {
        let value = serde_json::json!({
            "event": "error",
            "class": format!("{:?}", failure.exit).to_lowercase(),
            "exit": failure.exit as u8,
            "message": message,
            "mend": failure.hint,
        });
        out(&value.to_string());
    } else {
        let mut stderr = anstream::stderr();
        let _ = writeln!(stderr, "{} {message}", "error:".red().bold());
        if let Some(hint) = &failure.hint {
            let _ = writeln!(stderr, " {} {hint}", "hint:".bold());
        }
    }
    failure.exit.into()
}
