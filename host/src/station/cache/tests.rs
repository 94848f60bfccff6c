//! Each rule by hand, all of them against a plain model, and the hit rate of theory.

use proptest::prelude::*;

use super::*;
use crate::random::Key;
use crate::station::theory::{Observed, visitors};

fn cache(levels: &[Level]) -> Cache {
    Cache::new(Settings { levels: levels.to_vec(), flush_ns: 0 })
}

fn level_of(cache: &mut Cache, now: Nanos, key: u64) -> Option<usize> {
    cache.get(now, key).map(|hit| hit.level)
}

/// Which of `keys` are there, asked so that nothing changes.
fn kept(cache: &Cache, keys: std::ops::Range<u64>) -> Vec<u64> {
    keys.filter(|key| cache.levels.iter().any(|(_, store)| store.find(*key).is_some())).collect()
}

#[test]
fn each_policy_lets_its_own_go() {
    for (policy, left) in [(Policy::Lru, [1, 2, 4]), (Policy::Lfu, [1, 3, 4]), (Policy::Fifo, [2, 3, 4])] {
        let mut cache = cache(&[Level { policy, ..Level::of(3) }]);
        (1..4).for_each(|key| cache.put(0, key, 1));
        for key in [3, 3, 1, 1, 1, 2] {
            assert!(cache.get(0, key).is_some());
        }
        cache.put(0, 4, 1);
        assert_eq!(kept(&cache, 0..9), left, "{policy:?}");
        assert_eq!(cache.counts().evicted, 1);
    }
}

#[test]
fn what_is_displaced_moves_down_and_what_is_found_moves_up() {
    let mut cache = cache(&[Level { latency_ns: 5, ..Level::of(2) }, Level { latency_ns: 70, ..Level::of(2) }]);
    (1..6).for_each(|key| cache.put(0, key, 10));
    // 4 and 5 above, 2 and 3 below, 1 is gone.
    assert_eq!(cache.counts().evicted, 1);
    assert_eq!(cache.get(9, 2), Some(Hit { level: 1, age_ns: 9 }));
    // 2 and 5 above, 3 and 4 below.
    assert_eq!([5, 4, 2, 1].map(|key| level_of(&mut cache, 9, key)), [Some(0), Some(1), Some(1), None]);
    assert_eq!(cache.counts(), &Counts { hits: vec![1, 3], misses: 1, evicted: 1, ..Counts::default() });
    assert_eq!(cache.load().collect::<Vec<_>>(), [Load { entries: 2, bytes: 20 }; 2]);
    let latency = |level| cache.latency_ns(Some(Hit { level, age_ns: 0 }));
    assert_eq!([latency(0), latency(1), cache.latency_ns(None)], [5, 75, 75]);
}

#[test]
fn an_answer_too_old_for_a_level_is_found_in_one_that_keeps_it_longer() {
    let mut cache = cache(&[Level { ttl_ns: 10, ..Level::of(4) }, Level { ttl_ns: 100, ..Level::of(4) }]);
    cache.put(0, 1, 1);
    assert_eq!(cache.get(9, 1), Some(Hit { level: 0, age_ns: 9 }));
    // Too old for the first level, it stays in the second.
    assert_eq!(cache.get(10, 1), Some(Hit { level: 1, age_ns: 10 }));
    assert_eq!(cache.get(99, 1), Some(Hit { level: 1, age_ns: 99 }));
    assert_eq!(cache.get(100, 1), None);
    assert_eq!(cache.counts(), &Counts { hits: vec![1, 2], misses: 1, expired: 1, ..Counts::default() });
    // Put again, it is young again.
    cache.put(101, 1, 1);
    assert_eq!(cache.get(110, 1), Some(Hit { level: 0, age_ns: 9 }));
}

#[test]
fn an_answer_too_large_for_a_level_goes_below_and_bytes_make_several_go() {
    let mut cache = cache(&[Level { bytes_max: 100, ..Level::of(0) }, Level { bytes_max: 300, ..Level::of(0) }]);
    (0..4).for_each(|key| cache.put(0, key, 25));
    cache.put(0, 7, 60);
    // Three of 25 bytes had to go for 60.
    assert_eq!(cache.load().map(|load| load.bytes).collect::<Vec<_>>(), [85, 75]);
    cache.put(0, 8, 101);
    assert_eq!(level_of(&mut cache, 0, 8), Some(1));
    assert_eq!(level_of(&mut cache, 0, 8), Some(1));
    cache.put(0, 9, 301);
    assert_eq!(level_of(&mut cache, 0, 9), None);
    assert_eq!((cache.counts().too_large, cache.counts().evicted), (1, 0));
}

