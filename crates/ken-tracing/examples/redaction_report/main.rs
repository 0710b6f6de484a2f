//! Prints how much of a labelled corpus is found, and how much of what is masked should be.
//!
//! `cargo run --release --package ken-tracing --example redaction_report`; status 1 when a bound is broken.

mod corpus;

use std::io::Write;
use std::process::ExitCode;

use corpus::{Score, corpus, share};
use ken_tracing::redact::{Action, Field, Policy, Redactor};

/// Samples of each class.
const EACH: usize = 2_000;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let Ok(redactor) = Redactor::new(&Policy::default().personal(Action::Mask)) else {
        return ExitCode::FAILURE;
    };
    let redact = |text: &str| redactor.text(Field::Input, "", text).map_or_else(String::new, Into::into);
    let samples = corpus(EACH);
    let score = Score::of(&samples, redact);
    let mut say = |line: String| {
        let _closed = writeln!(out, "{line}");
    };
    say(format!("{:<20} {:>8} {:>8}", "kind of text", "recall", "precision"));
    for (kind, masks) in &score.precision {
        let recall =
            score.recall.get(kind).map_or("–".to_owned(), |it| format!("{:.4}", share([*it].into_iter())));
        let precision =
            if masks.1 == 0 { "no mask".to_owned() } else { format!("{:.4}", share([*masks].into_iter())) };
        say(format!("{kind:<20} {recall:>8} {precision:>8}"));
    }
    let (credentials, precision) = (score.credentials(), score.overall_precision());
    say(format!("{} samples; credentials found {credentials:.4} (at least 0.995)", samples.len()));
    say(format!("masks that are right {precision:.4} (at least 0.98)"));
    for text in score.missed.iter().take(8) {
        say(format!("missed: {text}"));
    }
    for text in score.wrong.iter().take(8) {
        say(format!("wrong: {text}"));
    }
    if credentials >= 0.995 && precision >= 0.98 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
