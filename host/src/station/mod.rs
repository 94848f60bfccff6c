//! What a request waits for or passes through: state machines that are told the time. No clock, no I/O, no randomness of their own,
//! so that real and virtual time use the same ones. A station that needs a draw is handed it.
//!
//! All have one shape. `enter(now, …)` brings a [`Visitor`] and says at once whether it is [in](Entry::In), waits, or is refused.
//! `advance(now, notices)` does everything that was due by `now`, at the times at which it was due, and says of those who waited what
//! became of them; `next_at()` is when there is something to do next. `leave(now, visitor)` is the end of a visit, whether it was
//! served, still waited or broke off. Time never goes backwards: a `now` before the newest counts as the newest.
//!
//! Decided at once: [`quota`] (requests, tokens, concurrency), [`breaker`], [`retry`] budgets, [`cache`]s, [`balancer`]s. Waited for:
//! [`admission`] queues, [`pool`]s, [`batcher`]s, [`link`]s and the [`replica`], a model server with continuous batching, of which an
//! [`autoscaler`] may say how many there shall be. A [`pipeline`] is a way through several of them.

use crate::clock::Nanos;

pub mod admission;
pub mod autoscaler;
pub mod balancer;
pub mod batcher;
pub mod breaker;
pub mod cache;
mod keys;
pub mod link;
mod list;
pub mod pipeline;
pub mod pool;
pub mod quota;
pub mod replica;
pub mod retry;
#[cfg(test)]
pub(crate) mod theory;
mod untold;

/// The number by which whoever drives a station knows one of its visits.
pub type Visitor = u32;

/// What became of a visitor that has just come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It has what it came for.
    In,
    /// It waits; a [`Notice`] will say what became of it.
    Waits,
    /// It was turned away.
    Refused(Refusal),
}

/// Why a visitor was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The cause.
    pub cause: Cause,
    /// How long from now asking again makes sense, in nanoseconds; 0 if the station does not know.
    pub retry_after_ns: u64,
}

impl Refusal {
    /// The wait in milliseconds, as headers tell it: rounded up, so that nobody comes too early.
    pub fn retry_after_ms(&self) -> Option<u32> {
        let ms = self.retry_after_ns.div_ceil(1_000_000);
        (ms > 0).then(|| u32::try_from(ms).unwrap_or(u32::MAX))
    }

    /// A refusal that says nothing of when to come again.
    pub const fn of(cause: Cause) -> Self {
        Self { cause, retry_after_ns: 0 }
    }
}

/// The causes of refusals. The word of each stands in metrics, reports and error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// More requests than a quota allows.
    Requests,
    /// More tokens than a quota allows.
    Tokens,
    /// More at a time than a quota allows.
    Concurrency,
    /// The queue is full.
    QueueFull,
    /// Waited longer than the queue's limit.
    QueueTimeout,
    /// The circuit breaker is open.
    BreakerOpen,
    /// No connection of the pool came free in time.
    PoolTimeout,
    /// The prompt is longer than the replica's KV cache.
    TooLong,
    /// Lost on the way.
    Lost,
    /// The stage took longer than its budget.
    Budget,
    /// The stage failed, as its failure rate says.
    StageFailed,
    /// Nothing healthy is left to send it to.
    NoReplica,
}

impl Cause {
    /// Every cause, in the order in which reports list them.
    pub const ALL: [Self; 12] = [
        Self::Requests,
        Self::Tokens,
        Self::Concurrency,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::BreakerOpen,
        Self::PoolTimeout,
        Self::TooLong,
        Self::Lost,
        Self::Budget,
        Self::StageFailed,
        Self::NoReplica,
    ];

    /// The word for scenarios, metrics, reports and error codes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrency => "concurrency",
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
            Self::BreakerOpen => "breaker-open",
            Self::PoolTimeout => "pool-timeout",
            Self::TooLong => "too-long",
            Self::Lost => "lost",
            Self::Budget => "budget",
            Self::StageFailed => "stage-failed",
            Self::NoReplica => "no-replica",
        }
    }
}

/// Why somebody from outside who was asked, a plugin, gave no answer. That has been counted.
pub type Unanswered = Box<dyn std::error::Error + Send + Sync>;

/// What became of a visitor that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// When it happened: at or before the `now` of the call that says so.
    pub at: Nanos,
    /// Whom it concerns.
    pub visitor: Visitor,
    /// Why it was turned away; `None` if it got what it waited for.
    pub refused: Option<Refusal>,
}
