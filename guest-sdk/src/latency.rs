//! Latency models: when does each token leave? Asked last, with the length of what will be sent.
//!
//! A [`Schedule`] is the [`Delay`] to the first token, the delay from each token to the next, and extra pauses. The host draws
//! from delays that are rules, so a log-normal stream of a thousand tokens costs the plugin three numbers.

use std::time::Duration;

use crate::call::Call;
use crate::plugin::{Named, Plugin};

pub use crate::bindings::latency::exports::simwright::plugin::latency::{Delay, LogNormal, Pause, Schedule, Uniform};

/// A plugin that decides when the tokens of a reply leave.
pub trait Latency: Plugin {
    /// The schedule of a reply of `output_tokens`. It may not wait or look at a clock: the host does that.
    fn plan(&self, call: &Call, output_tokens: u32) -> Schedule;
}

/// So many milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// So many microseconds.
pub const fn us(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

impl Schedule {
    /// `first` until the first token, then `between` from each token to the next: durations or rules.
    pub fn new(first: impl Into<Delay>, between: impl Into<Delay>) -> Self {
        Self { first: first.into(), between: between.into(), pauses: Vec::new() }
    }

    /// A fixed time to the first token and a fixed time between tokens.
    pub fn steady(first: Duration, between: Duration) -> Self {
        Self::new(first, between)
    }

    /// No delay at all.
    pub fn immediate() -> Self {
        Self::new(Duration::ZERO, Duration::ZERO)
    }

    /// The same with an extra pause after a token, counted from 1. Pauses are given in the order of their tokens.
    #[must_use]
    pub fn pause(mut self, after_token: u32, length: Duration) -> Self {
        self.pauses.push(Pause { after_token, us: us_of(length) });
        self
    }
}

impl Delay {
    /// Uniform between two bounds.
    pub fn uniform(min: Duration, max: Duration) -> Self {
        Self::Uniform(Uniform { min_us: us_of(min), max_us: us_of(max) })
    }

    /// Log-normal by its median and its 99th percentile, which is at least the median. See [`Delay::at_most`] for a bound.
    pub fn log_normal(p50: Duration, p99: Duration) -> Self {
        Self::LogNormal(LogNormal { p50_us: us_of(p50), p99_us: us_of(p99), cap_us: 0 })
    }

    /// Log-normal by its median and how many times that the slowest hundredth takes; at a `spread` of 1 or less always the median.
    pub fn around(median: Duration, spread: f64) -> Self {
        if spread > 1.0 { Self::log_normal(median, median.mul_f64(spread)) } else { median.into() }
    }

    /// One duration after the other; the last one repeats.
    pub fn each(durations: impl IntoIterator<Item = Duration>) -> Self {
        Self::EachUs(durations.into_iter().map(us_of).collect())
    }

    /// A law by the name that scenarios give it, with its parameters as they write them:
    /// `Delay::law("gamma", json!({ "mean": "18ms", "shape": 3, "max": "400ms" }))`. The host knows its laws, and refuses others by
    /// name; one that reads a file is not for plugins.
    pub fn law(name: &str, parameters: serde_json::Value) -> Self {
        Self::Other(Named { kind: name.to_owned(), json: parameters.to_string() })
    }

    /// The same, never longer than `bound`. A rule that only the host knows stays as it is.
    #[must_use]
    pub fn at_most(self, bound: Duration) -> Self {
        let bound = us_of(bound);
        match self {
            Self::Us(us) => Self::Us(us.min(bound)),
            Self::Uniform(range) => Self::Uniform(Uniform { min_us: range.min_us.min(bound), max_us: range.max_us.min(bound) }),
            Self::LogNormal(rule) => Self::LogNormal(LogNormal { cap_us: bound, ..rule }),
            Self::EachUs(list) => Self::EachUs(list.into_iter().map(|us| us.min(bound)).collect()),
            Self::Other(named) => Self::Other(named),
        }
    }

    /// The same, `factor` times as long; a factor that is negative or no number counts as 0. A rule that only the host knows
    /// stays as it is.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        // A conversion from a float saturates, so nothing here can overflow.
        let scale = |us: u32| (f64::from(us) * factor).round() as u32;
        match self {
            Self::Us(us) => Self::Us(scale(us)),
            Self::Uniform(range) => Self::Uniform(Uniform { min_us: scale(range.min_us), max_us: scale(range.max_us) }),
            Self::LogNormal(rule) => {
                Self::LogNormal(LogNormal { p50_us: scale(rule.p50_us), p99_us: scale(rule.p99_us), cap_us: scale(rule.cap_us) })
            }
            Self::EachUs(list) => Self::EachUs(list.into_iter().map(scale).collect()),
            Self::Other(named) => Self::Other(named),
        }
    }
}

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Self {
        Self::Us(us_of(duration))
    }
}

/// Whole microseconds; longer than the contract can say (71 minutes, more than the host allows) becomes the longest it can.
fn us_of(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_is_named_with_its_parameters() {
        let law = Delay::law("gamma", serde_json::json!({ "mean": "18ms", "shape": 3 }));
        let Delay::Other(named) = law else { panic!("{law:?}") };
        assert_eq!((named.kind.as_str(), named.json.as_str()), ("gamma", r#"{"mean":"18ms","shape":3}"#));
    }

    #[test]
    fn durations_saturate_instead_of_wrapping() {
        assert_eq!(Delay::from(Duration::MAX), Delay::Us(u32::MAX));
        assert_eq!(Delay::from(Duration::from_secs(4_000)).times(1e9), Delay::Us(u32::MAX));
        assert_eq!(Delay::from(ms(1)).times(f64::NAN), Delay::Us(0));
    }

    #[test]
    fn factors_and_bounds_reach_every_number_of_a_rule() {
        let slow = Delay::log_normal(ms(10), ms(30)).at_most(ms(100)).times(2.0);
        assert_eq!(slow, Delay::LogNormal(LogNormal { p50_us: 20_000, p99_us: 60_000, cap_us: 200_000 }));
        assert_eq!(Delay::uniform(ms(1), ms(9)).at_most(ms(5)), Delay::Uniform(Uniform { min_us: 1_000, max_us: 5_000 }));
        assert_eq!(Delay::each([ms(1), ms(2)]).times(0.5), Delay::EachUs(vec![500, 1_000]));
    }

    #[test]
    fn a_spread_is_a_share_of_the_median_and_one_is_none() {
        assert_eq!(Delay::around(ms(10), 3.0), Delay::log_normal(ms(10), ms(30)));
        assert_eq!(Delay::around(ms(10), 1.0), Delay::Us(10_000));
    }

    #[test]
    fn pauses_keep_their_order() {
        let schedule = Schedule::steady(ms(200), ms(20)).pause(3, ms(500)).pause(9, ms(100));
        let places: Vec<_> = schedule.pauses.iter().map(|pause| (pause.after_token, pause.us)).collect();
        assert_eq!(places, [(3, 500_000), (9, 100_000)]);
    }
}
