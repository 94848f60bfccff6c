//! One breaker for each plugin: after many faults in a short time it refuses calls for a while, then lets one through to see.
//!
//! It is told the plan time of each call, so it behaves the same on both clocks. A closed breaker costs one relaxed load.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::Nanos;
use crate::types::limits;

const OPEN_NS: Nanos = limits::PLUGIN_BREAKER_OPEN_MS * 1_000_000;
const WINDOW_NS: Nanos = limits::PLUGIN_BREAKER_WINDOW_MS * 1_000_000;

/// Counts a plugin's faults and says when it may be asked.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// 0 while closed, else the time until which calls are refused.
    open_until: AtomicU64,
    /// Times of the latest faults, oldest first.
    faults: Mutex<VecDeque<Nanos>>,
    /// It never opens.
    stays_closed: bool,
}

/// How a call was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// As always.
    Normal,
    /// To see whether the plugin works again.
    Probe,
}

impl Breaker {
    /// One that never opens: for trying a plugin out, where each failure is to be seen.
    pub(super) fn closed() -> Self {
        Self { stays_closed: true, ..Self::default() }
    }

    /// May a call be made at `now`? `None` means no.
    pub(super) fn admit(&self, now: Nanos) -> Option<Pass> {
        let until = self.open_until.load(Ordering::Relaxed);
        if until == 0 {
            return Some(Pass::Normal);
        }
        // A time that lies further ahead than a breaker ever opens was set in another run, whose clock began elsewhere.
        if now < until && until - now <= OPEN_NS {
            return None;
        }
        // One caller wins and probes; the others are refused until its answer is known, or for another period.
        let next = now.saturating_add(OPEN_NS).max(1);
        self.open_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).ok().map(|_| Pass::Probe)
    }

    /// A word for what it does at `now`.
    pub(super) fn state(&self, now: Nanos) -> &'static str {
        match self.open_until.load(Ordering::Relaxed) {
            0 => "closed",
            until if now < until && until - now <= OPEN_NS => "open",
            _ => "half-open",
        }
    }

    /// A probe succeeded.
    pub(super) fn recover(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.open_until.store(0, Ordering::Relaxed);
    }

    /// A call failed at `now`. Says whether this opened the breaker.
    pub(super) fn fault(&self, now: Nanos, pass: Pass) -> bool {
        if self.stays_closed {
            return false;
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|at| *at <= now && now - *at < WINDOW_NS);
        faults.push_back(now);
        if pass == Pass::Normal && faults.len() < limits::PLUGIN_BREAKER_FAULTS as usize {
            return false;
        }
        let was = self.open_until.swap(now.saturating_add(OPEN_NS).max(1), Ordering::Relaxed);
        was == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        let opens = (0..limits::PLUGIN_BREAKER_FAULTS).filter(|_| breaker.fault(SECOND, Pass::Normal)).count();
        assert_eq!(opens, 1);
        breaker
    }

    #[test]
    fn many_faults_open_it_and_a_good_probe_closes_it() {
        let breaker = opened();
        assert_eq!(breaker.admit(SECOND + OPEN_NS - 1), None);
        assert_eq!((breaker.state(SECOND), breaker.state(SECOND + OPEN_NS)), ("open", "half-open"));
        assert_eq!(breaker.admit(SECOND + OPEN_NS), Some(Pass::Probe));
        assert_eq!(breaker.admit(SECOND + OPEN_NS), None, "only one probes");
        breaker.recover();
        assert_eq!(breaker.state(SECOND + OPEN_NS), "closed");
        assert_eq!(breaker.admit(SECOND + OPEN_NS), Some(Pass::Normal));
    }

    #[test]
    fn a_failed_probe_keeps_it_open() {
        let breaker = opened();
        let later = SECOND + OPEN_NS;
        assert_eq!(breaker.admit(later), Some(Pass::Probe));
        assert!(!breaker.fault(later, Pass::Probe));
        assert_eq!(breaker.admit(later + 1), None);
    }

    #[test]
    fn few_faults_over_a_long_time_do_not_open_it() {
        let breaker = Breaker::default();
        assert!((0..100).all(|i| !breaker.fault(i * SECOND, Pass::Normal)));
        assert_eq!(breaker.admit(100 * SECOND), Some(Pass::Normal));
    }

    #[test]
    fn a_clock_that_began_again_is_not_refused_for_ever() {
        let breaker = Breaker::default();
        (0..limits::PLUGIN_BREAKER_FAULTS).for_each(|_| {
            breaker.fault(1_000_000 * SECOND, Pass::Normal);
        });
        assert_eq!(breaker.admit(0), Some(Pass::Probe));
    }
}
