//! Single sign-on: providers and their settings, as Langfuse's `AUTH_*` variables.

use std::collections::BTreeMap;

use serde::Serialize;

/// An identity provider that Langfuse knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is its provider's name")]
pub enum SsoProvider {
    Google,
    Github,
    GithubEnterprise,
    Gitlab,
    AzureAd,
    Okta,
    Auth0,
    Cognito,
    Onelogin,
    Authentik,
    Keycloak,
    Jumpcloud,
    Workos,
    Wordpress,
    Custom,
}

/// What a setting's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Any text of one line.
    Text,
    /// `https://…`.
    Url,
    /// `true` or `false`.
    Bool,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Some of these, with commas between them.
    SomeOf(&'static [&'static str]),
}

/// A setting of a provider: what stands after `AUTH_<PROVIDER>_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) suffix: &'static str,
    pub(crate) rule: Rule,
    pub(crate) required: bool,
}

const fn must(suffix: &'static str, rule: Rule) -> Setting {
    Setting { suffix, rule, required: true }
}

const fn may(suffix: &'static str, rule: Rule) -> Setting {
    Setting { suffix, rule, required: false }
}

const CLIENT_AUTH_METHODS: &[&str] = &[
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
];
const CHECKS: &[&str] = &["nonce", "none", "pkce", "state"];
const ALGORITHMS: &[&str] = &[
    "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "HS256", "HS384",
    "HS512",
];

/// Every provider takes these.
const COMMON: [Setting; 3] = [
    may("ALLOW_ACCOUNT_LINKING", Rule::Bool),
    may("CLIENT_AUTH_METHOD", Rule::OneOf(CLIENT_AUTH_METHODS)),
    may("CHECKS", Rule::SomeOf(CHECKS)),
];
const ALGORITHM: Setting = may("ID_TOKEN_SIGNED_RESPONSE_ALG", Rule::OneOf(ALGORITHMS));

impl SsoProvider {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Google,
        Self::Github,
        Self::GithubEnterprise,
        Self::Gitlab,
        Self::AzureAd,
        Self::Okta,
        Self::Auth0,
        Self::Cognito,
        Self::Onelogin,
        Self::Authentik,
        Self::Keycloak,
        Self::Jumpcloud,
        Self::Workos,
        Self::Wordpress,
        Self::Custom,
    ];

    /// The name in a policy, which is also the last part of the callback's path.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Github => "github",
            Self::GithubEnterprise => "github-enterprise",
            Self::Gitlab => "gitlab",
            Self::AzureAd => "azure-ad",
            Self::Okta => "okta",
            Self::Auth0 => "auth0",
            Self::Cognito => "cognito",
            Self::Onelogin => "onelogin",
            Self::Authentik => "authentik",
            Self::Keycloak => "keycloak",
            Self::Jumpcloud => "jumpcloud",
            Self::Workos => "workos",
            Self::Wordpress => "wordpress",
            Self::Custom => "custom",
        }
    }

    /// How its variables begin.
    #[must_use]
    pub fn prefix(self) -> String {
        format!("AUTH_{}", self.id().to_uppercase().replace('-', "_"))
    }

    /// Its settings beyond the client's id and secret.
    pub(crate) fn settings(self) -> Vec<Setting> {
        let own: &[Setting] = match self {
            Self::Google => &[may("ALLOWED_DOMAINS", Rule::Text)],
            Self::Github | Self::Wordpress => &[],
            Self::GithubEnterprise => &[must("BASE_URL", Rule::Url)],
            Self::Gitlab => &[may("ISSUER", Rule::Url), may("URL", Rule::Url)],
            Self::AzureAd => &[must("TENANT_ID", Rule::Text)],
            Self::Okta | Self::Auth0 | Self::Cognito | Self::Onelogin => &[must("ISSUER", Rule::Url)],
            Self::Authentik => &[must("ISSUER", Rule::Url), may("AUTHORIZATION_URL", Rule::Url)],
            Self::Keycloak => &[
                must("ISSUER", Rule::Url),
                may("SCOPE", Rule::Text),
                may("ID_TOKEN", Rule::Bool),
                may("NAME", Rule::Text),
            ],
            Self::Jumpcloud => &[must("ISSUER", Rule::Url), may("SCOPE", Rule::Text)],
            Self::Workos => &[may("ORGANIZATION_ID", Rule::Text), may("CONNECTION_ID", Rule::Text)],
            Self::Custom => &[
                must("ISSUER", Rule::Url),
                must("NAME", Rule::Text),
                may("SCOPE", Rule::Text),
                may("ID_TOKEN", Rule::Bool),
            ],
        };
        // GitHub's plain OAuth has no id token.
        let algorithm = (self != Self::Github).then_some(ALGORITHM);
        own.iter().copied().chain(COMMON).chain(algorithm).collect()
    }
}

