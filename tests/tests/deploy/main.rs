//! `cargo xtask` on a real engine, beside a real Ken: what the operator meets, on good days and on bad ones.
//!
//! Each test ends with Ken as it was: the same containers, started when they were, serving the same data.

mod by_hand;
mod failing;
mod first;
mod killed;
mod layouts;
mod owners;
mod refused;
mod runs;
mod secrecy;
mod stack;
