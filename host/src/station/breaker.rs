//! A circuit breaker: stops asking what keeps failing.
//!
//! Closed, it lets everything through and opens after so many failures in a row, or when the share of failures within a sliding window is
//! too large. Open, it refuses everything for a while. Then it is half-open: it lets a few trial requests through, closes when enough of
//! them succeed, and opens again at the first that fails. These are the states and words of Nygard's "Release It!" and of
//! resilience4j. Half-open lasts as long as its trials; a trial that never ends is given up after another `open_ns`.

use crate::clock::Nanos;
use crate::station::{Cause, Entry, Refusal};

/// Parts of the sliding window: it covers between 9/10 and all of its length.
const SLICES: usize = 10;

/// When it opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row that open it; `None`: any number is borne.
    pub in_a_row: Option<u32>,
    /// The share of failures that opens it; `None`: any share is borne.
    pub share: Option<Share>,
    /// How long it stays open, in nanoseconds.
    pub open_ns: u64,
    /// Trials that may be under way at a time while it is half-open, and successes in a row that close it; at least 1.
    pub trials: u32,
}

/// A share of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Failures in 1,000 ended requests, from which on it opens; 1 to 1,000.
    pub per_mille: u32,
    /// The length of the sliding window in nanoseconds; at least 10.
    pub window_ns: u64,
    /// Ended requests within the window below which nothing follows from them; at least 1.
    pub at_least: u32,
}

/// What it does at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Lets everything through.
    Closed,
    /// Refuses everything.
    Open,
    /// Lets trials through.
    HalfOpen,
}

/// The breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: Settings,
    phase: Phase,
    window: Window,
    in_a_row: u32,
    opened: u64,
    /// The newest time it was told.
    now: Nanos,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    /// Until then.
    Open(Nanos),
    /// Trials under way, successes so far, and when trials that did not end are given up.
    HalfOpen {
        under_way: u32,
        succeeded: u32,
        until: Nanos,
    },
}

/// What ended within the last time, in slices.
#[derive(Debug, Clone, Default)]
struct Window {
    /// Ended, failed.
    slices: [(u32, u32); SLICES],
    sum: (u32, u32),
    slice: u64,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(settings: Settings) -> Self {
        let (phase, window) = (Phase::Closed, Window::default());
        Self { settings, phase, window, in_a_row: 0, opened: 0, now: 0 }
    }

    /// May a request go through? Who is in must be [settled](Self::settle) or [forgotten](Self::forget); who is refused is told how long it stays open.
    pub fn enter(&mut self, now: Nanos) -> Entry {
        let told = now;
        let now = self.turn(now);
        let trials = self.settings.trials.max(1);
        match &mut self.phase {
            Phase::Closed => Entry::In,
            Phase::Open(until) => Entry::Refused(Refusal { cause: Cause::BreakerOpen, retry_after_ns: *until - told }),
            Phase::HalfOpen { under_way, succeeded, until } => {
                // Not more than are needed to close it.
                if *under_way + *succeeded < trials {
                    *under_way += 1;
                    *until = now.saturating_add(self.settings.open_ns);
                    return Entry::In;
                }
                Entry::Refused(Refusal::of(Cause::BreakerOpen))
            }
        }
    }

    /// Who was let in has ended, well (`ok`) or not. What ends while it is open was let in before and says nothing new.
    pub fn settle(&mut self, now: Nanos, ok: bool) {
        let now = self.turn(now);
        match &mut self.phase {
            Phase::Closed => self.count(now, ok),
            Phase::Open(_) => {}
            Phase::HalfOpen { .. } if !ok => self.open(now),
            Phase::HalfOpen { under_way, succeeded, .. } => {
                // What was let in before it opened may end now: it is no trial, but it did succeed.
                *under_way = under_way.saturating_sub(1);
                *succeeded += 1;
                if *succeeded >= self.settings.trials.max(1) {
                    self.phase = Phase::Closed;
                }
            }
        }
    }

