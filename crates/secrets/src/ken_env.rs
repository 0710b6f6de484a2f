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
const SECRET_WORDS: [&str; 8] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "APIKEY", "PRIVATE_KEY", "CREDENTIAL"];
/// The same at a name's end, where alone they mean it.
const SECRET_ENDS: [&str; 5] = ["KEY", "DSN", "PASS", "PWD", "SALT"];
/// Names with such a word whose value is none: where a secret lies, how long it lives, what it is called.
const HARMLESS_ENDS: [&str; 22] = [
    "FILE",
    "PATH",
    "DIR",
    "URI",
    "ENDPOINT",
    "NAME",
    "ID",
    "TTL",
    "LENGTH",
    "LIMIT",
    "LIMITS",
    "TOKENS",
    "COUNT",
    "TYPE",
    "ENABLED",
    "EXPIRY",
    "HEADER",
    "ISSUER",
    "ALGORITHM",
    "SECONDS",
    "MINUTES",
    "DAYS",
];
/// Values that everybody tries first, in letters alone: `Change_me123!` is one too.
const DEFAULTS: [&str; 30] = [
    "admin",
    "changeit",
    "changeme",
    "clickhouse",
    "default",
    "demo",
    "dev",
    "example",
    "foobar",
    "guest",
    "hunter",
    "ken",
    "letmein",
    "minio",
    "minioadmin",
    "miniosecret",
    "mypassword",
    "myredissecret",
    "mysalt",
    "mysecret",
    "pass",
    "password",
    "postgres",
    "qwerty",
    "redis",
    "root",
    "secret",
    "test",
    "todo",
    "user",
];
/// What a sample file says where a value belongs.
const PLACEHOLDERS: [&str; 6] =
    ["changeme", "replaceme", "placeholder", "yourpassword", "yoursecret", "insertyour"];
const SHORT: usize = 12;
/// Fewer different characters are a pattern, not chance.
const VARIETY: usize = 5;

/// Looks through the text of a `.env` file.
#[must_use]
pub fn inspect(text: &str) -> Vec<Finding> {
    let assignments = assignments(text);
    let mut findings = Vec::new();
    for entry in &assignments {
        let name = entry.name.to_uppercase();
        let own = is_secret(&name).then(|| weakness(&name, entry, &assignments)).flatten();
        let problem = own.or_else(|| {
            // A connection's password counts wherever it is written down.
            let (user, password) = entry.literal().and_then(credentials)?;
            let default = is_default(password, &name) || password.eq_ignore_ascii_case(user);
            match () {
                () if default => Some("holds a password that looks like a default"),
                () if password.len() < SHORT => Some("holds a short password"),
                () => None,
            }
        });
        if let Some(problem) = problem {
            findings.push(Finding {
                line: entry.line,
                name: entry.name.to_owned(),
                problem,
                mend: mend(&name),
            });
        }
    }
    findings
}

fn mend(name: &str) -> String {
    if name.starts_with("POSTGRES") {
        // The image reads the variable only when the volume is empty.
        return "change it in the running server first (ALTER ROLE … PASSWORD), then here and where it is used; \
                `openssl rand -hex 24` makes one"
            .to_owned();
    }
    "change it in the service that it protects first, then here; `openssl rand -hex 24` makes one".to_owned()
}

fn is_secret(name: &str) -> bool {
    let last = name.rsplit(['_', '.', '-']).next().unwrap_or_default();
    let bare = last.trim_end_matches(|c: char| c.is_ascii_digit());
    !HARMLESS_ENDS.contains(&bare)
        && !name.ends_with("_URL")
        // The public half of a pair is for everybody.
        && !name.contains("PUBLIC_KEY")
        && (SECRET_WORDS.iter().any(|word| name.contains(word)) || SECRET_ENDS.contains(&bare))
}

