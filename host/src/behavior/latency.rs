//! Latency models: when does each token leave?

use std::sync::Arc;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::fault::Named;

/// Decides when the tokens of one reply leave.
pub trait Latency: Send + Sync {
    /// The schedule of a reply of `output_tokens`.
    fn plan(&self, call: &Call<'_>, output_tokens: u32) -> Result<Schedule, BehaviorError>;

    /// Must this run off the workers because it is known to be slow?
    fn is_slow(&self) -> bool {
        false
    }
}

/// When each token leaves, as durations: to the first token, then from each token to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// From the request to the first token.
    pub first: Delay,
    /// From one token to the next; drawn anew for each.
    pub between: Delay,
    /// Extra waiting after some tokens, ordered by token.
    pub pauses: Vec<Pause>,
}

/// A duration or a rule to draw one.
#[derive(Debug, Clone, PartialEq)]
pub enum Delay {
    /// Always so many microseconds.
    Us(u32),
    /// Uniform between two bounds in microseconds.
    Uniform(u32, u32),
    /// Log-normal.
    LogNormal(LogNormal),
    /// The k-th duration is the k-th entry, in microseconds; the last one repeats.
    Each(Arc<[u32]>),
    /// A rule of a kind that this version has no case for.
    Other(Named),
}

/// A log-normal distribution by two quantiles, cut at a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogNormal {
    /// Median in microseconds.
    pub p50_us: u32,
    /// 99th percentile in microseconds, at least the median.
    pub p99_us: u32,
    /// Never longer than this, in microseconds; 0 for no bound.
    pub cap_us: u32,
}

/// Extra waiting after a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// After this token, from 1.
    pub after_token: u32,
    /// For so many microseconds.
    pub us: u32,
}
