//! One file per command.

pub(crate) mod compose;
pub(crate) mod conformance;
pub(crate) mod deploy;
pub(crate) mod e2e;
pub(crate) mod local;
pub(crate) mod plan;
pub(crate) mod rollback;
pub(crate) mod secrets;
pub(crate) mod status;
mod target;
pub(crate) mod unlock;
pub(crate) mod validate;
