//! A new generation on trial: it answers a share of the requests until it has passed or failed.
//!
//! Which requests is a draw below their identity, so that a retry meets the generation that the first attempt met. A [`Canary`] is told
//! what came of each and decides at once: after a failure too many it takes no more, whoever is slow to hear of it. Who made it waits
//! for [`Canary::standing`] to change, which the channel tells, or for its time to end, and then swaps. One that nobody has asked has not
//! been tried, so it has not passed when its time ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::clock::Nanos;
use crate::random::Key;
use crate::scenario::canary::CanarySettings;

/// A trial of one generation.
#[derive(Debug)]
pub struct Canary {
    settings: CanarySettings,
    key: Key,
    since: Nanos,
    requests: AtomicU64,
    failures: AtomicU64,
    /// Choices of balancers that have been counted among the failures.
    unanswered: AtomicU64,
    /// What the first failure was.
    why: OnceLock<String>,
    standing: OnceLock<Standing>,
    ended: Sender<()>,
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is decided.
    Going,
    /// It may answer all.
    Passed,
    /// It must not.
    Failed,
}

impl Canary {
    /// A trial of generation `number` from `since` on. The receiver hears once when counts have decided it.
    pub fn begin(settings: CanarySettings, seed: u64, number: u64, since: Nanos) -> (Self, Receiver<()>) {
        let (ended, end) = bounded(1);
        let canary = Self {
            settings,
            key: Key::of_seed(seed).named("canary").with(number),
            since,
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            why: OnceLock::new(),
            standing: OnceLock::new(),
            ended,
        };
        (canary, end)
    }

    /// What it was told.
    pub fn settings(&self) -> &CanarySettings {
        &self.settings
    }

    /// When its time ends, if that is limited.
    pub fn deadline(&self) -> Option<Nanos> {
        self.settings.for_us.map(|us| self.since.saturating_add(us.saturating_mul(1_000)))
    }

    /// Does it answer a request of `identity`?
    pub fn takes(&self, identity: u64) -> bool {
        self.counted() != Standing::Failed && self.key.with(identity).unit() < self.settings.share
    }

    /// One of its requests has been decided; `failure` says what went wrong that nobody asked for.
    pub fn note(&self, failure: Option<&str>) {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let failures = match failure {
            None => self.failures.load(Ordering::Relaxed),
            Some(why) => {
                self.why.get_or_init(|| why.to_owned());
                self.failures.fetch_add(1, Ordering::Relaxed) + 1
            }
        };
        if failures > self.allowed(requests) {
            self.decide(Standing::Failed);
        } else if self.settings.requests.is_some_and(|most| requests >= most) {
            self.decide(Standing::Passed);
        }
    }

    /// Balancers of its generation have given no choice so often, in all. What is new of that counts as failures of its requests.
    pub fn note_unanswered(&self, unanswered: u64) {
        let before = self.unanswered.fetch_max(unanswered, Ordering::Relaxed);
        let more = unanswered.saturating_sub(before);
        if more == 0 {
            return;
        }
        self.why.get_or_init(|| "a balancer gave no choice, and the station's rule chose".to_owned());
        let failures = self.failures.fetch_add(more, Ordering::Relaxed) + more;
        if failures > self.allowed(self.requests.load(Ordering::Relaxed)) {
            self.decide(Standing::Failed);
        }
    }

    /// Failures that so many requests may have. The first of all is forgiven, unless none is: one of three says little.
    fn allowed(&self, requests: u64) -> u64 {
        let share = self.settings.max_failures;
        if share == 0.0 { 0 } else { ((share * requests as f64) as u64).max(1) }
    }

    fn decide(&self, standing: Standing) {
        if self.standing.set(standing).is_ok() {
            // Full or closed: somebody knows already.
            let _ = self.ended.try_send(());
        }
    }

    /// How it stands by what was counted.
    fn counted(&self) -> Standing {
        self.standing.get().copied().unwrap_or(Standing::Going)
    }