impl Rule {
    /// Whether a value is right.
    pub(crate) fn holds(self, value: &str) -> bool {
        match self {
            Self::Text => crate::names::is_line(value),
            Self::Url => url::Url::parse(value).is_ok_and(|url| {
                url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
            }),
            Self::Bool => value == "true" || value == "false",
            Self::OneOf(choices) => choices.contains(&value),
            Self::SomeOf(choices) => value.split(',').all(|part| choices.contains(&part)),
        }
    }

    /// What a value must be, for people.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text => "text of one line".to_owned(),
            Self::Url => "an https URL without credentials".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::OneOf(choices) => format!("one of {}", choices.join(", ")),
            Self::SomeOf(choices) => {
                format!("one or more of {}, with `,` and no space between", choices.join(", "))
            }
        }
    }
}

/// Single sign-on. The client's secret is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sso {
    /// Who signs people in.
    pub provider: SsoProvider,
    /// The OAuth client's id.
    pub client_id: String,
    /// Further settings by what stands after `AUTH_<PROVIDER>_`.
    pub settings: BTreeMap<String, String>,
    /// Whether passwords stop working.
    pub disable_password_login: bool,
}

impl Sso {
    /// The provider's variables without its secret.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let prefix = self.provider.prefix();
        std::iter::once((format!("{prefix}_CLIENT_ID"), self.client_id.clone()))
            .chain(self.settings.iter().map(|(suffix, value)| (format!("{prefix}_{suffix}"), value.clone())))
            .collect()
    }

    /// The variable that takes the secret.
    #[must_use]
    pub fn client_secret_env(&self) -> String {
        format!("{}_CLIENT_SECRET", self.provider.prefix())
    }

    /// Where the provider must send people back to, below the public URL.
    #[must_use]
    pub fn callback_path(&self) -> String {
        format!("/api/auth/callback/{}", self.provider.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_that_langfuse_reads() {
        let sso = Sso {
            provider: SsoProvider::GithubEnterprise,
            client_id: "id".into(),
            settings: [("BASE_URL".to_owned(), "https://git.example".to_owned())].into(),
            disable_password_login: false,
        };
        let pairs = sso.env();
        assert_eq!(pairs[0], ("AUTH_GITHUB_ENTERPRISE_CLIENT_ID".to_owned(), "id".to_owned()));
        assert_eq!(
            pairs[1],
            ("AUTH_GITHUB_ENTERPRISE_BASE_URL".to_owned(), "https://git.example".to_owned())
        );
        assert_eq!(sso.client_secret_env(), "AUTH_GITHUB_ENTERPRISE_CLIENT_SECRET");
        assert_eq!(sso.callback_path(), "/api/auth/callback/github-enterprise");
    }

    #[test]
    fn no_provider_lists_a_setting_twice() {
        for provider in SsoProvider::ALL {
            let mut suffixes: Vec<_> = provider.settings().iter().map(|s| s.suffix).collect();
            suffixes.sort_unstable();
            let n = suffixes.len();
            suffixes.dedup();
            assert_eq!(suffixes.len(), n, "{}", provider.id());
        }
    }

    #[test]
    fn rules_hold_what_langfuse_takes() {
        for (rule, good, bad) in [
            (Rule::Url, "https://idp.example/realms/x", "http://idp.example"),
            (Rule::Url, "https://idp.example", "https://u:p@idp.example"),
            (Rule::Bool, "true", "True"),
            (Rule::OneOf(CLIENT_AUTH_METHODS), "none", "basic"),
            (Rule::SomeOf(CHECKS), "pkce,state", "pkce, state"),
            (Rule::Text, "a b", "a\nb"),
        ] {
            assert!(rule.holds(good), "{good}");
            assert!(!rule.holds(bad), "{bad}");
        }
    }
}
