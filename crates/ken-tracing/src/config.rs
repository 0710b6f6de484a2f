//! Where traces go and what they may cost, by code or by the environment.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ken_secrets::Secret;
use thiserror::Error;
use url::Url;

use crate::notice::{OnNotice, to_stderr};
use crate::redact::Policy;

/// Where traces go and what they may cost.
#[derive(Clone)]
pub struct Config {
    /// The server's address, without a path of the API.
    pub base_url: Url,
    /// The project's public key.
    pub public_key: String,
    /// The project's secret key.
    pub secret_key: Secret,
    /// Whether anything is recorded at all.
    pub enabled: bool,
    /// The share of turns that is recorded, from 0 to 1, chosen by trace id.
    pub sample_rate: f64,
    /// Where this runs: lower-case letters, digits, `-` and `_`, at most 40; not beginning with `langfuse`.
    pub environment: Option<String>,
    /// The application's release.
    pub release: Option<String>,
    /// The application's name among the resource's attributes.
    pub service_name: String,
    /// What may leave.
    pub redaction: Policy,
    /// Bytes that spans may hold in memory: those handed over, and those on their way.
    pub memory_budget: usize,
    /// Where spans wait that cannot be sent; `None` keeps them within the budget alone.
    pub spill: Option<PathBuf>,
    /// Bytes that the spill folder may hold; the oldest make way.
    pub spill_budget: u64,
    /// Whether requests are compressed. That costs more CPU than all else together.
    pub gzip: bool,
    /// How long spans are gathered before a request that is not full goes out.
    pub send_interval: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Hears what an operator must mend; standard error by default.
    pub on_notice: OnNotice,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("base_url", &self.base_url.as_str())
            .field("public_key", &self.public_key)
            .field("enabled", &self.enabled)
            .field("sample_rate", &self.sample_rate)
            .field("environment", &self.environment)
            .field("release", &self.release)
            .field("memory_budget", &self.memory_budget)
            .field("spill", &self.spill)
            .field("spill_budget", &self.spill_budget)
            .finish_non_exhaustive()
    }
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A value that is not of its kind.
    #[error("{name} is {value:?}: {expected}")]
    Value {
        /// The environment's name of the setting.
        name: &'static str,
        /// What was there; never a secret.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A key that is needed.
    #[error("{name} is not set: copy it from the project's settings, or set LANGFUSE_TRACING_ENABLED=false")]
    Missing {
        /// The environment's name of the setting.
        name: &'static str,
    },
    /// A redaction policy that cannot be used.
    #[error("redaction: {0}")]
    Redaction(#[from] crate::redact::PolicyError),
}

impl Config {
    /// Everything by default, for a project of a server.
    #[must_use]
    pub fn new(base_url: Url, public_key: impl Into<String>, secret_key: Secret) -> Self {
        Self {
            base_url,
            public_key: public_key.into(),
            secret_key,
            enabled: true,
            sample_rate: 1.0,
            environment: None,
            release: None,
            service_name: "ken".to_owned(),
            redaction: Policy::default(),
            memory_budget: 32 << 20,
            spill: Some(std::env::temp_dir().join("ken-tracing")),
            spill_budget: 2 << 30,
            gzip: false,
            send_interval: Duration::from_millis(500),
            request_timeout: Duration::from_secs(15),
            on_notice: to_stderr(),
        }
    }

    /// Reads the names that Langfuse's SDKs use: `LANGFUSE_BASE_URL` (or `LANGFUSE_HOST`),
    /// `LANGFUSE_PUBLIC_KEY`, `LANGFUSE_SECRET_KEY`, `LANGFUSE_TRACING_ENABLED`, `LANGFUSE_SAMPLE_RATE`,
    /// `LANGFUSE_TRACING_ENVIRONMENT`, `LANGFUSE_RELEASE`; and our own `KEN_TRACING_SPILL`, a folder, or
    /// empty for none. An empty value is one that is not set.
    ///
    /// # Errors
    /// A value that is not of its kind, or a key that is missing while tracing is on. Without any key at
    /// all tracing is off, so that an application starts where no Langfuse is.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// As [`Config::from_env`], from any source.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn read(find: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let find = |name: &str| find(name).map(|value| value.trim().to_owned()).filter(|it| !it.is_empty());
        let wrong =
            |name, value: &str, expected| ConfigError::Value { name, value: value.to_owned(), expected };
        let base = find("LANGFUSE_BASE_URL").map(|value| ("LANGFUSE_BASE_URL", value));
        let base = base.or_else(|| find("LANGFUSE_HOST").map(|value| ("LANGFUSE_HOST", value)));
        let (name, value) = base.unwrap_or(("LANGFUSE_BASE_URL", "https://cloud.langfuse.com".to_owned()));
        let base_url = Url::parse(&value).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none()
        });
        // A password in an address would be shown with the error.
        let base_url = base_url.ok_or_else(|| {
            wrong(
                name,
                value.split('@').next_back().unwrap_or_default(),
                "an address such as http://127.0.0.1:3000",
            )
        })?;
        let (public_key, secret_key) = (find("LANGFUSE_PUBLIC_KEY"), find("LANGFUSE_SECRET_KEY"));
        let enabled = match find("LANGFUSE_TRACING_ENABLED") {
            None => public_key.is_some() || secret_key.is_some(),
            Some(value) => match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => true,
                "false" | "0" | "no" | "off" => false,
                _ => return Err(wrong("LANGFUSE_TRACING_ENABLED", &value, "true or false")),
            },
        };
        let key = |name, value: Option<String>| match value {
            None if enabled => Err(ConfigError::Missing { name }),
            value => Ok(value.unwrap_or_default()),
        };
        let mut config = Self::new(
            base_url,
            key("LANGFUSE_PUBLIC_KEY", public_key)?,
            Secret::new(key("LANGFUSE_SECRET_KEY", secret_key)?),
        );
        config.enabled = enabled;
        if let Some(value) = find("LANGFUSE_SAMPLE_RATE") {
            let rate = value.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate));
            config.sample_rate =
                rate.ok_or_else(|| wrong("LANGFUSE_SAMPLE_RATE", &value, "a number from 0 to 1"))?;
        }
        if let Some(value) = find("LANGFUSE_TRACING_ENVIRONMENT") {
            if !is_environment(&value) {
                let expected = "lower-case letters, digits, - and _, at most 40, not beginning with langfuse";
                return Err(wrong("LANGFUSE_TRACING_ENVIRONMENT", &value, expected));
            }
            config.environment = Some(value);
        }
        config.release = find("LANGFUSE_RELEASE");
        match find("KEN_TRACING_SPILL") {
            Some(folder) if folder == "off" => config.spill = None,
            Some(folder) => config.spill = Some(PathBuf::from(folder)),
            None => {}
        }
        Ok(config)
    }
}