fn weakness(name: &str, entry: &Assignment<'_>, all: &[Assignment<'_>]) -> Option<&'static str> {
    // What other variables give cannot be judged by itself; a default behind `:-` can.
    let value = entry.literal()?;
    let known = |c: &str| all.iter().any(|o| o.name.to_uppercase().ends_with("USER") && o.value == c);
    let distinct = value.chars().collect::<std::collections::BTreeSet<_>>().len();
    let is_count = |v: &str| "0123456789".repeat(5).contains(v);
    match () {
        () if value.is_empty() => Some("is empty"),
        // A DSN is judged by the password in it.
        () if value.contains("://") => None,
        () if is_default(value, name) || known(value) => Some("looks like a default"),
        () if distinct == 1 || is_count(value) => Some("is one character or a count"),
        () if value.len() < SHORT => Some("is short"),
        () if distinct < VARIETY => Some("repeats a few characters"),
        () => None,
    }
}

fn is_default(value: &str, name: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let plain = letters(value);
    let stem = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    DEFAULTS.contains(&stem)
        || plain == letters(name)
        || PLACEHOLDERS.iter().any(|word| plain.contains(word))
        || (value.starts_with('<') && value.ends_with('>'))
}

/// User and password of a URL.
fn credentials(value: &str) -> Option<(&str, &str)> {
    let (_, rest) = value.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    authority.rsplit_once('@')?.0.split_once(':').filter(|(_, password)| !password.is_empty())
}

struct Assignment<'t> {
    line: usize,
    name: &'t str,
    value: String,
    /// Whether `$` stands for itself.
    is_literal: bool,
}

impl Assignment<'_> {
    /// The value as far as it is written here: itself, or the default behind `:-`.
    fn literal(&self) -> Option<&str> {
        let value = self.value.as_str();
        if self.is_literal || !value.contains('$') {
            return Some(value);
        }
        let inner = value.strip_prefix("${")?.strip_suffix('}')?;
        let (_, default) = inner.split_once(":-").or_else(|| inner.split_once('-'))?;
        (!default.contains('$') && !default.contains('}')).then_some(default)
    }
}

/// Names with their values as Compose reads them: `export`, `NAME: value`, quotes that may span lines, and comments
/// after a blank.
fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let mut found = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let mut taken = end;
        if let Some((name, value_at)) = name_of(&rest[..end]) {
            let raw = &rest[value_at..];
            let quote = raw.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (value, is_literal) = match quote.and_then(|q| closing(raw, q)) {
                Some(close) => {
                    // The statement ends with the line on which its quote is closed.
                    let after = value_at + close;
                    taken = rest[after..].find('\n').map_or(rest.len(), |newline| after + newline + 1);
                    (raw[1..close].to_owned(), quote == Some('\''))
                }
                None => (unquoted(&rest[value_at..end]).to_owned(), false),
            };
            found.push(Assignment { line, name, value, is_literal });
        }
        line += rest[..taken].matches('\n').count();
        rest = &rest[taken..];
    }
    found
}

/// The name on a line, and where its value begins.
fn name_of(line: &str) -> Option<(&str, usize)> {
    let start = line.len() - line.trim_start().len();
    let skipped =
        line[start..].strip_prefix("export ").map_or(start, |after| line.len() - after.trim_start().len());
    let separator = skipped + line[skipped..].find(['=', ':'])?;
    let name = line[skipped..separator].trim_end();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        return None;
    }
    let after = &line[separator + 1..];
    let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
    Some((name, separator + 1 + blanks))
}

/// Where the quote that opens `raw` is closed.
fn closing(raw: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (place, c) in raw.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(place),
            _ => {}
        }
    }
    None
}

