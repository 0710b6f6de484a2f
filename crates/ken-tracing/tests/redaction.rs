//! Nothing secret leaves, and what is not secret leaves as it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

#[path = "../examples/redaction_report/corpus.rs"]
mod corpus;

use corpus::{Dice, Score, corpus, places, secret};
use ken_tracing::redact::{Action, Class, Field, Policy, PolicyError, Redactor};
use proptest::prelude::*;
use regex::Regex;

fn redactor(policy: &Policy) -> Redactor {
    Redactor::new(policy).unwrap()
}

fn masked(text: &str) -> String {
    redactor(&Policy::default()).text(Field::Input, "", text).unwrap().into_owned()
}

fn all(text: &str) -> String {
    redactor(&Policy::default().personal(Action::Mask)).text(Field::Input, "", text).unwrap().into_owned()
}

#[test]
fn the_corpus_is_found_and_little_else() {
    let score = Score::of(&corpus(300), all);
    assert!(score.credentials() >= 0.995, "{:#?}", score.missed);
    assert!(score.overall_precision() >= 0.98, "{:#?}", score.wrong);
    for (name, (found, of)) in &score.recall {
        assert!(*found as f64 / *of as f64 >= 0.98, "{name}: {found} of {of}: {:#?}", score.missed);
    }
}

/// The plain expressions that define what must be found.
fn reference() -> Vec<Regex> {
    [
        r"\bsk-(?:ant-|proj-)?[A-Za-z0-9]{24,}\b",
        r"\bsk_live_[A-Za-z0-9]{20,}\b",
        r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
        r"\bAKIA[A-Z2-7]{16}\b",
        r"\bAIza[A-Za-z0-9]{35}\b",
        r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
        r"(?i)\bbearer [A-Za-z0-9]{20,}\b",
        r"://[a-z]{1,12}:[A-Za-z0-9]{4,20}@[a-z]",
        r#""(?:password|api_key|client_secret|access_token)": ?"[^"\\]{1,40}""#,
    ]
    .iter()
    .map(|it| Regex::new(it).unwrap())
    .collect()
}

fn any_class() -> impl Strategy<Value = Class> {
    let classes: Vec<Class> =
        Class::ALL.into_iter().filter(|it| it.is_credential() || *it == Class::Card).collect();
    prop::sample::select(classes)
}

/// Text that looks like what people, programs and models write.
fn noise() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-zA-Zäöüß東京]{1,12}",
        "[0-9]{1,10}",
        "[{}\\[\\]\",:=&?/\\\\ _.-]{1,6}",
        Just("\\\"".to_owned()),
        Just("\\n".to_owned()),
        Just("\n".to_owned()),
        Just("\u{202e}é".to_owned()),
        Just("password".to_owned()),
        Just("https://".to_owned()),
        Just("\\u00e9".to_owned()),
    ];
    prop::collection::vec(word, 0..30).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The fast scan finds everything that the plain expressions find.
    #[test]
    fn the_scan_finds_what_the_reference_finds(before in noise(), after in noise(), class in any_class(), seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let secret = secret(class, &mut dice);
        let place = dice.pick(places(class));
        let text = format!("{before} {} {after}", place.replacen("{}", &secret, 1));
        let out = masked(&text);
        for expression in reference() {
            for found in expression.find_iter(&text) {
                let core = found.as_str();
                // The key and the quotes around a value stay; the value itself goes.
                let core = core.rsplit(['"', ':', ' ', '@']).find(|it| it.len() >= 4).unwrap_or(core);
                prop_assert!(!out.contains(core), "{core} of {text} in {out}");
            }
        }
    }

    /// Whatever stands around a secret, it goes, in whole and written with escapes.
    #[test]
    fn a_planted_secret_goes(before in noise(), after in noise(), class in any_class(), seed in any::<u64>(), way in 0..4_u8) {
        let mut dice = Dice(seed);
        let secret = secret(class, &mut dice);
        if class == Class::PrivateKey && way > 0 {
            return Ok(());
        }
        let standing = match way {
            0 => secret.clone(),
            // Its first character by its number.
            1 => format!("\\u{:04x}{}", u32::from(secret.as_bytes()[0]), &secret[1..]),
            // All letters by their numbers.
            2 => secret.chars().map(|it| if it.is_ascii_lowercase() { format!("\\u{:04X}", it as u32) } else { it.to_string() }).collect(),
            // A level deeper.
            _ => secret.chars().map(|it| if it.is_ascii_digit() { format!("\\\\u{:04x}", it as u32) } else { it.to_string() }).collect(),
        };
        let place = dice.pick(places(class));
        // A quote that opens before it would make it part of another string.
        let before = before.replace(['"', '\'', '\\'], " ");
        let text = format!("{before} {} {after}", place.replacen("{}", &standing, 1));
        let out = masked(&text);
        prop_assert!(!out.contains(&secret), "{secret} in {out}");
        let core: String = standing.chars().skip(standing.len() / 2).collect();
        prop_assert!(core.len() < 6 || !out.contains(&core), "{core} of {text} in {out}");
    }

    /// JSON stays JSON, with what is not secret as it was.
    #[test]
    fn json_stays_json(seed in any::<u64>(), depth in 0..4_usize, note in ".{0,20}", number in any::<i32>()) {
        let mut dice = Dice(seed);
        let class = dice.pick(&[Class::ApiKey, Class::Jwt, Class::Card, Class::PrivateKey]);
        let secret = secret(class, &mut dice);
        let mut value = serde_json::json!({ "note": note, "n": number, "text": format!("see {secret} there"), "password": secret, "token": [1, { "a": secret }],
            "secret": true, "api_key": number, "client_secret": { "deep": [secret, null] }, "authorization": null, "max_tokens": 100 });
        for _ in 0..depth {
            value = serde_json::json!({ "arguments": value.to_string(), "list": [value] });
        }
        let text = value.to_string();
        let out = masked(&text);
        let read: Result<serde_json::Value, _> = serde_json::from_str(&out);
        prop_assert!(read.is_ok(), "{text}\n{out}");
        prop_assert!(!out.contains(&secret), "{secret} in {out}");
        if depth == 0 {
            let read = read.unwrap();
            prop_assert_eq!(&read["n"], &serde_json::json!(number));
            prop_assert_eq!(&read["max_tokens"], &serde_json::json!(100));
            prop_assert!(read["authorization"].is_null());
        }
    }

    /// No text makes it panic, and one pass is enough.
    #[test]
    fn any_text_comes_through(text in "\\PC{0,200}", more in noise(), most in 1..200_usize) {
        let policy = Policy::default().personal(Action::Mask).max_value_bytes(most);
        let redactor = redactor(&policy);
        for text in [&text, &more] {
            let out = redactor.text(Field::Output, "", text).expect("no scan fails");
            prop_assert!(out.len() <= most + "…[truncated]".len());
            if out.len() < text.len() {
                // A mask is there in whole or not at all.
                for (at, _) in out.match_indices("[redacted:") {
                    prop_assert!(out[at..].contains(']'), "{out}");
                }
            }
        }
    }
}

