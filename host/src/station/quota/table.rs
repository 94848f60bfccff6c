//! The keys of one shard with their states: a bounded table that forgets the key that has least to lose.
//!
//! A key is a [`Slot`] and, beside it, one [`Instant`] a window. When the table is full, a new key takes the place of one that has nothing
//! under way and whose budgets are full again soonest: of [`SAMPLE`] slots in turn, so that it stays cheap. Forgetting a key whose
//! budgets are full loses nothing. If all that are looked at have something under way, the table grows: no key is ever let off.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::clock::Nanos;
use crate::station::keys::spread;
use crate::station::quota::window::{Instant, Rate};
use crate::station::quota::{Reservation, Settings, Window};
use crate::station::{Cause, Refusal};
use crate::types::allowance::{Allowance, Left};

/// Slots that are looked at for one to forget, and how many rounds of them.
const SAMPLE: usize = 8;
const ROUNDS: usize = 8;

/// The settings as the shards use them.
#[derive(Debug)]
pub(super) struct Rules {
    /// First those of requests, then those of tokens.
    rates: Box<[Rate]>,
    /// How many of them count requests.
    requests: usize,
    concurrency: Option<u32>,
    /// Keys of one shard.
    keys_max: usize,
    pub version: u32,
}

/// One shard: what its lock guards.
#[derive(Debug)]
pub struct Shard {
    rules: Arc<Rules>,
    /// The newest time it was told.
    now: Nanos,
    index: HashTable<u32>,
    slots: Vec<Slot>,
    /// One for each rate of each slot.
    full_at: Vec<Instant>,
    /// Where to look next for a slot to forget.
    hand: usize,
    pub(super) under_way: u64,
    pub(super) reserved: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    under_way: u32,
}

impl Rules {
    /// The rules of `settings`, a shard having `1/shards` of the keys. Windows that `before` had are older than this version.
    pub(super) fn of(settings: &Settings, shards: usize, before: Option<&Self>) -> Self {
        let version = before.map_or(0, |rules| rules.version + 1);
        let rate = |is_request: bool| {
            move |window: Window| {
                let old = before.and_then(|rules| rules.same_period(is_request, window.period_ns));
                Rate::of(window, old.map_or(version, |(_, old)| old.since))
            }
        };
        let requests = settings.requests.iter().copied().map(rate(true));
        let tokens = settings.tokens.iter().copied().map(rate(false));
        Self {
            requests: settings.requests.len(),
            rates: requests.chain(tokens).collect(),
            concurrency: settings.concurrency,
            keys_max: (settings.keys_max as usize).div_ceil(shards).max(1),
            version,
        }
    }

    /// Each rate with the amount that a request of `tokens` asks of it, and its cause.
    fn asked(&self, tokens: u32) -> impl Iterator<Item = (&Rate, u32, Cause)> {
        let requests = self.requests;
        let asked = move |index| if index < requests { (1, Cause::Requests) } else { (tokens, Cause::Tokens) };
        self.rates.iter().enumerate().map(move |(index, rate)| (rate, asked(index).0, asked(index).1))
    }

    fn same_period(&self, is_request: bool, period_ns: u64) -> Option<(usize, &Rate)> {
        let same = |(index, rate): &(usize, &Rate)| (*index < self.requests) == is_request && rate.window.period_ns == period_ns;
        self.rates.iter().enumerate().find(same)
    }
}

impl Shard {
    pub(super) fn of(rules: Arc<Rules>) -> Self {
        let (index, slots, full_at) = (HashTable::new(), Vec::new(), Vec::new());
        Self { rules, now: 0, index, slots, full_at, hand: 0, under_way: 0, reserved: 0 }
    }

    pub(super) fn enter(&mut self, told: Nanos, key: u64, tokens: u32) -> Result<Reservation, Refusal> {
        let now = self.tick(told);
        let rules = Arc::clone(&self.rules);
        let found = self.find(key);
        let mut longest: Option<Refusal> = None;
        let states = found.map_or(&[][..], |slot| self.states(slot));
        for (index, (rate, amount, cause)) in rules.asked(tokens).enumerate() {
            match rate.wait(states.get(index).copied().unwrap_or_default(), now, amount) {
                // More than fits at any time.
                None => return Err(Refusal::of(cause)),
                Some(0) => {}
                Some(wait) => {
                    let refusal = Refusal { cause, retry_after_ns: wait + (now - told) };
                    longest = longest.filter(|other| other.retry_after_ns >= wait + (now - told)).or(Some(refusal));
                }
            }
        }
        let under_way = found.map_or(0, |slot| self.slots[slot].under_way);
        let full = rules.concurrency.is_some_and(|most| under_way >= most);
        if let Some(refusal) = longest.or(full.then_some(Refusal::of(Cause::Concurrency))) {
            return Err(refusal);
        }
        let slot = found.unwrap_or_else(|| self.take(key));
        self.slots[slot].under_way += 1;
        for (index, (rate, amount, _)) in rules.asked(tokens).enumerate() {
            let state = self.state(slot, index);
            *state = rate.spend(*state, now, amount);
        }
        self.under_way += 1;
        self.reserved += u64::from(tokens);
        Ok(Reservation { key, tokens, version: rules.version })
    }

