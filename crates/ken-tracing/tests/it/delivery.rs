//! Nothing is lost, whatever the server does, and the caller never waits.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ken_tracing::{Cause, Flushed, Notice, Tracer};
use tempfile::TempDir;

use crate::sink::{Mood, Sink, config, example, turn, until};

/// Turns at a pace while `meanwhile` happens to the sink; then everything must have come, once or more.
fn survives(seconds: f64, rate: f64, meanwhile: impl FnOnce(&mut Sink), start: Mood) {
    let folder = TempDir::new().unwrap();
    let mut sink = Sink::start(start);
    let (config, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config).unwrap();
    let n_turns = (seconds * rate) as usize;
    let producer = {
        let tracer = tracer.clone();
        std::thread::spawn(move || {
            let started = Instant::now();
            let mut longest = Duration::ZERO;
            for number in 0..n_turns {
                let due = started + Duration::from_secs_f64(number as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let before = Instant::now();
                turn(&tracer, "what is new on the northern line");
                longest = longest.max(before.elapsed());
            }
            longest
        })
    };
    meanwhile(&mut sink);
    let longest = producer.join().unwrap();
    assert!(longest < Duration::from_secs(1), "a caller waited {longest:?}");
    until("all spans", || sink.n_spans() == n_turns * 2);
    until("the counters", || tracer.stats().waiting == 0 && tracer.stats().lag_ms == 0);
    let stats = tracer.stats();
    assert_eq!((stats.made, stats.lost(), stats.waiting, stats.queued_bytes), (n_turns as u64 * 2, 0, 0, 0));
    assert_eq!(tracer.flush(Duration::from_secs(2)), Flushed::Sent);
    assert_eq!(tracer.stats().spill_bytes, 0, "nothing stays behind");
}

#[test]
fn refused_connections_cost_nothing() {
    survives(
        3.0,
        1_500.0,
        |sink| {
            std::thread::sleep(Duration::from_millis(300));
            let address = sink.address;
            sink.stop();
            std::thread::sleep(Duration::from_millis(1_700));
            let again = Sink::at(Mood::Well, address);
            // What came before counts too.
            again.inside.spans.lock().unwrap().extend(sink.inside.spans.lock().unwrap().drain());
            *sink = again;
        },
        Mood::Well,
    );
}

#[test]
fn errors_of_the_server_cost_nothing() {
    survives(
        2.0,
        1_500.0,
        |sink| {
            std::thread::sleep(Duration::from_millis(1_500));
            sink.feel(Mood::Well);
        },
        Mood::Status(503),
    );
}

#[test]
fn slow_answers_cost_nothing() {
    survives(
        3.0,
        1_500.0,
        |sink| {
            std::thread::sleep(Duration::from_millis(2_500));
            sink.feel(Mood::Well);
        },
        Mood::Slow(Duration::from_secs(2)),
    );
}

/// After `kill -9` at most the last moments are missing, and the next process sends the rest.
#[test]
fn a_killed_process_loses_its_last_moments_alone() {
    let folder = TempDir::new().unwrap();
    for (mood, wait_ms) in
        [(Mood::Status(503), 900), (Mood::Well, 433), (Mood::Slow(Duration::from_secs(5)), 700)]
    {
        let sink = Sink::start(mood);
        const RATE: u64 = 500;
        let mut child = Command::new(example("emit"))
            .arg(RATE.to_string())
            .env("LANGFUSE_BASE_URL", format!("http://{}", sink.address))
            .env("LANGFUSE_PUBLIC_KEY", "pk-lf-test")
            .env("LANGFUSE_SECRET_KEY", "sk-lf-test-secret")
            .env("KEN_TRACING_SPILL", folder.path().join("spill"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).last());
        std::thread::sleep(Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let n_turns = 1 + reader.join().unwrap().unwrap().parse::<u64>().unwrap();
        assert!(n_turns > 50, "{n_turns}");
        sink.feel(Mood::Well);
        let (config, _) = config(sink.address, Some(folder.path()));
        let next = Tracer::new(config).unwrap();
        until("what was left", || next.flush(Duration::from_secs(2)) == Flushed::Sent);
        let came = sink.n_spans() as u64;
        let may_miss = RATE * 2 / 10;
        assert!(came + may_miss >= n_turns * 2, "{mood:?}: {came} of {} came", n_turns * 2);
        if mood != Mood::Well {
            assert!(next.stats().recovered > 0, "{mood:?}");
        }
        drop(next);
        let left: Vec<_> = std::fs::read_dir(folder.path().join("spill")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn what_is_left_at_the_end_is_sent_by_the_next() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Status(500));
    let (first, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(first).unwrap();
    (0..100).for_each(|_| turn(&tracer, "x"));
    assert_eq!(tracer.shutdown(Duration::from_secs(2)), Flushed::Spilled(200));
    turn(&tracer, "too late");
    assert_eq!(tracer.stats().dropped_for(Cause::AfterShutdown), 2);
    assert_eq!(sink.n_spans(), 0);
    for entry in std::fs::read_dir(folder.path().join("spill")).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let about = entry.unwrap().metadata().unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
    }
    sink.feel(Mood::Well);
    let (second, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(second).unwrap();
    until("what was left", || sink.n_spans() == 200);
    assert_eq!(tracer.stats().recovered, 200);
}

#[test]
fn a_refusal_for_size_is_divided_and_one_for_cause_costs_its_span_alone() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Narrow(20_000));
    let (config, notices) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config).unwrap();
    let text = "a b ".repeat(700);
    (0..100).for_each(|_| turn(&tracer, &text));
    until("all spans", || sink.n_spans() == 200);
    let too_long = "a b ".repeat(10_000);
    turn(&tracer, &too_long);
    until("the drop", || tracer.stats().dropped_for(Cause::TooLarge) == 1);
    sink.feel(Mood::Picky("poison"));
    let turn_of = tracer.turn("good").start();
    (0..40).for_each(|number| turn_of.step(if number == 17 { "poison" } else { "fine" }).end());
    drop(turn_of);
    until("the rest", || sink.n_spans() == 201 + 40);
    until("the refusal", || tracer.stats().dropped_for(Cause::Refused) == 1);
    let notices = notices.lock().unwrap();
    assert_eq!(notices.iter().filter(|it| matches!(it, Notice::Losing { .. })).count(), 2, "{notices:?}");
}

#[test]
fn a_wrong_key_is_told_once_and_nothing_is_lost() {
    let folder = TempDir::new().unwrap();
    for (mood, word) in [(Mood::Status(401), "LANGFUSE_SECRET_KEY"), (Mood::Status(404), "LANGFUSE_BASE_URL")]
    {
        let sink = Sink::start(mood);
        let (first, notices) = config(sink.address, Some(folder.path()));
        let tracer = Tracer::new(first.clone()).unwrap();
        for _ in 0..6 {
            (0..20).for_each(|_| turn(&tracer, "x"));
            let _spilled = tracer.flush(Duration::from_millis(300));
        }
        assert!(sink.n_requests() <= 2, "{} requests with a wrong key", sink.n_requests());
        let told: Vec<String> = notices.lock().unwrap().iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains(word), "{told:?}");
        assert!(!told[0].contains("sk-lf-test-secret"));
        assert_eq!(tracer.stats().lost(), 0);
        drop(tracer);
        sink.feel(Mood::Well);
        let mended = Tracer::new(first).unwrap();
        until("all spans", || sink.n_spans() == 240);
        drop(mended);
    }
}

