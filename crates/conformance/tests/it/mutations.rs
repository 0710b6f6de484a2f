//! The comparer finds the recorded answers like themselves, and every planted difference in them.

use std::sync::LazyLock;

use ken_conformance::{
    Allowance, Answer, Difference, DifferenceKind, Identity, Names, RULES, Recording, Rule, compare,
};
use serde_json::{Value, json};

fn differences(recording: &Recording, found: &Answer, rules: &[Rule]) -> Vec<Difference> {
    compare(recording.number, &recording.answer, found, rules, &mut learned())
}

/// As after a run: every id that the recorded server made has its name.
fn learned() -> Names {
    static LEARNED: LazyLock<Names> = LazyLock::new(|| {
        let mut names = Names::of(Identity::recorded());
        for recording in Recording::bundled() {
            let same = compare(recording.number, &recording.answer, &recording.answer, RULES, &mut names);
            assert!(same.is_empty(), "{} {same:?}", recording.name);
        }
        names
    });
    LEARNED.clone()
}

#[test]
fn the_recorded_answers_are_like_themselves() {
    learned();
}

/// Another value that each form allows, and one that it does not.
fn other_values(allowance: Allowance) -> Option<(Value, Value)> {
    let form = match allowance {
        Allowance::EqualRows { .. } | Allowance::Bins => return None,
        Allowance::Form(form) | Allowance::MadeId(form) => form,
    };
    let other = match form {
        "{time}" => json!("2031-01-02T03:04:05.678Z"),
        "{millis}" => json!(1_900_000_000_000_u64),
        "{uuid}" => json!("00000000-1111-4222-8333-444444444444"),
        "{cuid}" => json!("c0123456789abcdefghijklmn"),
        "{digits}" => json!("123"),
        "<!DOCTYPE html>{any}" => json!("<!DOCTYPE html><p>no such page"),
        "{project}" | "{project-name}" | "{organization}" | "{organization-name}" | "{public-key}" => {
            json!("other")
        }
        "00-{hex32}-{hex16}-{hex2}" => json!("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"),
        form if form.starts_with("{prefix}otel/") => {
            json!("elsewhere/otel/other/2031/01/02/03/04/00000000-1111-4222-8333-444444444444.json")
        }
        form if form.starts_with("langfuse.header.") => {
            json!(form.replace("{project}", "other").replace("{word}", "key-1"))
        }
        other => panic!("a form without a sample: {other}"),
    };
    let bad = if other.is_number() { json!(17) } else { json!("?") };
    Some((other, bad))
}

/// The names of a server whose project is called `other`.
fn elsewhere() -> Names {
    let other = || "other".to_owned();
    Names::of(Identity {
        public_key: other(),
        project: other(),
        project_name: other(),
        organization: other(),
        organization_name: other(),
    })
}

/// Every rule speaks of something that was recorded; with it another value passes, without it none does,
/// and a value of another form never does.
#[test]
fn every_rule_is_needed_and_allows_no_more_than_it_says() {
    let recordings = Recording::bundled();
    for (rule_idx, rule) in RULES.iter().enumerate() {
        assert!(!rule.name.is_empty() && !rule.why.is_empty());
        // A rule that another one already covers would be dead.
        let rest: Vec<Rule> =
            RULES.iter().enumerate().filter(|(idx, _)| *idx != rule_idx).map(|(_, rule)| *rule).collect();
        let exchanges: Vec<u8> = rule.exchanges.iter().cloned().flatten().collect();
        for number in exchanges {
            let recording = recordings.iter().find(|recording| recording.number == number).unwrap();
            for pattern in rule.pointers {
                let one = Rule { pointers: std::slice::from_ref(pattern), ..*rule };
                let places = one.places(&recording.answer.body);
                assert!(!places.is_empty(), "{} {pattern} is in no place of {}", rule.name, recording.name);
                // The rows of a page are all alike.
                for place in places.into_iter().take(3) {
                    check_rule(recording, rule, &rest, &place);
                }
            }
        }
    }
}

