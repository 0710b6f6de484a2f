//! What names must look like.

/// Non-empty text of one line, at most 1000 characters.
pub(crate) fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 1000 && !text.chars().any(char::is_control)
}

/// The name of an organisation, a project or a person.
pub(crate) fn is_display_name(text: &str) -> bool {
    is_line(text) && text.trim() == text && text.chars().count() <= 100
}

/// A Compose service.
pub(crate) fn is_service(text: &str) -> bool {
    text.len() <= 128
        && begins(text, u8::is_ascii_alphanumeric)
        && all(text, |b| b.is_ascii_alphanumeric() || b"._-".contains(b))
}

/// An organisation's or a project's id: it becomes part of URLs and of keys in the bucket.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() <= 64
        && begins(text, u8::is_ascii_alphanumeric)
        && all(text, |b| b.is_ascii_alphanumeric() || b"_-".contains(b))
}

/// A Postgres role or database that needs no quotes.
pub(crate) fn is_postgres_name(text: &str) -> bool {
    text.len() <= 63
        && begins(text, |b| b.is_ascii_lowercase() || *b == b'_')
        && all(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

/// Names that Postgres or Ken's server has for itself.
pub(crate) fn is_taken_postgres_name(text: &str) -> bool {
    text.starts_with("pg_")
        || matches!(
            text,
            "postgres"
                | "template0"
                | "template1"
                | "public"
                | "none"
                | "user"
                | "current_user"
                | "session_user"
        )
}

/// A role or database of another Postgres; its owner chose it.
pub(crate) fn is_foreign_postgres_name(text: &str) -> bool {
    text.len() <= 63
        && begins(text, |b| b.is_ascii_alphabetic() || *b == b'_')
        && all(text, |b| b.is_ascii_alphanumeric() || b"_-.".contains(b))
}

/// A ClickHouse user or database.
pub(crate) fn is_clickhouse_name(text: &str) -> bool {
    text.len() <= 63
        && begins(text, |b| b.is_ascii_alphabetic() || *b == b'_')
        && all(text, |b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// A bucket, by S3's rules.
pub(crate) fn is_bucket(text: &str) -> bool {
    let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&text.len())
        && all(text, |b| edge(b) || b".-".contains(b))
        && begins(text, edge)
        && text.bytes().next_back().is_some_and(|b| edge(&b))
        && !text.contains("..")
        && !text.starts_with("xn--")
        && text.parse::<std::net::Ipv4Addr>().is_err()
}

/// What stands in front of every key: nothing, or folders with a slash at the end.
pub(crate) fn is_prefix(text: &str) -> bool {
    text.is_empty()
        || (text.len() <= 200
            && text.ends_with('/')
            && text[..text.len() - 1].split('/').all(|part| {
                !matches!(part, "" | "." | "..")
                    && all(part, |b| b.is_ascii_alphanumeric() || b"._-".contains(b))
            }))
}

/// A region: `eu-central-1`, `auto`.
pub(crate) fn is_region(text: &str) -> bool {
    text.len() <= 64
        && begins(text, u8::is_ascii_alphanumeric)
        && all(text, |b| b.is_ascii_alphanumeric() || b"_-".contains(b))
}

/// An e-mail address as Langfuse checks it when it starts.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let Some((host, top)) = domain.rsplit_once('.') else { return false };
    text.len() <= 254
        && all(local, |b| b.is_ascii_alphanumeric() || b"_'+-.".contains(b))
        && !local.starts_with('.')
        && !local.ends_with(['.', '\''])
        && !local.contains("..")
        && host.split('.').all(is_label)
        && top.len() >= 2
        && all(top, u8::is_ascii_alphabetic)
}

/// Where `ssh` goes. It stands in a printed command, so nothing that a shell or `ssh` reads as more than a name.
pub(crate) fn is_ssh_target(text: &str) -> bool {
    let (user, host) = text.split_once('@').map_or((None, text), |(user, host)| (Some(user), host));
    user.is_none_or(|u| {
        begins(u, |b| b.is_ascii_alphanumeric() || *b == b'_')
            && all(u, |b| b.is_ascii_alphanumeric() || b"._-".contains(b))
    }) && is_host(host)
}

/// A host name, an address, or an IPv6 address in brackets.
pub(crate) fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    // Compose services have underscores in their names.
    text.len() <= 253
        && text.split('.').all(|label| {
            label.len() <= 63
                && begins(label, |b| b.is_ascii_alphanumeric() || *b == b'_')
                && all(label, |b| b.is_ascii_alphanumeric() || b"_-".contains(b))
        })
}

/// A path of a file, as text.
pub(crate) fn is_file_path(text: &str) -> bool {
    is_line(text) && !text.ends_with('/') && !matches!(text.rsplit('/').next(), Some("." | ".."))
}

fn is_label(text: &str) -> bool {
    begins(text, u8::is_ascii_alphanumeric) && all(text, |b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// Whether the text is not empty and every byte passes.
fn all(text: &str, test: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(test)
}

fn begins(text: &str, test: impl Fn(&u8) -> bool) -> bool {
    text.as_bytes().first().is_some_and(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        good.iter().for_each(|text| assert!(test(text), "{text:?} should pass"));
        bad.iter().for_each(|text| assert!(!test(text), "{text:?} should not pass"));
    }

    #[test]
    fn names_pass_or_do_not() {
        check(is_service, &["ken", "ken-api_1.x"], &["", "-ken", "ken api", "kén", &"k".repeat(200)]);
        check(is_id, &["ken", "Ken_1-a"], &["", "a/b", "-a", &"a".repeat(65)]);
        check(
            is_postgres_name,
            &["langfuse", "_a1"],
            &["", "1a", "Langfuse", "a-b", "a\"b", &"a".repeat(64)],
        );
        check(is_taken_postgres_name, &["postgres", "pg_x", "template1"], &["langfuse", "ken"]);
        check(is_foreign_postgres_name, &["postgres", "app-user"], &["", "a@b", "a b", "a;b"]);
        check(is_clickhouse_name, &["default", "Langfuse_1"], &["", "1a", "a-b"]);
        check(
            is_bucket,
            &["langfuse", "a-b.c", "abc"],
            &["", "ab", "Abc", "a_b", "-ab", "ab-", "a..b", "10.0.0.1", "xn--abc", &"a".repeat(64)],
        );
        check(is_prefix, &["", "a/", "a/b-c/"], &["a", "/", "/a/", "a//", "../", "a b/", "a/./"]);
        check(is_region, &["auto", "eu-central-1"], &["", "-x", "eu central"]);
        check(
            is_email,
            &["a@b.io", "first.last+tag@sub.ken.local"],
            &["", "a", "a@b", "a@b.c", ".a@b.io", "a..b@c.io", "a b@c.io", "a@-b.io", "a@@b.io", "a@b.io\n"],
        );
        check(
            is_ssh_target,
            &["vm", "ubuntu@vm-1.example", "u@10.0.0.5", "u@[fd00::1]"],
            &["", "-oProxyCommand=x", "u@", "@vm", "u@vm;rm", "u@vm -p 22", "u v@h", "$(x)@h"],
        );
        check(
            is_host,
            &["db", "db.internal", "10.0.0.5", "[::1]", "my_db"],
            &["", "::1", "a b", "a%20b", "a..b", "[x]"],
        );
        check(is_file_path, &["docker/docker-compose.yml", "../x.yml"], &["", "a/", ".", "a/..", "a\nb"]);
        check(is_display_name, &["Ken", "Ken & Söhne"], &["", " Ken", "a\tb", &"a".repeat(101)]);
    }
}
