//! A running copy of the sample Ken, with a name, ports and data of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::command::docker;
use crate::project::{Project, Sharing};
use crate::{Rig, http, ports};

/// Ken beside which Langfuse is deployed. What every [`Project`] can do, it can do too.
#[derive(Debug)]
pub struct KenStack {
    project: Project,
    ken_port: u16,
    langfuse_port: u16,
}

/// What must be the same before and after anything that is done beside Ken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash of the dump of Ken's database.
    pub database: String,
    /// Hash of Ken's role, its password included, and of the names and rights of Ken's databases.
    pub role: String,
    /// Name and place of the volume below Ken's Postgres, and the number that its data were born with.
    pub volume: String,
    /// Hash of Ken's Compose file.
    pub compose_file: String,
    /// Hash of the `.env` beside it.
    pub env_file: String,
}

impl KenStack {
    /// Copies the sample, names it, and starts Ken and its Postgres.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        let stack = Self::prepare(rig, Sharing::Shared)?;
        stack.up_ken()?;
        Ok(stack)
    }

    /// [`KenStack::start`] without starting anything, for tests that change Ken's files first.
    pub fn prepare(rig: &Rig, sharing: Sharing) -> anyhow::Result<Self> {
        let project = Project::copy_of(&rig.folder().join("ken"), "docker", sharing)?;
        let [ken_port, langfuse_port] = ports::free()?;
        project.set_variable("KEN_PORT", &ken_port.to_string())?;
        let stack = Self { project, ken_port, langfuse_port };
        stack.write_policy(rig)?;
        Ok(stack)
    }

    /// Starts Ken's services and waits until they are healthy.
    pub fn up_ken(&self) -> anyhow::Result<()> {
        self.project.up(["ken", "postgres"]).context("Ken does not come up")
    }

    /// The policy that names this copy, its port for Langfuse and the rig's images.
    #[must_use]
    pub fn policy_file(&self) -> PathBuf {
        self.project.folder().join("policy.toml")
    }

    /// Where Ken answers.
    #[must_use]
    pub fn ken_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ken_port).into()
    }

    /// Where the policy publishes Langfuse.
    #[must_use]
    pub fn langfuse_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.langfuse_port).into()
    }

    /// How many conversations Ken counts in its database at this moment.
    pub fn conversations(&self) -> anyhow::Result<u64> {
        let answer = http::get(self.ken_address(), "/")?;
        let value: serde_json::Value = serde_json::from_str(&answer.body)
            .with_context(|| format!("Ken answered {}: {}", answer.status, answer.body))?;
        value["conversations"]
            .as_u64()
            .with_context(|| format!("Ken answered {}: {}", answer.status, answer.body))
    }

    /// Runs SQL as Ken's superuser inside its Postgres; gives the rows, unaligned.
    pub fn sql(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        let psql = ["psql", "-X", "-q", "-A", "-t", "-U", "ken", "-d", database, "-c", statement];
        self.project.exec("postgres", psql)
    }

    /// The present state of everything that is Ken's.
    pub fn fingerprint(&self) -> anyhow::Result<Fingerprint> {
        let dump = self.project.exec("postgres", ["pg_dump", "-U", "ken", "-d", "ken"])?;
        // A random word guards each dump; it is not part of the data.
        let dump: String = dump
            .lines()
            .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "))
            .flat_map(|line| [line, "\n"])
            .collect();
        let role = self.sql(
            "ken",
            "SELECT r::text FROM pg_authid AS r WHERE rolname = 'ken' \
             UNION ALL SELECT datname || ' ' || pg_encoding_to_char(encoding) || ' ' || coalesce(datacl::text, '') \
             FROM pg_database WHERE datdba = (SELECT oid FROM pg_authid WHERE rolname = 'ken') ORDER BY 1",
        )?;
        // The engine's date of a volume is that of its last change; the cluster's own number is from its birth.
        let cluster = self.sql("ken", "SELECT system_identifier FROM pg_control_system()")?;
        let volume = format!("{}_ken-data", self.project.name());
        let place = docker(["volume", "inspect", "--format", "{{.Name}} {{.Mountpoint}}", &volume])?;
        Ok(Fingerprint {
            database: hash(dump.as_bytes()),
            role: hash(role.as_bytes()),
            volume: format!("{place} {cluster}"),
            compose_file: hash(&std::fs::read(self.project.compose_file())?),
            env_file: hash(&std::fs::read(self.project.env_file())?),
        })
    }

    /// Removes everything, and fails when that does: the proper end of a test.
    pub fn finish(self) -> anyhow::Result<()> {
        self.project.finish()
    }

    fn write_policy(&self, rig: &Rig) -> anyhow::Result<()> {
        let path = rig.folder().join("policy.toml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut policy: toml::Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let compose_file = self.project.compose_file().display().to_string();
        set(&mut policy, "ken", "compose_file", compose_file.into())?;
        set(&mut policy, "exposure", "port", i64::from(self.langfuse_port).into())?;
        let path = self.policy_file();
        std::fs::write(&path, toml::to_string(&policy)?).with_context(|| path.display().to_string())
    }
}

impl std::ops::Deref for KenStack {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

fn set(policy: &mut toml::Table, section: &str, key: &str, value: toml::Value) -> anyhow::Result<()> {
    policy
        .entry(section)
        .or_insert_with(|| toml::Table::new().into())
        .as_table_mut()
        .with_context(|| format!("`{section}` is no table"))?
        .insert(key.to_owned(), value);
    Ok(())
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
