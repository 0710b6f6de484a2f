//! A local deployment in a folder of its own: no Docker, no Ken, a free port. Taken away when it is dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Answer, send};
use crate::xtask::start_in;
use crate::{Outcome, Running, ports};

/// The folder and the port.
#[derive(Debug)]
pub struct Local {
    folder: TempDir,
    port: u16,
}

impl Local {
    /// A folder with a policy for the local engine; nothing is deployed.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ken-local-").tempdir()?;
        let [port] = ports::free()?;
        let local = Self { folder, port };
        local.write_policy("local")?;
        Ok(local)
    }

    /// Writes the policy anew, for this engine.
    pub fn write_policy(&self, engine: &str) -> anyhow::Result<()> {
        let text = format!(
            "profile = \"dev\"\nengine = \"{engine}\"\n[exposure]\nmode = \"private\"\nport = {}\n",
            self.port
        );
        Ok(std::fs::write(self.folder.path().join("policy.toml"), text)?)
    }

    /// Where the commands run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that a deployment leaves.
    #[must_use]
    pub fn site(&self) -> PathBuf {
        self.folder.path().join(".langfuse-local")
    }

    /// The folder of the only service.
    #[must_use]
    pub fn service(&self) -> PathBuf {
        self.site().join("services/langfuse-web")
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Starts a command with the policy; `words` begin with its verb.
    pub fn start(&self, words: &[&str]) -> anyhow::Result<Running> {
        start_in(self.folder(), &[words, &["--policy", "policy.toml"]].concat(), &[])
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        self.start(words)?.wait()
    }

    /// Runs a command without the policy and with these variables.
    pub fn run_bare(&self, words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Outcome> {
        start_in(self.folder(), words, variables)?.wait()
    }

    /// `deploy --yes`, which must succeed.
    pub fn deploy(&self) -> anyhow::Result<Outcome> {
        self.run(&["deploy", "--yes"])?.exits(0)
    }

    /// A secret by its key in the secrets file.
    pub fn secret(&self, key: &str) -> anyhow::Result<String> {
        let text = std::fs::read_to_string(self.site().join("secrets/secrets.env"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        Ok(value.with_context(|| format!("no {key}"))?.trim_matches(['\'', '"']).to_owned())
    }

    /// Asks the API with the project's keys.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        use base64::Engine as _;
        let keys = format!("{}:{}", self.secret("PROJECT_PUBLIC_KEY")?, self.secret("PROJECT_SECRET_KEY")?);
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(keys));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
        send(self.address(), method, path, &headers, body)
    }

    /// Names of all observations.
    pub fn observations(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.ask("GET", "/api/public/v2/observations?fields=core,basic", "")?;
        ensure!(answer.status == 200, "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body)?;
        let rows = body["data"].as_array().context("no data")?;
        Ok(rows.iter().map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Process ids of supervisor and server; none where there is none.
    pub fn processes(&self) -> (Option<u32>, Option<u32>) {
        let text = std::fs::read(self.service().join("run.json")).unwrap_or_default();
        let run: Value = serde_json::from_slice(&text).unwrap_or_default();
        let pid = |value: &Value| value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        (pid(&run["supervisor"]), pid(&run["server"]))
    }

    /// Waits until this holds.
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !holds() {
            ensure!(began.elapsed() < Duration::from_secs(20), "not {what} after 20 s");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Whether the server answers that it is well.
    #[must_use]
    pub fn is_well(&self) -> bool {
        crate::http::get(self.address(), "/api/public/health").is_ok_and(|answer| answer.status == 200)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // What a failed test left must not serve on.
        let words = ["rollback", "--yes", "--purge", "--confirm-purge", "langfuse-local"];
        let _gone = self.run(&words);
    }
}
