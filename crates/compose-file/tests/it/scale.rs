//! Large and deep files: no stack is used up, and time grows with size only.

use std::path::Path;
use std::time::{Duration, Instant};

use ken_compose_file::{ComposeFile, MAX_BYTES};

use crate::support::{INCLUDED, fragment};

fn services(count: usize) -> String {
    let mut text = String::from("name: ken\nx-env: &env {A: b, C: d}\nservices:\n");
    for index in 0..count {
        text.push_str(&format!(
            "  # Number {index}.\n  service-{index}:\n    image: registry/app:{index}\n    environment: *env\n    ports:\n      - \"{index}:80\"\n    depends_on:\n      postgres:\n        condition: service_healthy\n    healthcheck: {{test: [CMD, \"true\"], interval: 5s}}\n"
        ));
    }
    text
}

fn time(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..3)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[1]
}

fn parse_and_edit(text: &str) {
    let file = ComposeFile::parse(Path::new("f"), text.as_bytes().to_vec()).unwrap();
    file.with_include(INCLUDED).unwrap();
    let merged = file.with_merged(&fragment()).unwrap();
    ComposeFile::parse(Path::new("f"), merged.bytes).unwrap().without_ours().unwrap();
}

/// Prints what it measures: run it in release to see the figures, `cargo test --release -- scale --nocapture`.
#[test]
fn two_hundred_services() {
    let text = services(200);
    let parse = time(|| drop(ComposeFile::parse(Path::new("f"), text.as_bytes().to_vec()).unwrap()));
    let file = ComposeFile::parse(Path::new("f"), text.as_bytes().to_vec()).unwrap();
    let include = time(|| drop(file.with_include(INCLUDED).unwrap()));
    let merge = time(|| drop(file.with_merged(&fragment()).unwrap()));
    println!(
        "200 services, {} KiB: parse {parse:?}, include {include:?}, merge {merge:?}",
        text.len() / 1024
    );
    // Far above what is measured, also without optimisation on a busy machine.
    assert!(parse + include.max(merge) < Duration::from_secs(2));
}

/// A text ten times as long takes about ten times as long, whatever it is made of.
#[test]
fn time_grows_with_size_only() {
    type Make = fn(usize) -> String;
    let kinds: [(&str, Make); 9] = [
        ("services", |n| services(n / 250)),
        ("comments", |n| format!("{}services:\n  a: {{image: b}}\n", "# c\n".repeat(n / 4))),
        ("comments inside", |n| format!("services:\n{}  a: {{image: b}}\n", "  # c\n".repeat(n / 6))),
        ("one long line", |n| format!("services:\n  a: {{image: b}}\nx: {}\n", "y ".repeat(n / 2))),
        ("one long list", |n| format!("services: {{}}\nx: [{}]\n", "y, ".repeat(n / 3))),
        ("block list", |n| format!("services: {{}}\nx:\n{}", "- y\n".repeat(n / 4))),
        ("anchors", |n| {
            let pairs: String = (0..n / 20).map(|i| format!("a{i}: &a{i} b\nb{i}: *a{i}\n")).collect();
            format!("services: {{}}\nx-y: {{}}\n{pairs}")
        }),
        ("volumes", |n| {
            let volumes: String = (0..n / 10).map(|i| format!("  v{i}:\n")).collect();
            format!("services: {{}}\nvolumes:\n{volumes}")
        }),
        ("block scalar", |n| {
            format!("services:\n  a:\n    x: |+\n{}", "      # >>> ken-langfuse\n".repeat(n / 26))
        }),
    ];
    for (name, make) in kinds {
        let (small, large) = (make(5_000), make(50_000));
        let (small_time, large_time) = (time(|| parse_and_edit(&small)), time(|| parse_and_edit(&large)));
        println!(
            "{name}: {small_time:?} for {} KiB, {large_time:?} for {} KiB",
            small.len() / 1024,
            large.len() / 1024
        );
        // Quadratic growth would be a factor of 100.
        assert!(
            large_time < small_time * 40 + Duration::from_millis(50),
            "{name}: {small_time:?}, {large_time:?}"
        );
    }
}

#[test]
fn the_largest_file_is_read_in_time() {
    let unit = services(100);
    let mut text = services(1);
    let mut index = 0;
    // Without optimisation an eighth of it has to do.
    let most = if cfg!(debug_assertions) { MAX_BYTES / 8 } else { MAX_BYTES };
    while text.len() + unit.len() < most {
        text.push_str(&unit.split_once("services:\n").unwrap().1.replace("service-", &format!("s{index}-")));
        index += 1;
    }
    let start = Instant::now();
    let file = ComposeFile::parse(Path::new("f"), text.into_bytes()).unwrap();
    let parsed = start.elapsed();
    file.with_include(INCLUDED).unwrap();
    println!("{} MiB: parse {parsed:?}, with edit {:?}", file.bytes().len() / 1024 / 1024, start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// On a thread with a small stack, so that recursion over the file would be found.
#[test]
fn depth_uses_no_stack() {
    let run = || {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            for depth in [200, 100_000] {
                let text = format!("services: {{}}\nx: {}{}\n", open.repeat(depth), close.repeat(depth));
                if let Ok(file) = ComposeFile::parse(Path::new("f"), text.into_bytes()) {
                    file.with_include(INCLUDED).unwrap();
                }
            }
        }
        // A chain and a ladder of merge keys.
        let chain: String =
            (1..20_000).map(|i| format!("a{i}: &a{i} {{<<: *a{}, k{i}: v}}\n", i - 1)).collect();
        let text = format!("a0: &a0 {{}}\n{chain}services:\n  <<: *a19999\n  s: {{image: i}}\n");
        match ComposeFile::parse(Path::new("f"), text.into_bytes()) {
            Ok(file) => assert_eq!(file.services().len(), 20_000),
            Err(error) => assert!(error.to_string().contains("expand"), "{error}"),
        }
        let ladder: String =
            (1..9).map(|i| format!("a{i}: &a{i} {{<<: [*a{0}, *a{0}], k{i}: v}}\n", i - 1)).collect();
        let text = format!("a0: &a0 {{}}\n{ladder}services:\n  <<: *a8\n  s: {{image: i}}\n");
        let file = ComposeFile::parse(Path::new("f"), text.into_bytes()).unwrap();
        assert_eq!(file.services().len(), 9);
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap();
}
