//! Ids of traces and spans: random, or derived from the application's own.

use std::cell::Cell;
use std::fmt;

use sha2::{Digest, Sha256};

/// The id of a trace, 16 bytes that are not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub(crate) [u8; 16]);

/// The id of a span, 8 bytes that are not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub(crate) [u8; 8]);

impl TraceId {
    /// The id that belongs to an id of the application: the first 16 bytes of its SHA-256, which is what
    /// `create_trace_id(seed)` of Langfuse's SDKs gives.
    #[must_use]
    pub fn from_seed(seed: &str) -> Self {
        Self(first(&Sha256::digest(seed.as_bytes())))
    }

    pub(crate) fn random() -> Self {
        let (fixed, next) = random();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&fixed.to_be_bytes());
        id[8..].copy_from_slice(&next.max(1).to_be_bytes());
        Self(id)
    }

    /// Where the id stands among all, from 0 to 1: the same for everybody who samples by trace.
    pub(crate) fn share(self) -> f64 {
        let low: [u8; 8] = first(&self.0[8..]);
        u64::from_be_bytes(low) as f64 / u64::MAX as f64
    }
}

impl SpanId {
    /// The id that belongs to an id of the application: the first 8 bytes of its SHA-256.
    #[must_use]
    pub fn from_seed(seed: &str) -> Self {
        Self(first(&Sha256::digest(seed.as_bytes())))
    }

    pub(crate) fn random() -> Self {
        Self(random().1.max(1).to_be_bytes())
    }
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

thread_local! {
    /// What all ids of the thread begin with, and the state of what follows; of which process.
    static SOURCE: Cell<(u32, u64, u64)> = const { Cell::new((0, 0, 0)) };
}

/// A number that is the thread's own and one that is drawn. A forked child draws anew, or it would repeat
/// its parent's ids.
fn random() -> (u64, u64) {
    SOURCE.with(|source| {
        let (mut process, mut fixed, state) = source.get();
        let mut numbers = fastrand::Rng::with_seed(state);
        // Looked up at the beginning of each turn.
        let now = crate::process::last_seen();
        if process != now || fixed == 0 {
            process = now;
            fixed = seed();
            numbers = fastrand::Rng::with_seed(seed());
        }
        let next = numbers.u64(..);
        source.set((process, fixed, numbers.get_seed()));
        (fixed, next)
    })
}

/// From the system; from time and addresses where that fails, as an id need not be a secret.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_error| fastrand::Rng::new().u64(..))
}

macro_rules! shown {
    ($id:ty) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
shown!(TraceId);
shown!(SpanId);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_gives_what_the_sdks_give() {
        // `hashlib.sha256(b"thread-1").hexdigest()[:32]`
        let digest = Sha256::digest(b"thread-1");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(TraceId::from_seed("thread-1").to_string(), hex[..32]);
        assert_eq!(SpanId::from_seed("thread-1").to_string(), hex[..16]);
    }

    #[test]
    fn random_ids_differ_within_and_between_threads() {
        let draw = || (0..1_000).map(|_| (TraceId::random(), SpanId::random())).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.iter().map(|(trace, _)| *trace).collect::<HashSet<_>>().len(), 4_000);
        assert_eq!(all.iter().map(|(_, span)| *span).collect::<HashSet<_>>().len(), 4_000);
        let mean = all.iter().map(|(trace, _)| trace.share()).sum::<f64>() / 4_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
