//! Every secret by name, with what its value must look like.

use std::fmt;

use serde::Serialize;

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// 64 lower-case hex digits, not all zero. Langfuse checks only the length when it starts, and fails weeks later.
    Hex64,
    /// At least 32 bytes as standard base64.
    Base64Of32,
    /// At least 32 of `[A-Za-z0-9]`: it is pasted into URLs without encoding.
    Password,
    /// This prefix and a version 4 UUID.
    Key(&'static str),
    /// At least 16 printable ASCII characters without spaces, quotes or backslashes.
    UserPassword,
    /// At least one printable ASCII character; chosen elsewhere.
    Printable,
    /// At least 8 printable ASCII characters: the password of a store that is not ours.
    Foreign,
    /// The same, where Langfuse pastes it into a URL without encoding.
    ForeignInUrl,
}

/// A secret of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecretName {
    /// Encrypts session tokens.
    NextauthSecret,
    /// Salts the fast hash of API keys.
    Salt,
    /// Encrypts stored LLM keys and integration secrets.
    EncryptionKey,
    /// Langfuse's role in Postgres.
    PostgresPassword,
    /// ClickHouse's user.
    ClickhousePassword,
    /// Redis.
    RedisPassword,
    /// MinIO's root user.
    MinioPassword,
    /// The first project's public API key.
    ProjectPublicKey,
    /// The first project's secret API key.
    ProjectSecretKey,
    /// The first user's password.
    UserPassword,
    /// The identity provider's client secret.
    SsoClientSecret,
    /// Access key of a managed object store.
    S3AccessKeyId,
    /// Secret key of a managed object store.
    S3SecretAccessKey,
    /// Mail server with its credentials.
    SmtpUrl,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made here.
    Generated,
    /// Belongs to somebody else's system; the operator writes it into the file.
    Provided,
}

/// A secret that a policy needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub name: SecretName,
    /// Where from.
    pub origin: Origin,
}

