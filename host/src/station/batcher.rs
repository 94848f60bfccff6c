//! Gathers visitors until there are enough, or the first has waited long enough; then all of them go at once.
//!
//! There is one batch at a time that gathers, and any number may have gone. It goes when it has `size_max` visitors or `tokens_max`
//! tokens, or when its oldest has waited for `wait_max_ns`. A visitor whose tokens would be too many for the batch that gathers makes that
//! go, and begins the next. Who comes in the nanosecond in which the batch goes for its age comes too late for it. All of one
//! batch hear the same time; the one whose coming made it full is in at once and hears nothing.

use crate::clock::Nanos;
use crate::station::list::{Links, List};
use crate::station::untold::Untold;
use crate::station::{Entry, Notice, Visitor};

/// What a batcher is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Visitors of a batch at most, 1 or more.
    pub size_max: u32,
    /// How long a visitor waits at most, in nanoseconds. 0: until the batch is full.
    pub wait_max_ns: Nanos,
    /// Tokens of a batch at most; a visitor that has more goes alone. 0: any number.
    pub tokens_max: u64,
}

impl Settings {
    /// Batches of `size_max` visitors, with any number of tokens, however long that takes.
    pub const fn of(size_max: u32) -> Self {
        Self { size_max, wait_max_ns: 0, tokens_max: 0 }
    }
}

/// What gathers at the moment, and what has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Visitors of the batch that gathers.
    pub waiting: u32,
    /// Their tokens.
    pub tokens: u64,
    /// Batches that have gone.
    pub batches: u64,
    /// Visitors that went with them.
    pub gone: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    Waits,
    Untold,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    state: State,
    tokens: u32,
    came: Nanos,
}

const AWAY: Visit = Visit { state: State::Away, tokens: 0, came: 0 };

/// The batcher.
#[derive(Debug)]
pub struct Batcher {
    settings: Settings,
    now: Nanos,
    visits: Vec<Visit>,
    links: Links,
    batch: List,
    load: Load,
    untold: Untold,
}

