//! Fills a running server with traces like those of a chat assistant, to look at its pages.
//!
//! `cargo run -p langfuse-local --example seed -- http://127.0.0.1:3000 PUBLIC_KEY [TRACES]`; the secret
//! key is read from `LANGFUSE_SECRET_KEY`.

mod traces;

use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

/// Traces in one request.
const BATCH: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let n_traces = arguments.get(2).map_or(Ok(300), |text| text.parse());
    let secret = std::env::var("LANGFUSE_SECRET_KEY");
    let (Some(url), Some(public), Ok(n_traces), Ok(secret)) =
        (arguments.first(), arguments.get(1), n_traces, secret)
    else {
        return fail("usage: LANGFUSE_SECRET_KEY=… seed URL PUBLIC_KEY [TRACES]");
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    match runtime.block_on(send(url, public, &secret, n_traces)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(&problem),
    }
}

async fn send(url: &str, public: &str, secret: &str, n_traces: usize) -> Result<(), String> {
    // Another part of the process may have chosen a provider already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let spans: Vec<Vec<Value>> = traces::traces(n_traces, now_ms);
    for batch in spans.chunks(BATCH) {
        let export = traces::export(batch.concat());
        let request = client
            .post(format!("{}/api/public/otel/v1/traces", url.trim_end_matches('/')))
            .basic_auth(public, Some(secret))
            .header("content-type", "application/json")
            .body(export.to_string());
        let response = request.send().await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("the server answered {}", response.status()));
        }
    }
    Ok(())
}

fn fail(problem: &str) -> ExitCode {
    // A closed terminal is no reason to fail differently.
    let _closed = writeln!(std::io::stderr(), "seed: {problem}");
    ExitCode::FAILURE
}
