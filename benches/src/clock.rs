//! The measuring clock. The only file of this package that reads the machine's time: the rest asks for nanoseconds here, so that
//! one look shows which clock a figure was taken with. Time is monotonic and counts from the first question; CPU time is that of
//! this process.
#![allow(clippy::disallowed_methods, reason = "a measurement needs the machine's clock, and this is where it is read")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Nanoseconds on the monotonic clock since the first call in this process.
pub fn now_ns() -> u64 {
    start().elapsed().as_nanos() as u64
}

/// The standard library's view of `at_ns`, for timers that want an [`Instant`].
pub fn instant(at_ns: u64) -> Instant {
    start() + Duration::from_nanos(at_ns)
}

/// CPU time that this process has used on all its threads, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_its_instant_agree() {
        let at = now_ns();
        assert_eq!(instant(at + 5).duration_since(instant(at)), Duration::from_nanos(5));
    }
}
