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
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts `times` durations of `ns` nanoseconds.
    pub fn record(&self, ns: u64, times: u64) {
        self.buckets[index(ns)].fetch_add(times, Ordering::Relaxed);
        self.sum.fetch_add(ns.saturating_mul(times), Ordering::Relaxed);
        // New extremes are rare: a look costs less than a write that all threads fight for.
        if ns < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(ns, Ordering::Relaxed);
        }
        if ns > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(ns, Ordering::Relaxed);
        }
    }

    /// What has been counted so far.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            counts: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
            min: self.min.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
        }
    }
}

/// Counts at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    counts: Vec<u64>,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { counts: Vec::new(), sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Snapshot {
    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds what `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum = self.sum.saturating_add(other.sum);
        (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
    }

    /// The mean in nanoseconds, exactly; `None` if nothing was counted.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum as f64 / count as f64)
    }

    /// The shortest duration in nanoseconds, exactly; `None` if nothing was counted.
    pub fn min(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.min)
    }

    /// The longest duration in nanoseconds, exactly; `None` if nothing was counted.
    pub fn max(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max)
    }

    /// The duration in nanoseconds below which a share `p` (0 to 1) of the counted ones lies; 0 if there are none.
    pub fn quantile(&self, p: f64) -> u64 {
        let wanted = (p * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return upper(index).clamp(self.min.min(self.max), self.max);
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
    fn two_snapshots_add_up() {
        let (low, high) = (Histogram::default(), Histogram::default());
        low.record(1_000, 3);
        high.record(9_000, 1);
        let mut both = Snapshot::default();
        assert_eq!((both.count(), both.mean(), both.min(), both.max(), both.quantile(0.5)), (0, None, None, None, 0));
        both.merge(&low.snapshot());
        both.merge(&high.snapshot());
        assert_eq!((both.count(), both.mean(), both.min(), both.max()), (4, Some(3_000.0), Some(1_000), Some(9_000)));
        assert!((1_000..1_032).contains(&both.quantile(0.5)));
    }

    #[test]
    fn quantiles_are_within_a_bucket_of_the_truth() {
        let histogram = Histogram::default();
        (1..=1_000).for_each(|ms| histogram.record(ms * 1_000_000, 1));
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 1_000);
        assert_eq!((snapshot.min(), snapshot.max()), (Some(1_000_000), Some(1_000_000_000)));
        assert_eq!((snapshot.mean(), snapshot.quantile(1.0)), (Some(500_500_000.0), 1_000_000_000));
        let p99 = snapshot.quantile(0.99) as f64 / 1e6;
        assert!((p99 / 990.0 - 1.0).abs() < 0.035, "{p99}");
    }
}