impl SecretName {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NextauthSecret,
        Self::Salt,
        Self::EncryptionKey,
        Self::PostgresPassword,
        Self::ClickhousePassword,
        Self::RedisPassword,
        Self::MinioPassword,
        Self::ProjectPublicKey,
        Self::ProjectSecretKey,
        Self::UserPassword,
        Self::SsoClientSecret,
        Self::S3AccessKeyId,
        Self::S3SecretAccessKey,
        Self::SmtpUrl,
    ];

    /// The name in the file.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::NextauthSecret => "NEXTAUTH_SECRET",
            Self::Salt => "SALT",
            Self::EncryptionKey => "ENCRYPTION_KEY",
            Self::PostgresPassword => "POSTGRES_PASSWORD",
            Self::ClickhousePassword => "CLICKHOUSE_PASSWORD",
            Self::RedisPassword => "REDIS_PASSWORD",
            Self::MinioPassword => "MINIO_PASSWORD",
            Self::ProjectPublicKey => "PROJECT_PUBLIC_KEY",
            Self::ProjectSecretKey => "PROJECT_SECRET_KEY",
            Self::UserPassword => "USER_PASSWORD",
            Self::SsoClientSecret => "SSO_CLIENT_SECRET",
            Self::S3AccessKeyId => "S3_ACCESS_KEY_ID",
            Self::S3SecretAccessKey => "S3_SECRET_ACCESS_KEY",
            Self::SmtpUrl => "SMTP_URL",
        }
    }

    /// What it protects, in a few words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::NextauthSecret => "encrypts sessions; a change logs everybody out",
            Self::Salt => "salts the fast hash of API keys",
            Self::EncryptionKey => "encrypts stored LLM and integration keys; a loss makes them unreadable",
            Self::PostgresPassword => "Langfuse's role in Postgres",
            Self::ClickhousePassword => "ClickHouse's user",
            Self::RedisPassword => "Redis",
            Self::MinioPassword => "MinIO's root user",
            Self::ProjectPublicKey => "the project's public API key, for Ken",
            Self::ProjectSecretKey => "the project's secret API key, for Ken",
            Self::UserPassword => "the first user's password",
            Self::SsoClientSecret => "the identity provider's client secret",
            Self::S3AccessKeyId => "access key of the managed object store",
            Self::S3SecretAccessKey => "secret key of the managed object store",
            Self::SmtpUrl => "mail server with its credentials",
        }
    }

    /// What its value must look like.
    #[must_use]
    pub fn requirement(self) -> Requirement {
        match self {
            Self::EncryptionKey => Requirement::Hex64,
            Self::Salt | Self::NextauthSecret => Requirement::Base64Of32,
            Self::PostgresPassword | Self::ClickhousePassword | Self::RedisPassword | Self::MinioPassword => {
                Requirement::Password
            }
            Self::ProjectPublicKey => Requirement::Key("pk-lf-"),
            Self::ProjectSecretKey => Requirement::Key("sk-lf-"),
            Self::UserPassword => Requirement::UserPassword,
            Self::SsoClientSecret | Self::S3AccessKeyId | Self::S3SecretAccessKey | Self::SmtpUrl => {
                Requirement::Printable
            }
        }
    }

    /// What its value must look like when it comes from there: a store that is not ours has the password that its
    /// owner chose.
    #[must_use]
    pub fn requirement_from(self, origin: Origin) -> Requirement {
        match (self, origin) {
            (Self::PostgresPassword | Self::RedisPassword, Origin::Provided) => Requirement::Foreign,
            (Self::ClickhousePassword, Origin::Provided) => Requirement::ForeignInUrl,
            _ => self.requirement(),
        }
    }

    #[cfg(feature = "store")]
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.key() == key)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl Requirement {
    /// What is wrong with a value, never quoting it; none when it is right.
    #[must_use]
    pub fn violation(self, value: &str) -> Option<&'static str> {
        use base64::Engine as _;
        let printable = |extra: &[u8]| value.bytes().all(|b| b.is_ascii_graphic() && !extra.contains(&b));
        let holds = match self {
            Self::Hex64 => {
                value.len() == 64
                    && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                    && value.bytes().any(|b| b != b'0')
            }
            Self::Base64Of32 => base64::engine::general_purpose::STANDARD
                .decode(value)
                .is_ok_and(|bytes| bytes.len() >= 32 && bytes.iter().any(|b| *b != bytes[0])),
            Self::Password => {
                value.len() >= 32
                    && value.bytes().all(|b| b.is_ascii_alphanumeric())
                    && value.bytes().any(|b| Some(b) != value.bytes().next())
            }
            Self::Key(prefix) => value
                .strip_prefix(prefix)
                .and_then(|rest| uuid::Uuid::parse_str(rest).ok())
                .is_some_and(|id| id.get_version_num() == 4),
            Self::UserPassword => value.len() >= 16 && printable(b"'\"\\`$"),
            Self::Printable => !value.is_empty() && printable(b"'\""),
            Self::Foreign => value.len() >= 8 && printable(b"'\"\\"),
            Self::ForeignInUrl => {
                value.len() >= 8 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
            }
        };
        if holds { None } else { Some(self.describe()) }
    }

    /// What a value must be, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Hex64 => "it must be 64 lower-case hex digits, not all zero",
            Self::Base64Of32 => "it must be at least 32 random bytes as base64",
            Self::Password => "it must be at least 32 letters and digits, nothing else",
            Self::Key("pk-lf-") => "it must be `pk-lf-` and a version 4 UUID",
            Self::Key(_) => "it must be `sk-lf-` and a version 4 UUID",
            Self::UserPassword => {
                "it must be at least 16 printable characters without quotes, backslash and dollar"
            }
            Self::Printable => "it must be printable ASCII without quotes",
            Self::Foreign => {
                "it must be at least 8 printable ASCII characters without quotes and backslashes"
            }
            Self::ForeignInUrl => {
                "it must be at least 8 letters, digits and `-._~`, which stay themselves in a URL"
            }
        }
    }
}