    /// Ends a visit that used `requests` (1, or 0 if it is to count as never made) and `tokens`.
    pub(super) fn settle(&mut self, told: Nanos, reservation: Reservation, requests: u32, tokens: u32) {
        let now = self.tick(told);
        let rules = Arc::clone(&self.rules);
        self.under_way -= 1;
        self.reserved -= u64::from(reservation.tokens);
        // A key with something under way is never forgotten.
        let Some(slot) = self.find(reservation.key) else { return };
        self.slots[slot].under_way -= 1;
        for (index, (rate, charged, _)) in rules.asked(reservation.tokens).enumerate() {
            let used = if index < rules.requests { requests } else { tokens };
            if rate.since <= reservation.version {
                let state = self.state(slot, index);
                *state = rate.settle(*state, now, charged, used);
            }
        }
    }

    pub(super) fn count(&mut self, told: Nanos, key: u64, tokens: u32) -> Allowance {
        let now = self.tick(told);
        let rules = Arc::clone(&self.rules);
        let slot = self.find(key).unwrap_or_else(|| self.take(key));
        for (index, (rate, amount, _)) in rules.asked(tokens).enumerate() {
            let state = self.state(slot, index);
            *state = rate.spend_up_to_burst(*state, now, amount);
        }
        self.left(now, key)
    }

    pub(super) fn left(&mut self, told: Nanos, key: u64) -> Allowance {
        let now = self.tick(told);
        let states = self.find(key).map_or(&[][..], |slot| self.states(slot));
        let left = |index: usize| self.rules.rates[index].left(states.get(index).copied().unwrap_or_default(), now);
        let tightest =
            |of: std::ops::Range<usize>| of.map(left).min_by_key(|left: &Left| (left.remaining, u64::MAX - left.reset_ns));
        let requests = self.rules.requests;
        Allowance { requests: tightest(0..requests), tokens: tightest(requests..self.rules.rates.len()) }
    }

    /// Goes over to `rules`. What each key has used of a window, it has used of the new one with the same period.
    pub(super) fn carry(&mut self, told: Nanos, rules: &Arc<Rules>) {
        let now = self.tick(told);
        let old = std::mem::replace(&mut self.rules, Arc::clone(rules));
        let mut full_at = Vec::with_capacity(self.slots.len() * rules.rates.len());
        for slot in 0..self.slots.len() {
            let states = &self.full_at[slot * old.rates.len()..][..old.rates.len()];
            for (index, rate) in rules.rates.iter().enumerate() {
                let before = old.same_period(index < rules.requests, rate.window.period_ns);
                full_at.push(before.map_or(Instant::default(), |(place, old)| rate.carried(old, states[place], now)));
            }
        }
        self.full_at = full_at;
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    pub(super) fn keys(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of memory that the keys take.
    pub(super) fn bytes(&self) -> usize {
        let (slots, states) = (self.slots.capacity() * size_of::<Slot>(), self.full_at.capacity() * size_of::<Instant>());
        self.index.allocation_size() + slots + states
    }

    /// The newest time, `told` included.
    fn tick(&mut self, told: Nanos) -> Nanos {
        self.now = self.now.max(told);
        self.now
    }

    fn states(&self, slot: usize) -> &[Instant] {
        let rates = self.rules.rates.len();
        &self.full_at[slot * rates..][..rates]
    }

    fn state(&mut self, slot: usize, index: usize) -> &mut Instant {
        &mut self.full_at[slot * self.rules.rates.len() + index]
    }

    fn find(&self, key: u64) -> Option<usize> {
        self.index.find(spread(key), |slot| self.slots[*slot as usize].key == key).map(|slot| *slot as usize)
    }

    /// A fresh slot for `key`.
    fn take(&mut self, key: u64) -> usize {
        let forgotten = if self.slots.len() >= self.rules.keys_max { self.least_to_lose() } else { None };
        let slot = match forgotten {
            Some(slot) => {
                let gone = self.slots[slot].key;
                if let Ok(entry) = self.index.find_entry(spread(gone), |other| *other as usize == slot) {
                    entry.remove();
                }
                let rates = self.rules.rates.len();
                self.full_at[slot * rates..][..rates].fill(Instant::default());
                slot
            }
            None => self.grow(),
        };
        self.slots[slot] = Slot { key, under_way: 0 };
        let slots = &self.slots;
        self.index.insert_unique(spread(key), slot as u32, |other| spread(slots[*other as usize].key));
        slot
    }

    fn grow(&mut self) -> usize {
        let slot = self.slots.len();
        if slot == self.slots.capacity() {
            // A sixteenth at a time instead of twice as much: there may be a million keys.
            let more = (slot / 16).max(SAMPLE);
            self.slots.reserve_exact(more);
            self.full_at.reserve_exact(more * self.rules.rates.len());
        }
        self.slots.push(Slot { key: 0, under_way: 0 });
        self.full_at.resize(self.slots.len() * self.rules.rates.len(), Instant::default());
        slot
    }

    /// The next slot that can be forgotten, of a few that whose budgets are full again soonest.
    fn least_to_lose(&mut self) -> Option<usize> {
        for _ in 0..ROUNDS {
            let mut best: Option<(u64, usize)> = None;
            for _ in 0..SAMPLE {
                self.hand = (self.hand + 1) % self.slots.len();
                let slot = self.hand;
                let full_at = self.states(slot).iter().map(|state| state.rounded_up()).max().unwrap_or(0);
                let idle = self.slots[slot].under_way == 0;
                if idle && best.is_none_or(|(other, _)| full_at < other) {
                    best = Some((full_at, slot));
                }
            }
            if let Some((_, slot)) = best {
                return Some(slot);
            }
        }
        None
    }
}