fn unquoted(raw: &str) -> &str {
    let comment = raw
        .match_indices('#')
        .map(|(place, _)| place)
        .find(|place| *place == 0 || raw[..*place].ends_with([' ', '\t']));
    raw[..comment.unwrap_or(raw.len())].trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[(usize, &str, &str)]) {
        let found = inspect(text);
        let found: Vec<_> = found.iter().map(|f| (f.line, f.name.as_str(), f.problem)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn weak_secrets_are_named_and_good_ones_are_not() {
        check(
            "# PASSWORD=old\nPOSTGRES_PASSWORD=postgres\nexport API_TOKEN='abc' # note\nOPENAI_API_KEY=sk-proj-2f8a0c1e9b7d4f63a5e1\n\
             POSTGRES_USER=ken\nPASSWORD_FILE=/run/x\nSECRET=\"Password1!\"\nKEN_SECRET=aaaaaaaaaaaaaaaa\nA_TOKEN=${OTHER}\nB_SECRET=\n",
            &[
                (2, "POSTGRES_PASSWORD", "looks like a default"),
                (3, "API_TOKEN", "is short"),
                (7, "SECRET", "looks like a default"),
                (8, "KEN_SECRET", "is one character or a count"),
                (10, "B_SECRET", "is empty"),
            ],
        );
        check(
            "MAX_TOKENS=5\nTOKEN_TTL=5\nKEYBOARD=us\nPUBLIC_KEY=abc\nS3_ACCESS_KEY_ID=me\nLOGIN_URL=/x\n",
            &[],
        );
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        // Quotes span lines, and line numbers go on behind them.
        check("CERT=\"a\nb\nc\"\nA_SECRET=short # and a comment\n", &[(4, "A_SECRET", "is short")]);
        check("A_SECRET: test\r\n", &[(1, "A_SECRET", "looks like a default")]);
        check("A_SECRET=Zq7#x9-Lm2pQr4\n", &[]);
        check("A_SECRET=Zq7 #x9-Lm2pQr4\n", &[(1, "A_SECRET", "is short")]);
        check("A_SECRET='it\\'s $9 long enough'\n", &[]);
        check("A_SECRET=${B:-postgres}\n", &[(1, "A_SECRET", "looks like a default")]);
        check("A_SECRET=${B:-${C}}\nB_SECRET=x$C\n", &[]);
        check(
            "A_SECRET=\"unclosed\nB_SECRET=test",
            &[(1, "A_SECRET", "is short"), (2, "B_SECRET", "looks like a default")],
        );
        check("\u{feff}A_SECRET=test", &[(1, "A_SECRET", "looks like a default")]);
    }

    #[test]
    fn defaults_are_known_in_all_their_dresses() {
        for value in [
            "changeme",
            "CHANGE_ME",
            "Change-Me123!",
            "<your secret>",
            "my_secret",
            "A_SECRET",
            "your-password-here-please",
            "ken",
        ] {
            check(&format!("DB_USER=Zq\nA_SECRET={value}"), &[(2, "A_SECRET", "looks like a default")]);
        }
        check("DB_USER=Zq7xLm2pQr4s\nA_SECRET=Zq7xLm2pQr4s", &[(2, "A_SECRET", "looks like a default")]);
        check("A_SECRET=12345678901234", &[(1, "A_SECRET", "is one character or a count")]);
        check("A_SECRET=abababababababab", &[(1, "A_SECRET", "repeats a few characters")]);
    }

    #[test]
    fn passwords_inside_urls_count() {
        check(
            "DATABASE_URL=postgresql://ken:ken@postgres:5432/ken",
            &[(1, "DATABASE_URL", "holds a password that looks like a default")],
        );
        check("CACHE=redis://:Zq7x@redis", &[(1, "CACHE", "holds a short password")]);
        check(
            "SENTRY_DSN=https://0f8a0c1e9b7d4f63a5e1@sentry.example/1\nDATABASE_URL=postgresql://ken:2f8a0c1e9b7d4f63@db/ken\nX=https://h/a:b@c",
            &[],
        );
        assert!(inspect("POSTGRES_PASSWORD=test")[0].mend.contains("ALTER ROLE"));
    }

    proptest! {
        #[test]
        fn no_finding_holds_a_value(value in "[ -~]{0,10}", quote in "[\"']?") {
            let text = format!("DB_PASSWORD={quote}{value}Zq9{quote}\nURL=x://u:{value}Zq9@h\n");
            let said = format!("{:?}", inspect(&text));
            prop_assert!(!said.contains("Zq9"), "{}", said);
        }

        #[test]
        fn any_text_is_read(text in any::<String>(), lines in "([A-Z_=:$'\"#\\\\ é\n]|export ){0,60}") {
            for text in [text, lines] {
                let n = text.matches('\n').count() + 1;
                prop_assert!(inspect(&text).iter().all(|f| f.line >= 1 && f.line <= n));
            }
        }
    }
}
