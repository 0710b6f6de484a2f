//! A service's environment file: what it needs that must stay out of the Compose file, and nothing else.

use ken_secrets::{Secret, SecretName, SecretSet};

use crate::stack::Service;

/// Why an environment file could not be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvironmentFileError {
    /// The store holds no value for a name.
    #[error("secret {} that {variable} of {service} needs is missing", secret.key())]
    Missing {
        /// The service.
        service: String,
        /// The variable.
        variable: String,
        /// The secret.
        secret: SecretName,
    },
    /// A value that an environment file cannot hold: a line break, a NUL, or a backslash beside a quote.
    #[error(
        "the value of {variable} of {service} contains a line break, a NUL, or a backslash beside a quote"
    )]
    Unwritable {
        /// The service.
        service: String,
        /// The variable.
        variable: String,
    },
}

/// The file's text; none when the service needs no secret.
///
/// Values are single-quoted, which Compose takes literally: no `$` or `#` in them means anything,
/// and a backslash only before a quote.
///
/// # Errors
/// [`EnvironmentFileError`], naming what is missing and never a value.
pub fn environment_file(
    service: &Service,
    secrets: &SecretSet,
) -> Result<Option<Secret>, EnvironmentFileError> {
    let mut text = String::new();
    for (variable, value) in service.secret_environment() {
        let value = value.resolve(secrets).map_err(|secret| EnvironmentFileError::Missing {
            service: service.name.clone(),
            variable: variable.clone(),
            secret,
        })?;
        let exposed = value.expose();
        let ambiguous = exposed.ends_with('\\') || exposed.contains("\\'");
        if ambiguous || exposed.contains(['\n', '\r', '\0']) {
            return Err(EnvironmentFileError::Unwritable {
                service: service.name.clone(),
                variable: variable.clone(),
            });
        }
        text.push_str(variable);
        text.push_str("='");
        text.push_str(&exposed.replace('\'', "\\'"));
        text.push_str("'\n");
    }
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(Secret::new(format!(
        "# Generated for {}; only what it needs. Edits are overwritten by the next deploy.\n{text}",
        service.name
    ))))
}
