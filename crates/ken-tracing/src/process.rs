//! Which process this is; after a fork it is another one.

use std::sync::atomic::{AtomicU32, Ordering};

static LAST_SEEN: AtomicU32 = AtomicU32::new(0);

/// The process id, by a system call: once per turn, not per span.
pub(crate) fn id() -> u32 {
    let id = std::process::id();
    LAST_SEEN.store(id, Ordering::Relaxed);
    id
}

/// The id at the last look.
pub(crate) fn last_seen() -> u32 {
    LAST_SEEN.load(Ordering::Relaxed)
}
