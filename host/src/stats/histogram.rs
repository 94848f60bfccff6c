//! A histogram of durations in fixed memory that many threads write to at once.
//!
//! Buckets are log-linear: 32 to a power of two, so that a quantile is at most 3.2 % off, from a nanosecond to 2^42 ns (73 minutes).

use std::sync::atomic::{AtomicU64, Ordering};

const SUB_BITS: u32 = 5;
/// For one thread that has the memory.
const FINE_BITS: u32 = 8;
const TOP_BIT: u32 = 42;
const BUCKETS: usize = buckets(SUB_BITS);

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
        self.buckets[index(ns, SUB_BITS)].fetch_add(times, Ordering::Relaxed);
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
            sub_bits: SUB_BITS,
            counts: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
            min: self.min.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
        }
    }
}

/// Counts at one moment, or those of one thread.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Buckets to a power of two, as a power of two.
    sub_bits: u32,
    counts: Vec<u64>,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { sub_bits: SUB_BITS, counts: Vec::new(), sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Snapshot {
    /// Nothing counted yet, in buckets so narrow that a quantile is at most 0.4 % off; 70 KiB once something is counted.
    pub fn fine() -> Self {
        Self { sub_bits: FINE_BITS, ..Self::default() }
    }

    /// Counts `times` durations of `ns` nanoseconds.
    #[inline]
    pub fn record(&mut self, ns: u64, times: u64) {
        let index = index(ns, self.sub_bits);
        if index >= self.counts.len() {
            self.grow(index);
        }
        self.counts[index] += times;
        self.sum = self.sum.saturating_add(ns.saturating_mul(times));
        (self.min, self.max) = (self.min.min(ns), self.max.max(ns));
    }

    /// Makes all buckets at once, so that this happens once.
    #[cold]
    fn grow(&mut self, index: usize) {
        self.counts.resize(index.max(buckets(self.sub_bits) - 1) + 1, 0);
    }

    /// Counts `times` times each of `count` durations, of which the first has `first_ps` picoseconds and each next one `growth_ps` more.
    pub fn record_run(&mut self, first_ps: u64, growth_ps: u64, count: u32, times: u64) {
        if count == 0 || times == 0 {
            return;
        }
        let last_ps = first_ps + growth_ps * u64::from(count - 1);
        (self.min, self.max) = (self.min.min(first_ps / 1_000), self.max.max(last_ps / 1_000));
        let (mut at_ps, mut left) = (first_ps, u64::from(count));
        while left > 0 {
            // As many as fall into the bucket of the first; those are nearly equal.
            let above_ps = upper(index(at_ps / 1_000, self.sub_bits), self.sub_bits).saturating_add(1).saturating_mul(1_000);
            let same = if growth_ps == 0 { left } else { (above_ps.saturating_sub(at_ps)).div_ceil(growth_ps).clamp(1, left) };
            let mean_ps = at_ps + growth_ps * (same - 1) / 2;
            self.record(mean_ps / 1_000, same * times);
            at_ps += growth_ps * same;
            left -= same;
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many of them were `ns` or shorter. The bucket in which `ns` lies counts if most of it does.
    pub fn at_most(&self, ns: u64) -> u64 {
        let last = index(ns, self.sub_bits);
        let lower = last.checked_sub(1).map_or(0, |before| upper(before, self.sub_bits) + 1);
        let middle = lower + (upper(last, self.sub_bits) - lower) / 2;
        let counted = if middle <= ns { last + 1 } else { last };
        self.counts.iter().take(counted).sum()
    }

    /// All durations together, in nanoseconds, exactly.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Adds what `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.sub_bits = other.sub_bits;
        }
        if self.sub_bits != other.sub_bits {
            // Two finenesses meet in the wider buckets of this one.
            for (index, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (sum, min, max) = (self.sum, self.min, self.max);
                self.record(upper(index, other.sub_bits), *count);
                (self.sum, self.min, self.max) = (sum, min, max);
            }
            self.sum = self.sum.saturating_add(other.sum);
            (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
            return;
        }
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
                return upper(index, self.sub_bits).clamp(self.min.min(self.max), self.max);
            }
        }
        0
    }
}

