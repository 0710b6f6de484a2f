//! What every engine promises, held against the real one, the one of processes, and the one in memory: so that the last cannot lie.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ken_deploy::engine::fake::FakeEngine;
use ken_deploy::engine::local::Program;
use ken_deploy::engine::{
    Activity, ComposeProject, Container, DockerEngine, Engine, EngineError, HttpRequest, ImageState,
    LocalEngine, SqlTarget,
};
use ken_deploy::stack::{LOCAL_IMAGE, STACK_LABEL};
use ken_secrets::Secret;
use ken_tests::{KenStack, Xtask, rig_or_skip};
use serde_json::json;

/// A project with a service `store`, and a service `app` that depends on it and has the volume `VOLUME`.
struct Subject<'e, E> {
    engine: &'e E,
    project: ComposeProject,
    /// Image of both.
    image: String,
    /// Name of the volume at the engine.
    volume: String,
    /// Value of our label on it.
    label: String,
    /// A container with `psql` and a running server.
    postgres: String,
}

async fn find<E: Engine>(subject: &Subject<'_, E>, service: &str) -> anyhow::Result<Option<Container>> {
    let all = subject.engine.containers().await?;
    let mine = |c: &Container| c.project() == Some(&subject.project.name) && c.service() == Some(service);
    Ok(all.into_iter().find(mine))
}

async fn suite<E: Engine>(subject: &Subject<'_, E>) -> anyhow::Result<()> {
    let Subject { engine, project, .. } = subject;
    let app = "app".to_owned();

    // Exactly what is named is started, and none of what it depends on.
    engine.up(project, std::slice::from_ref(&app)).await?;
    let first = find(subject, "app").await?.context("app was not started")?;
    ensure!(first.activity == Activity::Running, "{first:?}");
    ensure!(find(subject, "store").await?.is_none(), "a dependency was started");
    ensure!(!first.addresses.is_empty() && first.image == subject.image, "{first:?}");

    // Doing it again changes nothing; a life is the same as long as nobody restarts it.
    let life = engine.life(&first.id).await?.context("app has no life")?;
    engine.up(project, std::slice::from_ref(&app)).await?;
    ensure!(find(subject, "app").await?.map(|c| c.id) == Some(first.id.clone()), "app was recreated");
    ensure!(engine.life(&first.id).await? == Some(life), "app was restarted");

    // What is not there is an error that names it.
    match engine.up(project, &["nobody".to_owned()]).await {
        Err(EngineError::Compose { stderr, .. }) => ensure!(stderr.contains("nobody"), "{stderr}"),
        other => anyhow::bail!("{other:?}"),
    }

    // Volumes tell whose they are.
    let volumes = engine.volumes().await?;
    ensure!(volumes.get(&subject.volume) == Some(&Some(subject.label.clone())), "{volumes:?}");

    // Images: here, or nowhere without a registry.
    ensure!(matches!(engine.image(&subject.image, false).await?, ImageState::Present { .. }));
    ensure!(matches!(engine.image("no-such/image:1.2.3", false).await?, ImageState::Unresolvable { .. }));

    // A candidate is resolved in place of the file, which is not touched.
    let file = &project.files[project.editable];
    let text = fs::read(file)?;
    let candidate = b"services:\n  other:\n    image: x:1\n";
    let resolved = engine.resolve(project, Some(candidate)).await?;
    ensure!(
        resolved["services"].get("other").is_some() && resolved["services"].get("app").is_none(),
        "{resolved}"
    );
    ensure!(engine.resolve(project, None).await?["services"].get("app").is_some());
    ensure!(fs::read(file)? == text);

    // A wait ends by itself; a request that nobody answers is an error without the query.
    let began = Instant::now();
    engine.changed(&project.name, Duration::from_millis(200)).await?;
    ensure!(began.elapsed() < Duration::from_secs(5));
    match engine.http(HttpRequest::get("http://127.0.0.1:9/path?signature=abc")).await {
        Err(error @ EngineError::Http { .. }) => ensure!(!error.to_string().contains("signature"), "{error}"),
        other => anyhow::bail!("{other:?}"),
    }

    // A wrong password is refused, and not repeated.
    let remote = SqlTarget::Remote {
        container: subject.postgres.clone(),
        host: "127.0.0.2".to_owned(),
        port: 5432,
        role: "nobody".to_owned(),
        database: "postgres".to_owned(),
        password: Secret::new("planted-Zq3x9".to_owned()),
        tls: false,
    };
    match engine.sql(&remote, &Secret::new("SELECT 1;".to_owned())).await {
        Err(error @ EngineError::Sql { .. }) => ensure!(!error.to_string().contains("Zq3x9"), "{error}"),
        other => anyhow::bail!("{other:?}"),
    }

    // What is removed is gone, twice is fine, and its data stay until they are removed as well.
    for _twice in 0..2 {
        engine.remove(&first.id, Duration::from_secs(1)).await?;
    }
    ensure!(find(subject, "app").await?.is_none() && engine.life(&first.id).await?.is_none());
    ensure!(engine.logs(&first.id, 5).await.is_err());
    ensure!(engine.volumes().await?.contains_key(&subject.volume));
    for _twice in 0..2 {
        engine.remove_volume(&subject.volume).await?;
        engine.remove_network("no-such-network-of-anybody").await?;
    }
    ensure!(!engine.volumes().await?.contains_key(&subject.volume));
    Ok(())
}

