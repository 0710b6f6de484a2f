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
//! | `read`, `field`, `sections` | from TOML to the types |
//! | `names`, `mask`, `words` | what names must look like, which values may be shown, which word was meant |

mod bytes;
mod defaults;
mod field;
mod finding;
mod image;
mod load;
mod mask;
mod names;
mod needs;
mod policy;
mod read;
mod sections;
mod sso;
mod words;

use std::path::Path;

pub use bytes::Bytes;
pub use finding::{Finding, PolicyError};
pub use image::{ImageRef, Version};
pub use load::{LoadError, load};
pub use needs::{origin_url, secrets_needed};
pub use policy::{
    Clickhouse, Engine, Exposure, Gates, Images, Ken, Langfuse, Layout, Limits, Policy, Postgres, Profile,
    PullPolicy, Redis, Resources, Retention, Sizing, SizingMode, Storage,
};
pub use sso::{Sso, SsoProvider};

/// Turns the text of a policy into the policy. `origin` is where the text is from, for the error. An empty text is the
/// default for production.
///
/// # Errors
/// [`PolicyError`] with everything that is wrong.
pub fn parse(text: &str, origin: &Path) -> Result<Policy, PolicyError> {
    let mut reader = read::Reader::new(text);
    let (document, errors) = toml::de::DeTable::parse_recoverable(text);
    for error in &errors {
        reader.syntax(error);
    }
    // What was made of a text that is not TOML is a guess, and findings about a guess mislead.
    let policy = errors.is_empty().then(|| sections::policy(&mut reader, document.get_ref()));
    let findings = reader.into_findings();
    match policy {
        Some(policy) if findings.is_empty() => Ok(policy),
        _ => Err(PolicyError { origin: origin.to_owned(), findings }),
    }
}
