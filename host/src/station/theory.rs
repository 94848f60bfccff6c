//! Simulated means against exact ones, for the tests of stations.
//!
//! Neighbouring visitors are correlated, so the error of a mean is taken from means of long batches, which are nearly independent
//! (batch means; Law and Kelton, "Simulation Modeling and Analysis", chapter 9). A test fails at 4 sigma, and when sigma is so large
//! that it could not fail. `SIMWRIGHT_FULL=1` makes runs twenty times as long.

use crate::clock::Nanos;
use crate::random::Stream;

/// A second.
pub(crate) const S: Nanos = 1_000_000_000;

/// Batches of one run.
const BATCHES: usize = 32;

/// `visitors`, or twenty times as many in a full run.
pub(crate) fn visitors(visitors: u32) -> u32 {
    if std::env::var_os("SIMWRIGHT_FULL").is_some_and(|value| value == "1") { visitors * 20 } else { visitors }
}

/// A time in nanoseconds from the exponential law with this mean in seconds.
pub(crate) fn exponential(stream: &mut Stream, mean_s: f64) -> Nanos {
    (-libm::log1p(-stream.unit()) * mean_s * S as f64).round() as Nanos
}

/// What was observed, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Means of [`BLOCK`] observations each, to save memory in full runs.
    blocks: Vec<f64>,
    sum: f64,
    count: u32,
}

/// Observations of one block.
const BLOCK: u32 = 100;

impl Observed {
    /// Adds one observation.
    pub(crate) fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        if self.count == BLOCK {
            self.blocks.push(self.sum / f64::from(BLOCK));
            (self.sum, self.count) = (0.0, 0);
        }
    }

    /// The mean and its standard error. The first twentieth is left out, because the run began empty.
    pub(crate) fn mean(&self) -> (f64, f64) {
        let settled = &self.blocks[self.blocks.len() / 20..];
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let means: Vec<f64> = settled.chunks_exact(settled.len() / BATCHES).take(BATCHES).map(mean).collect();
        let whole = mean(&means);
        let variance = means.iter().map(|one| (one - whole) * (one - whole)).sum::<f64>() / (BATCHES - 1) as f64;
        (whole, (variance / BATCHES as f64).sqrt())
    }

    /// Fails unless the mean is within 4 sigma of `exact`, and sigma below 3 % of it.
    pub(crate) fn assert_mean(&self, what: &str, exact: f64) {
        let (mean, sigma) = self.mean();
        assert!(sigma < exact * 0.03, "{what}: sigma {sigma} says nothing about {exact}");
        assert!((mean - exact).abs() < 4.0 * sigma, "{what}: {mean} instead of {exact}, sigma {sigma}");
    }
}
