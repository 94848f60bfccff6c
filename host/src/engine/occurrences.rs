//! Counts how often a request has been seen before, in bounded memory.
//!
//! A sharded table of two halves: when the newer half is full it becomes the older one and the older one is forgotten, so that what
//! was seen lately is always remembered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use crate::random::Key;
use crate::types::limits::OCCURRENCES_MAX;

const SHARDS: usize = 16;

/// Counts of requests by identity and attempt.
pub struct Occurrences {
    shards: Box<[Mutex<Halves>]>,
}

#[derive(Default)]
struct Halves {
    newer: Counts,
    older: Counts,
}

type Counts = HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>;

impl Default for Occurrences {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Occurrences {
    /// How often this identity and attempt has been seen before; 0 the first time.
    pub fn next(&self, identity: u64, attempt: u32) -> u32 {
        let key = Key::of_seed(identity).with(attempt.into()).bits();
        // Bits that the table inside does not go by.
        let mut halves = self.shards[(key >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if halves.newer.len() >= OCCURRENCES_MAX / SHARDS {
            halves.older = std::mem::take(&mut halves.newer);
        }
        let Halves { newer, older } = &mut *halves;
        match newer.entry(key) {
            Entry::Occupied(mut entry) => {
                let seen = *entry.get();
                *entry.get_mut() = seen.saturating_add(1);
                seen
            }
            Entry::Vacant(entry) => {
                let seen = older.remove(&key).unwrap_or(0);
                entry.insert(seen.saturating_add(1));
                seen
            }
        }
    }
}

/// Keys are uniform hashes already; hashing them again would only cost.
#[derive(Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_by_identity_and_attempt() {
        let occurrences = Occurrences::default();
        assert_eq!(
            [occurrences.next(7, 0), occurrences.next(7, 0), occurrences.next(7, 1), occurrences.next(8, 0)],
            [0, 1, 0, 0]
        );
    }

    #[test]
    fn what_was_seen_lately_survives_a_flood() {
        let occurrences = Occurrences::default();
        for identity in 0..OCCURRENCES_MAX as u64 * 4 {
            occurrences.next(identity, 0);
            if identity % 1_000 == 0 {
                occurrences.next(u64::MAX, 0);
            }
        }
        assert!(occurrences.next(u64::MAX, 0) > 2_000);
        let held_by = |shard: &Mutex<Halves>| {
            // One guard for both: a second lock in the same expression would wait for the first for ever.
            let shard = shard.lock().unwrap();
            shard.newer.len() + shard.older.len()
        };
        let held: usize = occurrences.shards.iter().map(held_by).sum();
        assert!(held <= 2 * OCCURRENCES_MAX, "{held}");
    }
}
