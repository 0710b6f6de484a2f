//! Exit codes, and the error that carries one.

use ken_deploy::engine::EngineError;
use ken_deploy::inventory::ObserveError;
use ken_deploy::plan::PlanError;
use ken_deploy::rollout::{LockError, SessionError};

/// Every exit code of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All is done; for `plan`: there is nothing to do.
    Done = 0,
    /// Something that should not happen.
    Unexpected = 1,
    /// `plan`, `compose generate --check`: there are changes.
    Changes = 2,
    /// The caller's input: arguments, policy, Compose file, secrets, rights on files. Nothing was changed.
    Input = 3,
    /// A check failed or a gate closed. The output says what is in place and how to go on.
    Gate = 4,
    /// Another run holds the lock.
    Locked = 5,
    /// No engine, no Compose, or no rights on the engine. Nothing was changed.
    Engine = 6,
    /// Not confirmed. Nothing was changed.
    Unconfirmed = 7,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with its exit code and the way out.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: anyhow::Error) -> Self {
        Self { exit, error, hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let hint = match &error {
            EngineError::Unreachable { .. } => {
                Some("start Docker (systemctl start docker), or set DOCKER_HOST")
            }
            EngineError::Forbidden { .. } => {
                Some("run this as root, or join the group docker (usermod -aG docker $USER) and log in again")
            }
            EngineError::NoCompose { .. } => {
                Some("install Docker's client with the Compose plugin (docker-ce-cli, docker-compose-plugin)")
            }
            EngineError::Compose { .. } => {
                Some("`docker compose config` shows the same error; mend the file it names")
            }
            _ => None,
        };
        let exit = match &error {
            EngineError::Compose { .. } => Exit::Input,
            EngineError::Unreachable { .. }
            | EngineError::Forbidden { .. }
            | EngineError::NoCompose { .. } => Exit::Engine,
            _ => Exit::Unexpected,
        };
        Self { exit, hint: hint.map(str::to_owned), error: error.into() }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let hinted = |exit, hint: &str, error: SessionError| Self::new(exit, error.into()).hint(hint);
        match error {
            SessionError::Observe(ObserveError::Engine(error)) | SessionError::Engine(error) => error.into(),
            SessionError::Lock(LockError::Held { .. }) => {
                hinted(Exit::Locked, "wait until it is done; `cargo xtask status` shows it", error)
            }
            SessionError::Overtaken => hinted(Exit::Locked, "run the command again", error),
            SessionError::NoStack { .. } => hinted(
                Exit::Input,
                "give Ken's Compose file with --stack, or set ken.compose_file in the policy",
                error,
            ),
            SessionError::Journal(_) | SessionError::Lock(_) | SessionError::Apply(_) => hinted(
                Exit::Input,
                "make room and rights in that folder; the command can be run again at any time",
                error,
            ),
            SessionError::Observe(ObserveError::KenFile(ref cause)) => {
                let hint = cause.hint();
                Self::new(Exit::Input, error.into()).hint(hint)
            }
            SessionError::Plan(PlanError::Edit(ref cause)) | SessionError::Undo(ref cause) => {
                let hint = cause.hint.clone();
                Self::new(Exit::Input, error.into()).hint(hint)
            }
            SessionError::Nothing(_) | SessionError::Plan(_) | SessionError::Secrets(_) => {
                Self::new(Exit::Input, error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_code_of_its_own() {
        let all = [
            Exit::Done,
            Exit::Unexpected,
            Exit::Changes,
            Exit::Input,
            Exit::Gate,
            Exit::Locked,
            Exit::Engine,
            Exit::Unconfirmed,
        ];
        assert_eq!(all.map(|e| e as u8), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn causes_are_told_apart() {
        let engine = |e| Failure::from(SessionError::Engine(e)).exit;
        assert_eq!(engine(EngineError::Forbidden { address: "/s".to_owned() }), Exit::Engine);
        assert_eq!(engine(EngineError::NoCompose { why: "no".to_owned() }), Exit::Engine);
        let held = LockError::Held { holder: None, orphaned: false };
        assert_eq!(Failure::from(SessionError::Lock(held)).exit, Exit::Locked);
    }
}
