//! Which values may be shown.

use url::Url;

/// Longer values tell nobody more.
const LONGEST: usize = 160;

/// Words in a key that say that its value is secret.
const SECRET_WORDS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "credentials",
    "dsn",
];

/// Words at a key's end that say that it is not, whatever stands before.
const HARMLESS_ENDS: [&str; 16] = [
    "enabled",
    "disabled",
    "seconds",
    "minutes",
    "hours",
    "ms",
    "bytes",
    "size",
    "count",
    "limit",
    "concurrency",
    "login",
    "path",
    "file",
    "prefix",
    "ttl",
];

/// Whether a key's name says that its value is secret.
pub(crate) fn is_secret_name(key: &str) -> bool {
    let lower = key.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let ends_harmless = words.clone().next_back().is_some_and(|w| HARMLESS_ENDS.contains(&w));
    !ends_harmless
        && words
            .any(|word| SECRET_WORDS.contains(&word) || word.contains("password") || word.contains("secret"))
}

/// A string as it may be shown: what may be credentials is left out; none when nothing is left.
pub(crate) fn shown(text: &str) -> Option<String> {
    // Whoever pastes a line break into a value may have pasted more than meant.
    let text = text.lines().next().unwrap_or_default();
    // A digest is no host, and what stands before it no password.
    let without_digest =
        text.split_once("@sha256:").filter(|(_, hex)| hex.len() == 64).map_or(text, |(name, _)| name);
    let masked = match text.split_once("://") {
        Some((scheme, _)) if !is_plain_url(text) => {
            let scheme = if is_scheme(scheme) { scheme } else { "" };
            format!("{scheme}://…")
        }
        // `user:password@host`, with or without what should stand before it.
        None if without_digest.find('@').is_some_and(|at| text[..at].contains(':')) => return None,
        _ => text.to_owned(),
    };
    let mut short: String = masked.chars().take(LONGEST).filter(|c| !c.is_control()).collect();
    if masked.chars().count() > LONGEST {
        short.push('…');
    }
    Some(short)
}

/// Like [`shown`], for keys whose value is a URL: what does not even begin like one is not shown at all.
pub(crate) fn shown_url(text: &str) -> Option<String> {
    if text.contains("://") { shown(text) } else { None }
}

/// Without user, query and fragment, in any reading.
fn is_plain_url(text: &str) -> bool {
    !text.contains(['@', '?', '#']) && Url::parse(text).is_ok()
}

fn is_scheme(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (text, expected) in [
            ("https://ken.example/x", Some("https://ken.example/x")),
            ("postgresql://u:p@h/db", Some("postgresql://…")),
            ("redis://:p", Some("redis://…")),
            ("https://h/?token=p", Some("https://…")),
            ("p://x@y", Some("p://…")),
            ("Secret://x@y", Some("://…")),
            ("u:p@h", None),
            ("me@ken.example", Some("me@ken.example")),
            ("plain\nsecond line", Some("plain")),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
        assert_eq!(shown_url("hunter2"), None);
        assert_eq!(shown(&"x".repeat(500)).unwrap().chars().count(), LONGEST + 1);
    }

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for key in [
            "password",
            "client_secret",
            "ENCRYPTION_KEY",
            "LANGFUSE_EE_LICENSE_KEY",
            "api-token",
            "dbpassword",
            "SENTRY_DSN",
        ] {
            assert!(is_secret_name(key), "{key}");
        }
        for key in [
            "bucket",
            "LANGFUSE_CACHE_API_KEY_TTL_SECONDS",
            "disable_password_login",
            "MAX_TOKENS",
            "keyboard",
        ] {
            assert!(!is_secret_name(key), "{key}");
        }
    }
}