#[test]
fn a_wait_that_the_server_asks_for_is_kept() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Busy(1));
    let (config, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config).unwrap();
    turn(&tracer, "x");
    until("the first request", || sink.n_requests() == 1);
    sink.feel(Mood::Well);
    until("all spans", || sink.n_spans() == 2);
    let times = sink.inside.times.lock().unwrap();
    let wait = times[1] - times[0];
    assert!(wait >= Duration::from_millis(990), "{wait:?}");
}

#[test]
fn without_a_spill_folder_the_budget_holds_and_what_is_given_up_is_counted() {
    let sink = Sink::start(Mood::Status(503));
    let (mut config, _) = config(sink.address, None);
    config.memory_budget = 8 << 20;
    let tracer = Tracer::new(config).unwrap();
    let text = "x".repeat(50_000);
    for _ in 0..400 {
        turn(&tracer, &text);
        std::thread::sleep(Duration::from_millis(1));
    }
    let flushed = tracer.flush(Duration::from_millis(500));
    assert!(matches!(flushed, Flushed::TimedOut(n) if n > 0), "{flushed:?}");
    let stats = tracer.stats();
    assert!(stats.dropped_for(Cause::NoRoom) > 0 && stats.waiting > 0, "{stats:?}");
    sink.feel(Mood::Well);
    until("what was held", || tracer.stats().waiting == 0);
    until("the books balance", || {
        let stats = tracer.stats();
        stats.sent + stats.lost() == stats.made && sink.n_spans() as u64 == stats.sent
    });
}

