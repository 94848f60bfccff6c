//! Latency models: when does each token leave?

use std::sync::Arc;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::fault::Named;
use crate::stats::law::Law;

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
    /// Rules for more such waiting, asked after every token; `None` for none.
    pub rules: Option<Arc<[PauseRule]>>,
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
    /// Drawn from a law that was made with the behaviour.
    Law(Drawn),
    /// A law by name, with its parameters as a scenario writes them; refused by name if there is no such law.
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

/// Draws from a law: each is multiplied, then something is added.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The law, in nanoseconds.
    pub law: Arc<Law>,
    /// What each draw is multiplied by.
    pub factor: f64,
    /// What is added to each, in microseconds.
    pub extra_us: u32,
    /// How much the normal score of one draw resembles that of the one before, above -1 and below 1; 0 for draws that know nothing of
    /// each other. Whatever it is, each draw for itself follows the law.
    pub correlation: f64,
}

impl From<Arc<Law>> for Drawn {
    fn from(law: Arc<Law>) -> Self {
        Self { law, factor: 1.0, extra_us: 0, correlation: 0.0 }
    }
}

/// When to wait after a token, and how long.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseRule {
    /// After which tokens.
    pub when: PauseWhen,
    /// How long, in nanoseconds.
    pub law: Arc<Law>,
}

/// After which tokens to wait; tokens are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PauseWhen {
    /// After this one.
    After(u32),
    /// After each whose number is a multiple of this one, at least 1.
    Every(u32),
    /// After this share of the tokens, by lot.
    Rate(f64),
}
