//! From arguments to a session: policy, engine, site.

use ken_config::{Engine, Policy, Profile};
use ken_deploy::clock::SystemClock;
use ken_deploy::engine::local::Program;
use ken_deploy::engine::{DockerEngine, EngineError, HostEngine, LocalEngine};
use ken_deploy::rollout::{Session, site};
use ken_deploy::site::Site;

use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;

/// Policy and site of a command.
pub(super) struct Target {
    /// Its engine is never `auto`.
    pub(super) policy: Policy,
    pub(super) policy_text: String,
    pub(super) site: Site,
    /// Which engine it is and why, where that was not said.
    pub(super) choice: Option<String>,
}

impl Target {
    /// Reads the policy and finds the site, without asking any engine.
    pub(super) fn read(args: &TargetArgs) -> Result<Self, Failure> {
        let (mut policy, policy_text) = policy(args)?;
        if policy.engine == Engine::Auto {
            policy.engine = if is_deployed(&local_site()?) { Engine::Local } else { Engine::Docker };
        }
        Self::on(policy, policy_text, args, None)
    }

    /// Reads the policy, connects to the engine that it names or to the one that is there, and finds the site.
    pub(super) async fn open(args: &TargetArgs) -> Result<(Self, HostEngine), Failure> {
        let (mut policy, policy_text) = policy(args)?;
        let mut choice = None;
        let docker = match policy.engine {
            Engine::Docker => Some(docker().await?),
            Engine::Local => None,
            Engine::Auto if is_deployed(&local_site()?) => {
                choice = Some("engine: local, on which it was deployed before".to_owned());
                None
            }
            Engine::Auto => match docker().await {
                Ok(engine) => {
                    choice = Some("engine: docker, which answers".to_owned());
                    Some(engine)
                }
                // Whoever names Ken's stack means Docker, and a daemon without Compose is one to mend.
                Err(error @ (EngineError::Unreachable { .. } | EngineError::Forbidden { .. }))
                    if args.stack.is_none() =>
                {
                    choice = Some(format!("engine: local, because {error}"));
                    None
                }
                Err(error) => return Err(error.into()),
            },
        };
        let engine = match docker {
            Some(engine) => {
                policy.engine = Engine::Docker;
                HostEngine::Docker(Box::new(engine))
            }
            None => {
                policy.engine = Engine::Local;
                HostEngine::Local(local()?)
            }
        };
        Ok((Self::on(policy, policy_text, args, choice)?, engine))
    }

    fn on(
        policy: Policy,
        policy_text: String,
        args: &TargetArgs,
        choice: Option<String>,
    ) -> Result<Self, Failure> {
        let site = match policy.engine {
            Engine::Local => local_site()?,
            Engine::Docker | Engine::Auto => site(args.stack.as_ref().unwrap_or(&policy.ken.compose_file))?,
        };
        Ok(Self { policy, policy_text, site, choice })
    }

    pub(super) fn session<'a>(
        self,
        engine: &'a HostEngine,
        clock: &'a SystemClock,
    ) -> Session<'a, HostEngine, SystemClock> {
        Session::new(engine, clock, self.policy, self.policy_text, self.site)
    }
}

/// The policy with the engine that was asked for.
fn policy(args: &TargetArgs) -> Result<(Policy, String), Failure> {
    let wrong = |error: anyhow::Error| Failure::new(Exit::Input, error);
    let (mut policy, text) = match &args.policy {
        Some(path) => {
            let policy = ken_config::load(path).map_err(|error| wrong(error.into()))?;
            (policy, std::fs::read_to_string(path).map_err(|error| wrong(error.into()))?)
        }
        // Where Ken is not and a local deployment is, that one is meant.
        None if args.engine().is_none() && args.stack.is_none() && is_deployed(&local_site()?) => {
            let ken = Policy::default_for(Profile::Production).ken.compose_file;
            let profile = if ken.exists() { Profile::Production } else { Profile::Dev };
            (Policy::default_for(profile), String::new())
        }
        // An empty policy is the production one; whoever asks for another engine is a developer.
        None => match args.engine() {
            None | Some(Engine::Docker) => (Policy::default_for(Profile::Production), String::new()),
            Some(_) => (Policy::default_for(Profile::Dev), "profile = \"dev\"\n".to_owned()),
        },
    };
    if let Some(engine) = args.engine() {
        if engine != Engine::Docker && policy.profile != Profile::Dev {
            return Err(wrong(anyhow::anyhow!(
                "--engine is for a developer's machine: the policy's profile never falls back from Docker"
            ))
            .hint("leave --engine out, or give a policy with profile = \"dev\""));
        }
        policy.engine = engine;
    }
    Ok((policy, text))
}

/// Connects to the engine that `DOCKER_HOST` names, or to the one of this machine.
async fn docker() -> Result<DockerEngine, EngineError> {
    let host = std::env::var("DOCKER_HOST").ok();
    DockerEngine::connect(host.as_deref()).await
}

/// The folder `.langfuse-local` where the command runs.
fn local_site() -> Result<Site, Failure> {
    let here = std::env::current_dir().and_then(|path| path.canonicalize());
    here.map(Site::alone).map_err(|error| Failure::new(Exit::Unexpected, error.into()))
}

fn is_deployed(site: &Site) -> bool {
    site.journal().exists()
}

/// The program starts itself again, as a supervisor and as a server.
fn local() -> Result<LocalEngine, Failure> {
    let unexpected = |error: std::io::Error| Failure::new(Exit::Unexpected, error.into());
    let program = Program {
        path: std::env::current_exe().map_err(unexpected)?,
        supervise: vec!["local".to_owned(), "supervise".to_owned()],
        serve: vec!["local".to_owned(), "serve".to_owned()],
    };
    Ok(LocalEngine::new(local_site()?.folder(), program)?)
}
