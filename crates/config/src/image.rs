//! A reference to a container image.

use std::fmt;
use std::str::FromStr;

/// `registry/repository:tag@digest`, of which only the repository must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef {
    /// Host, and port if any; Docker's own registry when there is none.
    pub registry: Option<String>,
    /// Path below the registry.
    pub repository: String,
    /// A name that its owner can move.
    pub tag: Option<String>,
    /// What cannot be moved: `sha256:` and 64 hex digits.
    pub digest: Option<String>,
}

/// Three numbers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u64,
    /// Second number.
    pub minor: u64,
    /// Third number.
    pub patch: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is no image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnImage(pub(crate) &'static str);

impl ImageRef {
    /// Whether tomorrow's image may be another one: no digest, and a tag that is not an exact version.
    #[must_use]
    pub fn is_floating(&self) -> bool {
        self.digest.is_none() && !self.tag.as_deref().is_some_and(is_exact)
    }

    /// The version that the tag says, if it is a full one: `4.16.0`, `v4.16.0`, `7.2.11-alpine`, `25.12.3.21`.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        version(self.tag.as_deref()?).map(|(version, _)| version)
    }

    /// The version of Langfuse that the tag says: three numbers and nothing after them.
    ///
    /// A suffix is not understood: `4.16.0-rc.1` comes before `4.16.0`.
    #[must_use]
    pub fn langfuse_version(&self) -> Option<Version> {
        version(self.tag.as_deref()?).and_then(|(version, rest)| rest.is_empty().then_some(version))
    }
}

/// A version and what follows it in a tag.
fn version(tag: &str) -> Option<(Version, &str)> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let (numbers, rest) = tag.split_at(tag.find(['-', '_']).unwrap_or(tag.len()));
    let numbers: Option<Vec<u64>> = numbers
        .split('.')
        .map(|n| if n.bytes().all(|b| b.is_ascii_digit()) { n.parse().ok() } else { None })
        .collect();
    match numbers?.as_slice() {
        // ClickHouse has four numbers.
        [major, minor, patch] | [major, minor, patch, _] => {
            Some((Version { major: *major, minor: *minor, patch: *patch }, rest))
        }
        _ => None,
    }
}

fn is_exact(tag: &str) -> bool {
    version(tag).is_some() || tag.strip_prefix("RELEASE.").is_some_and(is_moment)
}

/// MinIO's `2025-09-07T16-13-09Z`, with what a build may add.
fn is_moment(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00-00-00Z";
    text.len() >= SHAPE.len()
        && text
            .bytes()
            .zip(SHAPE)
            .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape })
}

impl FromStr for ImageRef {
    type Err = NotAnImage;

    fn from_str(text: &str) -> Result<Self, NotAnImage> {
        let wrong = |why| Err(NotAnImage(why));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|d| !is_digest(d)) {
            return wrong("the digest is not `sha256:` and 64 lower-case hex digits");
        }
        // A colon before the last slash belongs to the registry's port.
        let name_from = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_from..].find(':') {
            Some(colon) => (&rest[..name_from + colon], Some(&rest[name_from + colon + 1..])),
            None => (rest, None),
        };
        if tag.is_some_and(|t| !is_tag(t)) {
            return wrong("the tag is not 1 to 128 letters, digits, `.`, `_` or `-`");
        }
        let (registry, repository) = match name.split_once('/') {
            // Docker's own rule for telling a host from a folder.
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
            _ => (None, name),
        };
        if registry.is_some_and(|host| !is_host(host)) {
            return wrong("the registry is not a host name, with a port if need be");
        }
        if repository.is_empty() || repository.len() > 255 || !repository.split('/').all(is_component) {
            return wrong("the repository is not lower-case words with `/` between them");
        }
        Ok(Self {
            registry: registry.map(str::to_owned),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !text.starts_with(['.', '-'])
}

fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        && !host.starts_with(['.', '-'])
        && port.is_none_or(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|p| p > 0))
}

fn is_component(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && !text.starts_with(['.', '_', '-'])
        && !text.ends_with(['.', '_', '-'])
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl serde::Serialize for ImageRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(text: &str) -> ImageRef {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn parts_are_told_apart() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, registry, repository, tag, has_digest) in [
            ("redis", None, "redis", None, false),
            ("redis:7", None, "redis", Some("7"), false),
            ("langfuse/langfuse:4.16.0", None, "langfuse/langfuse", Some("4.16.0"), false),
            ("localhost/x", Some("localhost"), "x", None, false),
            ("m.example:5000/a/b:c", Some("m.example:5000"), "a/b", Some("c"), false),
            (&format!("quay.io/minio/minio:r@{digest}"), Some("quay.io"), "minio/minio", Some("r"), true),
        ] {
            let read = image(text);
            assert_eq!(
                (
                    read.registry.as_deref(),
                    read.repository.as_str(),
                    read.tag.as_deref(),
                    read.digest.is_some()
                ),
                (registry, repository, tag, has_digest)
            );
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            ":tag",
            "a/",
            "/a",
            "A/b",
            "a:",
            "a:b c",
            "a@sha256:12",
            "a b",
            "https://m.example/a",
            "m.example:x/a",
            "m.example:0/a",
            "a//b",
            "a:-b",
            "user:pass@m.example/a",
        ] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn exact_versions_do_not_float() {
        for text in [
            "a:4.16.0",
            "a:v4.16.0",
            "a:7.2.11-alpine",
            "a:25.12.3.21",
            "a:RELEASE.2025-09-07T16-13-09Z",
            "a:RELEASE.2025-09-07T16-13-09Z-cpuv1",
        ] {
            assert!(!image(text).is_floating(), "{text}");
        }
        for text in
            ["a", "a:latest", "a:4", "a:25.12", "a:7-alpine", "a:RELEASE.latest", "a:4.16.x", "a:4.+1.0"]
        {
            assert!(text.parse::<ImageRef>().map_or(true, |i| i.is_floating()), "{text}");
        }
        assert!(!image(&format!("a:4@sha256:{}", "0".repeat(64))).is_floating());
    }

    #[test]
    fn versions_are_read_from_full_tags() {
        let of = |text: &str| image(text).langfuse_version().map(|v| v.to_string());
        assert_eq!(of("a:4.16.0").as_deref(), Some("4.16.0"));
        assert_eq!(of("a:4.16.0-rc.1"), None);
        assert_eq!(of("a:4"), None);
        assert_eq!(image("a:7.2.11-alpine").version().map(|v| v.major), Some(7));
    }

    proptest! {
        #[test]
        fn what_is_read_shows_itself_again(text in "[a-z.:/@0-9-]{0,40}") {
            if let Ok(read) = text.parse::<ImageRef>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
