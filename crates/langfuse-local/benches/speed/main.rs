//! What the server promises about speed and memory, measured on the real binary over HTTP.
//!
//! `cargo bench --package langfuse-local` sends one million spans of 1.7 KB by OTLP protobuf, and prints
//! each figure beside its limit. `SPANS=n` measures with another number. It ends with 1 when a limit is broken.

mod client;
mod spans;

use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use client::Connection;

const PUBLIC: &str = "pk-lf-benchmark";
const SECRET: &str = "sk-lf-benchmark";
const BATCH: usize = 512;
const SENDERS: usize = 4;

/// One figure and what it must not pass.
struct Figure {
    name: &'static str,
    value: f64,
    limit: f64,
    unit: &'static str,
    at_least: bool,
}

impl Figure {
    fn holds(&self) -> bool {
        if self.at_least { self.value >= self.limit } else { self.value <= self.limit }
    }

    #[expect(clippy::print_stdout, reason = "a benchmark prints")]
    fn print(&self) {
        let bound = if self.at_least { "at least" } else { "at most" };
        let verdict = if self.holds() { "holds" } else { "BROKEN" };
        println!("{:<14} {:>10.2} {:<8} {bound} {} {verdict}", self.name, self.value, self.unit, self.limit);
    }
}

/// The real binary, stopped with the bench.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends when it cannot go on"
)]
fn main() -> ExitCode {
    let n_spans: usize = std::env::var("SPANS").ok().and_then(|it| it.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::TempDir::new().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut figures = Vec::new();
    let mut note = |figure: Figure| {
        figure.print();
        figures.push(figure);
    };

    // The first start creates the database; the median of the later ones counts.
    let mut starts: Vec<f64> = (0..6).map(|_| start(folder.path(), port).1.as_secs_f64() * 1e3).collect();
    starts.remove(0);
    starts.sort_by(f64::total_cmp);
    note(Figure { name: "start", value: starts[starts.len() / 2], limit: 50.0, unit: "ms", at_least: false });

    let (server, _took) = start(folder.path(), port);
    let template = spans::Batch::new(BATCH);
    println!("{} bytes a span, {} spans in a batch", template.bytes_per_span(), BATCH);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let mut batch = template.clone();
            scope.spawn(move || {
                let mut connection = Connection::open(port, PUBLIC, SECRET);
                for number in (sender..n_spans / BATCH).step_by(SENDERS) {
                    batch.renumber(number);
                    let status = connection.post("/api/public/otel/v1/traces", batch.bytes()).0;
                    assert_eq!(status, 200);
                }
            });
        }
    });
    let took = began.elapsed().as_secs_f64();
    let sent = (n_spans / BATCH * BATCH) as f64;
    note(Figure { name: "ingestion", value: sent / took, limit: 20_000.0, unit: "spans/s", at_least: true });

    let mut connection = Connection::open(port, PUBLIC, SECRET);
    let query = spans::latency_by_model();
    let mut reads: Vec<f64> = (0..5)
        .map(|_| {
            let began = Instant::now();
            let (status, body) = connection.get(&query);
            assert_eq!(status, 200, "{body}");
            assert!(body.contains("p95_latency"), "{body}");
            began.elapsed().as_secs_f64()
        })
        .collect();
    reads.sort_by(f64::total_cmp);
    note(Figure { name: "p95 by model", value: reads[2], limit: 1.0, unit: "s", at_least: false });
    note(Figure {
        name: "peak memory",
        value: peak_memory(server.0.id()),
        limit: 100.0,
        unit: "MiB",
        at_least: false,
    });

    if figures.iter().all(Figure::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts the binary; the time ends with the first healthy answer.
#[expect(clippy::unwrap_used, reason = "a benchmark ends when it cannot go on")]
fn start(data: &std::path::Path, port: u16) -> (Server, Duration) {
    let began = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_langfuse-local"))
        .arg("serve")
        .env_clear()
        .env("LANGFUSE_LOCAL_DATA", data)
        .env("PORT", port.to_string())
        .env("LANGFUSE_INIT_ORG_ID", "benchmark")
        .env("LANGFUSE_INIT_PROJECT_ID", "benchmark")
        .env("LANGFUSE_INIT_PROJECT_PUBLIC_KEY", PUBLIC)
        .env("LANGFUSE_INIT_PROJECT_SECRET_KEY", SECRET)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    while !client::is_healthy(port) {
        assert!(began.elapsed() < Duration::from_secs(20), "the server does not start");
        std::thread::sleep(Duration::from_micros(500));
    }
    (server, began.elapsed())
}

/// The highest resident set so far, in MiB.
#[expect(clippy::unwrap_used, reason = "a benchmark ends when it cannot go on")]
fn peak_memory(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
