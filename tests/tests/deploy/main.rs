//! `cargo xtask` on a real engine, beside a real Ken: what the operator meets, on good days and on bad ones.
//!
//! Each test ends with Ken as it was: the same containers, started when they were, serving the same data.

mod failing;
mod first;
mod layouts;
mod refused;
mod runs;
mod stack;
