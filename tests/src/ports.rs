//! Host ports that nobody listens on.

use std::net::TcpListener;

use anyhow::Context as _;

/// As many different free ports on 127.0.0.1 as asked for.
pub(crate) fn free<const N: usize>() -> anyhow::Result<[u16; N]> {
    // All are held until all are known, or the same one could come twice.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
