//! One breaker for each plugin: when many of its calls fail in a short time it refuses them for a while, then lets one through to see.
//!
//! Many means a number and a share: twenty faults are nothing among a hundred thousand calls, and a plugin that traps once in a
//! hundred must cost no more than those. It is told the plan time of each call, so it behaves the same on both clocks. A closed
//! breaker costs one relaxed load and a count that no other worker touches.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam::utils::CachePadded;
use metrics::Gauge;

use crate::clock::Nanos;
use crate::telemetry::metrics as names;
use crate::types::limits;

const OPEN_NS: Nanos = limits::PLUGIN_BREAKER_OPEN_MS * 1_000_000;
const WINDOW_NS: Nanos = limits::PLUGIN_BREAKER_WINDOW_MS * 1_000_000;
const FAULTS: usize = limits::PLUGIN_BREAKER_FAULTS as usize;
/// Calls among which those faults are too many.
const CALLS: u64 = FAULTS as u64 * 100 / limits::PLUGIN_BREAKER_PERCENT;

/// Counts a plugin's faults and says when it may be asked.
#[derive(Debug)]
pub(super) struct Breaker {
    /// 0 while closed, else the time until which calls are refused.
    open_until: AtomicU64,
    /// The latest faults, oldest first.
    faults: Mutex<VecDeque<Fault>>,
    /// Calls by worker; the last counts for everybody else.
    calls: Box<[CachePadded<AtomicU64>]>,
    /// How many breakers of this plugin's name are open: 1, unless an older generation has one, too.
    open: Gauge,
    /// It never opens.
    stays_closed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    at: Nanos,
    /// Calls until then.
    calls: u64,
}

/// How a call was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// As always.
    Normal,
    /// To see whether the plugin works again.
    Probe,
}

/// What a plugin's breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// It lets them through.
    Closed,
    /// It refuses them.
    Open,
    /// It lets the next one through, to see.
    HalfOpen,
}

impl BreakerState {
    /// The word for people and for the admin door.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl Breaker {
    /// A closed breaker for the plugin `name` that `workers` call.
    pub(super) fn new(name: &str, workers: usize) -> Self {
        Self {
            open_until: AtomicU64::new(0),
            faults: Mutex::default(),
            calls: (0..=workers).map(|_| CachePadded::default()).collect(),
            open: names::gauge(names::PLUGIN_BREAKERS_OPEN, &[("plugin", name)]),
            stays_closed: false,
        }
    }

    /// One that never opens: for trying a plugin out, where each failure is to be seen.
    pub(super) fn closed() -> Self {
        let calls = [CachePadded::default()].into();
        Self { open_until: AtomicU64::new(0), faults: Mutex::default(), calls, open: Gauge::noop(), stays_closed: true }
    }

    /// May `worker` make a call at `now`? `None` means no.
    #[inline]
    pub(super) fn admit(&self, worker: Option<usize>, now: Nanos) -> Option<Pass> {
        let until = self.open_until.load(Ordering::Relaxed);
        if until != 0 {
            return self.probe(until, now);
        }
        match worker.and_then(|worker| self.calls[..self.calls.len() - 1].get(worker)) {
            // Nobody else writes here, so no locked instruction is needed.
            Some(own) => own.store(own.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            None => drop(self.calls[self.calls.len() - 1].fetch_add(1, Ordering::Relaxed)),
        }
        Some(Pass::Normal)
    }

    #[cold]
    fn probe(&self, until: Nanos, now: Nanos) -> Option<Pass> {
        if is_refusing(until, now) {
            return None;
        }
        // One caller wins and probes; the others are refused until its answer is known, or for another period.
        let next = now.saturating_add(OPEN_NS).max(1);
        self.open_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).ok().map(|_| Pass::Probe)
    }

    /// A probe succeeded.
    pub(super) fn recover(&self) {
        let mut faults = self.faults();
        faults.clear();
        if self.open_until.swap(0, Ordering::Relaxed) != 0 {
            self.open.decrement(1.0);
        }
    }

    /// A call failed at `now`. Says whether this opened the breaker.
    pub(super) fn fault(&self, now: Nanos, pass: Pass) -> bool {
        if self.stays_closed {
            return false;
        }
        let calls: u64 = self.calls.iter().map(|calls| calls.load(Ordering::Relaxed)).sum();
        let mut faults = self.faults();
        // Calls do not end in the order in which they began, so one that is a little ahead counts. One far ahead is of another run.
        faults.retain(|fault| fault.at.abs_diff(now) < WINDOW_NS);
        if faults.len() == FAULTS {
            faults.pop_front();
        }
        faults.push_back(Fault { at: now, calls });
        let too_many = faults.len() == FAULTS && faults.front().is_some_and(|oldest| calls.saturating_sub(oldest.calls) < CALLS);
        if pass == Pass::Normal && !too_many {
            return false;
        }
        let was = self.open_until.swap(now.saturating_add(OPEN_NS).max(1), Ordering::Relaxed);
        if was == 0 {
            self.open.increment(1.0);
        }
        was == 0
    }

