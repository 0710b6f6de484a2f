//! What the operator wants: one TOML file, typed, complete, and valid or refused as a whole.
//!
//! [`parse`] turns text into a [`Policy`] or into all findings at once; [`load`] reads the text, and is the only
//! function here that touches the world. A policy has no `Option` that means "default": defaults are applied last,
//! by [`Policy::default_for`] a profile. Secrets are no part of a policy; [`secrets_needed`] says which it calls for.
//!
//! | module | holds |
//! |---|---|
//! | `policy` | the types |
//! | `defaults` | the value of every key that is not given |
//! | `needs` | what follows from a policy: its secrets, its origin |
//! | `bytes`, `image`, `sso` | small types that read themselves from text |

mod bytes;
mod defaults;
mod image;
mod names;
mod needs;
mod policy;
mod sso;

pub use bytes::Bytes;
pub use image::{ImageRef, Version};
pub use needs::{origin_url, secrets_needed};
pub use policy::{
    Clickhouse, Exposure, Gates, Images, Ken, Langfuse, Layout, Limits, Policy, Postgres, Profile,
    PullPolicy, Redis, Resources, Retention, Sizing, SizingMode, Storage,
};
pub use sso::{Sso, SsoProvider};