/// What Langfuse keeps of an environment's name; another becomes `default` there.
fn is_environment(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    name.len() <= 40 && !name.starts_with("langfuse") && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(&|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_names_of_the_sdks_are_read() {
        let config = read(&[
            ("LANGFUSE_BASE_URL", "http://127.0.0.1:3000"),
            ("LANGFUSE_PUBLIC_KEY", "pk-lf-1"),
            ("LANGFUSE_SECRET_KEY", "sk-lf-secret"),
            ("LANGFUSE_SAMPLE_RATE", "0.25"),
            ("LANGFUSE_TRACING_ENVIRONMENT", "staging"),
            ("LANGFUSE_RELEASE", "1.2"),
            ("KEN_TRACING_SPILL", "/var/lib/ken/spill"),
        ])
        .unwrap();
        assert!(config.enabled);
        assert_eq!((config.sample_rate, config.environment.as_deref()), (0.25, Some("staging")));
        assert_eq!(config.spill.as_deref(), Some("/var/lib/ken/spill".as_ref()));
        assert!(!format!("{config:?}").contains("sk-lf-secret"));
        assert!(!read(&[]).unwrap().enabled, "without any key there is no Langfuse");
        let host = read(&[("LANGFUSE_HOST", "https://lf.example.com"), ("LANGFUSE_BASE_URL", " ")]).unwrap();
        assert_eq!(host.base_url.as_str(), "https://lf.example.com/");
        assert_eq!(read(&[("KEN_TRACING_SPILL", "off")]).unwrap().spill, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let keys = [("LANGFUSE_PUBLIC_KEY", "pk"), ("LANGFUSE_SECRET_KEY", "sk-lf-secret")];
        for (name, value) in [
            ("LANGFUSE_BASE_URL", "ftp://x"),
            ("LANGFUSE_BASE_URL", "127.0.0.1:3000"),
            ("LANGFUSE_TRACING_ENABLED", "perhaps"),
            ("LANGFUSE_SAMPLE_RATE", "2"),
            ("LANGFUSE_SAMPLE_RATE", "NaN"),
            ("LANGFUSE_TRACING_ENVIRONMENT", "Production"),
            ("LANGFUSE_TRACING_ENVIRONMENT", "langfuse-x"),
        ] {
            let error = read(&[keys[0], keys[1], (name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && !error.contains("sk-lf-secret"), "{error}");
        }
        let error = read(&[("LANGFUSE_BASE_URL", "http://u:hunter2@h")]).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(read(&keys[..1]).unwrap_err(), ConfigError::Missing { name: "LANGFUSE_SECRET_KEY" });
    }
}
