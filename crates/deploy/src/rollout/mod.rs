//! Carries a plan out: stage by stage, each action journalled before and after, each stage closed by its gate.

mod apply;
mod lock;
mod runner;
mod session;

pub use apply::ApplyError;
pub use lock::{Holder, Lock, LockError};
pub use runner::{Ended, RunError, Runner};
pub use session::{Prepared, Service, Session, SessionError, Status, env_warnings, site};
