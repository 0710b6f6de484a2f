//! A Ken whose state is remembered, and what of ours stands beside it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ken_tests::{ContainerState, Fingerprint, KenStack, Rig, Sharing, Xtask, command, http};
use serde_json::Value;

/// Names of the services that a whole deployment has.
pub(crate) const SERVICES: [&str; 6] = [
    "langfuse-redis",
    "langfuse-clickhouse",
    "langfuse-minio",
    "langfuse-migrate",
    "langfuse-worker",
    "langfuse-web",
];

/// A running Ken, and how it was before anything was done beside it.
pub(crate) struct Stack {
    ken: KenStack,
    fingerprint: Fingerprint,
    lives: [ContainerState; 2],
}

/// Everything that a command which changes nothing must leave as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct World {
    /// Every file and folder: mode, time of the last change, size.
    files: BTreeMap<PathBuf, (u32, i64, i64, u64)>,
    /// Every container with its start, every network, every volume.
    engine: Vec<String>,
}

impl Deref for Stack {
    type Target = KenStack;

    fn deref(&self) -> &KenStack {
        &self.ken
    }
}

impl World {
    /// Containers, networks and volumes alone.
    pub(crate) fn engine(&self) -> &[String] {
        &self.engine
    }
}

impl Stack {
    pub(crate) fn start(rig: &Rig) -> anyhow::Result<Self> {
        let ken = KenStack::prepare(rig, Sharing::Shared)?;
        ken.up_ken()?;
        Self::of(ken)
    }

    /// Of a Ken that runs already.
    pub(crate) fn of(ken: KenStack) -> anyhow::Result<Self> {
        let fingerprint = ken.fingerprint()?;
        let lives = [ken.container("ken")?, ken.container("postgres")?];
        Ok(Self { ken, fingerprint, lives })
    }

