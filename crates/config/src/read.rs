//! Reads values out of a TOML table, noting where each stands and everything that is wrong.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::field::{Field, Place};
use crate::finding::Finding;
use crate::mask;
use crate::words::{nearest, quoted, with_article};

/// A table of the policy.
pub(crate) struct Section<'d> {
    place: Place,
    table: Option<&'d DeTable<'d>>,
    /// Whether it is there at all, be it right or wrong.
    pub(crate) is_there: bool,
    known: Vec<&'static str>,
}

/// A value that was looked at: itself, or what is wrong with it.
pub(crate) type Checked<T> = Result<T, String>;

/// The text, and what has been found in it.
pub(crate) struct Reader<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    findings: Vec<Finding>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { text, line_starts, findings: Vec::new() }
    }

    /// All findings, in the text's order; those without a place come last.
    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|f| (f.line.unwrap_or(u32::MAX), f.column.unwrap_or(u32::MAX)));
        self.findings
    }

    /// The text breaks TOML's own rules.
    pub(crate) fn syntax(&mut self, error: &toml::de::Error) {
        let (line, column) = error.span().map_or((None, None), |span| self.position(span.start));
        // The error's own display would quote the line, and the line may hold anything.
        let problem = format!("the text is not TOML: {}", first_line(error.message()));
        self.findings.push(Finding {
            key_path: String::new(),
            line,
            column,
            value: None,
            problem,
            expected: "`key = value` lines under `[section]` headings".into(),
        });
    }

    /// The whole policy as a section.
    pub(crate) fn root<'d>(&self, table: &'d DeTable<'d>) -> Section<'d> {
        let place = Place { key_path: String::new(), line: None, column: None, shown: None };
        Section { place, table: Some(table), is_there: true, known: Vec::new() }
    }

    /// A table inside a section.
    pub(crate) fn section<'d>(&mut self, parent: &mut Section<'d>, key: &'static str) -> Section<'d> {
        let nothing = |place, is_there| Section { place, table: None, is_there, known: Vec::new() };
        let Some(value) = parent.take(key) else {
            let place = Place { key_path: parent.path_of(key), ..parent.place.clone() };
            return nothing(Place { shown: None, ..place }, false);
        };
        let place = self.place(parent.path_of(key), value);
        match value.get_ref() {
            DeValue::Table(table) => Section {
                place: Place { shown: None, ..place },
                table: Some(table),
                is_there: true,
                known: Vec::new(),
            },
            other => {
                self.wrong_type(&place, other, "a table");
                nothing(place, true)
            }
        }
    }

    /// A string that `check` turns into a value or finds fault with.
    pub(crate) fn text<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        expected: &str,
        check: impl FnOnce(&str) -> Checked<T>,
    ) -> Field<T> {
        self.field(section, key, expected, |value| match value {
            DeValue::String(text) => Some(check(text)),
            _ => None,
        })
    }

    /// A string that is a URL: shown with more care.
    pub(crate) fn url<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        expected: &str,
        check: impl FnOnce(&str) -> Checked<T>,
    ) -> Field<T> {
        let Some(value) = section.take(key) else { return Field::Absent };
        let mut place = self.place(section.path_of(key), value);
        if let DeValue::String(text) = value.get_ref() {
            place.shown = mask::shown_url(text);
        }
        self.checked(place, value.get_ref(), expected, |value| match value {
            DeValue::String(text) => Some(check(text)),
            _ => None,
        })
    }

    /// A string that a rule holds for.
    pub(crate) fn name(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        expected: &str,
        rule: fn(&str) -> bool,
    ) -> Field<String> {
        self.text(section, key, expected, |text| {
            if rule(text) { Ok(text.to_owned()) } else { Err("is not valid".into()) }
        })
    }

    /// One word of several.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Field<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", quoted(&words));
        self.text(section, key, &expected, |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                match nearest(text, words.iter().copied()) {
                    Some(word) => format!("is not known (did you mean `{word}`?)"),
                    None => "is not known".to_owned(),
                }
            })
        })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, section: &mut Section<'_>, key: &'static str) -> Field<bool> {
        self.field(section, key, "true or false", |value| value.as_bool().map(Ok))
    }

    /// A whole number within bounds.
    pub(crate) fn integer(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> Field<u32> {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.field(section, key, &expected, |value| {
            let number = value.as_integer()?;
            Some(
                u32::from_str_radix(number.as_str(), number.radix())
                    .ok()
                    .filter(|n| bounds.contains(n))
                    .ok_or_else(|| "is out of range".to_owned()),
            )
        })
    }

    /// A number, whole or not, within bounds.
    pub(crate) fn number(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        bounds: std::ops::RangeInclusive<f64>,
    ) -> Field<f64> {
        let expected = format!("a number from {} to {}", bounds.start(), bounds.end());
        self.field(section, key, &expected, |value| {
            let digits = match value {
                DeValue::Float(number) => number.as_str(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
                _ => return None,
            };
            Some(
                digits
                    .parse::<f64>()
                    .ok()
                    .filter(|n| bounds.contains(n))
                    .ok_or_else(|| "is out of range".to_owned()),
            )
        })
    }

    /// A time span: `90s`, `5m`, `1h`.
    pub(crate) fn duration(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        bounds: std::ops::RangeInclusive<Duration>,
    ) -> Field<Duration> {
        self.text(section, key, "a time such as \"90s\" or \"5m\", from 1s to 2h", |text| {
            match seconds(text).map(Duration::from_secs) {
                None => Err("is not a time".into()),
                Some(time) if !bounds.contains(&time) => Err("is out of range".into()),
                Some(time) => Ok(time),
            }
        })
    }

    /// Every entry of a table whose keys are not ours to name. Values are strings; `true`, `false` and whole numbers
    /// are taken as such.
    pub(crate) fn entries(&mut self, section: &Section<'_>, expected: &str) -> Vec<(String, Field<String>)> {
        let Some(table) = section.table else { return Vec::new() };
        let mut entries = Vec::new();
        for (key, value) in table {
            let key: &str = key.get_ref();
            let place = self.place(section.path_of(key), value);
            let field = self.checked(place, value.get_ref(), expected, |value| match value {
                DeValue::String(text) => Some(Ok(text.to_string())),
                DeValue::Boolean(flag) => Some(Ok(flag.to_string())),
                DeValue::Integer(number) if number.radix() == 10 => Some(Ok(number.as_str().to_owned())),
                _ => None,
            });
            entries.push((key.to_owned(), field));
        }
        entries
    }

    /// Any value: `convert` says none for a wrong type.
    fn field<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&DeValue<'_>) -> Option<Checked<T>>,
    ) -> Field<T> {
        let Some(value) = section.take(key) else { return Field::Absent };
        let place = self.place(section.path_of(key), value);
        self.checked(place, value.get_ref(), expected, convert)
    }

    fn checked<T>(
        &mut self,
        place: Place,
        value: &DeValue<'_>,
        expected: &str,
        convert: impl FnOnce(&DeValue<'_>) -> Option<Checked<T>>,
    ) -> Field<T> {
        match convert(value) {
            Some(Ok(value)) => return Field::Given { value, place },
            Some(Err(problem)) => self.fault(&place, problem, expected),
            None => self.wrong_type(&place, value, expected),
        }
        Field::Refused
    }

    fn wrong_type(&mut self, place: &Place, value: &DeValue<'_>, expected: &str) {
        self.fault(place, format!("is {}", with_article(value.type_str())), expected);
    }

    /// Something is wrong with a value.
    pub(crate) fn fault(&mut self, place: &Place, problem: impl Into<String>, expected: impl Into<String>) {
        self.findings.push(Finding {
            key_path: place.key_path.clone(),
            line: place.line,
            column: place.column,
            value: place.shown.clone(),
            problem: problem.into(),
            expected: expected.into(),
        });
    }

    /// A key must be there and is not.
    pub(crate) fn missing(
        &mut self,
        section: &Section<'_>,
        key: &str,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let place = Place { key_path: section.path_of(key), shown: None, ..section.place.clone() };
        self.fault(&place, problem, expected);
    }

    /// Notes every key of a section that nobody asked for.
    pub(crate) fn finish(&mut self, section: &Section<'_>) {
        let Some(table) = section.table else { return };
        for (key, value) in table {
            let name: &str = key.get_ref();
            if section.known.contains(&name) {
                continue;
            }
            let mut place = self.place(section.path_of(name), value);
            (place.line, place.column) = self.position(key.span().start);
            // The problem is the key. Its value may be anything, a secret among it.
            place.shown = None;
            if mask::is_secret_name(name) {
                self.fault(
                    &place,
                    "looks like a secret, and a policy holds none",
                    "secrets in secrets.env, made or checked by `cargo xtask secrets init`",
                );
                continue;
            }
            let problem = match nearest(name, section.known.iter().copied()) {
                Some(known) => format!("is not known (did you mean `{known}`?)"),
                None => "is not known".to_owned(),
            };
            let mut known = section.known.clone();
            known.sort_unstable();
            self.fault(&place, problem, format!("one of {}", quoted(&known)));
        }
    }

    fn place(&self, key_path: String, value: &Spanned<DeValue<'_>>) -> Place {
        let (line, column) = self.position(value.span().start);
        let secret = key_path.rsplit('.').next().is_some_and(mask::is_secret_name);
        let shown = match value.get_ref() {
            _ if secret => None,
            DeValue::String(text) => mask::shown(text),
            DeValue::Integer(number) => mask::shown(number.as_str()),
            DeValue::Float(number) => mask::shown(number.as_str()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::Datetime(moment) => Some(moment.to_string()),
            DeValue::Array(_) | DeValue::Table(_) => None,
        };
        Place { key_path, line, column, shown }
    }

    /// Line and column, from 1, the column in characters.
    fn position(&self, offset: usize) -> (Option<u32>, Option<u32>) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
        (u32::try_from(line).ok(), u32::try_from(column).ok())
    }
}

impl<'d> Section<'d> {
    fn take(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.table?.get(key)
    }

    fn path_of(&self, key: &str) -> String {
        // A key of the operator's own may be anything, of any length.
        let key = mask::shown(key).filter(|shown| !shown.contains("://")).unwrap_or_else(|| "…".to_owned());
        if self.place.key_path.is_empty() { key } else { format!("{}.{key}", self.place.key_path) }
    }
}

/// The parser's first line; its sentences are fixed and quote nothing of the text.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim()
}

fn seconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("5m", Some(300)),
            ("2h", Some(7200)),
            ("5", None),
            ("m", None),
            ("1.5m", None),
            ("99999999999999999999s", None),
            ("9999999999999999999h", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