const fn buckets(sub_bits: u32) -> usize {
    ((TOP_BIT - sub_bits + 1) as usize) << sub_bits
}

fn index(ns: u64, sub_bits: u32) -> usize {
    let ns = ns.min((1 << TOP_BIT) - 1);
    if ns < 1 << sub_bits {
        return ns as usize;
    }
    let exponent = 63 - ns.leading_zeros() - sub_bits;
    ((exponent as usize + 1) << sub_bits) + ((ns >> exponent) - (1 << sub_bits)) as usize
}

fn upper(index: usize, sub_bits: u32) -> u64 {
    let (group, sub) = ((index >> sub_bits) as u32, index as u64 & ((1 << sub_bits) - 1));
    if group == 0 { sub } else { ((sub + (1 << sub_bits) + 1) << (group - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_at_most_one_thirtysecond_wide() {
        for ns in (0..60).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]) {
            let capped = ns.min((1 << TOP_BIT) - 1);
            let bound = upper(index(ns, SUB_BITS), SUB_BITS);
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
    fn what_is_shorter_than_a_bound_is_counted_within_a_bucket() {
        let histogram = Histogram::default();
        (1..=1_000).for_each(|ms| histogram.record(ms * 1_000_000, 1));
        let snapshot = histogram.snapshot();
        for (bound_ms, expected) in [(0, 0.0), (1, 1.0), (100, 100.0), (750, 750.0), (5_000, 1_000.0)] {
            let found = snapshot.at_most(bound_ms * 1_000_000) as f64;
            assert!((found - expected).abs() <= expected * 0.035 + 0.5, "{bound_ms} ms: {found}");
        }
        assert_eq!((snapshot.at_most(u64::MAX), snapshot.sum()), (1_000, 500_500_000_000));
        let small = Histogram::default();
        (0..10).for_each(|count| small.record(count, 1));
        assert_eq!(
            (0..12).map(|bound| small.snapshot().at_most(bound)).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]
        );
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

    #[test]
    fn a_run_of_growing_durations_counts_as_each_of_them_does() {
        for (first_ps, growth_ps, count) in
            [(6_420_000_000, 3_200_000, 900), (7_000_000_000, 0, 12), (1_999, 1, 5_000), (0, 7, 3)]
        {
            let (mut run, mut each) = (Snapshot::fine(), Snapshot::fine());
            run.record_run(first_ps, growth_ps, count, 3);
            (0..u64::from(count)).for_each(|index| each.record((first_ps + growth_ps * index) / 1_000, 3));
            assert_eq!((run.count(), &run.counts), (each.count(), &each.counts), "{first_ps}");
            let (run, each) = (run.mean().expect("some"), each.mean().expect("some"));
            assert!((run - each).abs() <= 1.0, "{run} {each}");
        }
    }

    #[test]
    fn narrow_buckets_are_right_within_four_thousandths_and_go_into_wide_ones() {
        let (mut fine, mut wide) = (Snapshot::fine(), Snapshot::default());
        (1..=10_000).for_each(|us| fine.record(us * 1_000, 1));
        wide.record(1_000, 1);
        let p90 = fine.quantile(0.9) as f64 / 9e6;
        assert!((1.0..1.004).contains(&p90), "{p90}");
        wide.merge(&fine);
        assert_eq!((wide.count(), wide.max(), wide.mean()), (10_001, Some(10_000_000), Some(50_005_001_000.0 / 10_001.0)));
        let p90 = wide.quantile(0.9) as f64 / 9e6;
        assert!((1.0..1.05).contains(&p90), "{p90}");
    }
}