#[test]
fn a_spill_folder_that_cannot_be_used_is_told_and_used_once_it_can() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("spill");
    std::fs::write(&file, "in the way").unwrap();
    let sink = Sink::start(Mood::Status(503));
    let (config, notices) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config).unwrap();
    turn(&tracer, "x");
    until("the notice", || notices.lock().unwrap().iter().any(|it| matches!(it, Notice::NoSpill { .. })));
    std::fs::remove_file(&file).unwrap();
    until("the folder", || tracer.stats().spill_bytes > 0);
    sink.feel(Mood::Well);
    until("all spans", || sink.n_spans() == 2);
}

#[test]
fn many_small_ones_go_together_and_no_request_is_too_large() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Well);
    let (mut config, _) = config(sink.address, Some(folder.path()));
    config.gzip = true;
    let tracer = Tracer::new(config).unwrap();
    for _ in 0..2_000 {
        turn(&tracer, "x");
        // An unoptimised exporting thread on a busy machine may be slower than this loop.
        while tracer.stats().queued_bytes > 4 << 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let text = "lorem ipsum ".repeat(80_000);
    (0..4).for_each(|_| turn(&tracer, &text));
    until("all spans", || sink.n_spans() == 4_008);
    assert!(sink.n_requests() < 40, "{} requests", sink.n_requests());
    assert!(sink.inside.largest.load(std::sync::atomic::Ordering::Relaxed) <= 4 << 20);
    let headers = sink.inside.headers.lock().unwrap();
    assert_eq!(headers["x-langfuse-ingestion-version"], "4");
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["x-langfuse-sdk-name"], "rust-ken-tracing");
}

/// Nothing secret leaves the process, neither to the server nor to the disk.
#[test]
fn planted_secrets_reach_neither_the_server_nor_the_disk() {
    let folder = TempDir::new().unwrap();
    let sink = Sink::start(Mood::Status(503));
    let (config, _) = config(sink.address, Some(folder.path()));
    let tracer = Tracer::new(config).unwrap();
    let secret = format!("sk-{}", "q7W2e8R4".repeat(5));
    let mut turn = tracer
        .turn(format!("turn {secret}"))
        .session_id(&secret)
        .metadata("note", &secret)
        .tag(&*secret)
        .start();
    turn.input(format!("{{\"arguments\":\"{{\\\"password\\\":\\\"{secret}\\\"}}\"}}"));
    turn.metadata("password", "hunter2-and-more");
    turn.tool(&secret).arguments(&secret).error(format!("Bearer {secret} was refused"));
    turn.generation("llm").model(&secret).output(secret.clone()).metadata(&secret, "x");
    turn.score_with("helpful", 1.0, &secret);
    drop(turn);
    until("the spill folder", || tracer.stats().spilled >= 4);
    for entry in std::fs::read_dir(folder.path().join("spill")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&secret) && !text.contains("hunter2"), "{text}");
    }
    sink.feel(Mood::Well);
    until("all spans", || sink.n_spans() == 3 && !sink.inside.scores.lock().unwrap().is_empty());
    let seen = format!("{:?} {:?}", sink.inside.spans.lock().unwrap(), sink.inside.scores.lock().unwrap());
    assert!(!seen.contains(&secret) && !seen.contains("hunter2"), "{seen}");
    assert!(seen.matches("[redacted:api_key]").count() >= 6, "{seen}");
}