    /// How it stands at `now`.
    pub fn standing(&self, now: Nanos) -> Standing {
        match self.counted() {
            Standing::Going if self.deadline().is_some_and(|deadline| now >= deadline) && self.counts().0 > 0 => Standing::Passed,
            counted => counted,
        }
    }

    /// Requests and failures so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    /// What has come of it so far, for people: `12 of 340 requests failed, first: …`.
    pub fn account(&self) -> String {
        let (requests, failures) = self.counts();
        match self.why.get() {
            Some(why) => format!("{failures} of {requests} requests failed, the first with: {why}"),
            None => format!("none of {requests} requests failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balancer_that_gives_no_choice_counts_each_time_once() {
        let (canary, end) = canary(0.5, None);
        (0..4).for_each(|_| canary.note(None));
        canary.note_unanswered(2);
        canary.note_unanswered(2);
        assert_eq!((canary.counts(), canary.counted()), ((4, 2), Standing::Going));
        canary.note_unanswered(3);
        assert!(end.try_recv().is_ok() && canary.counted() == Standing::Failed);
        assert!(canary.account().contains("a balancer gave no choice"), "{}", canary.account());
    }

    fn canary(max_failures: f64, requests: Option<u64>) -> (Canary, Receiver<()>) {
        Canary::begin(CanarySettings { share: 0.25, for_us: Some(1_000), requests, max_failures }, 7, 2, 5)
    }

    #[test]
    fn an_identity_stays_on_its_side_and_the_share_is_kept() {
        let (canary, _end) = canary(0.01, None);
        let taken = (0..10_000).filter(|identity| canary.takes(*identity)).count();
        assert!((2_350..2_650).contains(&taken), "{taken}");
        // Who was taken is taken after other requests have come and gone, and by the same generation on trial elsewhere.
        let (elsewhere, _end) = self::canary(0.5, Some(1_000_000));
        elsewhere.note(Some("the first is forgiven"));
        (0..100).for_each(|_| elsewhere.note(None));
        assert!((0..1_000).all(|identity| canary.takes(identity) == elsewhere.takes(identity)));
    }

    #[test]
    fn a_failure_too_many_ends_it_at_once_and_it_says_why() {
        let (canary, end) = canary(0.01, Some(1_000));
        let identity = (0..).find(|identity| canary.takes(*identity)).expect("a quarter");
        canary.note(Some("plugin `x` trapped"));
        assert_eq!((canary.standing(6), canary.takes(identity)), (Standing::Going, true));
        canary.note(Some("another"));
        assert_eq!((canary.standing(6), canary.takes(identity)), (Standing::Failed, false));
        assert!(end.try_recv().is_ok() && end.try_recv().is_err(), "told once");
        assert_eq!(canary.account(), "2 of 2 requests failed, the first with: plugin `x` trapped");
        // What failed stays so when its time ends.
        assert_eq!(canary.standing(1_000_005), Standing::Failed);
    }

    #[test]
    fn without_any_forgiveness_the_first_failure_ends_it() {
        let (canary, _end) = canary(0.0, None);
        canary.note(None);
        canary.note(Some("x"));
        assert_eq!(canary.standing(6), Standing::Failed);
    }

    #[test]
    fn enough_requests_or_the_end_of_its_time_pass_it() {
        let (counted, end) = canary(0.01, Some(200));
        (0..199).for_each(|number| counted.note((number % 100 == 99).then_some("one in a hundred")));
        assert_eq!(counted.standing(6), Standing::Going);
        counted.note(None);
        assert_eq!((counted.standing(6), end.try_recv().is_ok()), (Standing::Passed, true));
        let (timed, _end) = canary(0.01, Some(200));
        assert_eq!(timed.standing(1_000_005), Standing::Going, "nobody has asked it");
        timed.note(None);
        assert_eq!(timed.standing(1_000_004), Standing::Going);
        assert_eq!(timed.standing(1_000_005), Standing::Passed);
    }
}
