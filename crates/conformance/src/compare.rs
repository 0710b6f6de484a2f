//! The one comparer: status, content type, shape and values, with nothing allowed but the rules.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::names::Names;
use crate::recording::{Answer, TEXT};
use crate::rules::{Allowance, Rule, pointer};
use crate::template;

/// How far a number may be from the recorded one, relative to it.
const TOLERANCE: f64 = 1e-9;
/// Values are shown up to this many characters.
const SHOWN: usize = 160;

/// Where and how an answer differs from the recorded one.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Difference {
    /// `status`, `content-type`, or a JSON pointer into the body after `body`.
    pub place: String,
    /// In which way.
    pub kind: DifferenceKind,
    /// What was recorded, shortened.
    pub expected: String,
    /// What was found, shortened.
    pub found: String,
}

/// In which way an answer differs.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// Another status.
    Status,
    /// Another content type.
    ContentType,
    /// Not JSON where JSON was recorded, or the other way round.
    Format,
    /// Another JSON type, or an integer written with a fraction.
    Type,
    /// Another value.
    Value,
    /// A member is not there.
    Missing,
    /// A member is there that was not recorded.
    Extra,
    /// The members are the same in another order.
    MemberOrder,
    /// More or fewer items.
    Length,
    /// The same rows in an order that the question does not allow.
    RowOrder,
    /// A value that may differ, but not in this form.
    Form,
    /// Another id than the one that the server gave before, or one that it gave twice.
    Id,
    /// Against the OpenAPI file.
    OpenApi,
}

impl DifferenceKind {
    /// In a few words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Status => "another status",
            Self::ContentType => "another content type",
            Self::Format => "another format",
            Self::Type => "another type",
            Self::Value => "another value",
            Self::Missing => "a member is missing",
            Self::Extra => "a member too many",
            Self::MemberOrder => "members in another order",
            Self::Length => "another number of items",
            Self::RowOrder => "rows in another order",
            Self::Form => "a value of another form",
            Self::Id => "an id that does not fit the earlier ones",
            Self::OpenApi => "against the OpenAPI file",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, kind, expected, found } = self;
        write!(f, "{place}: {}: expected {expected}, found {found}", kind.describe())
    }
}

/// Every difference between the recorded and the found answer to exchange `number`, in the order of the
/// recorded one. Ids that the server made are learned into `names` on the way.
#[must_use]
pub fn compare(
    number: u8,
    recorded: &Answer,
    found: &Answer,
    rules: &[Rule],
    names: &mut Names,
) -> Vec<Difference> {
    let rules = rules.iter().copied().filter(|rule| rule.is_about(number)).collect();
    let mut comparer = Comparer { rules, names, place: Vec::new(), differences: Vec::new() };
    if found.status != recorded.status {
        comparer.differ_at("status", DifferenceKind::Status, recorded.status, found.status);
    }
    if found.content_type() != recorded.content_type() {
        let (expected, found) = (recorded.content_type(), found.content_type());
        comparer.differ_at("content-type", DifferenceKind::ContentType, expected, found);
    }
    let is_text = |answer: &Answer| answer.body.get(TEXT).is_some();
    if is_text(recorded) == is_text(found) {
        comparer.value(&recorded.body, &found.body);
    } else {
        comparer.differ(DifferenceKind::Format, &recorded.body, &found.body);
    }
    comparer.differences
}

struct Comparer<'n> {
    rules: Vec<Rule>,
    names: &'n mut Names,
    place: Vec<String>,
    differences: Vec<Difference>,
}

