//! A histogram of durations in fixed memory that many threads write to at once.
//!
//! Buckets are log-linear: 32 to a power of two, so that a quantile is at most 3.2 % off, from a nanosecond to 2^42 ns (73 minutes).

use std::sync::atomic::{AtomicU64, Ordering};

const SUB_BITS: u32 = 5;
const SUB: u64 = 1 << SUB_BITS;
const TOP_BIT: u32 = 42;
const BUCKETS: usize = ((TOP_BIT - SUB_BITS + 1) as usize) << SUB_BITS;

/// Counts of durations in nanoseconds.
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts `times` durations of `ns` nanoseconds.
    pub fn record(&self, ns: u64, times: u64) {
        self.buckets[index(ns)].fetch_add(times, Ordering::Relaxed);
    }

    /// What has been counted so far.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { counts: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect() }
    }
}

/// Counts at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    counts: Vec<u64>,
}

impl Snapshot {
    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration in nanoseconds below which a share `p` (0 to 1) of the counted ones lies; 0 if there are none.
    pub fn quantile(&self, p: f64) -> u64 {
        let wanted = (p * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return upper(index);
            }
        }
        0
    }
}

fn index(ns: u64) -> usize {
    let ns = ns.min((1 << TOP_BIT) - 1);
    if ns < SUB {
        return ns as usize;
    }
    let exponent = 63 - ns.leading_zeros() - SUB_BITS;
    ((exponent as usize + 1) << SUB_BITS) + ((ns >> exponent) - SUB) as usize
}

fn upper(index: usize) -> u64 {
    let (group, sub) = ((index >> SUB_BITS) as u32, index as u64 & (SUB - 1));
    if group == 0 { sub } else { ((sub + SUB + 1) << (group - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_at_most_one_thirtysecond_wide() {
        for ns in (0..60).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]) {
            let capped = ns.min((1 << TOP_BIT) - 1);
            let bound = upper(index(ns));
            assert!(bound >= capped && bound - capped <= capped / 32, "{ns} → {bound}");
        }
    }

    #[test]
    fn quantiles_are_within_a_bucket_of_the_truth() {
        let histogram = Histogram::default();
        (1..=1_000).for_each(|ms| histogram.record(ms * 1_000_000, 1));
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 1_000);
        let p99 = snapshot.quantile(0.99) as f64 / 1e6;
        assert!((p99 / 990.0 - 1.0).abs() < 0.035, "{p99}");
    }
}
