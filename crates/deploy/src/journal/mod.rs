//! The memory of a rollout: one line per fact, written and synced before and after each action.

mod entry;
mod state;
mod store;

pub use entry::{Entry, FORMAT, KenLives, Kind, Outcome};
pub use state::{Run, State};
pub use store::{Journal, JournalError};
