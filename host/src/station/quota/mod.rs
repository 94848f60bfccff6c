//! What a key may ask for: requests and tokens over several windows at once, and how much at a time. Decided at once, nobody waits.
//!
//! Tokens are reserved when a request enters (its prompt and the longest reply) and settled when it ends, with what was used. A
//! refused request is charged nothing. [`window`] is one limit over one window; [`table`] holds the states of a shard's keys. [`Quota`]
//! is exact under contention: a key lives in one shard, and one lock covers looking at all its limits and charging them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Nanos;
use crate::station::Refusal;
use crate::station::keys::spread;
use crate::station::quota::table::{Rules, Shard};
use crate::types::allowance::Allowance;
use crate::types::limits::QUOTA_KEYS_MAX;

mod table;
mod window;

#[cfg(test)]
mod tests;

pub use crate::types::allowance::Window;

/// What each key may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Limits of requests; none: as many as wanted.
    pub requests: Vec<Window>,
    /// Limits of tokens, of prompts and replies together; none: as many as wanted.
    pub tokens: Vec<Window>,
    /// Requests under way at a time.
    pub concurrency: Option<u32>,
    /// Keys that are remembered. Beyond these, the key that has least to lose is forgotten; never one that has a request under way.
    pub keys_max: u32,
}

impl Default for Settings {
    /// No limits.
    fn default() -> Self {
        Self { requests: Vec::new(), tokens: Vec::new(), concurrency: None, keys_max: QUOTA_KEYS_MAX }
    }
}

/// What a request that entered holds, until it is [settled](Quota::settle) or [given back](Quota::give_back).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is reserved stays reserved until it is settled"]
pub struct Reservation {
    key: u64,
    tokens: u32,
    version: u32,
}

/// How much is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Keys that are remembered.
    pub keys: u64,
    /// Requests under way.
    pub under_way: u64,
    /// Tokens that these have reserved.
    pub reserved: u64,
    /// Memory of the keys, in bytes.
    pub bytes: u64,
}

/// A lock around a shard: a parameter, so that the model of the tests can take its place.
pub trait Lock {
    /// A lock around `shard`.
    fn of(shard: Shard) -> Self;
    /// What `look` makes of the shard, while nobody else looks.
    fn with<T>(&self, look: impl FnOnce(&mut Shard) -> T) -> T;
}

impl Lock for Mutex<Shard> {
    fn of(shard: Shard) -> Self {
        Self::new(shard)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shard) -> T) -> T {
        look(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The limits of many keys. Shared between threads, and by generations: a reload [carries](Self::carry) it over.
#[derive(Debug)]
pub struct Quota<L = Mutex<Shard>> {
    shards: Box<[L]>,
}

impl<L: Lock> Quota<L> {
    /// A quota of which nothing is used, in `shards` parts: as many as threads need so that they seldom meet at one lock.
    pub fn sharded(settings: Settings, shards: usize) -> Self {
        let shards = shards.max(1);
        let rules = Arc::new(Rules::of(&settings, shards, None));
        Self { shards: (0..shards).map(|_| L::of(Shard::of(Arc::clone(&rules)))).collect() }
    }

    /// A request of `key` that may use up to `tokens`. A refusal names the limit that it would have to wait longest for, and says when the
    /// same request would be admitted if the key asked for nothing else; 0 if it asks for more than fits at any time, or if
    /// it waits for the end of another.
    pub fn enter(&self, now: Nanos, key: u64, tokens: u32) -> Result<Reservation, Refusal> {
        self.shard(key).with(|shard| shard.enter(now, key, tokens))
    }

    /// The request ended and used `tokens`. More than reserved is charged too.
    pub fn settle(&self, now: Nanos, reservation: Reservation, tokens: u32) {
        self.shard(reservation.key).with(|shard| shard.settle(now, reservation, 1, tokens));
    }

    /// The request came to nothing (another quota refused it): it counts as never made.
    pub fn give_back(&self, now: Nanos, reservation: Reservation) {
        self.shard(reservation.key).with(|shard| shard.settle(now, reservation, 0, 0));
    }

    /// Counts a request of `key` that used `tokens`, whatever the limits, and says what is left. What goes beyond a burst is forgotten.
    pub fn count(&self, now: Nanos, key: u64, tokens: u32) -> Allowance {
        self.shard(key).with(|shard| shard.count(now, key, tokens))
    }

    /// What `key` may still ask for. Of several windows, the one of which least could be used at once.
    pub fn left(&self, now: Nanos, key: u64) -> Allowance {
        self.shard(key).with(|shard| shard.left(now, key))
    }

    /// Goes over to `settings` at `now`. What a key has used of a window, it has used of the new one with the same period, but no more than
    /// its burst; a window of another period begins unused. Requests under way settle as they would have.
    pub fn carry(&self, now: Nanos, settings: &Settings) {
        // One reload at a time; each shard changes for itself, and at every moment has limits.
        let before = self.shards[0].with(|shard| shard.rules());
        let rules = Arc::new(Rules::of(settings, self.shards.len(), Some(&before)));
        for shard in &self.shards {
            shard.with(|shard| shard.carry(now, &rules));
        }
    }

    /// How much is in use.
    pub fn load(&self) -> Load {
        self.shards.iter().fold(Load::default(), |sum, shard| {
            shard.with(|shard| Load {
                keys: sum.keys + shard.keys() as u64,
                under_way: sum.under_way + shard.under_way,
                reserved: sum.reserved + shard.reserved,
                bytes: sum.bytes + shard.bytes() as u64,
            })
        })
    }

    fn shard(&self, key: u64) -> &L {
        // The table takes its place from the low bits.
        &self.shards[(spread(key) >> 40) as usize % self.shards.len()]
    }
}
