//! `cargo xtask local`: the two processes that a local deployment is made of. Not for people.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use ken_deploy::engine::local::supervise;
use langfuse_local::settings::{Role, Settings};
use langfuse_local::{Notice, Server};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Exit, Failure};
use crate::flags::LocalCommand;

/// How long tasks that hang may keep the process after everything is flushed.
const LAST_TASKS: Duration = Duration::from_millis(200);

pub(crate) fn run(command: &LocalCommand) -> Result<Exit, Failure> {
    let unexpected = |error: anyhow::Error| Failure::new(Exit::Unexpected, error);
    match command {
        LocalCommand::Supervise { folder } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| unexpected(error.into()))?;
            runtime.block_on(supervise(folder)).map_err(|error| unexpected(error.into()))?;
        }
        LocalCommand::Serve => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.map_err(|error| unexpected(error.into()))?;
            let result = runtime.block_on(serve());
            runtime.shutdown_timeout(LAST_TASKS);
            result.map_err(unexpected)?;
        }
    }
    Ok(Exit::Done)
}

/// Serves until SIGTERM, SIGINT, or the end of standard input: the supervisor holds its other end.
async fn serve() -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let settings = Settings::read(Role::Standalone, &|name| std::env::var(name).ok())?;
    // The worker's health routes are for a stack of several parts.
    let settings = Settings { worker_port: 0, ..settings };
    let on_notice = Arc::new(|notice: &Notice| say(&format!("{:#}", anyhow::anyhow!(notice.to_string()))));
    let server = Server::start(settings, on_notice).await?;
    if let Some(address) = server.web_address() {
        say(&format!("web listening on http://{address}"));
    }
    let (gone, supervisor_gone) = tokio::sync::oneshot::channel();
    // A plain thread: a read that never returns must not hold the runtime.
    std::thread::spawn(move || {
        let _end = std::io::stdin().read_to_end(&mut Vec::new());
        gone.send(())
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = supervisor_gone => {}
    }
    server.stop().await;
    Ok(())
}

fn say(line: &str) {
    // Nobody reads any more when the supervisor is gone.
    let _gone = writeln!(std::io::stderr(), "{line}");
}