impl Comparer<'_> {
    fn differ_at(
        &mut self,
        place: &str,
        kind: DifferenceKind,
        expected: impl ToString,
        found: impl ToString,
    ) {
        let (expected, found) = (shortened(&expected.to_string()), shortened(&found.to_string()));
        self.differences.push(Difference { place: place.to_owned(), kind, expected, found });
    }

    fn differ(&mut self, kind: DifferenceKind, expected: impl ToString, found: impl ToString) {
        let place = format!("body{}", pointer(&self.place));
        self.differ_at(&place, kind, expected, found);
    }

    fn within(&mut self, part: impl ToString, recorded: &Value, found: &Value) {
        self.place.push(part.to_string());
        self.value(recorded, found);
        self.place.pop();
    }

    fn value(&mut self, recorded: &Value, found: &Value) {
        match self.rules.iter().find(|rule| rule.covers(&self.place)).map(|rule| rule.allowance) {
            Some(Allowance::Form(form)) => return self.form(form, recorded, found),
            Some(Allowance::MadeId(form)) => return self.made_id(form, recorded, found),
            Some(Allowance::Bins) => return self.bins(recorded, found),
            Some(Allowance::EqualRows { by }) => {
                if let (Value::Array(recorded), Value::Array(found)) = (recorded, found) {
                    return self.rows(by, recorded, found);
                }
            }
            None => {}
        }
        match (recorded, found) {
            (Value::Object(recorded), Value::Object(found)) => self.object(recorded, found),
            (Value::Array(recorded), Value::Array(found)) => self.array(recorded, found),
            (Value::Number(expected), Value::Number(number)) => {
                // JavaScript writes whole numbers without a fraction, and strict readers count on it.
                let is_whole = |number: &serde_json::Number| !number.is_f64();
                if is_whole(expected)
                    && number.as_f64().is_some_and(|n| n.fract() == 0.0)
                    && !is_whole(number)
                {
                    self.differ(DifferenceKind::Type, recorded, found);
                } else if !same_number(expected, number) {
                    self.differ(DifferenceKind::Value, recorded, found);
                }
            }
            _ if kind_of(recorded) != kind_of(found) => self.differ(DifferenceKind::Type, recorded, found),
            _ if recorded != found => self.differ(DifferenceKind::Value, recorded, found),
            _ => {}
        }
    }

    fn object(&mut self, recorded: &Map<String, Value>, found: &Map<String, Value>) {
        for (key, value) in recorded {
            match found.get(key) {
                Some(member) => self.within(key, value, member),
                None => {
                    self.place.push(key.clone());
                    self.differ(DifferenceKind::Missing, value, "nothing");
                    self.place.pop();
                }
            }
        }
        for (key, value) in found.iter().filter(|(key, _)| !recorded.contains_key(*key)) {
            self.place.push(key.clone());
            self.differ(DifferenceKind::Extra, "nothing", value);
            self.place.pop();
        }
        let same_members =
            recorded.len() == found.len() && recorded.keys().all(|key| found.contains_key(key));
        if same_members && !recorded.keys().eq(found.keys()) {
            let list = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>().join(", ");
            self.differ(DifferenceKind::MemberOrder, list(recorded), list(found));
        }
    }

    fn array(&mut self, recorded: &[Value], found: &[Value]) {
        if recorded.len() != found.len() {
            let count = |items: &[Value]| format!("{} items", items.len());
            return self.differ(DifferenceKind::Length, count(recorded), count(found));
        }
        for (at, (recorded, found)) in recorded.iter().zip(found).enumerate() {
            self.within(at, recorded, found);
        }
    }

    /// Rows of one run of equal keys may stand in any order; the runs themselves may not.
    fn rows(&mut self, by: &str, recorded: &[Value], found: &[Value]) {
        if recorded.len() != found.len() {
            return self.array(recorded, found);
        }
        let before = self.differences.len();
        let mut from = 0;
        while from < recorded.len() {
            let key = recorded[from].pointer(by);
            let n_rows = recorded[from..].iter().take_while(|row| row.pointer(by) == key).count();
            self.run(from, &recorded[from..from + n_rows], &found[from..from + n_rows]);
            from += n_rows;
        }
        if self.differences.len() > before && self.is_permutation(recorded, found) {
            self.differences.truncate(before);
            let keys = |rows: &[Value]| {
                let keys = rows.iter().map(|row| row.pointer(by).unwrap_or(&Value::Null).to_string());
                format!("{} = {}", by.trim_start_matches('/'), keys.collect::<Vec<_>>().join(", "))
            };
            self.differ(DifferenceKind::RowOrder, keys(recorded), keys(found));
        }
    }

    fn run(&mut self, from: usize, recorded: &[Value], found: &[Value]) {
        let mut left: Vec<&Value> = found.iter().collect();
        let mut without_a_twin = Vec::new();
        for (at, row) in recorded.iter().enumerate() {
            match left.iter().position(|candidate| self.trial(row, candidate) == 0) {
                Some(twin) => {
                    let candidate = left.remove(twin);
                    self.within(from + at, row, candidate);
                }
                None => without_a_twin.push((at, row)),
            }
        }
        for (at, row) in without_a_twin {
            // The nearest row is the one whose differences are worth showing.
            let trials: Vec<usize> = left.iter().map(|candidate| self.trial(row, candidate)).collect();
            let Some(nearest) = (0..left.len()).min_by_key(|idx| trials[*idx]) else { return };
            let candidate = left.remove(nearest);
            self.within(from + at, row, candidate);
        }
    }

    /// How many differences the pair has, without noting or learning anything.
    fn trial(&mut self, recorded: &Value, found: &Value) -> usize {
        let names = self.names.clone();
        let before = self.differences.len();
        self.within(0, recorded, found);
        let n_differences = self.differences.len() - before;
        self.differences.truncate(before);
        *self.names = names;
        n_differences
    }

    fn is_permutation(&mut self, recorded: &[Value], found: &[Value]) -> bool {
        let mut left: Vec<&Value> = found.iter().collect();
        recorded.iter().all(|row| {
            let same = left.iter().position(|candidate| self.trial(row, candidate) == 0);
            same.map(|at| left.remove(at)).is_some()
        })
    }

    fn bins(&mut self, recorded: &Value, found: &Value) {
        let summary = |value: &Value| {
            let bins: Option<Vec<[f64; 3]>> = serde_json::from_value(value.clone()).ok();
            let bins = bins.filter(|bins| bins.windows(2).all(|pair| pair[0][1] == pair[1][0]))?;
            let sum: f64 = bins.iter().map(|bin| bin[2]).sum();
            Some((bins.len(), bins.first()?[0], bins.last()?[1], sum))
        };
        if kind_of(recorded) != kind_of(found) {
            self.differ(DifferenceKind::Type, recorded, found);
        } else if summary(recorded) != summary(found) {
            self.differ(DifferenceKind::Form, format!("as many bins of the same sum as {recorded}"), found);
        }
    }

    fn form(&mut self, form: &str, recorded: &Value, found: &Value) {
        match scalar(found) {
            _ if kind_of(recorded) != kind_of(found) => self.differ(DifferenceKind::Type, recorded, found),
            Some(text) if template::matches(form, &text, self.names) => {}
            _ => self.differ(DifferenceKind::Form, format!("{form}, such as {recorded}"), found),
        }
    }

    fn made_id(&mut self, form: &str, recorded: &Value, found: &Value) {
        let (Some(old), Some(new)) = (recorded.as_str(), found.as_str()) else {
            return self.differ(DifferenceKind::Type, recorded, found);
        };
        match self.names.made(old) {
            Some(known) if known == new => {}
            Some(known) => {
                let expected = format!("{known}, as before");
                self.differ(DifferenceKind::Id, expected, new);
            }
            None if !template::matches(form, new, self.names) => {
                self.differ(DifferenceKind::Form, format!("{form}, such as {old}"), new);
            }
            None => {
                if !self.names.make(old, new) {
                    self.differ(DifferenceKind::Id, "an id that nothing else has", new);
                }
            }
        }
    }
}

