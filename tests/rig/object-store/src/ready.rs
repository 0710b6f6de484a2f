//! `mc ready`: one real request to the server, and its answer as an exit code.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(4);

/// Fails unless the server at `address` answers `200` to its readiness path.
pub(crate) fn ask(address: &str) -> Result<(), String> {
    let socket: SocketAddr = address.parse().map_err(|_| format!("`{address}` is no address"))?;
    let answer =
        request(&socket).map_err(|cause| format!("the server at {address} does not answer: {cause}"))?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(format!("the server at {address} is not ready: {status}"))
}

fn request(socket: &SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(socket, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let question = format!("GET /minio/health/ready HTTP/1.1\r\nHost: {socket}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that gives one fixed answer to one request.
    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn believes_only_a_200() {
        ask(&answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).unwrap();
        let told = ask(&answering("HTTP/1.1 503 Service Unavailable\r\n\r\n")).unwrap_err();
        assert!(told.contains("503"), "{told}");
    }

    #[test]
    fn fails_when_nobody_listens() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(ask(&free).unwrap_err().contains("does not answer"));
    }
}
