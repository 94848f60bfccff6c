//! Keeps answers for a time, in levels of different size and speed: one level, or a small fast one before a large slow one, and so on.
//!
//! An answer is in one level at a time. A new one goes to the first. What a level has no room for, by its policy, moves down to the next,
//! and out of the last it is gone. An answer found below moves up to the first. Age counts from when it was put; an answer that has grown
//! too old for a level moves down to one that keeps it longer, or is gone. That is done when it is looked for or its turn to be
//! displaced has come: until then it takes up room, as in Redis and memcached.

use crate::clock::Nanos;

mod store;

use store::{Entry, Store};

/// What a cache is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The levels, the fastest first; one or more.
    pub levels: Vec<Level>,
    /// All is forgotten whenever so much time has passed since the run began, in nanoseconds. 0: never.
    pub flush_ns: Nanos,
}

/// One level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Answers that it holds. 0: any number.
    pub entries_max: u32,
    /// Bytes that it holds. 0: any number. An answer that is larger goes to a level below.
    pub bytes_max: u64,
    /// The age at which an answer is not given any more, in nanoseconds. 0: none.
    pub ttl_ns: Nanos,
    /// The time that looking here takes, in nanoseconds, whether it is found or not.
    pub latency_ns: Nanos,
    /// Who goes when room is needed.
    pub policy: Policy,
}

impl Level {
    /// `entries_max` answers of any size and age, at once; the least recently used goes first.
    pub const fn of(entries_max: u32) -> Self {
        Self { entries_max, bytes_max: 0, ttl_ns: 0, latency_ns: 0, policy: Policy::Lru }
    }
}

/// Who goes when room is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// What was used longest ago.
    Lru,
    /// What was used least often since it was put; of these, what was used longest ago.
    Lfu,
    /// What came first.
    Fifo,
}

/// An answer that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The level in which it was, from 0.
    pub level: usize,
    /// How long ago it was put, in nanoseconds.
    pub age_ns: Nanos,
}

/// What has happened so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Answers found, by level.
    pub hits: Vec<u64>,
    /// Questions without an answer.
    pub misses: u64,
    /// Answers that had no room any more and are gone.
    pub evicted: u64,
    /// Answers that grew too old and are gone.
    pub expired: u64,
    /// Answers that no level had room for at all, because of their size.
    pub too_large: u64,
}

impl Counts {
    /// Answers found, in whatever level.
    pub fn found(&self) -> u64 {
        self.hits.iter().sum()
    }

    /// Questions.
    pub fn asked(&self) -> u64 {
        self.found() + self.misses
    }
}

/// How full a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Answers in it, those that are too old and have not been looked for included.
    pub entries: u32,
    /// Their bytes.
    pub bytes: u64,
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    levels: Vec<(Level, Store)>,
    counts: Counts,
    now: Nanos,
    flush_ns: Nanos,
    /// When all is forgotten next.
    flush_at: Nanos,
}

impl Cache {
    /// An empty cache.
    pub fn new(settings: Settings) -> Self {
        let counts = Counts { hits: vec![0; settings.levels.len()], ..Counts::default() };
        let flush_ns = settings.flush_ns;
        let levels = settings.levels.into_iter().map(|level| (level, Store::new(level.policy))).collect();
        let flush_at = if flush_ns == 0 { Nanos::MAX } else { flush_ns };
        Self { levels, counts, now: 0, flush_ns, flush_at }
    }

    /// Looks for the answer to `key`.
    pub fn get(&mut self, now: Nanos, key: u64) -> Option<Hit> {
        self.turn(now);
        for level in 0..self.levels.len() {
            let Some(place) = self.levels[level].1.find(key) else { continue };
            let age_ns = self.age(self.levels[level].1.entry(place));
            if age_ns >= self.ttl(level) {
                // It goes on below, where the search comes to next.
                let entry = self.levels[level].1.remove(place);
                self.place(level + 1, entry);
                continue;
            }
            self.levels[level].1.used(place);
            if level > 0 && self.takes(0, self.levels[level].1.entry(place)) {
                let entry = self.levels[level].1.remove(place);
                self.place(0, entry);
            }
            self.counts.hits[level] += 1;
            return Some(Hit { level, age_ns });
        }
        self.counts.misses += 1;
        None
    }

