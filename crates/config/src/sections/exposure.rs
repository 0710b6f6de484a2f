//! `[exposure]`: who can reach the web interface, and how.

use std::collections::BTreeMap;
use std::net::IpAddr;

use url::Url;

use crate::defaults::{BIND, PORT};
use crate::field::{Field, Place};
use crate::policy::Exposure;
use crate::read::{Reader, Section};
use crate::sso::{Sso, SsoProvider};
use crate::words::{nearest, quoted};
use crate::{mask, names};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Private,
    Proxy,
}

/// The exposure, and the place of a switch that locks everybody out if sign-up is closed.
pub(super) fn exposure<'d>(reader: &mut Reader<'_>, root: &mut Section<'d>) -> (Exposure, Option<Place>) {
    let mut section = reader.section(root, "exposure");
    let mode = reader.choice(&mut section, "mode", &[("private", Mode::Private), ("proxy", Mode::Proxy)]);
    let bind = reader.text(&mut section, "bind", "an IP address of this machine", |text| {
        text.parse::<IpAddr>().map_err(|_| "is not an IP address".to_owned())
    });
    let port = reader.integer(&mut section, "port", 1..=65535);
    let ssh_target = reader.name(&mut section, "ssh_target", "user@host, as for ssh", names::is_ssh_target);
    let public_url = reader.url(&mut section, "public_url", "https://host, without a path", |text| {
        let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
        match () {
            () if !url.username().is_empty() || url.password().is_some() => {
                Err("holds credentials".to_owned())
            }
            () if url.scheme() != "https" => {
                Err("is not https: sign-in would send passwords in the clear".to_owned())
            }
            () if url.path() != "/" || url.query().is_some() || url.fragment().is_some() => {
                Err("has a path or a query; Langfuse's image serves at the root only".to_owned())
            }
            () => Ok(url),
        }
    });
    let mut sso_section = reader.section(&mut section, "sso");
    let (sso, lockout) = sso(reader, &mut sso_section);
    reader.finish(&section);

    // What a mode does not use is wrong rather than ignored: somebody relies on it.
    let wrong_mode = !mode.is_absent() && mode.given().is_none();
    let mode = mode.or(Mode::Private);
    if mode == Mode::Private && !wrong_mode {
        if let Some(place) = public_url.place() {
            reader.fault(
                place,
                "has no effect when exposure.mode is `private`",
                "exposure.mode = \"proxy\", or no public_url",
            );
        }
        if sso_section.is_there {
            reader.missing(
                &section,
                "sso",
                "has no effect when exposure.mode is `private`: providers send people back to a public URL",
                "exposure.mode = \"proxy\", or no [exposure.sso]",
            );
        }
        if let (Some(address), Some(place)) = (bind.given(), bind.place())
            && !address.is_loopback()
        {
            reader.fault(
                place,
                "is reachable by others, without TLS: passwords and traces would cross the network in the clear",
                "127.0.0.1 (others come by the SSH tunnel), or exposure.mode = \"proxy\" behind TLS",
            );
        }
    }
    if mode == Mode::Proxy {
        if let Some(place) = ssh_target.place() {
            reader.fault(
                place,
                "has no effect when exposure.mode is `proxy`",
                "exposure.mode = \"private\", or no ssh_target",
            );
        }
        if public_url.is_absent() {
            reader.missing(
                &section,
                "public_url",
                "is missing",
                "https://host under which the proxy is reached",
            );
        }
    }
    let (bind, port) = (bind.or(BIND), u16::try_from(port.or(u32::from(PORT))).unwrap_or(PORT));
    let exposure = match (mode, public_url.into_option()) {
        (Mode::Proxy, Some(public_url)) => Exposure::Proxy { bind, port, public_url, sso },
        // Without a public URL a finding has been noted, and nobody sees this.
        _ => Exposure::Private { bind, port, ssh_target: ssh_target.into_option() },
    };
    (exposure, lockout)
}

fn sso(reader: &mut Reader<'_>, section: &mut Section<'_>) -> (Option<Sso>, Option<Place>) {
    let providers = SsoProvider::ALL.map(|provider| (provider.id(), provider));
    let provider = reader.choice(section, "provider", &providers);
    let client_id =
        reader.name(section, "client_id", "the OAuth client's id, text of one line", names::is_line);
    let disable = reader.boolean(section, "disable_password_login");
    let settings_section = reader.section(section, "settings");
    if !section.is_there {
        return (None, None);
    }
    if provider.is_absent() {
        let ids = SsoProvider::ALL.map(SsoProvider::id);
        reader.missing(section, "provider", "is missing", format!("one of {}", quoted(&ids)));
    }
    if client_id.is_absent() {
        reader.missing(section, "client_id", "is missing", "the OAuth client's id");
    }
    reader.finish(section);
    let entries = reader.entries(&settings_section, "text, true or false");
    let Some(provider) = provider.into_option() else { return (None, None) };
    let settings = settings(reader, provider, &settings_section, entries);
    let linking = settings.get("ALLOW_ACCOUNT_LINKING").is_some_and(|value| value == "true");
    let lockout = disable.place().filter(|_| disable.given() == Some(&true) && !linking).cloned();
    let sso = Sso {
        provider,
        client_id: client_id.or(String::new()),
        settings,
        disable_password_login: disable.or(false),
    };
    (Some(sso), lockout)
}

/// The settings that this provider knows, each by its rule.
fn settings(
    reader: &mut Reader<'_>,
    provider: SsoProvider,
    section: &Section<'_>,
    entries: Vec<(String, Field<String>)>,
) -> BTreeMap<String, String> {
    let known = provider.settings();
    let id = provider.id();
    for setting in known.iter().filter(|s| s.required && !entries.iter().any(|(key, _)| key == s.suffix)) {
        reader.missing(
            section,
            setting.suffix,
            format!("is missing, and provider `{id}` needs it"),
            setting.rule.expected(),
        );
    }
    let mut settings = BTreeMap::new();
    for (key, field) in entries {
        let Field::Given { value, place } = field else { continue };
        match known.iter().find(|setting| setting.suffix == key) {
            Some(setting) if setting.rule.holds(&value) => {
                settings.insert(key, value);
            }
            Some(setting) => reader.fault(&place, "is not valid", setting.rule.expected()),
            None if key == "CLIENT_SECRET" => reader.fault(
                &place,
                "is a secret, and a policy holds none",
                "the line SSO_CLIENT_SECRET=… in secrets.env",
            ),
            None => {
                let suffixes: Vec<&str> = known.iter().map(|setting| setting.suffix).collect();
                let hint = nearest(&key, suffixes.iter().copied())
                    .map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
                let place = if mask::is_secret_name(&key) { place } else { place.without_value() };
                reader.fault(
                    &place,
                    format!("is no setting of provider `{id}`{hint}"),
                    format!("one of {}", quoted(&suffixes)),
                );
            }
        }
    }
    if settings.contains_key("ORGANIZATION_ID") && settings.contains_key("CONNECTION_ID") {
        reader.missing(section, "CONNECTION_ID", "excludes ORGANIZATION_ID", "one of the two");
    }
    settings
}