#[test]
fn what_stays_stays_the_same() {
    for text in [
        "",
        "The quick brown fox.",
        "{\"max_tokens\":100,\"usage\":{\"total_tokens\":12,\"token_count\":3}}",
        "let token = lexer.next()?; password_field.focus();",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
        "https://example.com:8080/a?b=c#d",
        "at 2026-11-20T10:00:00Z, 1795168800000 ms, 1795168800000000 us",
    ] {
        assert_eq!(masked(text), text);
        assert!(matches!(
            redactor(&Policy::default()).text(Field::Input, "", text),
            Some(std::borrow::Cow::Borrowed(_))
        ));
    }
}

#[test]
fn keys_of_attributes_and_of_ones_own_count() {
    let redactor = redactor(&Policy::default().key("Licence-Number"));
    let of = |key: &str| redactor.text(Field::Metadata, key, "abc").unwrap().into_owned();
    for key in [
        "password",
        "langfuse.trace.metadata.api_key",
        "Authorization",
        "licence_number",
        "LICENCE-NUMBER",
        "db-password",
    ] {
        assert_eq!(of(key), "[redacted:secret]", "{key}");
    }
    for key in ["", "channel", "max_tokens", "author", "keyboard", "langfuse.observation.input", "tokens"] {
        assert_eq!(of(key), "abc", "{key}");
    }
    assert_eq!(
        redactor.text(Field::Input, "", "{\"licenceNumber\":\"77\"}").unwrap(),
        "{\"licenceNumber\":\"[redacted:secret]\"}"
    );
}

#[test]
fn policies_decide() {
    let text = "mail ada@example.com, card 4111 1111 1111 1111";
    let of = |policy: &Policy, field: Field| {
        redactor(policy).text(field, "", text).map(std::borrow::Cow::into_owned)
    };
    assert_eq!(of(&Policy::off(), Field::Input).as_deref(), Some(text));
    assert_eq!(of(&Policy::default(), Field::Input).unwrap(), "mail ada@example.com, card [redacted:card]");
    let none = Policy::no_content();
    for field in [Field::Input, Field::Output, Field::Metadata, Field::Status] {
        assert_eq!(of(&none, field), None);
    }
    assert_eq!(of(&none, Field::Name).unwrap(), "mail [redacted:email], card [redacted:card]");
    assert_eq!(
        of(&Policy::default().field(Field::Output, Action::Mask), Field::Output).unwrap(),
        "[redacted]"
    );
    let hashed = Policy::default().class(Class::Email, Action::Hash).hash_key("0123456789abcdef");
    let one = of(&hashed, Field::Input).unwrap();
    assert!(one.starts_with("mail [hash:") && one == of(&hashed, Field::Output).unwrap(), "{one}");
    assert_ne!(one, of(&hashed.clone().hash_key("another key of 16"), Field::Input).unwrap());
    assert!(!format!("{hashed:?}").contains("0123456789abcdef"));
    let own = Policy::default().pattern("ticket", r"\bT-[0-9]{4}\b");
    assert_eq!(redactor(&own).text(Field::Input, "", "see T-1234").unwrap(), "see [redacted:ticket]");
    assert!(redactor(&Policy::off()).is_off() && !redactor(&Policy::default()).is_off());
}

#[test]
fn a_policy_that_cannot_be_meant_is_refused() {
    let error = |policy: &Policy| Redactor::new(policy).unwrap_err();
    assert!(matches!(error(&Policy::default().pattern("a", "(")), PolicyError::Pattern { .. }));
    assert!(matches!(error(&Policy::default().pattern("A b", "x")), PolicyError::Label { .. }));
    assert_eq!(error(&Policy::default().class(Class::Email, Action::Hash)), PolicyError::NoHashKey);
}

#[test]
fn cutting_comes_after_masking() {
    let secret = secret(Class::ApiKey, &mut Dice(3));
    let text = format!("{}{secret} ende äöü", "x ".repeat(50));
    for most in 90..160 {
        let out = redactor(&Policy::default().max_value_bytes(most))
            .text(Field::Input, "", &text)
            .unwrap()
            .into_owned();
        let n_open = out.matches("[redacted").count();
        assert_eq!(n_open, out.matches("[redacted:api_key]").count(), "{out}");
        assert!(!out.contains(&secret[..12]), "{out}");
    }
}