/// Whole numbers exactly; others to the tolerance.
fn same_number(expected: &serde_json::Number, found: &serde_json::Number) -> bool {
    if !expected.is_f64() && !found.is_f64() {
        return expected == found;
    }
    let (Some(expected), Some(found)) = (expected.as_f64(), found.as_f64()) else { return false };
    (expected - found).abs() <= TOLERANCE * expected.abs()
}

/// What a form is matched with.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// One line of bounded length.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String =
        text.chars().take(SHOWN).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::names::Identity;

    fn answer(body: Value) -> Answer {
        Answer {
            status: 200,
            headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
            body,
        }
    }

    fn kinds(rules: &[Rule], recorded: Value, found: Value) -> Vec<DifferenceKind> {
        let mut names = Names::of(Identity::recorded());
        compare(1, &answer(recorded), &answer(found), rules, &mut names).iter().map(|d| d.kind).collect()
    }

    #[test]
    fn numbers_agree_to_nine_digits_and_whole_ones_exactly() {
        let same = [
            (json!(1.5), json!(1.5 * (1.0 + 9e-10))),
            (json!(0.000_001_5), json!(0.000_001_500_000_001)),
            (json!(3), json!(3)),
            (json!(-2.5), json!(-2.5)),
            (json!(1), json!(0.999_999_999_999_999_9)),
        ];
        for (recorded, found) in same {
            assert_eq!(kinds(&[], recorded.clone(), found.clone()), [], "{recorded} {found}");
        }
        let different = [
            (json!(1.5), json!(1.5 * (1.0 + 2e-9)), DifferenceKind::Value),
            (json!(1_795_480_091_945_u64), json!(1_795_480_091_946_u64), DifferenceKind::Value),
            (json!(60), json!(60.0), DifferenceKind::Type),
            (json!(0.0), json!(1e-300), DifferenceKind::Value),
            (json!("1.5"), json!("1.50"), DifferenceKind::Value),
            (json!("1.5"), json!(1.5), DifferenceKind::Type),
            (json!(null), json!(0), DifferenceKind::Type),
        ];
        for (recorded, found, kind) in different {
            assert_eq!(kinds(&[], recorded.clone(), found.clone()), [kind], "{recorded} {found}");
        }
    }

    #[test]
    fn the_first_difference_is_the_first_in_the_recorded_answer() {
        let recorded = json!({ "data": [{ "a/b": 1, "c": 2 }], "meta": {} });
        let found = json!({ "data": [{ "a/b": 2, "c": 3, "d": 4 }], "meta": [] });
        let differences =
            compare(1, &answer(recorded), &answer(found), &[], &mut Names::of(Identity::recorded()));
        let first = differences[0].to_string();
        assert_eq!(first, "body/data/0/a~1b: another value: expected 1, found 2");
        assert_eq!(differences.len(), 4);
    }

    #[test]
    fn rows_of_equal_keys_may_change_places_and_no_others() {
        let rules = [Rule {
            name: "rows",
            exchanges: &[1..=1],
            pointers: &["/data"],
            allowance: Allowance::EqualRows { by: "/n" },
            why: "a test",
        }];
        let row = |name: &str, n: u64| json!({ "name": name, "n": n });
        let (a, b, c) = (row("a", 2), row("b", 2), row("c", 1));
        let data = |rows: &[&Value]| json!({ "data": rows });
        let recorded = data(&[&a, &b, &c]);
        assert_eq!(kinds(&rules, recorded.clone(), data(&[&b, &a, &c])), []);
        assert_eq!(kinds(&rules, recorded.clone(), data(&[&a, &c, &b])), [DifferenceKind::RowOrder]);
        assert_eq!(kinds(&rules, recorded.clone(), data(&[&a, &a, &c])), [DifferenceKind::Value]);
        assert_eq!(kinds(&rules, recorded.clone(), data(&[&a, &b])), [DifferenceKind::Length]);
        assert_eq!(kinds(&[], recorded, data(&[&b, &a, &c])), [DifferenceKind::Value; 2]);
    }

    #[test]
    fn an_id_stays_the_id_that_the_server_made() {
        let rules = [Rule {
            name: "ids",
            exchanges: &[1..=1],
            pointers: &["/*/id"],
            allowance: Allowance::MadeId("{hex2}"),
            why: "a test",
        }];
        let ids = |ids: [&str; 3]| json!(ids.map(|id| json!({ "id": id })));
        let recorded = ids(["aa", "bb", "aa"]);
        assert_eq!(kinds(&rules, recorded.clone(), ids(["11", "22", "11"])), []);
        assert_eq!(kinds(&rules, recorded.clone(), ids(["11", "22", "33"])), [DifferenceKind::Id]);
        assert_eq!(kinds(&rules, recorded.clone(), ids(["11", "11", "11"])), [DifferenceKind::Id]);
        assert_eq!(kinds(&rules, recorded, ids(["1x", "22", "11"])), [DifferenceKind::Form]);
    }

    #[test]
    fn long_values_are_shown_short_and_on_one_line() {
        let shown = shortened(&format!("a\nb{}", "x".repeat(500)));
        assert!(shown.starts_with("a bx") && shown.ends_with('…'), "{shown}");
        assert_eq!(shown.chars().count(), SHOWN + 1);
    }
}
