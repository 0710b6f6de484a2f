//! A look at the secrets in Ken's own `.env`: which are weak, by name and line, never by value.

/// A remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line, from 1.
    pub line: usize,
    /// The variable.
    pub name: String,
    /// What is wrong.
    pub problem: &'static str,
    /// What to do.
    pub mend: String,
}

/// Words in a name that make its value a secret.
const SECRET_WORDS: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE_KEY", "CREDENTIAL"];
/// Names with such a word whose value is none: where a secret lies, how long it lives, what it is called.
const HARMLESS_ENDS: [&str; 12] = [
    "_FILE", "_PATH", "_URL", "_NAME", "_TTL", "_LENGTH", "_LIMIT", "_TYPE", "_ENABLED", "_EXPIRY",
    "_HEADER", "_ISSUER",
];
/// Values that everybody tries first.
const DEFAULTS: [&str; 22] = [
    "admin",
    "changeme",
    "change_me",
    "change-me",
    "default",
    "demo",
    "dev",
    "example",
    "hunter2",
    "ken",
    "letmein",
    "myredissecret",
    "mysalt",
    "mysecret",
    "miniosecret",
    "password",
    "postgres",
    "qwerty",
    "root",
    "secret",
    "test",
    "todo",
];
const SHORT: usize = 12;

/// Looks through the text of a `.env` file.
#[must_use]
pub fn inspect(text: &str) -> Vec<Finding> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((name, value)) = assignment(line) else { continue };
        let upper = name.to_uppercase();
        let secret =
            SECRET_WORDS.iter().any(|word| upper.contains(word)) || upper.ends_with("_KEY") || upper == "KEY";
        if !secret || HARMLESS_ENDS.iter().any(|end| upper.ends_with(end)) {
            continue;
        }
        if let Some(problem) = weakness(&upper, &value) {
            findings.push(Finding {
                line: index + 1,
                name: name.to_owned(),
                problem,
                mend: "change it in the service that it protects first, then here; `openssl rand -hex 24` makes one"
                    .to_owned(),
            });
        }
    }
    findings
}

fn weakness(name: &str, value: &str) -> Option<&'static str> {
    // A value made of other variables says nothing by itself.
    if value.contains("${") {
        return None;
    }
    let plain = value.to_lowercase();
    let stem = plain.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!');
    if value.is_empty() {
        Some("is empty")
    } else if DEFAULTS.contains(&plain.as_str()) || DEFAULTS.contains(&stem) || plain == name.to_lowercase() {
        Some("looks like a default")
    } else if value.chars().all(|c| value.starts_with(c)) || "0123456789".repeat(4).contains(&plain) {
        Some("is one character or a count")
    } else if value.len() < SHORT {
        Some("is short")
    } else {
        None
    }
}

/// Name and value of a line, read as Compose reads it: `export`, quotes, and comments after a blank.
fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    if line.starts_with('#') {
        return None;
    }
    let (name, raw) = line.split_once('=')?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
        return None;
    }
    let raw = raw.trim();
    let quoted =
        |quote: char| raw.strip_prefix(quote).and_then(|rest| rest.split_once(quote)).map(|(v, _)| v);
    let value = quoted('\'')
        .or_else(|| quoted('"'))
        .unwrap_or_else(|| raw.split_once(" #").map_or(raw, |(value, _)| value).trim_end());
    Some((name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(usize, String, &'static str)> {
        inspect(text).into_iter().map(|f| (f.line, f.name, f.problem)).collect()
    }

    #[test]
    fn weak_secrets_are_named_and_good_ones_are_not() {
        let text = "# PASSWORD=old\nPOSTGRES_PASSWORD=postgres\nexport API_TOKEN='abc' # note\nOPENAI_API_KEY=sk-proj-2f8a0c1e9b7d4f63a5e1\n\
                    POSTGRES_USER=ken\nPASSWORD_FILE=/run/x\nSECRET=\"Password1!\"\nKEN_SECRET=aaaaaaaaaaaaaaaa\nA_TOKEN=${OTHER}\nB_SECRET=\n";
        assert_eq!(
            problems(text),
            [
                (2, "POSTGRES_PASSWORD".to_owned(), "looks like a default"),
                (3, "API_TOKEN".to_owned(), "is short"),
                (7, "SECRET".to_owned(), "looks like a default"),
                (8, "KEN_SECRET".to_owned(), "is one character or a count"),
                (10, "B_SECRET".to_owned(), "is empty"),
            ]
        );
    }

    #[test]
    fn no_finding_holds_a_value() {
        let findings = inspect("DB_PASSWORD=Zq9\n");
        assert_eq!(findings.len(), 1);
        assert!(!format!("{findings:?}").contains("Zq9"));
    }
}
