//! Cumulative histogram buckets: the difference of two scrapes, and quantiles interpolated within a bucket.
//!
//! A quantile is as fine as the buckets are: inside one, values are taken to be spread evenly. What falls into the last, open
//! bucket is only known to be "at least" its lower bound, and is reported as such.

/// A histogram with upper bounds in rising order and counts of values up to each bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets {
    pairs: Vec<(f64, f64)>,
}

/// A quantile read from buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// Its value, in the histogram's unit.
    pub value: f64,
    /// Is it only known that the quantile is no smaller?
    pub at_least: bool,
}

impl Buckets {
    /// Adds a cumulative count at an upper bound; counts at the same bound are summed.
    pub fn add(&mut self, bound: f64, count: f64) {
        let at = self.pairs.partition_point(|(other, _)| *other < bound);
        match self.pairs.get_mut(at) {
            Some(pair) if pair.0 == bound => pair.1 += count,
            _ => self.pairs.insert(at, (bound, count)),
        }
    }

    /// Bounds and cumulative counts.
    pub fn pairs(&self) -> &[(f64, f64)] {
        &self.pairs
    }

    /// How many values were counted.
    pub fn count(&self) -> f64 {
        self.pairs.last().map_or(0.0, |(_, count)| *count)
    }

    /// What was counted since `earlier`. A bound that `earlier` lacks counts from zero, as a series does that was born in
    /// between.
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| earlier.pairs.iter().find(|(other, _)| *other == bound).map_or(0.0, |(_, count)| *count);
        Self { pairs: self.pairs.iter().map(|&(bound, count)| (bound, count - before(bound))).collect() }
    }

    /// The value below which `share` (0 to 1) of all values lie; `None` if nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Quantile> {
        let rank = self.count() * share.clamp(0.0, 1.0);
        let (mut low, mut below) = (0.0, 0.0);
        if self.count() <= 0.0 {
            return None;
        }
        for &(bound, count) in &self.pairs {
            if count >= rank && count > below {
                if bound.is_infinite() {
                    return Some(Quantile { value: low, at_least: true });
                }
                let value = low + (bound - low) * ((rank - below) / (count - below)).clamp(0.0, 1.0);
                return Some(Quantile { value, at_least: false });
            }
            (low, below) = (bound, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Buckets {
        Buckets { pairs: pairs.to_vec() }
    }

    #[test]
    fn a_delta_holds_only_what_came_in_between() {
        let early = buckets(&[(1.0, 10.0), (2.0, 20.0), (f64::INFINITY, 20.0)]);
        let late = buckets(&[(1.0, 10.0), (2.0, 30.0), (f64::INFINITY, 35.0)]);
        assert_eq!(late.since(&early).pairs(), [(1.0, 0.0), (2.0, 10.0), (f64::INFINITY, 15.0)]);
    }

    #[test]
    fn a_bound_that_was_not_there_before_counts_from_zero() {
        assert_eq!(buckets(&[(1.0, 3.0)]).since(&Buckets::default()).count(), 3.0);
    }

    #[test]
    fn a_quantile_is_interpolated_within_its_bucket() {
        let some = buckets(&[(1.0, 0.0), (2.0, 10.0), (4.0, 20.0), (f64::INFINITY, 20.0)]);
        assert_eq!(some.quantile(0.25), Some(Quantile { value: 1.5, at_least: false }));
        assert_eq!(some.quantile(0.75), Some(Quantile { value: 3.0, at_least: false }));
        assert_eq!(some.quantile(1.0), Some(Quantile { value: 4.0, at_least: false }));
    }

    #[test]
    fn the_open_bucket_gives_a_lower_bound() {
        let some = buckets(&[(1.0, 1.0), (f64::INFINITY, 10.0)]);
        assert_eq!(some.quantile(0.99), Some(Quantile { value: 1.0, at_least: true }));
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Buckets::default().quantile(0.5), None);
        assert_eq!(buckets(&[(1.0, 0.0), (f64::INFINITY, 0.0)]).quantile(0.5), None);
    }

    #[test]
    fn bounds_added_out_of_order_are_sorted_and_merged() {
        let mut some = Buckets::default();
        for (bound, count) in [(2.0, 1.0), (1.0, 1.0), (2.0, 4.0)] {
            some.add(bound, count);
        }
        assert_eq!(some.pairs(), [(1.0, 1.0), (2.0, 5.0)]);
    }
}
