//! What a model server would count of its requests: how long they were, how they ended, and what their phases took. Counted only where
//! somebody reads it, once a request.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;
use crate::engine::conduct::Fate;
use crate::stats::histogram::{Histogram, Snapshot};
use crate::types::reply::Finish;
use crate::types::request::Request;
use crate::types::usage::Usage;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The reply was complete.
    Stop,
    /// It reached its bound.
    Length,
    /// Its client left.
    Abort,
    /// It broke off.
    Error,
}

impl End {
    /// Every way, in the order of their numbers, with vLLM's word for it.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Stop, "stop"), (Self::Length, "length"), (Self::Abort, "abort"), (Self::Error, "error")];
}

/// Counts of one model.
#[derive(Default)]
pub struct Counts {
    ends: [AtomicU64; End::ALL.len()],
    /// Lengths in tokens.
    lengths: [Histogram; 4],
    /// Times in nanoseconds.
    times: [Histogram; 8],
}

/// Counts of one model at one moment.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// Requests by how they ended.
    pub ends: [u64; End::ALL.len()],
    /// Tokens of prompts, tokens of replies, the most tokens that were asked for, and how many replies.
    pub lengths: [Snapshot; 4],
    /// To the first token, between tokens, a token in the mean of a request, in all, waiting, until the first token without waiting,
    /// from there to the end, and these two together.
    pub times: [Snapshot; 8],
}

/// What of a request is counted at its end.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    choices: u32,
    bound: Option<u32>,
    first_token: Option<Nanos>,
    finish: Finish,
    waited: Nanos,
}

impl Serving {
    /// `request` is about to be served.
    pub fn of(request: &Request) -> Self {
        let (choices, bound) = (request.choices, request.max_output_tokens);
        Self { choices, bound, first_token: None, finish: Finish::Stop, waited: 0 }
    }

    /// A token left at `now`.
    pub fn token(&mut self, now: Nanos) {
        self.first_token.get_or_insert(now);
    }

    /// Its reply ends with `finish`, and it has waited for so long.
    pub fn finishes(&mut self, finish: Finish, waited: Nanos) {
        (self.finish, self.waited) = (finish, waited);
    }
}

impl Counts {
    /// So much time passed between two tokens.
    pub fn gap(&self, ns: Nanos) {
        self.times[1].record(ns, 1);
    }

    /// Counts a request that arrived at `arrival` and came to its end at `now`.
    pub fn ended(&self, serving: &Serving, (arrival, now): (Nanos, Nanos), usage: Usage, fate: Fate) {
        let end = match (fate, serving.finish) {
            (Fate::Refused(_), _) => return,
            (Fate::Broken | Fate::Truncated, _) => End::Error,
            (Fate::Whole, Finish::Length) => End::Length,
            (Fate::Whole, _) => End::Stop,
        };
        self.add(end);
        let lengths = [Some(usage.input), Some(usage.output), serving.bound, Some(serving.choices)];
        for (histogram, length) in self.lengths.iter().zip(lengths) {
            length.into_iter().for_each(|length| histogram.record(length.into(), 1));
        }
        let first = serving.first_token.unwrap_or(now);
        let (to_first, decoding) = (first.saturating_sub(arrival), now.saturating_sub(first));
        let each = decoding / u64::from(usage.output.saturating_sub(1).max(1));
        let waited = serving.waited.min(to_first);
        let [first_token, _, a_token, all, waiting, prefill, decode, inference] = &self.times;
        for (histogram, ns) in [
            (first_token, to_first),
            (a_token, each),
            (all, now.saturating_sub(arrival)),
            (waiting, waited),
            (prefill, to_first - waited),
            (decode, decoding),
            (inference, to_first - waited + decoding),
        ] {
            histogram.record(ns, 1);
        }
    }

    /// Counts a request that ended so.
    pub fn add(&self, end: End) {
        self.ends[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What has been counted so far.
    pub fn snapshot(&self) -> Served {
        Served {
            ends: self.ends.each_ref().map(|count| count.load(Ordering::Relaxed)),
            lengths: self.lengths.each_ref().map(Histogram::snapshot),
            times: self.times.each_ref().map(Histogram::snapshot),
        }
    }
}
