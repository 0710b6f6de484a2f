//! `ken-example` serves on `KEN_ADDRESS` (127.0.0.1:8080 by default); `ken-example mcp` is its tool server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ken_example::{Ken, chat, mcp};
use ken_tracing::Tracer;

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("mcp") {
        let tracer = Tracer::from_env().context("tracing")?;
        return mcp::serve(&tracer);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let ken = Ken::from_env().await?;
        let address = std::env::var("KEN_ADDRESS").unwrap_or_else(|_unset| "127.0.0.1:8080".to_owned());
        let listener = tokio::net::TcpListener::bind(&address)
            .await
            .with_context(|| format!("listening on {address}"))?;
        axum::serve(listener, chat::router(Arc::clone(&ken))).with_graceful_shutdown(ended()).await?;
        ken.mcp.stop().await;
        // What is under way goes out, or waits for the next start.
        ken.tracer.shutdown(Duration::from_secs(2));
        Ok(())
    })
}

/// An interrupt, or the signal that a container is stopped with.
async fn ended() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_unavailable) => std::future::pending().await,
        }
    };
    tokio::select! {
        _interrupted = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
