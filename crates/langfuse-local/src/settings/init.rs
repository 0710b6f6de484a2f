//! Headless initialisation: the organisation, the project and its key.

use super::Sensitive;
use super::lookup::Lookup;
use crate::store::Project;

/// What to provision.
#[derive(Debug, Clone)]
pub struct Init {
    /// The project with its organisation.
    pub project: Project,
    /// Its key, when one is given.
    pub key: Option<InitKey>,
}

/// A key pair.
#[derive(Debug, Clone)]
pub struct InitKey {
    /// The public half.
    pub public: String,
    /// The secret half.
    pub secret: Sensitive,
}

/// Without `LANGFUSE_INIT_ORG_ID` all other variables of this family are ignored, as by Langfuse.
pub(super) fn init(lookup: &mut Lookup<'_>) -> Option<Init> {
    let org_id = lookup.get("LANGFUSE_INIT_ORG_ID")?;
    check_user(lookup);
    let public = lookup.get("LANGFUSE_INIT_PROJECT_PUBLIC_KEY");
    let secret = lookup.get("LANGFUSE_INIT_PROJECT_SECRET_KEY");
    // Langfuse ignores half a key in silence; a stand-in had better say it.
    match (&public, &secret) {
        (Some(_), None) => {
            lookup.finding("LANGFUSE_INIT_PROJECT_SECRET_KEY", "is required beside the public key");
        }
        (None, Some(_)) => {
            lookup.finding("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", "is required beside the secret key");
        }
        _ => {}
    }
    for (name, key) in
        [("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", &public), ("LANGFUSE_INIT_PROJECT_SECRET_KEY", &secret)]
    {
        if key.as_ref().is_some_and(|key| key.contains(':')) {
            lookup.finding(name, "must not contain a colon: Basic authentication splits there");
        }
    }
    let id = lookup.get("LANGFUSE_INIT_PROJECT_ID")?;
    let name = |variable: &str, default: &str| lookup.get(variable).unwrap_or_else(|| default.to_owned());
    Some(Init {
        project: Project {
            id,
            name: name("LANGFUSE_INIT_PROJECT_NAME", "Provisioned Project"),
            org_id,
            org_name: name("LANGFUSE_INIT_ORG_NAME", "Provisioned Org"),
        },
        key: public.zip(secret).map(|(public, secret)| InitKey { public, secret: Sensitive::new(secret) }),
    })
}

/// Nobody can log in here, but what stops the real web stops this one.
fn check_user(lookup: &mut Lookup<'_>) {
    if let Some(address) = lookup.get("LANGFUSE_INIT_USER_EMAIL") {
        let is_address = address
            .split_once('@')
            .is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.') && !address.contains(' '));
        if !is_address {
            lookup.finding("LANGFUSE_INIT_USER_EMAIL", "must be an e-mail address");
        }
    }
    let password = lookup.get("LANGFUSE_INIT_USER_PASSWORD");
    if password.is_some_and(|password| password.chars().count() < 8) {
        lookup.finding("LANGFUSE_INIT_USER_PASSWORD", "must have at least 8 characters");
    }
}
