//! A turn of an agent, by this library and by `opentelemetry_sdk`'s batch processor, in one run.
//!
//! `cargo bench --package ken-tracing --bench peers` measures each in a process of its own against a sink in
//! another process on the loopback, prints a table, and ends with status 1 when a bound is broken.
//!
//! A turn is what `turn.rs` describes: a root, two generations, three tools, six metadata attributes on
//! each, 10.7 KB of payload.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

#[path = "peers/requests.rs"]
mod requests;
#[path = "peers/sink.rs"]
mod sink;
#[path = "peers/turn.rs"]
mod turn;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use turn::{Library, Payloads};

/// What a measurement gives, by name.
type Figures = BTreeMap<String, f64>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["sink", mood] => sink::run(sink::Mood::parse(mood)),
        ["measure", what, library, url] => {
            let figures = measure(what, library, url);
            for (name, value) in figures {
                say(&format!("{name} {value}"));
            }
            ExitCode::SUCCESS
        }
        _ => compare(),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
}

fn cpu(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Memory of this process in bytes: now, or at most so far.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

/// Runs `turn` at a pace.
fn paced(rate: f64, seconds: f64, mut run: impl FnMut()) -> u64 {
    let (started, mut n_done) = (Instant::now(), 0_u64);
    while started.elapsed().as_secs_f64() < seconds {
        let due = (started.elapsed().as_secs_f64() * rate) as u64;
        while n_done < due {
            run();
            n_done += 1;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    n_done
}

fn measure(what: &str, library: &str, url: &str) -> Figures {
    let (library, payloads) = library.split_once('/').unwrap_or((library, "owned"));
    let payloads = if payloads == "borrowed" { Payloads::Borrowed } else { Payloads::Owned };
    let spill = tempfile::tempdir().unwrap();
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let library = Library::start(library, url, spill.path());
    let mut figures = Figures::new();
    let mut put = |name: &str, value: f64| {
        figures.insert(name.to_owned(), value);
    };
    match what {
        "cost" => {
            paced(2_000.0, 1.0, || turn::run(&library, turn::make(payloads)));
            // Reading the clock costs as much as half a span; it is taken off both sides.
            let mut empty: Vec<f64> = (0..1_001)
                .map(|_| {
                    let before = cpu(ClockId::ThreadCPUTime);
                    cpu(ClockId::ThreadCPUTime) - before
                })
                .collect();
            empty.sort_by(f64::total_cmp);
            let clock = empty[500];
            let (mut caller, whole) = (0.0, cpu(ClockId::ProcessCPUTime));
            let mut makers = 0.0;
            let n_turns = paced(2_000.0, 4.0, || {
                // What a caller has in its hands anyway is not the library's cost.
                let before = cpu(ClockId::ThreadCPUTime);
                let made = turn::make(payloads);
                let between = cpu(ClockId::ThreadCPUTime);
                turn::run(&library, made);
                caller += cpu(ClockId::ThreadCPUTime) - between - clock;
                makers += between - before + 2.0 * clock;
            });
            library.flush();
            let whole = cpu(ClockId::ProcessCPUTime) - whole - makers;
            put("caller_ns", caller / n_turns as f64);
            put("process_us", whole / n_turns as f64 / 1e3);
            let made: Vec<_> = (0..64).map(|_| turn::make(payloads)).collect();
            let mut made = made.into_iter();
            let counted = allocation_counter::measure(|| {
                made.by_ref().take(32).for_each(|it| turn::run(&library, it));
            });
            put("allocations", counted.count_total as f64 / 32.0);
            put("allocated_bytes", counted.bytes_total as f64 / 32.0);
        }
        "drain" => {
            // As fast as it takes them: the caller waits when the library has more than it can hold.
            let started = Instant::now();
            let mut n_turns = 0_u64;
            while started.elapsed() < Duration::from_secs(4) {
                for _ in 0..20 {
                    turn::run(&library, turn::make(payloads));
                    n_turns += 1;
                }
                library.breathe();
            }
            library.flush();
            put(
                "drained_per_second",
                (n_turns - library.lost() / turn::SPANS) as f64 / started.elapsed().as_secs_f64(),
            );
            put("lost_spans", library.lost() as f64);
        }
        "memory" | "memory-large" => {
            let base = memory("VmRSS");
            let (rate, payloads) =
                if what == "memory" { (2_000.0, payloads) } else { (200.0, Payloads::Large) };
            let mut peak: f64 = 0.0;
            let mut n_turns = 0_u32;
            paced(rate, 20.0, || {
                turn::run(&library, turn::make(payloads));
                n_turns += 1;
                if n_turns.is_multiple_of(20) {
                    peak = peak.max(memory("VmRSS"));
                }
            });
            put("over_base_mib", (peak - base) / f64::from(1 << 20));
            put("lost_spans", library.lost() as f64);
        }
        "paced" => put("p99_ms", requests::p99(&library, Some(2_000.0))),
        "closed" => put("p99_ms", requests::p99(&library, None)),
        "off" => {
            let n_turns = 2_000_000_u32;
            let before = cpu(ClockId::ThreadCPUTime);
            (0..n_turns).for_each(|_| turn::run(&library, turn::nothing()));
            put("caller_ns", (cpu(ClockId::ThreadCPUTime) - before) / f64::from(n_turns));
            let counted = allocation_counter::measure(|| turn::run(&library, turn::nothing()));
            put("allocations", counted.count_total as f64);
        }
        other => panic!("nothing is called {other}"),
    }
    figures
}

/// A measurement in a process of its own.
fn in_process(what: &str, library: &str, url: &str) -> Figures {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["measure", what, library, url])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{what} {library}: {}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn compare() -> ExitCode {
    let sink = sink::Process::start("well");
    let url = sink.url();
    let mut broken = 0;
    let mut bound = |name: &str, value: f64, most: f64| {
        let verdict = if value <= most { "ok" } else { "BROKEN" };
        broken += u32::from(value > most);
        say(&format!("  {verdict:<7}{name}: {value:.3} (at most {most})"));
    };
    say("a turn at 2 000 a second, the sink well");
    say("library                caller ns   allocations   bytes   process µs");
    let mut cost = BTreeMap::new();
    for library in ["otel/owned", "otel/borrowed", "ken/owned", "ken/borrowed", "ken-plain/owned"] {
        let mut runs: Vec<Figures> = (0..3).map(|_| in_process("cost", library, &url)).collect();
        runs.sort_by(|a, b| a["caller_ns"].total_cmp(&b["caller_ns"]));
        let it = runs.swap_remove(1);
        say(&format!(
            "{library:<22} {:>9.0} {:>13.1} {:>7.0} {:>12.1}",
            it["caller_ns"], it["allocations"], it["allocated_bytes"], it["process_us"]
        ));
        cost.insert(library, it);
    }
    bound("caller, owned", cost["ken/owned"]["caller_ns"] / cost["otel/owned"]["caller_ns"], 0.45);
    bound("caller, borrowed", cost["ken/borrowed"]["caller_ns"] / cost["otel/borrowed"]["caller_ns"], 0.6);
    bound("allocations, owned", cost["ken/owned"]["allocations"], 8.0);
    bound("process, redaction on", cost["ken/owned"]["process_us"] / cost["otel/owned"]["process_us"], 1.0);
    let off = in_process("off", "off", &url);
    bound("switched off, ns", off["caller_ns"], 150.0);
    bound("switched off, allocations", off["allocations"], 0.0);
    say("flat out");
    for (library, least) in [("otel", 0.0), ("ken", 20_000.0), ("ken-plain", 50_000.0)] {
        let it = in_process("drain", library, &url);
        say(&format!(
            "{library:<22} {:>9.0} turns/s drained, {} spans lost",
            it["drained_per_second"], it["lost_spans"]
        ));
        if least > 0.0 {
            bound("turns/s, as a share of the bound", least / it["drained_per_second"], 1.0);
        }
    }
    say("memory over the base, the sink down for 20 s");
    let dead = "http://127.0.0.1:9";
    for library in ["otel", "ken"] {
        for what in ["memory", "memory-large"] {
            let it = in_process(what, library, dead);
            say(&format!(
                "{library:<10} {what:<14} {:>7.1} MiB, {} spans lost",
                it["over_base_mib"], it["lost_spans"]
            ));
            if library == "ken" {
                bound("MiB", it["over_base_mib"], 40.0);
            }
        }
    }
    say("p99 of a request, 200 at a time");
    let (slow, unavailable) = (sink::Process::start("slow"), sink::Process::start("503"));
    for (what, most) in [("paced", 1.03), ("closed", 1.10)] {
        let median = |library: &str, url: &str| {
            let mut runs: Vec<f64> = (0..3).map(|_| in_process(what, library, url)["p99_ms"]).collect();
            runs.sort_by(f64::total_cmp);
            runs[1]
        };
        let off = median("off", &url);
        say(&format!("{what}: off {off:.2} ms, opentelemetry_sdk {:.2} ms", median("otel", &url)));
        let moods =
            [("well", url.as_str()), ("slow", &slow.url()), ("503", &unavailable.url()), ("dead", dead)];
        for (mood, url) in moods {
            bound(&format!("{what}, sink {mood}"), median("ken", url) / off, most);
        }
    }
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
