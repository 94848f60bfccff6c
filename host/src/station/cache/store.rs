//! The answers of one level: found by key, displaced in the order of the policy, both in constant time. (With LFU, what moves down from
//! a level above is put among its equals by a walk over the numbers of uses that there are.)
//!
//! Entries lie in a `Vec` and are chained into lists of equal rank. For LRU and FIFO there is one list. For LFU there is one for each
//! number of uses, themselves chained in rising order (Matani, Shah and Mitra, "An O(1) algorithm for implementing the LFU cache
//! eviction scheme", 2010).

use super::Policy;
use crate::clock::Nanos;
use crate::station::keys::KeyMap;
use crate::station::list::{Links, List};

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: u64,
    pub(super) bytes: u32,
    pub(super) put_at: Nanos,
    /// How often it was found.
    pub(super) uses: u32,
}

/// Entries with the same number of uses; of the only rank with LRU and FIFO.
#[derive(Debug, Clone, Copy)]
struct Rank {
    uses: u32,
    members: List,
    /// The next higher and lower ranks.
    higher: u32,
    lower: u32,
}

const NONE: u32 = u32::MAX;

/// The entries of one level.
#[derive(Debug)]
pub(super) struct Store {
    policy: Policy,
    places: KeyMap,
    entries: Vec<Entry>,
    free: Vec<u32>,
    links: Links,
    bytes: u64,
    /// The rank of each entry, with LFU.
    rank_of: Vec<u32>,
    ranks: Vec<Rank>,
    free_ranks: Vec<u32>,
    lowest: u32,
}

impl Store {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            places: KeyMap::default(),
            entries: Vec::new(),
            free: Vec::new(),
            links: Links::default(),
            bytes: 0,
            rank_of: Vec::new(),
            ranks: Vec::new(),
            free_ranks: Vec::new(),
            lowest: NONE,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.places.len() as u32
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn find(&self, key: u64) -> Option<u32> {
        self.places.get(&key).copied()
    }

    pub(super) fn entry(&self, place: u32) -> &Entry {
        &self.entries[place as usize]
    }

    /// Adds an entry whose key is not there.
    pub(super) fn insert(&mut self, entry: Entry) {
        let place = self.free.pop().unwrap_or(self.entries.len() as u32);
        match self.entries.get_mut(place as usize) {
            Some(old) => *old = entry,
            None => {
                self.entries.push(entry);
                self.rank_of.push(NONE);
            }
        }
        self.places.insert(entry.key, place);
        self.bytes += u64::from(entry.bytes);
        self.join(place, NONE);
    }

    /// Notes that an entry was found.
    pub(super) fn used(&mut self, place: u32) {
        self.entries[place as usize].uses = self.entries[place as usize].uses.saturating_add(1);
        if self.policy != Policy::Fifo {
            // Joined before the old rank is left, so that the search for the new one begins beside it.
            let old = self.rank_of[place as usize];
            self.ranks[old as usize].members.remove(&mut self.links, place);
            self.join(place, old);
            self.drop_if_empty(old);
        }
    }

    pub(super) fn remove(&mut self, place: u32) -> Entry {
        let rank = self.rank_of[place as usize];
        self.ranks[rank as usize].members.remove(&mut self.links, place);
        self.drop_if_empty(rank);
        let entry = self.entries[place as usize];
        self.places.remove(&entry.key);
        self.bytes -= u64::from(entry.bytes);
        self.free.push(place);
        entry
    }

    /// Takes out whose turn it is by the policy.
    pub(super) fn displace(&mut self) -> Option<Entry> {
        let first = self.ranks.get(self.lowest as usize)?.members.first()?;
        Some(self.remove(first))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.policy);
    }

    /// Puts an entry at the end of the list of its rank, looking for that from the rank `near`, or from the lowest.
    fn join(&mut self, place: u32, near: u32) {
        let uses = if self.policy == Policy::Lfu { self.entries[place as usize].uses } else { 0 };
        let (mut lower, mut higher) = (NONE, self.lowest);
        if near != NONE {
            (lower, higher) = (self.ranks[near as usize].lower, near);
        }
        while higher != NONE && self.ranks[higher as usize].uses < uses {
            (lower, higher) = (higher, self.ranks[higher as usize].higher);
        }
        let rank = if higher != NONE && self.ranks[higher as usize].uses == uses {
            higher
        } else {
            self.new_rank(Rank { uses, members: List::EMPTY, higher, lower })
        };
        self.rank_of[place as usize] = rank;
        self.ranks[rank as usize].members.push(&mut self.links, place);
    }

    fn new_rank(&mut self, rank: Rank) -> u32 {
        let index = self.free_ranks.pop().unwrap_or(self.ranks.len() as u32);
        match self.ranks.get_mut(index as usize) {
            Some(old) => *old = rank,
            None => self.ranks.push(rank),
        }
        match rank.lower {
            NONE => self.lowest = index,
            lower => self.ranks[lower as usize].higher = index,
        }
        if rank.higher != NONE {
            self.ranks[rank.higher as usize].lower = index;
        }
        index
    }

    fn drop_if_empty(&mut self, index: u32) {
        let Rank { members, higher, lower, .. } = self.ranks[index as usize];
        if !members.is_empty() {
            return;
        }
        match lower {
            NONE => self.lowest = higher,
            lower => self.ranks[lower as usize].higher = higher,
        }
        if higher != NONE {
            self.ranks[higher as usize].lower = lower;
        }
        self.free_ranks.push(index);
    }
}