    pub(crate) fn xtask(&self) -> anyhow::Result<Xtask<'_>> {
        Xtask::beside(&self.ken)
    }

    /// Changes one key of the policy, given as `section.key`.
    pub(crate) fn set_policy(&self, key: &str, value: impl Into<toml::Value>) -> anyhow::Result<()> {
        let path = self.policy_file();
        let mut policy: toml::Table = toml::from_str(&std::fs::read_to_string(&path)?)?;
        let (section, key) = key.split_once('.').context("a key is section.key")?;
        let section = policy.entry(section).or_insert_with(|| toml::Table::new().into());
        section.as_table_mut().context("no table")?.insert(key.to_owned(), value.into());
        Ok(std::fs::write(&path, toml::to_string(&policy)?)?)
    }

    /// Our folder beside Ken's file.
    pub(crate) fn langfuse(&self) -> PathBuf {
        self.compose_file().with_file_name("langfuse")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.langfuse().join("state/journal.jsonl")
    }

    /// Whole lines in the journal; none where there is no journal.
    pub(crate) fn journal_lines(&self) -> usize {
        std::fs::read(self.journal()).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
    }

    /// Every secret by its name.
    pub(crate) fn secrets(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let path = self.langfuse().join("secrets/secrets.env");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let pairs = lines.map(|line| {
            let (name, value) =
                line.split_once('=').with_context(|| format!("a line of {}", path.display()))?;
            Ok((name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
        });
        pairs.collect()
    }

    /// Basic authentication with the project's keys.
    pub(crate) fn authorization(&self) -> anyhow::Result<String> {
        let secrets = self.secrets()?;
        let pair = format!("{}:{}", secrets["PROJECT_PUBLIC_KEY"], secrets["PROJECT_SECRET_KEY"]);
        Ok(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// Asks Langfuse's API with the project's keys.
    pub(crate) fn api(
        &self,
        at: SocketAddr,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<http::Answer> {
        let key = self.authorization()?;
        let headers = [
            ("Authorization", key.as_str()),
            ("Content-Type", "application/json"),
            ("x-langfuse-ingestion-version", "4"),
        ];
        http::send(at, method, path, &headers, body)
    }

    /// The id of the project that the keys reach.
    pub(crate) fn project(&self) -> anyhow::Result<String> {
        let answer = self.api(self.langfuse_address(), "GET", "/api/public/projects", "")?;
        ensure!(answer.status == 200, "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body)?;
        body["data"][0]["id"].as_str().map(str::to_owned).with_context(|| answer.body.clone())
    }

    /// Ken's containers live as they did, its data and settings are the same, and it serves. Its Compose file is
    /// looked at by [`Stack::as_before`] alone.
    pub(crate) fn untouched(&self) -> anyhow::Result<()> {
        assert_eq!([self.container("ken")?, self.container("postgres")?], self.lives);
        let now = Fingerprint { compose_file: self.fingerprint.compose_file.clone(), ..self.fingerprint()? };
        assert_eq!(now, self.fingerprint);
        assert_eq!(self.conversations()?, 42);
        Ok(())
    }

    /// Takes over that Ken was restarted by its own people: other start times, the same containers.
    pub(crate) fn restarted(&mut self) -> anyhow::Result<()> {
        let now = [self.container("ken")?, self.container("postgres")?];
        for (now, before) in now.iter().zip(&self.lives) {
            assert_eq!(now.id, before.id);
            assert_ne!(now.started_at, before.started_at);
        }
        self.lives = now;
        Ok(())
    }

    /// Takes over that Ken's containers were made anew by its own people.
    pub(crate) fn recreated(&mut self) -> anyhow::Result<()> {
        self.lives = [self.container("ken")?, self.container("postgres")?];
        Ok(())
    }

    /// [`Stack::untouched`], with the Compose file byte for byte as it was.
    pub(crate) fn as_before(&self) -> anyhow::Result<()> {
        self.untouched()?;
        assert_eq!(self.fingerprint()?.compose_file, self.fingerprint.compose_file, "Ken's Compose file");
        Ok(())
    }

    /// [`Stack::as_before`], and nothing of ours is left anywhere.
    pub(crate) fn nothing_left(&self) -> anyhow::Result<()> {
        self.as_before()?;
        assert!(!self.langfuse().exists(), "{}", self.langfuse().display());
        let engine = self.world()?.engine;
        assert!(!engine.iter().any(|line| line.contains("langfuse")), "{engine:#?}");
        let names = "SELECT rolname FROM pg_roles UNION ALL SELECT datname FROM pg_database ORDER BY 1";
        let names = self.sql("postgres", names)?;
        assert!(!names.contains("langfuse"), "{names}");
        Ok(())
    }

    /// What the engine's list says of a service's containers, such as `Up 3 seconds (healthy)`; whichever of Ken's
    /// and our projects it is in.
    pub(crate) fn state(&self, service: &str) -> anyhow::Result<String> {
        let of_service = format!("label=com.docker.compose.service={service}");
        let ours = format!("label=dev.ken-langfuse.stack={}", self.name());
        let list =
            ["container", "ls", "-a", "--filter", &of_service, "--filter", &ours, "--format", "{{.Status}}"];
        command::docker(list)
    }

    /// The one container of a service of ours, in whichever project it is.
    fn id_of(&self, service: &str) -> anyhow::Result<String> {
        let of_service = format!("label=com.docker.compose.service={service}");
        let ours = format!("label=dev.ken-langfuse.stack={}", self.name());
        let found = command::docker(["container", "ls", "-q", "--filter", &of_service, "--filter", &ours])?;
        ensure!(!found.is_empty() && !found.contains('\n'), "running containers of {service}: {found:?}");
        Ok(found)
    }

    /// Runs a program in the running container of a service of ours.
    pub(crate) fn exec_of(&self, service: &str, words: &[&str]) -> anyhow::Result<String> {
        let id = self.id_of(service)?;
        command::docker([&["exec", &id], words].concat())
    }

    /// Where a service of ours answers, published or not.
    pub(crate) fn address_of(&self, service: &str, port: u16) -> anyhow::Result<SocketAddr> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}\n{{end}}";
        let found = command::docker(["container", "inspect", "--format", format, &self.id_of(service)?])?;
        let ip = found
            .lines()
            .find(|line| !line.is_empty())
            .with_context(|| format!("{service} has no address"))?;
        Ok(SocketAddr::new(ip.parse()?, port))
    }

    /// Everything that can be seen of this stack.
    pub(crate) fn world(&self) -> anyhow::Result<World> {
        let mut files = BTreeMap::new();
        walk(self.folder(), &mut files)?;
        let name = self.name();
        let ids =
            command::docker(["container", "ls", "-aq", "--no-trunc", "--filter", &format!("name={name}")])?;
        let mut engine = Vec::new();
        if !ids.is_empty() {
            let format = "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.State.Status}} {{.RestartCount}}";
            engine.extend(command::docker_lines(
                ["container", "inspect", "--format", format].into_iter().chain(ids.lines()),
            )?);
        }
        let filter = format!("name={name}");
        for kind in ["network", "volume"] {
            let found = command::docker_lines([kind, "ls", "--filter", &filter, "--format", "{{.Name}}"])?;
            engine.extend(found.into_iter().map(|name| format!("{kind} {name}")));
        }
        engine.sort();
        Ok(World { files, engine })
    }

    /// Removes everything: the end of every test.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.ken.finish()
    }
}

fn walk(folder: &Path, files: &mut BTreeMap<PathBuf, (u32, i64, i64, u64)>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let seen = path.symlink_metadata()?;
        files.insert(path.clone(), (seen.mode(), seen.mtime(), seen.mtime_nsec(), seen.len()));
        if seen.is_dir() {
            walk(&path, files)?;
        }
    }
    Ok(())
}

/// Waits until something is so, looking every few milliseconds.
pub(crate) fn until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !holds() {
        ensure!(began.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
