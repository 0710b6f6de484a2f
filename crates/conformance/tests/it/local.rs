//! The local server is like the real one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ken_conformance::{Keys, Outcome, Report, RunError, Suite};
use ken_secrets::Secret;
use langfuse_local::settings::{Role, Settings};
use langfuse_local::{Notice, Server};
use tempfile::TempDir;
use url::Url;

pub(crate) const PUBLIC: &str = "pk-lf-1234567890";
pub(crate) const SECRET: &str = "sk-lf-1234567890";

pub(crate) struct LocalServer {
    server: Server,
    _folder: TempDir,
}

impl LocalServer {
    /// One with an empty project.
    pub(crate) async fn start(names: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut environment = BTreeMap::from([
            ("LANGFUSE_INIT_ORG_ID", "my-org"),
            ("LANGFUSE_INIT_ORG_NAME", "My Org"),
            ("LANGFUSE_INIT_PROJECT_ID", "my-project"),
            ("LANGFUSE_INIT_PROJECT_NAME", "My Project"),
            ("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", PUBLIC),
            ("LANGFUSE_INIT_PROJECT_SECRET_KEY", SECRET),
        ]);
        environment.extend(names.iter().copied());
        let find = |name: &str| environment.get(name).map(|value| (*value).to_owned());
        let mut settings = Settings::read(Role::Standalone, &find).unwrap();
        settings.data = folder.path().to_owned();
        (settings.port, settings.worker_port) = (0, 0);
        let server = Server::start(settings, Arc::new(|_: &Notice| {})).await.unwrap();
        Self { server, _folder: folder }
    }

    pub(crate) fn base(&self) -> Url {
        format!("http://{}", self.server.web_address().unwrap()).parse().unwrap()
    }

    pub(crate) async fn run(&self) -> Result<Report, RunError> {
        Suite::default().run(&self.base(), keys(PUBLIC, SECRET), |_| {}).await
    }
}

pub(crate) fn keys(public: &str, secret: &str) -> Keys {
    Keys::new(Secret::new(public.to_owned()), Secret::new(secret.to_owned()))
}

fn check(report: &Report) {
    let others = report.exchanges.iter().filter(|exchanged| exchanged.outcome != Outcome::Same);
    let others: Vec<String> = others.map(ToString::to_string).collect();
    assert!(others.is_empty(), "{}\n{}", report.summary(), others.join("\n"));
    assert_eq!(report.exchanges.len(), 88);
    assert_eq!(report.late, Vec::<String>::new());
}

#[tokio::test]
async fn the_local_server_is_like_the_real_one() {
    let server = LocalServer::start(&[]).await;
    check(&server.run().await.unwrap());
    // What a run leaves behind does not change the answers of the next.
    check(&server.run().await.unwrap());
}

#[tokio::test]
async fn the_names_of_the_project_do_not_matter() {
    let names = [
        ("LANGFUSE_INIT_ORG_ID", "another-org"),
        ("LANGFUSE_INIT_ORG_NAME", "Another Org"),
        ("LANGFUSE_INIT_PROJECT_ID", "another-project"),
        ("LANGFUSE_INIT_PROJECT_NAME", "Another Project"),
    ];
    check(&LocalServer::start(&names).await.run().await.unwrap());
}