fn check_rule(recording: &Recording, rule: &Rule, rest: &[Rule], place: &str) {
    let context = format!("{}, {} {place}", rule.name, recording.name);
    let with = |value: &Value| {
        let mut found = recording.answer.clone();
        *found.body.pointer_mut(place).unwrap() = value.clone();
        found
    };
    if let Allowance::EqualRows { by } = rule.allowance {
        let rows = recording.answer.body.pointer(place).unwrap().as_array().unwrap();
        let at = (1..rows.len()).find(|at| rows[at - 1].pointer(by) == rows[*at].pointer(by));
        let at = at.unwrap_or_else(|| panic!("{context}: no rows are equal"));
        let mut swapped = rows.clone();
        swapped.swap(at - 1, at);
        let found = with(&Value::Array(swapped));
        assert_eq!(differences(recording, &found, RULES), [], "{context}");
        assert_ne!(differences(recording, &found, rest), [], "{context}");
        return;
    }
    if rule.allowance == Allowance::Bins {
        let bins = |height: i32, end: f64| {
            json!([[298, 1400, 60], [1400, 2500, 40], [2500, 3500, 14], [3500, 5000, height], [5000, end, 2]])
        };
        assert_eq!(differences(recording, &with(&bins(8, 6707.0)), RULES), [], "{context}");
        assert_ne!(differences(recording, &with(&bins(8, 6707.0)), rest), [], "{context}");
        for bad in [bins(9, 6707.0), bins(8, 6708.0), json!([[298, 6707, 124]]), json!([]), json!([1])] {
            let found = differences(recording, &with(&bad), RULES);
            assert_eq!(found.iter().map(|it| it.kind).collect::<Vec<_>>(), [DifferenceKind::Form], "{bad}");
        }
        return;
    }
    let (other, bad) = other_values(rule.allowance).unwrap();
    let compare_at = |value: &Value, rules: &[Rule]| {
        let all = compare(recording.number, &recording.answer, &with(value), rules, &mut elsewhere());
        all.into_iter().filter(|difference| difference.place == format!("body{place}")).collect::<Vec<_>>()
    };
    assert_eq!(compare_at(&other, RULES), [], "{context}: {other}");
    let kinds = |value: &Value, rules: &[Rule]| {
        compare_at(value, rules).iter().map(|difference| difference.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&other, rest), [DifferenceKind::Value], "{context}: not needed");
    assert_eq!(kinds(&bad, RULES), [DifferenceKind::Form], "{context}");
    assert_eq!(kinds(&Value::Null, RULES), [DifferenceKind::Type], "{context}");
}

/// One way of spoiling an answer, and how it must be found out.
struct Plant {
    pointer: String,
    kind: DifferenceKind,
    body: Value,
}

/// A recording whose long lists of rows are cut: what is caught in a few rows is caught in all.
fn cut(mut recording: Recording) -> Recording {
    let is_ordered = RULES
        .iter()
        .any(|rule| rule.is_about(recording.number) && matches!(rule.allowance, Allowance::EqualRows { .. }));
    if let Some(rows) = recording.answer.body.get_mut("data").and_then(Value::as_array_mut)
        && rows.len() > 3
        && !is_ordered
    {
        let middle = rows.len() / 2;
        rows.drain(middle + 1..rows.len() - 1);
        rows.drain(1..middle);
    }
    recording
}

/// The places of a body.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    found.push(place.to_owned());
    match value {
        Value::Object(object) => {
            for (key, member) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(member, &format!("{place}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                places(item, &format!("{place}/{at}"), found);
            }
        }
        _ => {}
    }
}

fn plants(body: &Value) -> Vec<Plant> {
    let mut plants = Vec::new();
    let mut all = Vec::new();
    places(body, "", &mut all);
    for place in &all {
        let value = body.pointer(place).unwrap();
        let mut plant = |pointer: String, kind, other: Value| {
            let mut body = body.clone();
            *body.pointer_mut(place).unwrap() = other;
            plants.push(Plant { pointer, kind, body });
        };
        let here = || place.clone();
        match value {
            Value::Null => plant(here(), DifferenceKind::Type, json!("")),
            Value::Bool(truth) => plant(here(), DifferenceKind::Value, json!(!truth)),
            Value::String(text) => {
                plant(here(), DifferenceKind::Value, json!(format!("{text} ")));
                plant(here(), DifferenceKind::Type, Value::Null);
            }
            Value::Number(number) => {
                let exact = number.as_f64().unwrap();
                if let Some(whole) = number.as_i64() {
                    plant(here(), DifferenceKind::Value, json!(whole + 1));
                    plant(here(), DifferenceKind::Type, json!(exact));
                } else {
                    plant(here(), DifferenceKind::Value, json!(exact * (1.0 + 2e-9)));
                }
                plant(here(), DifferenceKind::Type, json!(number.to_string()));
            }
            Value::Array(items) => {
                let mut longer = items.clone();
                longer.push(items.last().cloned().unwrap_or(Value::Null));
                plant(here(), DifferenceKind::Length, json!(longer));
                if !items.is_empty() {
                    plant(here(), DifferenceKind::Length, json!(items[1..]));
                }
            }
            Value::Object(object) => {
                let mut wider = object.clone();
                wider.insert("planted".to_owned(), Value::Null);
                plant(format!("{place}/planted"), DifferenceKind::Extra, json!(wider));
                for key in object.keys() {
                    let mut narrower = object.clone();
                    let taken = narrower.shift_remove(key).unwrap();
                    let at = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
                    plant(at.clone(), DifferenceKind::Missing, json!(narrower));
                    narrower.insert(format!("{key}2"), taken);
                    plant(at, DifferenceKind::Missing, json!(narrower));
                }
                if object.len() > 1 {
                    let mut turned = object.clone();
                    let first = object.keys().next().unwrap();
                    let value = turned.shift_remove(first).unwrap();
                    turned.insert(first.clone(), value);
                    plant(here(), DifferenceKind::MemberOrder, json!(turned));
                }
            }
        }
    }
    plants
}

