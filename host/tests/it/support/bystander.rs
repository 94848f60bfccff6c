//! Somebody who has nothing to do with it, and must not notice.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::host::{TestHost, ask};

/// Runs `act` while another client asks the model `bystander` without pause. All that it asked must have been answered well. Gives how
/// long its answers took.
pub fn beside_a_bystander(host: &TestHost, act: impl FnOnce()) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let bystander = scope.spawn(|| {
            let mut took = Vec::new();
            while took.is_empty() || !stop.load(Ordering::Acquire) {
                let start = Instant::now();
                let reply = host.chat(&ask("bystander", &took.len().to_string()));
                assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
                took.push(start.elapsed());
            }
            took
        });
        // A failure of `act` is told only once the bystander has been stopped.
        let acted = std::panic::catch_unwind(AssertUnwindSafe(act));
        stop.store(true, Ordering::Release);
        let took = bystander.join().expect("every bystander is answered");
        acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        took
    })
}

/// The time that 99 of 100 stay below.
pub fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[(took.len() * 99 / 100).min(took.len() - 1)]
}
