//! Who may see pages, and of which project.
//!
//! On the loopback alone they are open, as the machine's user is the only one who can ask; then the host
//! asked for must be the loopback too, or a page of another site could have its own name point here and
//! read them. Everywhere else (other addresses, the public URL, behind a proxy) a project's key pair is
//! asked for, checked as for the API, and shows that project alone.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use maud::html;

use crate::app::App;
use crate::http::auth;
use crate::settings::Settings;
use crate::store::Project;

use super::query::{Query, address};
use super::shown::Name;
use super::{layout, unreadable};

/// Set by proxies: whoever asks is not on this machine then, although the connection comes from it.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Somebody who may see the pages of a project.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) project: Project,
    /// All projects when there is a choice, otherwise none.
    pub(super) choice: Vec<Project>,
}

impl Viewer {
    /// An address that stays in the project.
    pub(super) fn link(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let mut pairs = pairs.to_vec();
        if !self.choice.is_empty() {
            pairs.push(("project", &self.project.id));
        }
        address(path, &pairs)
    }
}

/// What the request must prove.
#[derive(Debug, PartialEq, Eq)]
enum Demand {
    Nothing,
    Key,
    /// It was sent to a name that is not ours.
    OtherHost,
}

/// Lets somebody in, or answers instead of the page.
pub(super) async fn enter(app: &App, headers: &HeaderMap, query: &Query) -> Result<Viewer, Box<Response>> {
    match demand(&app.settings, headers) {
        Demand::Nothing => choose(app, query).await,
        Demand::Key => {
            let holder = auth::project_key(app, headers).await.map_err(|answer| refused(answer.status()))?;
            let wish = query.get("project");
            if !wish.is_empty() && wish != holder.project.id {
                return Err(Box::new(layout::message(
                    StatusCode::FORBIDDEN,
                    None,
                    "This key belongs to another project",
                    "Leave out “project” in the address, or sign in with a key of that project.",
                )));
            }
            Ok(Viewer { project: holder.project, choice: Vec::new() })
        }
        Demand::OtherHost => Err(Box::new(layout::message(
            StatusCode::MISDIRECTED_REQUEST,
            None,
            "This server does not answer under that name",
            "Open it as localhost or 127.0.0.1. For another name, set NEXTAUTH_URL to the URL that you open; \
             a project key is asked for then.",
        ))),
    }
}

/// Whether a key is needed and none was sent.
pub(super) fn is_stranger(app: &App, headers: &HeaderMap) -> bool {
    !headers.contains_key(AUTHORIZATION) && demand(&app.settings, headers) == Demand::Key
}

/// The first page of a stranger. It tells nothing that the health route does not.
pub(super) fn way_in() -> Response {
    let content = html! {
        div.message {
            h1 { "Sign in" }
            p { "This server speaks the API of Langfuse. Its pages need a project's public key as the user and \
                 its secret key as the password." }
            p { a href="/traces" { "Sign in" } }
        }
    };
    layout::page(StatusCode::OK, "Sign in", None, content)
}

fn demand(settings: &Settings, headers: &HeaderMap) -> Demand {
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(HeaderName::from_static(name)));
    if settings.pages_need_key || is_forwarded || !is_loopback(&settings.host) {
        return Demand::Key;
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
        return Demand::OtherHost;
    };
    let Some(name) = host_name(host) else { return Demand::OtherHost };
    let public = settings.public_url.as_ref().and_then(|url| host_name(url.host_str()?));
    if is_loopback(&name) {
        Demand::Nothing
    } else if public.as_deref() == Some(&name) {
        Demand::Key
    } else {
        Demand::OtherHost
    }
}