    /// Who was let in has gone before anybody knew how it would end: that says nothing. If it was a trial, another may be made.
    pub fn forget(&mut self, now: Nanos) {
        self.turn(now);
        if let Phase::HalfOpen { under_way, .. } = &mut self.phase {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// What it does at `now`.
    pub fn state(&mut self, now: Nanos) -> State {
        self.turn(now);
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open(_) => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// How often it opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// The newest time, `now` included; an open breaker becomes half-open when it is time.
    fn turn(&mut self, now: Nanos) -> Nanos {
        self.now = self.now.max(now);
        let fresh = Phase::HalfOpen { under_way: 0, succeeded: 0, until: self.now.saturating_add(self.settings.open_ns) };
        match self.phase {
            Phase::Open(until) if until <= self.now => self.phase = fresh,
            // Its trials were lost: others may be tried.
            Phase::HalfOpen { under_way, until, .. } if under_way > 0 && until <= self.now => self.phase = fresh,
            _ => {}
        }
        self.now
    }

    fn count(&mut self, now: Nanos, ok: bool) {
        self.in_a_row = if ok { 0 } else { self.in_a_row + 1 };
        let row = self.settings.in_a_row.is_some_and(|most| self.in_a_row >= most.max(1));
        let share = self.settings.share.is_some_and(|share| {
            let (ended, failed) = self.window.count(now / (share.window_ns / SLICES as u64).max(1), ok);
            ended >= share.at_least && u64::from(failed) * 1_000 >= u64::from(ended) * u64::from(share.per_mille)
        });
        // Successes open nothing, even if the failures before them were too few to count until now.
        if !ok && (row || share) {
            self.open(now);
        }
    }

    fn open(&mut self, now: Nanos) {
        self.phase = Phase::Open(now.saturating_add(self.settings.open_ns.max(1)));
        self.window = Window::default();
        self.in_a_row = 0;
        self.opened += 1;
    }
}

impl Window {
    /// Counts one more in the slice that is number `slice` since the run began, and says how many ended and failed in all.
    fn count(&mut self, slice: u64, ok: bool) -> (u32, u32) {
        for _ in 0..slice.saturating_sub(self.slice).min(SLICES as u64) {
            self.slice += 1;
            let (ended, failed) = std::mem::take(&mut self.slices[(self.slice % SLICES as u64) as usize]);
            self.sum = (self.sum.0 - ended, self.sum.1 - failed);
        }
        self.slice = self.slice.max(slice);
        let failed = u32::from(!ok);
        for counts in [&mut self.slices[(self.slice % SLICES as u64) as usize], &mut self.sum] {
            *counts = (counts.0 + 1, counts.1 + failed);
        }
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn by_row(in_a_row: u32, trials: u32) -> Breaker {
        Breaker::new(Settings { in_a_row: Some(in_a_row), share: None, open_ns: 5 * S, trials })
    }

    fn by_share(per_mille: u32, at_least: u32) -> Breaker {
        let share = Some(Share { per_mille, window_ns: 10 * S, at_least });
        Breaker::new(Settings { in_a_row: None, share, open_ns: 5 * S, trials: 1 })
    }

    fn pass(breaker: &mut Breaker, now: Nanos, ok: bool) {
        assert_eq!(breaker.enter(now), Entry::In);
        breaker.settle(now, ok);
    }

    fn refused(retry_after_ns: u64) -> Entry {
        Entry::Refused(Refusal { cause: Cause::BreakerOpen, retry_after_ns })
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = by_row(3, 1);
        for ok in [false, false, true, false, false] {
            pass(&mut breaker, S, ok);
            assert_eq!(breaker.state(S), State::Closed);
        }
        pass(&mut breaker, S, false);
        assert_eq!((breaker.state(S), breaker.opened()), (State::Open, 1));
        assert_eq!(breaker.enter(S), refused(5 * S));
        assert_eq!(breaker.enter(4 * S), refused(2 * S));
    }

    #[test]
    fn half_open_lets_as_many_trials_through_as_close_it() {
        let mut breaker = by_row(1, 2);
        pass(&mut breaker, 0, false);
        assert_eq!((breaker.state(5 * S - 1), breaker.state(5 * S)), (State::Open, State::HalfOpen));
        assert_eq!([breaker.enter(5 * S), breaker.enter(5 * S), breaker.enter(5 * S)], [Entry::In, Entry::In, refused(0)]);
        breaker.settle(6 * S, true);
        // One succeeded and one is under way: another is not needed.
        assert_eq!((breaker.enter(6 * S), breaker.state(6 * S)), (refused(0), State::HalfOpen));
        breaker.settle(7 * S, true);
        assert_eq!((breaker.state(7 * S), breaker.enter(7 * S)), (State::Closed, Entry::In));
    }

    #[test]
    fn a_trial_that_fails_opens_it_again() {
        let mut breaker = by_row(1, 2);
        pass(&mut breaker, 0, false);
        assert_eq!([breaker.enter(5 * S), breaker.enter(5 * S)], [Entry::In, Entry::In]);
        breaker.settle(6 * S, true);
        breaker.settle(7 * S, false);
        assert_eq!((breaker.state(7 * S), breaker.enter(7 * S), breaker.opened()), (State::Open, refused(5 * S), 2));
        assert_eq!(breaker.state(12 * S), State::HalfOpen);
    }

    #[test]
    fn trials_that_never_end_are_given_up() {
        let mut breaker = by_row(1, 1);
        pass(&mut breaker, 0, false);
        assert_eq!([breaker.enter(6 * S), breaker.enter(10 * S)], [Entry::In, refused(0)]);
        assert_eq!(breaker.enter(11 * S), Entry::In);
        breaker.settle(11 * S, true);
        assert_eq!(breaker.state(11 * S), State::Closed);
    }

    #[test]
    fn who_goes_before_its_end_opens_nothing_closes_nothing_and_leaves_room_for_another_trial() {
        let mut breaker = by_row(1, 1);
        assert_eq!(breaker.enter(0), Entry::In);
        breaker.forget(0);
        assert_eq!(breaker.state(0), State::Closed);
        pass(&mut breaker, 0, false);
        assert_eq!([breaker.enter(5 * S), breaker.enter(5 * S)], [Entry::In, refused(0)]);
        breaker.forget(6 * S);
        assert_eq!((breaker.state(6 * S), breaker.enter(6 * S)), (State::HalfOpen, Entry::In));
    }

    #[test]
    fn what_ends_while_it_is_open_changes_nothing() {
        let mut breaker = by_row(1, 1);
        assert_eq!([breaker.enter(0), breaker.enter(0), breaker.enter(0)], [Entry::In; 3]);
        breaker.settle(0, false);
        breaker.settle(S, true);
        breaker.settle(2 * S, false);
        assert_eq!((breaker.enter(2 * S), breaker.opened()), (refused(3 * S), 1));
    }

    #[test]
    fn once_closed_again_it_begins_to_count_anew() {
        let mut breaker = by_row(2, 1);
        pass(&mut breaker, 0, false);
        pass(&mut breaker, 0, false);
        pass(&mut breaker, 5 * S, true);
        pass(&mut breaker, 5 * S, false);
        assert_eq!(breaker.state(5 * S), State::Closed);
        pass(&mut breaker, 5 * S, false);
        assert_eq!(breaker.state(5 * S), State::Open);
    }

    #[test]
    fn a_share_of_failures_opens_it_once_enough_have_ended() {
        let mut breaker = by_share(500, 10);
        for n in 0..9 {
            pass(&mut breaker, S, n % 2 == 0);
        }
        assert_eq!(breaker.state(S), State::Closed);
        pass(&mut breaker, S, false);
        assert_eq!(breaker.state(S), State::Open);
        // Below the share it stays closed.
        let mut breaker = by_share(500, 10);
        for n in 0..100 {
            pass(&mut breaker, S, n % 5 < 3);
        }
        assert_eq!(breaker.state(S), State::Closed);
    }

    #[test]
    fn failures_leave_the_sliding_window() {
        let mut breaker = by_share(500, 4);
        for _ in 0..3 {
            pass(&mut breaker, 0, false);
        }
        // The three have left the window after ten seconds, so that a fourth is one of one.
        pass(&mut breaker, 10 * S, false);
        assert_eq!(breaker.state(10 * S), State::Closed);
        for now in [11 * S, 12 * S, 13 * S] {
            assert_eq!(breaker.state(now), State::Closed);
            pass(&mut breaker, now, false);
        }
        assert_eq!(breaker.state(13 * S), State::Open);
    }

    #[test]
    fn time_that_goes_backwards_counts_as_the_newest() {
        let mut breaker = by_row(1, 1);
        pass(&mut breaker, 10 * S, false);
        // Told from its own, earlier time: until the same moment.
        assert_eq!(breaker.enter(9 * S), refused(6 * S));
        assert_eq!((breaker.state(15 * S), breaker.state(0)), (State::HalfOpen, State::HalfOpen));
    }
}
