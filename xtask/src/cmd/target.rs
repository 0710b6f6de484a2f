//! From arguments to a session: policy, site, engine.

use ken_config::Policy;
use ken_deploy::clock::SystemClock;
use ken_deploy::engine::DockerEngine;
use ken_deploy::rollout::{Session, site};
use ken_deploy::site::Site;

use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;

/// Policy and site of a command.
pub(super) struct Target {
    pub(super) policy: Policy,
    pub(super) policy_text: String,
    pub(super) site: Site,
}

impl Target {
    /// Reads the policy and finds Ken's file.
    pub(super) fn read(args: &TargetArgs) -> Result<Self, Failure> {
        let wrong = |error: anyhow::Error| Failure::new(Exit::Input, error);
        let (policy, policy_text) = match &args.policy {
            Some(path) => {
                let policy = ken_config::load(path).map_err(|error| wrong(error.into()))?;
                (policy, std::fs::read_to_string(path).map_err(|error| wrong(error.into()))?)
            }
            // An empty policy is the production one.
            None => (Policy::default_for(ken_config::Profile::Production), String::new()),
        };
        let file = args.stack.as_ref().unwrap_or(&policy.ken.compose_file);
        let site = site(file)?;
        Ok(Self { policy, policy_text, site })
    }

    pub(super) fn session<'a>(
        self,
        engine: &'a DockerEngine,
        clock: &'a SystemClock,
    ) -> Session<'a, DockerEngine, SystemClock> {
        Session::new(engine, clock, self.policy, self.policy_text, self.site)
    }
}

/// Connects to the engine that `DOCKER_HOST` names, or to the local one.
pub(super) async fn engine() -> Result<DockerEngine, Failure> {
    let host = std::env::var("DOCKER_HOST").ok();
    Ok(DockerEngine::connect(host.as_deref()).await?)
}