#[test]
fn what_is_invalidated_or_cleared_is_gone() {
    let mut cache = cache(&[Level::of(2), Level::of(4)]);
    (0..6).for_each(|key| cache.put(0, key, 3));
    assert!(cache.invalidate(1) && cache.invalidate(5) && !cache.invalidate(5));
    assert_eq!(kept(&cache, 0..9), [0, 2, 3, 4]);
    cache.clear();
    assert!(kept(&cache, 0..9).is_empty());
    assert_eq!(cache.load().collect::<Vec<_>>(), [Load { entries: 0, bytes: 0 }; 2]);
    cache.put(0, 1, 3);
    assert_eq!(level_of(&mut cache, 0, 1), Some(0));
}

/// The same rules over rows that are searched through: each entry with its level and the ticks of its coming and its last use.
struct Plain {
    levels: Vec<Level>,
    rows: Vec<Row>,
    tick: u64,
}

#[derive(Clone, Copy)]
struct Row {
    key: u64,
    bytes: u64,
    put_at: Nanos,
    uses: u64,
    level: usize,
    came: u64,
    used: u64,
}

impl Plain {
    fn place(&mut self, from: usize, now: Nanos, row: Row) {
        let takes = |level: &Level| {
            (level.bytes_max == 0 || row.bytes <= level.bytes_max) && (level.ttl_ns == 0 || now - row.put_at < level.ttl_ns)
        };
        let Some(level) = (from..self.levels.len()).find(|level| takes(&self.levels[*level])) else { return };
        let Level { entries_max, bytes_max, policy, .. } = self.levels[level];
        loop {
            let here = || self.rows.iter().filter(|row| row.level == level);
            let (count, bytes) = (here().count() + 1, here().map(|row| row.bytes).sum::<u64>() + row.bytes);
            if (entries_max == 0 || count <= entries_max as usize) && (bytes_max == 0 || bytes <= bytes_max) {
                break;
            }
            let rank = |row: &&Row| match policy {
                Policy::Lru => (0, row.used),
                Policy::Lfu => (row.uses, row.used),
                Policy::Fifo => (0, row.came),
            };
            let victim = here().min_by_key(rank).expect("a full level").key;
            let victim = self.take(victim).expect("a row");
            self.place(level + 1, now, victim);
        }
        self.tick += 1;
        self.rows.push(Row { level, came: self.tick, used: self.tick, ..row });
    }

    fn take(&mut self, key: u64) -> Option<Row> {
        let at = self.rows.iter().position(|row| row.key == key)?;
        Some(self.rows.remove(at))
    }

    fn get(&mut self, now: Nanos, key: u64) -> Option<Hit> {
        let row = *self.rows.iter().find(|row| row.key == key)?;
        let ttl = |level: usize| Some(self.levels[level].ttl_ns).filter(|ttl| *ttl > 0).unwrap_or(u64::MAX);
        if now - row.put_at >= ttl(row.level) {
            self.take(key);
            self.place(row.level + 1, now, row);
            return self.get(now, key);
        }
        self.tick += 1;
        let tick = self.tick;
        let found = self.rows.iter_mut().find(|row| row.key == key)?;
        (found.uses, found.used) = (found.uses + 1, tick);
        let first = self.levels[0];
        let up = (first.bytes_max == 0 || row.bytes <= first.bytes_max) && (first.ttl_ns == 0 || now - row.put_at < first.ttl_ns);
        if row.level > 0 && up {
            let row = self.take(key)?;
            self.place(0, now, row);
        }
        Some(Hit { level: row.level, age_ns: now - row.put_at })
    }
}

