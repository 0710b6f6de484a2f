//! A simulated Ken: requests that wait for models and tools, two hundred at a time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::turn::{self, Library, Payloads};

/// What a request waits for, in milliseconds: a model, its tools, a model.
const WAITS_MS: [u64; 3] = [35, 20, 35];
const AT_A_TIME: usize = 200;
const SECONDS: f64 = 6.0;

/// The 99th percentile of a request's time in milliseconds: at a rate of arrivals, from the moment when each
/// should have begun; or each as soon as the one before it is done.
pub(crate) fn p99(library: &Library, rate: Option<f64>) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let times = Arc::new(Mutex::new(Vec::with_capacity(1 << 16)));
    // For as long as the process lives, which is for this measurement.
    let library: &'static Library = Box::leak(Box::new(library.share()));
    let started = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..AT_A_TIME)
            .map(|task| {
                let times = Arc::clone(&times);
                tokio::spawn(async move {
                    let (mut own, mut number) = (Vec::new(), 0);
                    while started.elapsed().as_secs_f64() < SECONDS {
                        let due = rate.map_or_else(Instant::now, |rate| {
                            started + Duration::from_secs_f64((number * AT_A_TIME + task) as f64 / rate)
                        });
                        tokio::time::sleep_until(due.into()).await;
                        request(library).await;
                        own.push(due.elapsed());
                        number += 1;
                    }
                    times.lock().unwrap().extend(own);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let mut times = times.lock().unwrap().clone();
    times.sort_unstable();
    times[times.len() * 99 / 100].as_secs_f64() * 1e3
}

async fn request(library: &Library) {
    for wait in WAITS_MS {
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    turn::run(library, turn::make(Payloads::Owned));
}
