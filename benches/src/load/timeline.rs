//! When tokens arrived, seen from the client.
//!
//! It tells how far each gap is from the planned one, and how far a stream has drifted by its last token, in fixed memory for
//! each stream, however many tokens it has.

use hdrhistogram::Histogram;

/// Smallest and largest deviation that is told apart, in nanoseconds: 1 microsecond to 60 seconds.
const DEVIATION_NS: (u64, u64) = (1_000, 60_000_000_000);

/// Where one stream is.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    first_ns: u64,
    last_ns: u64,
    tokens: u32,
}

/// The arrivals of many streams.
#[derive(Debug)]
pub struct Timeline {
    between_ns: u64,
    streams: Vec<Progress>,
    gap_error: Histogram<u64>,
    drift: Histogram<u64>,
    gap_sum_ns: u128,
    gaps: u64,
    finished: u64,
    failed: u64,
}

impl Timeline {
    /// A timeline for `streams` streams whose tokens are planned `between_ns` apart.
    pub fn new(streams: usize, between_ns: u64) -> Self {
        let histogram = || Histogram::new_with_bounds(DEVIATION_NS.0, DEVIATION_NS.1, 3).expect("the bounds are constant");
        let (gap_error, drift) = (histogram(), histogram());
        let streams = vec![Progress::default(); streams];
        Self { between_ns, streams, gap_error, drift, gap_sum_ns: 0, gaps: 0, finished: 0, failed: 0 }
    }

    /// A token of `stream` arrived at `at_ns`.
    pub fn token(&mut self, stream: usize, at_ns: u64) {
        let progress = &mut self.streams[stream];
        if progress.tokens == 0 {
            progress.first_ns = at_ns;
        } else {
            let gap = at_ns.saturating_sub(progress.last_ns);
            self.gap_error.saturating_record(gap.abs_diff(self.between_ns));
            self.gap_sum_ns += u128::from(gap);
            self.gaps += 1;
        }
        progress.last_ns = at_ns;
        progress.tokens += 1;
    }

    /// `stream` ended as it should.
    pub fn end(&mut self, stream: usize) {
        let progress = self.streams[stream];
        self.finished += 1;
        if progress.tokens > 1 {
            let planned = u64::from(progress.tokens - 1) * self.between_ns;
            self.drift.saturating_record((progress.last_ns - progress.first_ns).abs_diff(planned));
        }
    }

    /// A stream ended in another way.
    pub fn fail(&mut self) {
        self.failed += 1;
    }

    /// Streams that ended as they should.
    pub fn finished(&self) -> u64 {
        self.finished
    }

    /// Streams that ended in another way.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Tokens that arrived.
    pub fn tokens(&self) -> u64 {
        self.streams.iter().map(|progress| u64::from(progress.tokens)).sum()
    }

    /// How far the mean gap is from the planned one, as a share of the planned one.
    pub fn mean_gap_error(&self) -> f64 {
        let mean = self.gap_sum_ns as f64 / self.gaps.max(1) as f64;
        (mean - self.between_ns as f64).abs() / self.between_ns.max(1) as f64
    }

    /// Deviation of gaps from the planned one, in milliseconds, at a share of 0 to 1.
    pub fn gap_error_ms(&self, share: f64) -> f64 {
        self.gap_error.value_at_quantile(share) as f64 / 1e6
    }

    /// Last token's time, counted from the stream's first, minus the planned one; in milliseconds without sign, at a share.
    pub fn drift_ms(&self, share: f64) -> f64 {
        self.drift.value_at_quantile(share) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn played(arrivals_ms: &[u64]) -> Timeline {
        let mut timeline = Timeline::new(1, 10 * MS);
        arrivals_ms.iter().for_each(|at| timeline.token(0, at * MS));
        timeline.end(0);
        timeline
    }

    #[test]
    fn exact_arrivals_have_no_error() {
        let timeline = played(&[50, 60, 70, 80]);
        assert_eq!((timeline.mean_gap_error(), timeline.tokens(), timeline.finished()), (0.0, 4, 1));
        assert!(timeline.drift_ms(1.0) < 0.01);
    }

    #[test]
    fn one_late_token_is_jitter_and_not_drift() {
        let timeline = played(&[0, 10, 24, 30]);
        assert!((timeline.gap_error_ms(1.0) - 4.0).abs() < 0.01, "{}", timeline.gap_error_ms(1.0));
        assert!(timeline.drift_ms(1.0) < 0.01);
    }

    #[test]
    fn chained_sleeps_drift() {
        let timeline = played(&[0, 11, 22, 33]);
        assert!((timeline.drift_ms(1.0) - 3.0).abs() < 0.01, "{}", timeline.drift_ms(1.0));
        assert!((timeline.mean_gap_error() - 0.1).abs() < 1e-9);
    }
}
