//! How clients behave when they meet a failure: do they come again, do they wait as long as they were told, do they notice that a reply
//! was cut? The verdict on the client follows from this.
//!
//! A bounded table remembers identities whose last request failed. It is empty as long as nothing fails, and then a request costs one
//! look at a number. An identity is what the client names in `x-simwright-identity`, else the content: clients that send the same body
//! without naming themselves are one client here.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Nanos;
use crate::engine::measure::ModelMeasure;
use crate::engine::occurrences::AlreadyHashed;
use crate::plan::verdict::{Outcome, Seen};
use crate::types::limits::{CONDUCT_MAX, STORM_RETRIES, STORM_WINDOW_S};

const SHARDS: usize = 16;
const WINDOW_NS: Nanos = STORM_WINDOW_S * 1_000_000_000;

/// How a request ended, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was answered whole.
    Whole,
    /// It was refused with an HTTP status, and perhaps asked to wait so many milliseconds.
    Refused(Option<u32>),
    /// Its reply began with status 200 and was cut short.
    Truncated,
    /// It failed in a way that no client can miss: no answer at all, or an error event.
    Broken,
}

impl Fate {
    /// The fate of a request that ended with `status` (0 for no answer at all) under `outcome`, whose interrupt was `played` or not.
    pub fn of(status: u16, outcome: &Outcome, played: bool) -> Self {
        match (status, outcome) {
            (0, _) => Self::Broken,
            (400.., Outcome::Refuse(error)) => Self::Refused(error.retry_after_ms),
            (400.., _) => Self::Refused(None),
            (_, Outcome::Interrupt(interrupt)) if played => match interrupt.action.seen() {
                Seen::Whole => Self::Whole,
                Seen::Truncated => Self::Truncated,
                Seen::Broken => Self::Broken,
            },
            _ => Self::Whole,
        }
    }
}

/// What a request says about its client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Came {
    /// Its identity's last request failed, or it says that it is another attempt.
    pub retry: bool,
    /// It came earlier than its client had been asked to.
    pub ignored_wait: bool,
    /// With it the retries of its identity become a storm.
    pub storm: bool,
}

/// Identities whose last request failed.
pub struct Conduct {
    shards: Box<[Mutex<Halves>]>,
    remembered: AtomicUsize,
}

#[derive(Default)]
struct Halves {
    newer: Failed,
    older: Failed,
}

type Failed = HashMap<u64, Entry, BuildHasherDefault<AlreadyHashed>>;

#[derive(Default)]
struct Entry {
    /// Not before this time, its client was told; 0 if it was told nothing.
    back_at: Nanos,
    /// Its last reply was cut short and it has not come again; counted here.
    truncated: Option<Arc<ModelMeasure>>,
    /// Retries since `window_from`.
    retries: u32,
    window_from: Nanos,
}

impl Default for Conduct {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), remembered: AtomicUsize::new(0) }
    }
}

impl Conduct {
    /// Notes that `identity` came at `now` with `attempt` (0 for a first one).
    pub fn came(&self, identity: u64, attempt: u32, now: Nanos) -> Came {
        if attempt == 0 && self.remembered.load(Ordering::Relaxed) == 0 {
            return Came::default();
        }
        let mut halves = self.shard(identity);
        if attempt == 0 && !halves.newer.contains_key(&identity) && !halves.older.contains_key(&identity) {
            return Came::default();
        }
        let entry = self.entry(&mut halves, identity);
        if let Some(measure) = entry.truncated.take() {
            measure.truncation_noticed();
        }
        if entry.retries == 0 || now.saturating_sub(entry.window_from) > WINDOW_NS {
            (entry.window_from, entry.retries) = (now, 0);
        }
        entry.retries = entry.retries.saturating_add(1);
        Came { retry: true, ignored_wait: now < entry.back_at, storm: entry.retries == STORM_RETRIES + 1 }
    }

    /// Notes that a request of `identity` failed at `now`. A truncated reply counts as accepted until its identity comes again.
    pub fn failed(&self, identity: u64, fate: Fate, now: Nanos, measure: &Arc<ModelMeasure>) {
        let mut halves = self.shard(identity);
        let entry = self.entry(&mut halves, identity);
        entry.back_at = match fate {
            Fate::Refused(Some(wait_ms)) => now.saturating_add(u64::from(wait_ms) * 1_000_000),
            _ => 0,
        };
        if fate == Fate::Truncated && entry.truncated.is_none() {
            measure.truncated();
            entry.truncated = Some(Arc::clone(measure));
        }
    }