    /// Keeps an answer of `bytes` to `key`, in place of an older one. To warm a cache, put what it should hold, the likeliest last.
    pub fn put(&mut self, now: Nanos, key: u64, bytes: u32) {
        self.turn(now);
        self.invalidate(key);
        self.place(0, Entry { key, bytes, put_at: self.now, uses: 0 });
    }

    /// Forgets the answer to `key`. Was there one?
    pub fn invalidate(&mut self, key: u64) -> bool {
        let forget = |(_, store): &mut (Level, Store)| store.find(key).map(|place| store.remove(place)).is_some();
        self.levels.iter_mut().any(forget)
    }

    /// Forgets everything, and says how many answers that were; the counts stay.
    pub fn clear(&mut self) -> u64 {
        let entries = self.load().map(|level| u64::from(level.entries)).sum();
        self.levels.iter_mut().for_each(|(_, store)| store.clear());
        entries
    }

    /// The newest time, `now` included; all is forgotten if it is time.
    fn turn(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        if self.now >= self.flush_at {
            self.clear();
            self.flush_at = (self.now / self.flush_ns).saturating_add(1).saturating_mul(self.flush_ns);
        }
    }

    /// The time that a search took, in nanoseconds: of every level that was looked into.
    pub fn latency_ns(&self, hit: Option<Hit>) -> Nanos {
        let looked_into = hit.map_or(self.levels.len(), |hit| hit.level + 1);
        self.levels[..looked_into].iter().map(|(level, _)| level.latency_ns).sum()
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How full each level is.
    pub fn load(&self) -> impl Iterator<Item = Load> {
        self.levels.iter().map(|(_, store)| Load { entries: store.len(), bytes: store.bytes() })
    }

    fn age(&self, entry: &Entry) -> Nanos {
        self.now - entry.put_at
    }

    fn ttl(&self, level: usize) -> Nanos {
        match self.levels[level].0.ttl_ns {
            0 => Nanos::MAX,
            ttl_ns => ttl_ns,
        }
    }

    fn fits(&self, level: usize, entry: &Entry) -> bool {
        let Level { bytes_max, .. } = self.levels[level].0;
        bytes_max == 0 || u64::from(entry.bytes) <= bytes_max
    }

    fn takes(&self, level: usize, entry: &Entry) -> bool {
        self.fits(level, entry) && self.age(entry) < self.ttl(level)
    }

    /// Puts an entry into the first level from `level` that takes it, once those have moved down that must make room. Counts what no
    /// level takes.
    fn place(&mut self, level: usize, entry: Entry) {
        let last = self.levels.len();
        if let Some(level) = (level..last).find(|level| self.takes(*level, &entry)) {
            while !self.has_room(level, &entry)
                && let Some(displaced) = self.levels[level].1.displace()
            {
                self.place(level + 1, displaced);
            }
            self.levels[level].1.insert(entry);
        } else if (0..last).all(|level| self.age(&entry) >= self.ttl(level)) {
            self.counts.expired += 1;
        } else if (0..last).all(|level| !self.fits(level, &entry)) {
            self.counts.too_large += 1;
        } else {
            self.counts.evicted += 1;
        }
    }

    fn has_room(&self, level: usize, entry: &Entry) -> bool {
        let (Level { entries_max, bytes_max, .. }, store) = &self.levels[level];
        let bytes = store.bytes() + u64::from(entry.bytes);
        (*entries_max == 0 || store.len() < *entries_max) && (*bytes_max == 0 || bytes <= *bytes_max)
    }
}

#[cfg(test)]
mod tests;
