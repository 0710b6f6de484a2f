//! The rig: an engine, Compose, and the images, or the reason why they cannot be had.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::command::{docker, read};

/// Everything that an end-to-end test stands on.
#[derive(Debug)]
pub struct Rig {
    images: BTreeMap<String, String>,
    folder: PathBuf,
}

/// Why there is no rig on this machine.
#[derive(Clone, Debug)]
pub struct Unavailable {
    reason: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Unavailable {}

impl Rig {
    /// Checks engine, Compose and images, and builds the images that are missing or stale; once in a process.
    pub fn require() -> Result<&'static Self, Unavailable> {
        static RIG: OnceLock<Result<Rig, Unavailable>> = OnceLock::new();
        RIG.get_or_init(Self::prepare).as_ref().map_err(Clone::clone)
    }

    /// The full name of an image by the short one that `tests/rig/images.txt` has.
    ///
    /// # Panics
    /// When there is no such image: the test is wrong.
    #[must_use]
    pub fn image(&self, name: &str) -> &str {
        match self.images.get(name) {
            Some(image) => image,
            None => panic!("the rig has no image {name:?}, only {:?}", self.images.keys()),
        }
    }

    /// The folder with the rig's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn prepare() -> Result<Self, Unavailable> {
        let missing = |what: &str, cause: anyhow::Error| Unavailable {
            reason: format!("{what} ({cause:#}); tests/rig/setup, run as root on Debian, provides it"),
        };
        docker(["version", "--format", "{{.Server.Version}}"])
            .map_err(|cause| missing("no Docker Engine answers", cause))?;
        docker(["compose", "version"]).map_err(|cause| missing("Docker Compose is missing", cause))?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rig");
        // Without root the images can still be there already; the build says when it needs more.
        let build = folder.join("build");
        read(&duct::cmd!(&build)).map_err(|cause| Unavailable { reason: format!("{cause:#}") })?;
        let list = read(&duct::cmd!(&build, "--list"))
            .map_err(|cause| Unavailable { reason: format!("{cause:#}") })?;
        let images = list
            .lines()
            .filter_map(|image| {
                let name = image.strip_prefix("ken-rig/")?.split(':').next()?;
                Some((name.to_owned(), image.to_owned()))
            })
            .collect();
        Ok(Self { images, folder })
    }
}

/// What [`crate::rig_or_skip!`] calls, with the path of a function inside the test.
///
/// # Panics
/// Where the rig cannot be had although the tests must run: with `CI=true` or `KEN_E2E=require`.
pub fn rig_or_skip(inside: &str) -> Option<&'static Rig> {
    let test = inside.rsplit("::").nth(1).unwrap_or(inside);
    match Rig::require() {
        Ok(rig) => {
            note_run(test);
            Some(rig)
        }
        Err(unavailable) => {
            let required = std::env::var("CI").is_ok_and(|value| value == "true")
                || std::env::var("KEN_E2E").is_ok_and(|value| value == "require");
            assert!(!required, "{test} must run, but: {unavailable}");
            // Past the test harness's capture, or nobody would learn of it.
            let _ = writeln!(std::io::stderr(), "{test}: skipped: {unavailable}");
            None
        }
    }
}

/// Adds the test to the file named by `KEN_E2E_LOG`: the proof that it did run.
fn note_run(test: &str) {
    let Some(path) = std::env::var_os("KEN_E2E_LOG") else { return };
    let line = format!("{test}\n");
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(cause) = written {
        panic!("cannot note {test} in {}: {cause}", path.display());
    }
}
