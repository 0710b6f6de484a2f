//! How fast a text is looked through, beside ten expressions one after another.
//!
//! `cargo bench --package ken-tracing --bench redaction`; status 1 when a bound is broken.

use std::hint::black_box;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use ken_tracing::redact::{Field, Policy, Redactor};
use regex::Regex;

/// The length of a value, and of all values of a kind, in bytes.
const VALUE: usize = 2 << 10;
const ALL: usize = 1 << 20;

const PROSE: &str = "The northern line carries four hundred thousand people a day, and most of them do not look up \
    when the doors close. A conductor told me once that he can tell the season from the coats alone, and the hour \
    from the way people hold their newspapers; in the evening nobody reads any more. We went on to the river, where \
    the old harbour was, and talked about the price of bread and the new bridge until it grew dark. ";
const CODE: &str = "impl Iterator for Tokens<'_> {\n    type Item = Token;\n\n    fn next(&mut self) -> Option<Self::Item> {\n        \
    let start = self.position;\n        while let Some(byte) = self.source.as_bytes().get(self.position) {\n            \
    if !byte.is_ascii_alphanumeric() {\n                break;\n            }\n            self.position += 1;\n        }\n        \
    (self.position > start).then(|| Token { kind: Kind::Word, span: start..self.position })\n    }\n}\n\n";
const NUMBERS: &str = "{\"x\":12.750,\"y\":-0.334,\"t\":1795168800123,\"n\":[1,22,333,4444,55555,0.5,0.25],\"id\":88123,\"v\":1e-7},";

fn values(text: &str, secret: Option<&str>) -> Vec<String> {
    (0..ALL / VALUE)
        .map(|number| {
            let from = number * 37 % text.len();
            let mut value: String = text.chars().cycle().skip(from).take(VALUE).collect();
            if let Some(secret) = secret {
                value.insert_str(VALUE / 4, secret);
                value.insert_str(VALUE * 3 / 4, secret);
            }
            value
        })
        .collect()
}

/// Gigabytes a second, the best of some rounds: what disturbs only makes it slower.
fn speed(values: &[String], mut run: impl FnMut(&str)) -> f64 {
    let bytes: usize = values.iter().map(String::len).sum();
    let mut best: f64 = 0.0;
    for _ in 0..30 {
        let started = Instant::now();
        values.iter().for_each(|value| run(value));
        best = best.max(bytes as f64 / started.elapsed().as_secs_f64() / 1e9);
    }
    best
}

fn main() -> ExitCode {
    let Ok(redactor) = Redactor::new(&Policy::default()) else { return ExitCode::FAILURE };
    // What most would write first.
    let plain: Vec<Regex> = [
        r"sk-[A-Za-z0-9_-]{16,}",
        r"gh[pousr]_[A-Za-z0-9]{30,}",
        r"AKIA[A-Z0-9]{16}",
        r"AIza[A-Za-z0-9_-]{30,}",
        r"xox[abprs]-[A-Za-z0-9-]{12,}",
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        r"(?i)bearer [A-Za-z0-9._~+/=-]{16,}",
        r"://[^:/\s]+:[^@/\s]+@",
        r#"(?i)"(password|token|secret|api_key|authorization)"\s*:\s*"[^"]*""#,
        r"\b(?:\d[ -]?){13,19}\b",
    ]
    .iter()
    .filter_map(|it| Regex::new(it).ok())
    .collect();
    let secret = format!(" key sk-{} end ", "a1B2c3D4".repeat(6));
    let kinds = [
        ("prose", values(PROSE, None), 2.0),
        ("source code", values(CODE, None), 1.5),
        ("numeric JSON", values(NUMBERS, None), 0.8),
        ("a secret in every KB", values(PROSE, Some(&secret)), 0.8),
    ];
    let mut out = std::io::stdout().lock();
    let mut is_ok = plain.len() == 10;
    for (name, values, least) in kinds {
        let ours = speed(&values, |text| {
            black_box(redactor.text(Field::Input, "", black_box(text)));
        });
        let theirs = speed(&values[..values.len() / 8], |text| {
            for expression in &plain {
                black_box(expression.replace_all(black_box(text), "[redacted]"));
            }
        });
        let verdict = if ours >= least { "ok" } else { "BROKEN" };
        is_ok &= ours >= least;
        let _closed = writeln!(
            out,
            "{verdict:<7}{name:<22} {ours:>6.2} GB/s (at least {least}); ten expressions {theirs:.2} GB/s"
        );
    }
    if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