fn a_level() -> impl Strategy<Value = Level> {
    let policy = prop_oneof![Just(Policy::Lru), Just(Policy::Lfu), Just(Policy::Fifo)];
    let (bytes_max, ttl_ns) = (prop_oneof![Just(0), 20_u64..60], prop_oneof![Just(0), 10_u64..80]);
    (1_u32..7, bytes_max, ttl_ns, policy).prop_map(|(entries_max, bytes_max, ttl_ns, policy)| Level {
        entries_max,
        bytes_max,
        ttl_ns,
        latency_ns: 0,
        policy,
    })
}

proptest! {
    #[test]
    fn it_does_what_a_plain_model_does(
        levels in proptest::collection::vec(a_level(), 1..4),
        steps in proptest::collection::vec((0_u64..5, 0_u64..16, 1_u32..30, 0_u8..8), 1..300),
    ) {
        let mut cache = cache(&levels);
        let mut plain = Plain { levels, rows: vec![], tick: 0 };
        let mut now = 0;
        for (gap, key, bytes, deed) in steps {
            now += gap;
            match deed {
                0 => prop_assert_eq!(cache.invalidate(key), plain.take(key).is_some()),
                1..4 => {
                    cache.put(now, key, bytes);
                    plain.take(key);
                    let bytes = u64::from(bytes);
                    plain.place(0, now, Row { key, bytes, put_at: now, uses: 0, level: 0, came: 0, used: 0 });
                }
                _ => prop_assert_eq!(cache.get(now, key), plain.get(now, key)),
            }
            let mut there: Vec<u64> = plain.rows.iter().map(|row| row.key).collect();
            there.sort_unstable();
            prop_assert_eq!(kept(&cache, 0..16), there);
        }
    }
}

#[test]
fn all_is_forgotten_at_every_multiple_of_a_time() {
    let mut cache = Cache::new(Settings { levels: vec![Level::of(9), Level::of(9)], flush_ns: 10 });
    cache.put(3, 1, 1);
    assert_eq!((level_of(&mut cache, 9, 1), level_of(&mut cache, 10, 1)), (Some(0), None));
    cache.put(18, 2, 1);
    // Nobody looked for a while: what was put before the newest multiple is gone, what comes after it stays until the next.
    cache.put(45, 3, 1);
    assert_eq!((level_of(&mut cache, 46, 2), level_of(&mut cache, 49, 3), level_of(&mut cache, 50, 3)), (None, Some(0), None));
    cache.put(51, 4, 1);
    assert_eq!((cache.clear(), cache.clear(), level_of(&mut cache, 51, 4)), (1, 0, None));
}

/// The share of hits of one level of 100 answers, when 1,000 keys are asked for with weights 1/k^0.8.
fn zipf_hits(policy: Policy) -> Observed {
    let mut upto: Vec<f64> = Vec::new();
    for key in 1..=1_000 {
        upto.push(upto.last().copied().unwrap_or(0.0) + libm::pow(f64::from(key), -0.8));
    }
    let mut draws = Key::of_seed(1).named("zipf").stream();
    let mut cache = cache(&[Level { policy, ..Level::of(100) }]);
    let mut seen = Observed::default();
    for _ in 0..visitors(500_000) {
        let drawn = draws.unit() * upto[999];
        let key = upto.partition_point(|sum| *sum <= drawn) as u64;
        let hit = cache.get(0, key).is_some();
        if !hit {
            cache.put(0, key, 1);
        }
        seen.add(if hit { 1.0 } else { 0.0 });
    }
    seen
}

#[test]
fn the_least_recently_used_leave_the_hits_that_che_says() {
    // Che, Tung and Wang 2002: the sum of p(1 - exp(-p t)) with t such that the sum of 1 - exp(-p t) is 100.
    zipf_hits(Policy::Lru).assert_mean("hits", 0.377_79);
}

#[test]
fn first_in_first_out_leaves_the_hits_that_theory_says() {
    // As Che, with p t / (1 + p t) in place of 1 - exp(-p t) (Martina, Garetto and Leonardi 2014).
    zipf_hits(Policy::Fifo).assert_mean("hits", 0.333_68);
}

#[test]
fn the_least_often_used_come_near_the_best_possible_hits() {
    // The 100 likeliest keys are asked for with probability 0.52583; nothing can hit more often.
    let (hits, _) = zipf_hits(Policy::Lfu).mean();
    assert!((0.48..0.526).contains(&hits), "{hits}");
}
