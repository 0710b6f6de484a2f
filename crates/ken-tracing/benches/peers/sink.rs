//! A sink in a process of its own that reads and forgets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// How a sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Unavailable,
    /// After two seconds.
    Slow,
}

impl Mood {
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "503" => Self::Unavailable,
            "slow" => Self::Slow,
            _ => Self::Well,
        }
    }
}

/// Prints its address and serves until its standard input ends.
pub(crate) fn run(mood: Mood) -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr().unwrap()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, mood));
        }
    });
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).unwrap();
    ExitCode::SUCCESS
}

/// Each request in turn, as far as a header with a length goes.
fn serve(stream: TcpStream, mood: Mood) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    let mut body = vec![0; 256 << 10];
    loop {
        let (mut length, mut line) = (0_usize, String::new());
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.trim().is_empty() => break,
                Ok(_) => {
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
            }
        }
        while length > 0 {
            let most = length.min(body.len());
            match reader.read(&mut body[..most]) {
                Ok(0) | Err(_) => return,
                Ok(n_read) => length -= n_read,
            }
        }
        if mood == Mood::Slow {
            std::thread::sleep(Duration::from_secs(2));
        }
        let answer: &[u8] = match mood {
            Mood::Unavailable => b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            Mood::Well | Mood::Slow => {
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
            }
        };
        if writer.write_all(answer).is_err() {
            return;
        }
    }
}

/// The process; it ends with this.
pub(crate) struct Process {
    child: Child,
    address: String,
}

impl Process {
    pub(crate) fn start(mood: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["sink", mood])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}