fn block<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

fn compose_text(image: &str, volume: &str, label: &str) -> String {
    format!(
        "services:\n  app:\n    image: {image}\n    entrypoint: [sleep, '600']\n    depends_on: [store]\n    stop_grace_period: 1s\n    \
         volumes: ['data:/data']\n  store:\n    image: {image}\n    entrypoint: [sleep, '600']\n\
         volumes:\n  data:\n    name: {volume}\n    labels:\n      {STACK_LABEL}: {label}\n"
    )
}

#[test]
fn the_real_engine_keeps_the_contract() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::start(rig)?;
    // Its name begins with Ken's, so that it is removed with Ken whatever happens.
    let name = format!("{}-contract", ken.name());
    let file = ken.folder().join("contract.yml");
    let (image, volume) = (rig.image("redis").to_owned(), format!("{name}-data"));
    fs::write(&file, compose_text(&image, &volume, &name))?;
    let directory = ken.folder().to_owned();
    let postgres = ken.container("postgres")?.id;
    block(async {
        let engine = DockerEngine::connect(None).await?;
        let subject = Subject {
            engine: &engine,
            project: ComposeProject {
                name: name.clone(),
                editable: 0,
                files: vec![file],
                directory,
                env_files: Vec::new(),
            },
            image,
            volume,
            label: name,
            postgres,
        };
        suite(&subject).await
    })??;
    ken.finish()
}

#[test]
fn the_engine_of_processes_keeps_the_contract() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file: PathBuf = folder.path().join("contract.yml");
    fs::write(&file, compose_text(LOCAL_IMAGE, "v", "p"))?;
    let program = Program {
        path: Xtask::program()?.to_owned(),
        supervise: vec!["local".to_owned(), "supervise".to_owned()],
        serve: vec!["local".to_owned(), "serve".to_owned()],
    };
    let engine = LocalEngine::new(folder.path().join("engine"), program)?;
    let subject = Subject {
        engine: &engine,
        project: ComposeProject {
            name: "p".to_owned(),
            editable: 0,
            files: vec![file],
            directory: folder.path().to_owned(),
            env_files: Vec::new(),
        },
        image: LOCAL_IMAGE.to_owned(),
        volume: "v".to_owned(),
        label: "p".to_owned(),
        postgres: "none".to_owned(),
    };
    block(suite(&subject))?
}

#[test]
fn the_engine_in_memory_keeps_the_contract() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file: PathBuf = folder.path().join("contract.yml");
    let image = "redis:7.0.15";
    fs::write(&file, compose_text(image, "v", "p"))?;
    let engine = FakeEngine::new(move |_, candidate| {
        Ok(match candidate {
            Some(_) => json!({ "name": "p", "services": { "other": { "image": "x:1" } } }),
            None => json!({
                "name": "p",
                "services": {
                    "app": { "image": image, "depends_on": { "store": {} } },
                    "store": { "image": image },
                },
                "volumes": { "data": { "name": "v", "labels": { STACK_LABEL: "p" } } },
            }),
        })
    });
    engine.images.borrow_mut().extend(BTreeMap::from([(image.to_owned(), None)]));
    let subject = Subject {
        engine: &engine,
        project: ComposeProject {
            name: "p".to_owned(),
            editable: 0,
            files: vec![file],
            directory: folder.path().to_owned(),
            env_files: Vec::new(),
        },
        image: image.to_owned(),
        volume: "v".to_owned(),
        label: "p".to_owned(),
        postgres: "pg".to_owned(),
    };
    block(suite(&subject))?
}