    /// Notes that a retry of `identity` was answered whole: what comes next is a new request.
    pub fn answered(&self, identity: u64) {
        let mut halves = self.shard(identity);
        let Halves { newer, older } = &mut *halves;
        let gone = usize::from(newer.remove(&identity).is_some()) + usize::from(older.remove(&identity).is_some());
        self.remembered.fetch_sub(gone, Ordering::Relaxed);
    }

    fn shard(&self, identity: u64) -> MutexGuard<'_, Halves> {
        // Bits that the table inside does not go by.
        self.shards[(identity >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of `identity` in the newer half, made or fetched from the older one if need be.
    fn entry<'a>(&self, halves: &'a mut Halves, identity: u64) -> &'a mut Entry {
        if halves.newer.len() >= CONDUCT_MAX / SHARDS && !halves.newer.contains_key(&identity) {
            let forgotten = std::mem::replace(&mut halves.older, std::mem::take(&mut halves.newer));
            self.remembered.fetch_sub(forgotten.len(), Ordering::Relaxed);
        }
        let Halves { newer, older } = halves;
        newer.entry(identity).or_insert_with(|| {
            older.remove(&identity).unwrap_or_else(|| {
                self.remembered.fetch_add(1, Ordering::Relaxed);
                Entry::default()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::measure::Measures;
    use crate::types::criterion::Counted;

    const S: Nanos = 1_000_000_000;

    fn measure() -> Arc<ModelMeasure> {
        Measures::default().of_model("conduct-test")
    }

    fn accepted(measure: &ModelMeasure) -> u64 {
        measure.tally.figures().count(Counted::TruncatedAccepted)
    }

    #[test]
    fn who_never_failed_is_no_retry_and_costs_no_memory() {
        let conduct = Conduct::default();
        assert_eq!(conduct.came(1, 0, S), Came::default());
        conduct.failed(2, Fate::Broken, S, &measure());
        assert_eq!(conduct.came(1, 0, 2 * S), Came::default());
        assert_eq!(conduct.remembered.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_retry_before_the_time_it_was_told_is_noticed_to_the_nanosecond() {
        let conduct = Conduct::default();
        let told = |wait| conduct.failed(1, Fate::Refused(wait), 10 * S, &measure());
        told(Some(2_000));
        assert_eq!(conduct.came(1, 0, 12 * S - 1), Came { retry: true, ignored_wait: true, storm: false });
        told(Some(2_000));
        assert_eq!(conduct.came(1, 1, 12 * S), Came { retry: true, ignored_wait: false, storm: false });
        told(None);
        assert!(!conduct.came(1, 0, 10 * S + 1).ignored_wait);
        conduct.answered(1);
        assert_eq!(conduct.came(1, 0, 10 * S + 2), Came::default());
    }

    #[test]
    fn more_retries_than_the_limit_within_the_window_are_one_storm() {
        let conduct = &Conduct::default();
        let storms = |gap: Nanos, count: u64, from: Nanos| {
            (0..count).filter(move |index| {
                conduct.failed(1, Fate::Refused(None), from + index * gap, &measure());
                conduct.came(1, 0, from + index * gap).storm
            })
        };
        assert_eq!(storms(S / 10, 50, 100 * S).count(), 1);
        // Once more in a window of its own, and never at a pace that a patient client keeps.
        assert_eq!(storms(S / 10, 50, 200 * S).count(), 1);
        assert_eq!(storms(3 * S, 50, 300 * S).count(), 0);
    }

    #[test]
    fn a_truncated_reply_is_accepted_until_its_client_asks_again() {
        let (conduct, measure) = (Conduct::default(), measure());
        conduct.failed(1, Fate::Truncated, S, &measure);
        conduct.failed(1, Fate::Truncated, S, &measure);
        conduct.failed(2, Fate::Truncated, S, &measure);
        conduct.failed(3, Fate::Broken, S, &measure);
        assert_eq!(accepted(&measure), 2);
        conduct.came(1, 0, 2 * S);
        assert_eq!(accepted(&measure), 1);
        conduct.came(1, 0, 3 * S);
        assert_eq!(accepted(&measure), 1);
    }

    #[test]
    fn the_table_is_bounded_and_what_it_forgets_stays_accepted() {
        let (conduct, measure) = (Conduct::default(), measure());
        let flood = 4 * CONDUCT_MAX as u64;
        for index in 0..flood {
            conduct.failed(crate::random::Key::of_seed(index).bits(), Fate::Truncated, S, &measure);
        }
        let remembered = conduct.remembered.load(Ordering::Relaxed);
        assert!(remembered <= 2 * CONDUCT_MAX, "{remembered}");
        let held: usize =
            conduct.shards.iter().map(|shard| shard.lock().map(|halves| halves.newer.len() + halves.older.len()).unwrap()).sum();
        assert_eq!((held, accepted(&measure)), (remembered, flood));
    }
}