#[test]
fn every_planted_difference_is_caught() {
    let names = learned();
    let mut n_plants = 0;
    for recording in Recording::bundled().into_iter().map(cut) {
        let ruled: Vec<String> = RULES
            .iter()
            .filter(|rule| rule.is_about(recording.number))
            .filter(|rule| !matches!(rule.allowance, Allowance::EqualRows { .. }))
            .flat_map(|rule| rule.places(&recording.answer.body))
            .collect();
        for Plant { pointer, kind, body } in plants(&recording.answer.body) {
            // A member named `_text` is the format itself.
            let is_format = recording.answer.body.get("_text").is_some() && pointer.starts_with("/_text");
            let is_bin = pointer.contains("/histogram_latency/");
            let is_ruled = is_bin || ruled.contains(&pointer) && kind != DifferenceKind::Missing;
            let found = Answer { body, ..recording.answer.clone() };
            let all = compare(recording.number, &recording.answer, &found, RULES, &mut names.clone());
            n_plants += 1;
            if is_format || is_ruled {
                // The rules' own test says what passes there.
                continue;
            }
            let place = format!("body{pointer}");
            let caught = all.iter().any(|difference| difference.place == place && difference.kind == kind);
            assert!(caught, "{} {place} {kind:?}: {all:?}", recording.name);
        }
        let status = Answer { status: recording.answer.status + 1, ..recording.answer.clone() };
        assert_eq!(differences(&recording, &status, RULES)[0].kind, DifferenceKind::Status);
        let headers = [("content-type".to_owned(), "text/plain".to_owned())].into();
        let content_type = Answer { headers, ..recording.answer.clone() };
        assert_eq!(differences(&recording, &content_type, RULES)[0].kind, DifferenceKind::ContentType);
        let other_format =
            if recording.answer.body.get("_text").is_some() { json!({}) } else { json!({ "_text": "" }) };
        let format = Answer { body: other_format, ..recording.answer.clone() };
        assert_eq!(differences(&recording, &format, RULES)[0].kind, DifferenceKind::Format);
    }
    assert!(n_plants > 5_000, "only {n_plants} differences were planted");
}

/// No two neighbours may change places, but the rows that a rule calls equal.
#[test]
fn rows_in_another_order_are_caught() {
    let mut n_swaps = 0;
    for recording in Recording::bundled() {
        let Some(rows) = recording.answer.body.get("data").and_then(Value::as_array) else { continue };
        let key = RULES.iter().find_map(|rule| match rule.allowance {
            Allowance::EqualRows { by } if rule.is_about(recording.number) => Some(by),
            _ => None,
        });
        for at in 1..rows.len() {
            let equal = key.is_some_and(|by| rows[at - 1].pointer(by) == rows[at].pointer(by));
            let mut swapped = recording.answer.clone();
            swapped.body["data"].as_array_mut().unwrap().swap(at - 1, at);
            let found = differences(&recording, &swapped, RULES);
            assert_eq!(found.is_empty(), equal, "{} rows {} and {at}", recording.name, at - 1);
            if !equal && key.is_some() {
                assert_eq!(found[0].kind, DifferenceKind::RowOrder, "{}", found[0]);
            }
            n_swaps += 1;
        }
    }
    assert!(n_swaps > 400, "only {n_swaps} pairs of rows");
}