    /// What it does with a call at `now`.
    pub(super) fn state(&self, now: Nanos) -> BreakerState {
        match self.open_until.load(Ordering::Relaxed) {
            0 => BreakerState::Closed,
            until if is_refusing(until, now) => BreakerState::Open,
            _ => BreakerState::HalfOpen,
        }
    }

    fn faults(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        if *self.open_until.get_mut() != 0 {
            self.open.decrement(1.0);
        }
    }
}

/// Does a breaker that is open `until` then refuse a call at `now`?
fn is_refusing(until: Nanos, now: Nanos) -> bool {
    // A time that lies further ahead than a breaker ever opens was set in another run, whose clock began elsewhere.
    now < until && until - now <= OPEN_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn breaker() -> Breaker {
        Breaker::new("any", 2)
    }

    /// A call by worker 0 that fails.
    fn fail(breaker: &Breaker, now: Nanos) -> bool {
        let pass = breaker.admit(Some(0), now).expect("not refused");
        breaker.fault(now, pass)
    }

    fn opened() -> Breaker {
        let breaker = breaker();
        let opens = (0..limits::PLUGIN_BREAKER_FAULTS).filter(|_| fail(&breaker, SECOND)).count();
        assert_eq!(opens, 1);
        breaker
    }

    #[test]
    fn many_faults_open_it_and_a_good_probe_closes_it() {
        let breaker = opened();
        assert_eq!((breaker.admit(None, SECOND + OPEN_NS - 1), breaker.state(SECOND)), (None, BreakerState::Open));
        assert_eq!(breaker.state(SECOND + OPEN_NS), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(None, SECOND + OPEN_NS), Some(Pass::Probe));
        assert_eq!(breaker.admit(None, SECOND + OPEN_NS), None, "only one probes");
        breaker.recover();
        assert_eq!(breaker.admit(None, SECOND + OPEN_NS), Some(Pass::Normal));
        assert_eq!(breaker.state(SECOND), BreakerState::Closed);
    }

    #[test]
    fn a_failed_probe_keeps_it_open() {
        let breaker = opened();
        let later = SECOND + OPEN_NS;
        assert_eq!(breaker.admit(None, later), Some(Pass::Probe));
        assert!(!breaker.fault(later, Pass::Probe));
        assert_eq!(breaker.admit(None, later + 1), None);
    }

    #[test]
    fn faults_of_calls_that_end_in_another_order_count_as_well() {
        let breaker = breaker();
        // By turns the later call ends first, as where two workers make calls of which one takes longer.
        let until_open = (0..).find(|turn| fail(&breaker, SECOND + (turn + 1) % 2 * 1_000_000) || *turn > 1_000);
        assert_eq!(until_open, Some(u64::from(limits::PLUGIN_BREAKER_FAULTS) - 1));
    }

    #[test]
    fn few_faults_over_a_long_time_do_not_open_it() {
        let breaker = breaker();
        assert!((0..100).all(|i| !fail(&breaker, i * SECOND)));
        assert_eq!(breaker.admit(None, 100 * SECOND), Some(Pass::Normal));
    }

    #[test]
    fn a_small_share_of_faults_does_not_open_it_whoever_makes_the_calls() {
        for worker in [Some(0), Some(1), Some(7), None] {
            let breaker = breaker();
            for _ in 0..1_000 {
                // Eleven good ones for each that fails are just too few in a hundred to be many.
                (0..11).for_each(|_| assert_eq!(breaker.admit(worker, SECOND), Some(Pass::Normal)));
                assert!(!fail(&breaker, SECOND), "{worker:?}");
            }
        }
    }

    #[test]
    fn a_plugin_that_was_good_for_long_is_refused_as_soon_as_another() {
        let breaker = breaker();
        (0..1_000_000).for_each(|_| assert_eq!(breaker.admit(Some(0), SECOND), Some(Pass::Normal)));
        let until_open = (1..).find(|_| fail(&breaker, SECOND));
        assert_eq!(until_open, Some(limits::PLUGIN_BREAKER_FAULTS));
    }

    #[test]
    fn a_clock_that_began_again_is_not_refused_for_ever() {
        let breaker = breaker();
        (0..limits::PLUGIN_BREAKER_FAULTS).for_each(|_| {
            breaker.fault(1_000_000 * SECOND, Pass::Normal);
        });
        assert_eq!(breaker.admit(None, 0), Some(Pass::Probe));
    }
}
