//! The command table.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ken_conformance::Url;
use ken_deploy::plan::StageName;

/// Langfuse beside a running Ken: plan, deploy, look after, take away
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done; for plan: nothing to do
  1  unexpected
  2  there are changes (plan, compose generate --check)
  3  the input is wrong: arguments, policy, files, secrets; nothing was changed
  4  a check failed or a gate closed
  5  another run holds the lock
  6  no Docker engine, no Compose, or no rights on it
  7  not confirmed; nothing was changed";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Deploy Langfuse beside Ken, or bring it to what the policy says
    Deploy(DeployArgs),
    /// Show what deploy would do; exit 0 when that is nothing, 2 when there are changes
    Plan(TargetArgs),
    /// Show what runs, the last run, and who holds the lock
    Status(TargetArgs),
    /// Run the validation list on what is deployed
    Validate(TargetArgs),
    /// Take Langfuse away again and give Ken's file back, or go back to an earlier run
    Rollback(RollbackArgs),
    /// Show who holds the deploy lock, and remove what a dead holder left
    Unlock(TargetArgs),
    /// Work with the Compose files that this project generates
    #[command(subcommand)]
    Compose(ComposeCommand),
    /// Make and check secrets; prints names and states, never values
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// The processes of a local deployment; started by deploy
    #[command(subcommand, hide = true)]
    Local(LocalCommand),
    /// Run the end-to-end tests on a real Docker Engine, with images built on this machine
    E2e(E2eArgs),
    /// Ask a server what a real Langfuse was asked, and compare the answers
    Conformance(ConformanceArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ComposeCommand {
    /// Write the Compose files of the standard policies into deploy/generated/compose
    Generate(GenerateArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Make the secrets that are missing; existing ones are kept
    Init(TargetArgs),
    /// Check that every secret that the policy needs is there and strong
    Check(TargetArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Keep the service in a folder running
    Supervise {
        /// The folder
        folder: PathBuf,
    },
    /// Be the server; settings come from the environment
    Serve,
}

/// What carries the deployment
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum EngineArg {
    /// Docker, beside Ken's own containers
    Docker,
    /// Processes of this machine, in ./.langfuse-local; without Ken and without Docker
    Local,
    /// Docker when a daemon answers, local otherwise
    Auto,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TargetArgs {
    /// The policy; without one, the defaults of production (deploy/policies/production.toml)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Ken's Compose file, instead of the policy's ken.compose_file
    #[arg(long, value_name = "FILE")]
    pub(crate) stack: Option<PathBuf>,
    /// Instead of the policy's engine; local and auto are for the profile dev, which they imply without --policy
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineArg>,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

impl TargetArgs {
    /// The engine that was asked for.
    pub(crate) fn engine(&self) -> Option<ken_config::Engine> {
        Some(match self.engine? {
            EngineArg::Docker => ken_config::Engine::Docker,
            EngineArg::Local => ken_config::Engine::Local,
            EngineArg::Auto => ken_config::Engine::Auto,
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Stop after this stage: preflight, files, images, stores, database, buckets, migrate, worker, web, project, verify
    #[arg(long, value_name = "STAGE")]
    pub(crate) until: Option<StageName>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RollbackArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Go back to what this finished run deployed, such as run-0003
    #[arg(long, value_name = "RUN", conflicts_with = "purge")]
    pub(crate) to: Option<String>,
    /// Destroy volumes, database and secrets too; asks a second time
    #[arg(long)]
    pub(crate) purge: bool,
    /// Second confirmation of --purge without a terminal: the name of Ken's Compose project
    #[arg(long, value_name = "PROJECT", requires = "purge")]
    pub(crate) confirm_purge: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GenerateArgs {
    /// Write nothing; exit 2 when a file is not what it would be
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args, Debug)]
pub(crate) struct E2eArgs {
    /// Build the images and stop there
    #[arg(long)]
    pub(crate) build: bool,
    /// Start the sample Ken, deploy beside it, leave both running, and say where
    #[arg(long, conflicts_with = "build")]
    pub(crate) demo: bool,
    /// Run only tests whose name contains this
    #[arg(value_name = "FILTER", conflicts_with_all = ["build", "demo"])]
    pub(crate) filter: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ConformanceArgs {
    /// Where the server's web is, such as http://127.0.0.1:3000
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Url,
    /// A private file (0600) with the keys of an empty project: PROJECT_PUBLIC_KEY and PROJECT_SECRET_KEY as in
    /// secrets.env, or LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY; without it, the environment
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// How long what was sent may take until it can be read
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) patience: u64,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

impl Flags {
    /// Whether errors are to be JSON too.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Command::Deploy(args) => args.target.json,
            Command::Rollback(args) => args.target.json,
            Command::Plan(args) | Command::Status(args) | Command::Validate(args) | Command::Unlock(args) => {
                args.json
            }
            Command::Secrets(SecretsCommand::Init(args) | SecretsCommand::Check(args)) => args.json,
            Command::Conformance(args) => args.json,
            Command::Compose(_) | Command::E2e(_) | Command::Local(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Flags;

    #[test]
    fn the_table_is_sound() {
        Flags::command().debug_assert();
    }
}