impl Batcher {
    /// A batcher with nobody in it.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: 0,
            visits: Vec::new(),
            links: Links::default(),
            batch: List::EMPTY,
            load: Load::default(),
            untold: Untold::default(),
        }
    }

    /// Joins the batch that gathers; [`Entry::In`] if that makes it go. Who waits already leaves first.
    pub fn enter(&mut self, now: Nanos, visitor: Visitor, tokens: u32) -> Entry {
        self.leave(now, visitor);
        let Settings { size_max, tokens_max, .. } = self.settings;
        let with = |load: &Load| load.tokens + u64::from(tokens);
        if tokens_max > 0 && !self.batch.is_empty() && with(&self.load) > tokens_max {
            self.go(self.now);
        }
        if self.batch.len() + 1 >= size_max || tokens_max > 0 && with(&self.load) >= tokens_max {
            self.load.gone += 1;
            self.go(self.now);
            return Entry::In;
        }
        let index = visitor as usize;
        if index >= self.visits.len() {
            self.visits.resize(index + 1, AWAY);
        }
        self.visits[index] = Visit { state: State::Waits, tokens, came: self.now };
        self.batch.push(&mut self.links, visitor);
        self.load.tokens += u64::from(tokens);
        Entry::Waits
    }

    /// Takes `visitor` out of the batch that gathers. What it has not been told yet, it is not told any more.
    pub fn leave(&mut self, now: Nanos, visitor: Visitor) {
        self.catch_up(now);
        let Some(visit) = self.visits.get_mut(visitor as usize) else { return };
        let Visit { state, tokens, .. } = std::mem::replace(visit, AWAY);
        match state {
            State::Away => {}
            State::Untold => self.untold.withdraw(visitor),
            State::Waits => {
                self.batch.remove(&mut self.links, visitor);
                self.load.tokens -= u64::from(tokens);
            }
        }
    }

    /// Does everything that was due by `now` and says who has gone with a batch.
    pub fn advance(&mut self, now: Nanos, notices: &mut Vec<Notice>) {
        self.catch_up(now);
        let visits = &mut self.visits;
        self.untold.tell(notices, |notice| visits[notice.visitor as usize] = AWAY);
    }

    /// When there is something to do next.
    pub fn next_at(&self) -> Option<Nanos> {
        self.untold.first_at().or_else(|| self.due_at())
    }

    /// What gathers, and what has gone so far.
    pub fn load(&self) -> Load {
        Load { waiting: self.batch.len(), ..self.load }
    }

    /// When the batch that gathers has waited long enough.
    fn due_at(&self) -> Option<Nanos> {
        let oldest = self.batch.first().filter(|_| self.settings.wait_max_ns > 0)?;
        Some(self.visits[oldest as usize].came.saturating_add(self.settings.wait_max_ns))
    }

    fn catch_up(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        if let Some(at) = self.due_at().filter(|at| *at <= self.now) {
            self.go(at);
        }
    }

    fn go(&mut self, at: Nanos) {
        self.load.batches += 1;
        self.load.gone += u64::from(self.batch.len());
        self.load.tokens = 0;
        while let Some(visitor) = self.batch.pop(&mut self.links) {
            self.visits[visitor as usize].state = State::Untold;
            self.untold.add(at, visitor, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Key;
    use crate::station::theory::{Observed, S, exponential, visitors};

    fn told(batcher: &mut Batcher, now: Nanos) -> Vec<(Nanos, Visitor)> {
        let mut notices = Vec::new();
        batcher.advance(now, &mut notices);
        assert!(notices.iter().all(|notice| notice.refused.is_none()));
        notices.into_iter().map(|notice| (notice.at, notice.visitor)).collect()
    }

    #[test]
    fn a_full_batch_goes_with_the_one_who_fills_it() {
        let mut batcher = Batcher::new(Settings::of(3));
        let entries: Vec<Entry> = (0..7).map(|visitor| batcher.enter(u64::from(visitor), visitor, 1)).collect();
        assert_eq!(entries, [Entry::Waits, Entry::Waits, Entry::In, Entry::Waits, Entry::Waits, Entry::In, Entry::Waits]);
        assert_eq!(batcher.next_at(), Some(2));
        assert_eq!(told(&mut batcher, 9), [(2, 0), (2, 1), (5, 3), (5, 4)]);
        assert_eq!((batcher.next_at(), batcher.load()), (None, Load { waiting: 1, tokens: 1, batches: 2, gone: 6 }));
        assert_eq!(Batcher::new(Settings::of(1)).enter(0, 0, 9), Entry::In);
    }

    #[test]
    fn a_batch_goes_when_its_oldest_has_waited_long_enough() {
        let mut batcher = Batcher::new(Settings { wait_max_ns: 100, ..Settings::of(10) });
        batcher.enter(0, 0, 1);
        batcher.enter(60, 1, 1);
        assert_eq!(batcher.next_at(), Some(100));
        // In the nanosecond in which it goes, 2 is too late.
        assert_eq!(batcher.enter(100, 2, 1), Entry::Waits);
        assert_eq!(told(&mut batcher, 100), [(100, 0), (100, 1)]);
        // Asked late, it still went when it was due.
        assert_eq!(told(&mut batcher, 999), [(200, 2)]);
    }

    #[test]
    fn tokens_fill_a_batch_too() {
        let mut batcher = Batcher::new(Settings { tokens_max: 100, ..Settings::of(10) });
        assert_eq!(batcher.enter(0, 0, 40), Entry::Waits);
        // 40 + 70 are too many, so 0 goes without 1.
        assert_eq!(batcher.enter(1, 1, 70), Entry::Waits);
        assert_eq!(batcher.enter(2, 2, 30), Entry::In);
        assert_eq!(told(&mut batcher, 2), [(1, 0), (2, 1)]);
        // More than fits in any batch goes alone, and makes the one before go.
        assert_eq!(batcher.enter(3, 3, 1), Entry::Waits);
        assert_eq!(batcher.enter(4, 4, 500), Entry::In);
        assert_eq!(told(&mut batcher, 4), [(4, 3)]);
        assert_eq!(batcher.load(), Load { waiting: 0, tokens: 0, batches: 4, gone: 5 });
    }

    #[test]
    fn who_leaves_goes_with_no_batch() {
        let mut batcher = Batcher::new(Settings { wait_max_ns: 100, ..Settings::of(3) });
        batcher.enter(0, 0, 5);
        batcher.enter(30, 1, 6);
        batcher.leave(40, 0);
        // Now 1 is the oldest.
        assert_eq!((batcher.next_at(), batcher.load().tokens), (Some(130), 6));
        batcher.enter(50, 2, 1);
        assert_eq!(batcher.enter(60, 3, 1), Entry::In);
        batcher.leave(61, 1);
        batcher.leave(61, 77);
        assert_eq!(told(&mut batcher, 70), [(60, 2)]);
        batcher.enter(80, 4, 1);
        batcher.leave(90, 4);
        assert_eq!((batcher.next_at(), batcher.load().tokens), (None, 0));
    }

    proptest! {
        #[test]
        fn batches_keep_their_bounds_and_nobody_is_lost_or_told_twice(
            (size_max, wait_max_ns, tokens_max) in (1_u32..6, prop_oneof![Just(0), 1_u64..30], prop_oneof![Just(0), 5_u64..40]),
            steps in proptest::collection::vec((0_u64..8, 0_u32..10, 0_u8..4, 1_u32..20), 1..200),
        ) {
            let mut batcher = Batcher::new(Settings { size_max, wait_max_ns, tokens_max });
            // Those who wait, with the times of their coming and their tokens.
            let mut waiting: Vec<(Visitor, Nanos, u32)> = Vec::new();
            let (mut now, mut notices) = (0, Vec::new());
            for (gap, visitor, deed, tokens) in steps {
                now += gap;
                let mut entered = Entry::Waits;
                match deed {
                    0 => {
                        batcher.leave(now, visitor);
                        waiting.retain(|(other, ..)| *other != visitor);
                    }
                    1 => {}
                    _ => {
                        entered = batcher.enter(now, visitor, tokens);
                        waiting.retain(|(other, ..)| *other != visitor);
                        if entered == Entry::Waits {
                            waiting.push((visitor, now, tokens));
                        }
                    }
                }
                batcher.advance(now, &mut notices);
                let (mut size, mut sum, mut batch_at) = (0, 0, None);
                for notice in notices.drain(..) {
                    // Batches are told in order of coming, and each visitor once.
                    let (first, came, tokens) = waiting.remove(0);
                    prop_assert_eq!(first, notice.visitor);
                    prop_assert!(notice.at >= came && notice.at <= now);
                    prop_assert!(wait_max_ns == 0 || notice.at <= came + wait_max_ns);
                    (size, sum) = if batch_at == Some(notice.at) { (size + 1, sum + tokens) } else { (1, tokens) };
                    batch_at = Some(notice.at);
                    prop_assert!(size <= size_max && (tokens_max == 0 || u64::from(sum) <= tokens_max));
                }
                let held: u32 = waiting.iter().map(|(.., tokens)| *tokens).sum();
                let Load { waiting: gathered, tokens, .. } = batcher.load();
                prop_assert_eq!((gathered, tokens), (waiting.len() as u32, u64::from(held)));
                prop_assert!(entered != Entry::In || waiting.is_empty());
                prop_assert!(wait_max_ns == 0 || waiting.first().is_none_or(|(_, came, _)| came + wait_max_ns > now));
            }
        }
    }

    /// Sizes of batches and waits of visitors, with one arrival a second.
    fn run(settings: Settings, count: u32) -> (Observed, Observed) {
        let mut batcher = Batcher::new(settings);
        let mut gaps = Key::of_seed(5).named("batcher").stream();
        let (mut now, mut came, mut notices) = (0, vec![0; 64], Vec::new());
        let (mut sizes, mut waits, mut before) = (Observed::default(), Observed::default(), Load::default());
        for visitor in 0..count {
            now += exponential(&mut gaps, 1.0);
            batcher.advance(now, &mut notices);
            let slot = visitor % 64;
            came[slot as usize] = now;
            if batcher.enter(now, slot, 1) == Entry::In {
                waits.add(0.0);
            }
            let load = batcher.load();
            if load.batches > before.batches {
                // One at most goes for its age before an arrival and one with it, so these are the sizes of one or two batches.
                (before.batches..load.batches).for_each(|_| {
                    sizes.add((load.gone - before.gone) as f64 / (load.batches - before.batches) as f64);
                });
                before = load;
            }
            batcher.advance(now, &mut notices);
            for notice in notices.drain(..) {
                waits.add((notice.at - came[notice.visitor as usize]) as f64 / S as f64);
            }
        }
        (sizes, waits)
    }

    #[test]
    fn mean_sizes_and_waits_are_those_of_poisson_arrivals() {
        // The first of a batch finds N others within 4 s, N from the Poisson law of mean 4. With at most 6 in a batch its mean size is
        // 1 + E[min(N, 5)].
        let poisson = |n: u32| (1..=n).fold((-4.0_f64).exp(), |p, n| p * 4.0 / f64::from(n));
        let exact = 1.0 + (0..5).map(|n| poisson(n) * (f64::from(n) - 5.0)).sum::<f64>() + 5.0;
        let (sizes, _) = run(Settings { wait_max_ns: 4 * S, ..Settings::of(6) }, visitors(400_000));
        sizes.assert_mean("size", exact);
        // Without a bound on the size: the first waits 4 s, the 4 others 2 s in the mean.
        let (sizes, waits) = run(Settings { wait_max_ns: 4 * S, ..Settings::of(1_000) }, visitors(400_000));
        sizes.assert_mean("size", 5.0);
        waits.assert_mean("wait", 12.0 / 5.0);
        // Without a bound on the wait: of 5, the first waits for four gaps, the last for none.
        let (_, waits) = run(Settings::of(5), visitors(400_000));
        waits.assert_mean("wait", 2.0);
    }
}