/// The name or address in `name:port`, in small letters and without brackets.
fn host_name(host: &str) -> Option<String> {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(name, _port)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

/// Whether a name or an address can only be this machine's own.
fn is_loopback(name: &str) -> bool {
    name.parse::<IpAddr>().map_or_else(
        |_no_address| name == "localhost" || name.ends_with(".localhost"),
        |address| address.to_canonical().is_loopback(),
    )
}

fn refused(status: StatusCode) -> Box<Response> {
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return Box::new(layout::message(
            status,
            None,
            "The store cannot be read",
            "The server's log names the reason.",
        ));
    }
    let mut response = layout::message(
        StatusCode::UNAUTHORIZED,
        None,
        "A project key is needed here",
        "Sign in with the project's public key as the user and its secret key as the password.",
    );
    let scheme = HeaderValue::from_static("Basic realm=\"langfuse-local\", charset=\"UTF-8\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    Box::new(response)
}

async fn choose(app: &App, query: &Query) -> Result<Viewer, Box<Response>> {
    let mut projects = app.with_store(|store| store.projects()).await.map_err(unreadable)?;
    let wish = query.get("project");
    if !wish.is_empty() {
        let Some(project) = projects.iter().find(|project| project.id == wish).cloned() else {
            return Err(Box::new(layout::message(
                StatusCode::NOT_FOUND,
                None,
                "There is no such project",
                "The first page lists the projects of this server.",
            )));
        };
        let choice = if projects.len() > 1 { projects } else { Vec::new() };
        return Ok(Viewer { project, choice });
    }
    match projects.len() {
        0 => Err(Box::new(layout::message(
            StatusCode::OK,
            None,
            "There is no project yet",
            "Start the server with LANGFUSE_INIT_ORG_ID, LANGFUSE_INIT_PROJECT_ID, \
             LANGFUSE_INIT_PROJECT_PUBLIC_KEY and LANGFUSE_INIT_PROJECT_SECRET_KEY set; it makes the project and \
             its key.",
        ))),
        1 => Ok(Viewer { project: projects.remove(0), choice: Vec::new() }),
        _ => Err(Box::new(layout::page(
            StatusCode::OK,
            "Projects",
            None,
            html! {
                h1 { "Projects" }
                p { "This server holds several projects. Choose one:" }
                ul.projects {
                    @for project in &projects {
                        li { a href=(address("/traces", &[("project", &project.id)])) { (Name(&project.name)) } }
                    }
                }
            },
        ))),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{Demand, demand};
    use crate::settings::{Role, Settings};

    fn demand_of(environment: &[(&str, &str)], headers: &[(&'static str, &str)]) -> Demand {
        let find = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let settings = Settings::read(Role::Standalone, &find).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        demand(&settings, &map)
    }

    #[test]
    fn on_the_loopback_the_host_decides() {
        let public = [("NEXTAUTH_URL", "https://Langfuse.example.com:8443/path")];
        for host in [
            "localhost",
            "LOCALHOST:3000",
            "127.0.0.1:3000",
            "127.8.0.1",
            "[::1]:3000",
            "[::1]",
            "localhost.",
            "ken.localhost:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(demand_of(&[], &[("host", host)]), Demand::Nothing, "{host}");
            assert_eq!(demand_of(&public, &[("host", host)]), Demand::Nothing, "{host}");
        }
        for host in [
            "evil.example:3000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            ":3000",
            "[::1",
            "[::2]",
            "evil-localhost",
            "0.0.0.0:3000",
            "user@localhost",
            "é",
            "2130706433",
        ] {
            assert_eq!(demand_of(&[], &[("host", host)]), Demand::OtherHost, "{host}");
            assert_eq!(demand_of(&public, &[("host", host)]), Demand::OtherHost, "{host}");
        }
        assert_eq!(demand_of(&public, &[("host", "langfuse.example.com:1")]), Demand::Key);
        assert_eq!(demand_of(&[], &[]), Demand::OtherHost);
        assert_eq!(demand_of(&[], &[("host", "localhost"), ("host", "localhost")]), Demand::OtherHost);
    }

    #[test]
    fn beyond_the_loopback_a_key_is_needed() {
        for bound in ["0.0.0.0", "::", "192.168.1.5", "build-host", "::ffff:10.0.0.1"] {
            let environment = [("HOSTNAME", bound)];
            assert_eq!(demand_of(&environment, &[("host", "localhost")]), Demand::Key, "{bound}");
            assert_eq!(demand_of(&environment, &[]), Demand::Key, "{bound}");
        }
        for bound in ["127.0.0.2", "::1", "localhost"] {
            assert_eq!(
                demand_of(&[("HOSTNAME", bound)], &[("host", "localhost")]),
                Demand::Nothing,
                "{bound}"
            );
        }
        for header in super::FORWARDED {
            assert_eq!(demand_of(&[], &[("host", "localhost"), (header, "x")]), Demand::Key, "{header}");
        }
        let wish = [("LANGFUSE_LOCAL_PAGES_NEED_KEY", "true")];
        assert_eq!(demand_of(&wish, &[("host", "localhost")]), Demand::Key);
    }
}
