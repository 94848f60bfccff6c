//! The machine's clock. The only file that may ask what time it is.
#![allow(clippy::disallowed_methods, reason = "this is the module that the lint points to")]

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, Nanos};

/// Monotonic time since this clock was made; the wall clock is read once, at the start.
#[derive(Debug, Clone, Copy)]
pub struct RealClock {
    start: Instant,
    slowness: u32,
    epoch_unix_ms: u64,
}

impl RealClock {
    /// A run that begins now.
    pub fn start() -> Self {
        Self::slowed(1)
    }

    /// A run that begins now and takes `slowness` times as long as its own time says; 0 is taken as 1. By as much less the machine
    /// is late in the run's eyes: for comparing the two clocks on a machine that has other things to do.
    pub fn slowed(slowness: u32) -> Self {
        let epoch_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Self { start: Instant::now(), slowness: slowness.max(1), epoch_unix_ms }
    }

    /// Unix time in milliseconds of the moment `at`.
    pub fn unix_ms(&self, at: Nanos) -> u64 {
        self.epoch_unix_ms + at / 1_000_000
    }

    /// How long the machine sleeps until `ns` of the run have gone by.
    pub fn sleep_of(&self, ns: Nanos) -> Duration {
        Duration::from_nanos(ns.saturating_mul(u64::from(self.slowness)))
    }

    /// A clock that says of its run what another one's said: that it began at `epoch_unix_s`.
    pub fn of_run(epoch_unix_s: u64) -> Self {
        Self { start: Instant::now(), slowness: 1, epoch_unix_ms: epoch_unix_s.saturating_mul(1_000) }
    }
}

impl Clock for RealClock {
    fn now(&self) -> Nanos {
        self.start.elapsed().as_nanos() as Nanos / u64::from(self.slowness)
    }

    fn epoch_unix_s(&self) -> u64 {
        self.epoch_unix_ms / 1_000
    }
}

/// Nanoseconds on a clock that belongs to no run: for measuring how long something of our own took.
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// CPU time that the calling thread has used, in nanoseconds: what a guest is charged for on a busy machine.
pub fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slowed_run_takes_longer_and_knows_less_time() {
        let (clock, slow) = (RealClock::start(), RealClock::slowed(1_000_000));
        assert_eq!(slow.sleep_of(3), Duration::from_millis(3));
        assert_eq!(clock.sleep_of(3), Duration::from_nanos(3));
        std::thread::sleep(Duration::from_millis(1));
        assert!(slow.now() < clock.now());
    }
}
