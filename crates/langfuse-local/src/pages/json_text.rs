//! JSON laid out for reading. Only blanks between its words are changed: numbers and texts stay as they
//! were sent, which reading them into values would not keep.

use serde_json::Value;

const INDENT: &str = "  ";

/// The text with line breaks and indentation, `None` when it is no JSON object or array.
pub(super) fn laid_out(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if !trimmed.starts_with(['{', '[']) || serde_json::from_str::<Value>(trimmed).is_err() {
        return None;
    }
    let mut out = String::with_capacity(trimmed.len() * 2);
    let mut depth = 0;
    let mut rest = trimmed.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                out.push(c);
                let mut is_escaped = false;
                for c in rest.by_ref() {
                    out.push(c);
                    match c {
                        '"' if !is_escaped => break,
                        '\\' => is_escaped = !is_escaped,
                        _ => is_escaped = false,
                    }
                }
            }
            '{' | '[' => {
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                out.push(c);
                if let Some(end) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    Some(out)
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _level in 0..depth {
        out.push_str(INDENT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::laid_out;

    #[test]
    fn layout() {
        let text = r#" {"a":[1,2.50,{}],"b":"x:{\"y\\",  "c" : [ ] , "d":{"e":1e400}} "#;
        assert_eq!(laid_out(text), None, "a number that no double holds is shown as sent");
        let text = r#" {"a":[1,2.50,{}],"b":"x:{\"y\\",  "c" : [ ] , "d":{"e":12345678901234567890123}} "#;
        let expected = "{\n  \"a\": [\n    1,\n    2.50,\n    {}\n  ],\n  \"b\": \"x:{\\\"y\\\\\",\n  \"c\": [],\n  \
                        \"d\": {\n    \"e\": 12345678901234567890123\n  }\n}";
        assert_eq!(laid_out(text).as_deref(), Some(expected));
        for text in ["", "plain", "12", "\"text\"", "{", "[1,]", "{\"a\":1} x"] {
            assert_eq!(laid_out(text), None, "{text}");
        }
        assert_eq!(laid_out(&"[".repeat(100_000)), None, "and no stack is exhausted");
    }

    proptest! {
        #[test]
        fn the_value_stays(members in prop::collection::vec((".{0,8}", ".{0,8}", any::<f64>()), 0..6)) {
            let value: Value = members.into_iter().map(|(key, text, number)| {
                serde_json::json!({ key: [text, number, {}, [[]]] })
            }).collect();
            let shown = laid_out(&value.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value.clone());
            prop_assert_eq!(shown, format!("{value:#}"));
        }
    }
}
