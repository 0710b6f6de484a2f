//! The one account of the store, from the variables that MinIO reads.

use std::fmt;

/// An access key and its secret.
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Takes both values from `MINIO_ROOT_USER` and `MINIO_ROOT_PASSWORD`, or from the files that
/// `…_FILE` names; refuses the lengths that MinIO refuses.
///
/// Unlike MinIO there is no default account: a rig with known credentials would prove nothing.
pub(crate) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Credentials, String> {
    let value = |name: &str| -> Result<String, String> {
        if let Some(path) = variable(&format!("{name}_FILE")).filter(|path| !path.is_empty()) {
            let text =
                std::fs::read_to_string(&path).map_err(|cause| format!("{name}_FILE {path}: {cause}"))?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        variable(name).filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} is not set"))
    };
    let (user, password) = (value("MINIO_ROOT_USER")?, value("MINIO_ROOT_PASSWORD")?);
    if user.len() < 3 {
        return Err("MINIO_ROOT_USER must have at least 3 characters".into());
    }
    if password.len() < 8 {
        return Err("MINIO_ROOT_PASSWORD must have at least 8 characters".into());
    }
    Ok(Credentials { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pairs: &[(&str, &str)]) -> Result<Credentials, String> {
        from_environment(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn takes_both_values() {
        let found = take(&[("MINIO_ROOT_USER", "langfuse"), ("MINIO_ROOT_PASSWORD", "longenough")]).unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("langfuse", "longenough"));
        assert!(!format!("{found:?}").contains("longenough"));
    }

    #[test]
    fn a_file_wins_over_the_variable() {
        let file = std::env::temp_dir().join(format!("object-store-{}", std::process::id()));
        std::fs::write(&file, "from-a-file\n").unwrap();
        let found = take(&[
            ("MINIO_ROOT_USER", "langfuse"),
            ("MINIO_ROOT_PASSWORD", "ignored-value"),
            ("MINIO_ROOT_PASSWORD_FILE", file.to_str().unwrap()),
        ]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found.unwrap().password, "from-a-file");
    }

    #[test]
    fn refuses_missing_and_short_values() {
        for (pairs, told) in [
            (&[("MINIO_ROOT_PASSWORD", "longenough")][..], "MINIO_ROOT_USER is not set"),
            (&[("MINIO_ROOT_USER", "langfuse"), ("MINIO_ROOT_PASSWORD", "")][..], "PASSWORD is not set"),
            (&[("MINIO_ROOT_USER", "langfuse"), ("MINIO_ROOT_PASSWORD", "short")][..], "8 characters"),
            (&[("MINIO_ROOT_USER", "la"), ("MINIO_ROOT_PASSWORD", "longenough")][..], "3 characters"),
        ] {
            assert!(take(pairs).unwrap_err().contains(told), "{told}");
        }
    }
}
