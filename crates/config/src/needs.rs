//! What follows from a policy.

use ken_secrets::{Need, Origin, SecretName};

use crate::policy::{Clickhouse, Engine, Exposure, Policy, Postgres, Redis, Storage};

/// The secrets that a policy calls for, in the order of their file.
#[must_use]
pub fn secrets_needed(policy: &Policy) -> Vec<Need> {
    let made_unless = |external| if external { Origin::Provided } else { Origin::Generated };
    let sso = matches!(policy.exposure, Exposure::Proxy { sso: Some(_), .. });
    let managed = matches!(policy.storage, Storage::S3 { .. });
    SecretName::ALL
        .into_iter()
        .filter_map(|name| {
            let is_key = matches!(name, SecretName::ProjectPublicKey | SecretName::ProjectSecretKey);
            if policy.engine == Engine::Local && !is_key {
                return None;
            }
            let origin = match name {
                SecretName::NextauthSecret
                | SecretName::Salt
                | SecretName::EncryptionKey
                | SecretName::ProjectPublicKey
                | SecretName::ProjectSecretKey
                | SecretName::UserPassword => Origin::Generated,
                SecretName::PostgresPassword => {
                    made_unless(matches!(policy.postgres, Postgres::External { .. }))
                }
                SecretName::ClickhousePassword => {
                    made_unless(matches!(policy.clickhouse, Clickhouse::External { .. }))
                }
                SecretName::RedisPassword => made_unless(matches!(policy.redis, Redis::External { .. })),
                SecretName::MinioPassword if !managed => Origin::Generated,
                SecretName::S3AccessKeyId | SecretName::S3SecretAccessKey if managed => Origin::Provided,
                SecretName::SsoClientSecret if sso => Origin::Provided,
                SecretName::MinioPassword
                | SecretName::S3AccessKeyId
                | SecretName::S3SecretAccessKey
                | SecretName::SsoClientSecret
                | SecretName::SmtpUrl => return None,
            };
            Some(Need { name, origin })
        })
        .collect()
}

/// The address under which people reach Langfuse, without a slash at its end: `NEXTAUTH_URL`.
///
/// In private it is `localhost` whatever the address bound, so that sign-in works through the tunnel.
#[must_use]
pub fn origin_url(policy: &Policy) -> String {
    match &policy.exposure {
        Exposure::Private { port, .. } => format!("http://localhost:{port}"),
        Exposure::Proxy { public_url, .. } => public_url.origin().ascii_serialization(),
    }
}
