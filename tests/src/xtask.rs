//! The real `xtask` binary, run for a [`KenStack`] the way its operator would run it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use duct::Handle;
use serde_json::Value;

use crate::KenStack;

/// The commands of `cargo xtask` for one stack and one policy.
#[derive(Debug)]
pub struct Xtask<'k> {
    program: &'static Path,
    ken: &'k KenStack,
    policy: PathBuf,
}

/// How a command ended and what it said.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The arguments.
    pub words: Vec<String>,
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

/// A command that has not been waited for yet; killed when dropped.
#[derive(Debug)]
pub struct Running {
    words: Vec<String>,
    handle: Handle,
    began: Instant,
}

impl<'k> Xtask<'k> {
    /// The commands for this Ken, with the policy that was written for it. Compiles the binary if need be.
    pub fn beside(ken: &'k KenStack) -> anyhow::Result<Self> {
        Ok(Self { program: program()?, ken, policy: ken.policy_file() })
    }

    /// The binary itself. Compiles it if need be.
    pub fn program() -> anyhow::Result<&'static Path> {
        program()
    }

    /// The same with another policy.
    #[must_use]
    pub fn with_policy(&self, policy: PathBuf) -> Self {
        Self { program: self.program, ken: self.ken, policy }
    }

    /// `plan`, which changes nothing.
    pub fn plan(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.run("plan", words)
    }

    /// `deploy --yes`.
    pub fn deploy(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.start_deploy(words)?.wait()
    }

    /// [`Xtask::deploy`] without waiting for its end.
    pub fn start_deploy(&self, words: &[&str]) -> anyhow::Result<Running> {
        self.start("deploy", &[&["--yes"], words].concat())
    }

    /// `rollback --yes`.
    pub fn rollback(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.run("rollback", &[&["--yes"], words].concat())
    }

    /// `rollback --purge`, confirmed twice.
    pub fn purge(&self) -> anyhow::Result<Outcome> {
        self.rollback(&["--purge", "--confirm-purge", self.ken.name()])
    }

    /// `status`.
    pub fn status(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.run("status", words)
    }

    /// `validate`.
    pub fn validate(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.run("validate", words)
    }

    /// `secrets init` or `secrets check`.
    pub fn secrets(&self, verb: &str, words: &[&str]) -> anyhow::Result<Outcome> {
        self.run("secrets", &[&[verb], words].concat())
    }

    /// `unlock`.
    pub fn unlock(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.run("unlock", words)
    }

    fn run(&self, verb: &str, words: &[&str]) -> anyhow::Result<Outcome> {
        self.start(verb, words)?.wait()
    }

    fn start(&self, verb: &str, words: &[&str]) -> anyhow::Result<Running> {
        let words: Vec<String> = [verb].iter().chain(words).map(|word| (*word).to_owned()).collect();
        let arguments =
            words.iter().map(OsString::from).chain(["--policy".into(), self.policy.clone().into_os_string()]);
        let began = Instant::now();
        let handle = duct::cmd(self.program, arguments)
            .dir(self.ken.folder())
            .stdin_null()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .start()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Running { words, handle, began })
    }
}

/// Starts the binary in a folder, with variables beside those of this process.
pub(crate) fn start_in(folder: &Path, words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Running> {
    let program = program()?;
    let mut command = duct::cmd(program, words).dir(folder).stdin_null().stdout_capture().stderr_capture();
    for (name, value) in variables {
        command = command.env(name, value);
    }
    let began = Instant::now();
    let handle =
        command.unchecked().start().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Running { words: words.iter().map(|word| (*word).to_owned()).collect(), handle, began })
}

impl Running {
    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.handle.pids().first().copied().unwrap_or_default()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> anyhow::Result<bool> {
        Ok(self.handle.try_wait().with_context(|| format!("{:?}", self.words))?.is_some())
    }

    /// Waits for the end.
    pub fn wait(self) -> anyhow::Result<Outcome> {
        let output = self.handle.wait().with_context(|| format!("{:?}", self.words))?;
        Ok(Outcome {
            words: self.words.clone(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: self.began.elapsed(),
        })
    }

    /// `kill -9`, which no process can catch; what it started lives on.
    pub fn kill(self) -> anyhow::Result<Outcome> {
        self.handle.kill().with_context(|| format!("{:?}", self.words))?;
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed must not leave a deploy behind that works on a stack which is being removed.
        let _ = self.handle.kill();
    }
}

impl Outcome {
    /// Fails, with everything that was said, unless it ended with this code.
    pub fn exits(self, code: i32) -> anyhow::Result<Self> {
        ensure!(self.code == Some(code), "expected exit code {code}: {}", self.told());
        Ok(self)
    }

    /// Everything that was said.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Fails, with everything that was said, unless all of these words are in it.
    pub fn says(self, words: &[&str]) -> anyhow::Result<Self> {
        let text = self.text();
        for word in words {
            ensure!(text.contains(word), "{word:?} is not said: {}", self.told());
        }
        Ok(self)
    }

    /// The lines of `--json`.
    pub fn events(&self) -> anyhow::Result<Vec<Value>> {
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).with_context(|| self.told())).collect()
    }

    /// The events of one kind.
    pub fn events_of(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        Ok(self.events()?.into_iter().filter(|event| event["event"] == kind).collect())
    }

    /// Id and finding of each check of `--json`, in order.
    pub fn checks(&self) -> anyhow::Result<Vec<(String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checks = self.events_of("checked")?;
        Ok(checks.iter().map(|check| (text(&check["id"]), text(&check["finding"]))).collect())
    }

    fn told(&self) -> String {
        let Self { words, code, stdout, stderr, took } = self;
        format!(
            "{words:?} ended with {code:?} after {:.1} s\n--- stdout\n{stdout}--- stderr\n{stderr}",
            took.as_secs_f64()
        )
    }
}

/// The binary, compiled from the present sources once in a process.
fn program() -> anyhow::Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PROGRAM.get_or_init(|| compile().map_err(|cause| format!("{cause:#}"))) {
        Ok(path) => Ok(path),
        Err(cause) => anyhow::bail!("no xtask: {cause}"),
    }
}

/// Compiles into the folder, and by the profile, that this test was compiled into: after `cargo test --workspace`
/// there is nothing left to do.
fn compile() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    // TARGET/PROFILE/deps/TEST, or TARGET/PROFILE/PROGRAM
    let folder = test.parent().context("this program is in no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().context("this test is in no target folder")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = |packages: &[&str]| {
        let words = [&["build", "--quiet", "--profile", profile], packages].concat();
        let done = duct::cmd(&cargo, words)
            .dir(&root)
            .env("CARGO_TARGET_DIR", target)
            .stderr_to_stdout()
            .stdout_capture()
            .unchecked()
            .run()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        Ok(())
    };
    // As the rig compiles its programs: with fewer packages Cargo would pick other features.
    build(&["--workspace", "--bins"]).or_else(|_| build(&["--package", "xtask"]))?;
    let program = folder.join("xtask");
    ensure!(program.is_file(), "cargo made no {}", program.display());
    Ok(program)
}
