//! The binary: `langfuse-local web|worker|serve|healthcheck URL`.

mod healthcheck;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use langfuse_local::settings::{Role, Settings};
use langfuse_local::store::Store;
use langfuse_local::{Notice, Server, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};

const USAGE: &str = "usage: langfuse-local web | worker | serve | vacuum | healthcheck URL | version

web          web's API on PORT (3000); requires what Langfuse's web container requires
worker       the worker's health routes on PORT (3030)
serve        both in one process, nothing required
vacuum       give the space of removed observations back; the server must not run
healthcheck  ask URL once; exit 0 when it answers 200
version      print the version

Settings come from Langfuse's environment variables; data is kept in LANGFUSE_LOCAL_DATA
(/var/lib/langfuse-local). LANGFUSE_LOCAL_RETENTION_DAYS removes what is older, LANGFUSE_LOCAL_MAX_BYTES
bounds the data, LANGFUSE_LOCAL_MODELS names a file of models and prices
in place of the built-in list.
";

/// How long tasks that hang may keep the process after everything is flushed.
const LAST_TASKS: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["web"] => run(Role::Web),
        ["worker"] => run(Role::Worker),
        ["serve"] => run(Role::Standalone),
        ["vacuum"] => vacuum(),
        ["healthcheck", url] => match healthcheck::check(url) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        ["version" | "--version" | "-V"] => {
            say(&mut std::io::stdout(), concat!("langfuse-local ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        ["help" | "--help" | "-h"] => {
            say(&mut std::io::stdout(), USAGE.trim_end());
            ExitCode::SUCCESS
        }
        _ => {
            say(&mut std::io::stderr(), USAGE.trim_end());
            ExitCode::from(2)
        }
    }
}

fn run(role: Role) -> ExitCode {
    let settings = match Settings::read(role, &|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let result = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(LAST_TASKS);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn vacuum() -> ExitCode {
    let settings = match Settings::read(Role::Standalone, &|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    let store = match Store::open(&settings.data) {
        Ok(store) => store,
        Err(error) => return fail(&error),
    };
    match store.vacuum() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn serve(settings: Settings) -> Result<(), StartError> {
    // Signals count from here on: one that comes during the start ends the process in order too.
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let on_notice = Arc::new(|notice: &Notice| say(&mut std::io::stderr(), &chain(notice)));
    let server = Server::start(settings, on_notice).await?;
    for (name, address) in [("web", server.web_address()), ("worker", server.worker_address())] {
        if let Some(address) = address {
            say(&mut std::io::stdout(), &format!("{name} listening on http://{address}"));
        }
    }
    tokio::select! {
        () = arrival(signals.0) => {}
        () = arrival(signals.1) => {}
    }
    say(&mut std::io::stdout(), "stopping");
    server.stop().await;
    Ok(())
}

/// Never comes when the handler could not be installed.
async fn arrival(signal: std::io::Result<Signal>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_unavailable) => std::future::pending().await,
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    say(&mut std::io::stderr(), &chain(error));
    ExitCode::FAILURE
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = format!("langfuse-local: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line
}

fn say(out: &mut dyn Write, line: &str) {
    // A closed terminal or pipe is no reason to stop serving.
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}
