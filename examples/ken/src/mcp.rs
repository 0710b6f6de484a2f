//! A tool server over the Model Context Protocol, as a process of its own that speaks JSON-RPC on standard
//! input and output. The trace goes on in it: `_meta` of a call carries the W3C trace context.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use ken_tracing::{Scope, Tracer, extract, inject};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// The side of Ken. One call at a time; the server is started at the first and again when it has ended.
#[derive(Debug)]
pub struct Client {
    program: PathBuf,
    arguments: Vec<String>,
    server: Mutex<Option<Child>>,
}

impl Client {
    /// For a program with these arguments.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<String>) -> Self {
        Self { program, arguments, server: Mutex::new(None) }
    }

    /// Calls a tool of the server.
    ///
    /// # Errors
    /// The server cannot be started, ended, or said that the call failed.
    pub async fn call(&self, scope: &Scope, name: &str, arguments: &Value) -> anyhow::Result<Value> {
        let mut headers: HashMap<String, String> = HashMap::new();
        inject(scope, &mut headers);
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": name, "arguments": arguments, "_meta": headers } });
        let mut server = self.server.lock().await;
        let answer = match self.exchange(&mut server, &request).await {
            Ok(answer) => answer,
            // It has ended since the last call: once more with a new one.
            Err(_ended) => {
                *server = None;
                self.exchange(&mut server, &request).await?
            }
        };
        anyhow::ensure!(answer["result"]["isError"] != true, "{}", answer["result"]["content"][0]["text"]);
        Ok(answer["result"]["structuredContent"].clone())
    }

    /// Lets the server end by itself, so that it sends what it recorded; a server that does not is killed.
    pub async fn stop(&self) {
        let Some(mut child) = self.server.lock().await.take() else { return };
        drop(child.stdin.take());
        let _late = tokio::time::timeout(Duration::from_secs(3), child.wait()).await;
    }

    async fn exchange(&self, server: &mut Option<Child>, request: &Value) -> anyhow::Result<Value> {
        if server.is_none() {
            let mut command = Command::new(&self.program);
            command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            *server = Some(command.spawn().context("starting the tool server")?);
        }
        let child = server.as_mut().context("the tool server is gone")?;
        let (Some(stdin), Some(stdout)) = (&mut child.stdin, &mut child.stdout) else {
            anyhow::bail!("the tool server has no pipes");
        };
        stdin.write_all(format!("{request}\n").as_bytes()).await?;
        stdin.flush().await?;
        let mut line = String::new();
        // One answer follows one request: nothing is left in this reader's buffer.
        let length = BufReader::new(stdout).read_line(&mut line).await?;
        anyhow::ensure!(length > 0, "the tool server has ended");
        Ok(serde_json::from_str(&line)?)
    }
}

/// The server: reads requests until its input ends. Its own spans belong to Ken's trace.
///
/// # Errors
/// The pipes failed.
pub fn serve(tracer: &Tracer) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?).unwrap_or_default();
        let headers: HashMap<String, String> =
            serde_json::from_value(request["params"]["_meta"].clone()).unwrap_or_default();
        let mut turn = tracer.turn("mcp weather").parent(&extract(&headers)).start();
        let place = request["params"]["arguments"]["query"].as_str().unwrap_or_default();
        turn.input(place);
        let result = json!({ "place": "Berlin", "degrees": 18, "sky": "clear" });
        turn.output(result.to_string());
        drop(turn);
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": {
            "content": [{ "type": "text", "text": result.to_string() }], "structuredContent": result, "isError": false } });
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
