//! What one model did in this run, in fixed memory, for the verdict: exact counts, and times in histograms of our own. `/metrics` has
//! its own buckets, which are too coarse to judge by.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;
use crate::report::ModelFigures;
use crate::stats::histogram::Histogram;
use crate::types::criterion::Counted;

/// Counts and times of one model.
pub struct Tally {
    counts: [AtomicU64; Counted::ALL.len()],
    output_tokens: AtomicU64,
    first_arrival: AtomicU64,
    last_end: AtomicU64,
    /// Made with the first request: a scenario may have a thousand models and use three.
    times: OnceLock<Box<Times>>,
}

/// Times of one model, in nanoseconds.
#[derive(Default)]
pub struct Times {
    /// To the first token.
    pub first_token: Histogram,
    /// Between tokens.
    pub gap: Histogram,
    /// From request to end.
    pub duration: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counts: Default::default(),
            output_tokens: AtomicU64::new(0),
            first_arrival: AtomicU64::new(Nanos::MAX),
            last_end: AtomicU64::new(0),
            times: OnceLock::new(),
        }
    }
}

impl Tally {
    /// Counts one more of `counted`.
    pub fn add(&self, counted: Counted) {
        self.counts[counted as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one of `counted` back that has been counted.
    pub fn take_back(&self, counted: Counted) {
        self.counts[counted as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that a request arrived at `now`.
    pub fn arrived(&self, now: Nanos) {
        // After the first one this is a look and no write.
        if now < self.first_arrival.load(Ordering::Relaxed) {
            self.first_arrival.fetch_min(now, Ordering::Relaxed);
        }
    }

    /// Notes that a request ended at `now` with a reply of `output_tokens`.
    pub fn ended(&self, now: Nanos, output_tokens: u32) {
        self.last_end.fetch_max(now, Ordering::Relaxed);
        self.output_tokens.fetch_add(output_tokens.into(), Ordering::Relaxed);
    }

    /// The times.
    pub fn times(&self) -> &Times {
        self.times.get_or_init(Box::default)
    }

    /// What has been measured so far.
    pub fn figures(&self) -> ModelFigures {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (from, to) = (load(&self.first_arrival), load(&self.last_end));
        let mut figures = ModelFigures {
            counts: self.counts.each_ref().map(load),
            output_tokens: load(&self.output_tokens),
            span_ns: (from <= to).then_some((from, to)),
            ..ModelFigures::default()
        };
        if let Some(times) = self.times.get() {
            figures.first_token = times.first_token.snapshot();
            figures.gap = times.gap.snapshot();
            figures.duration = times.duration.snapshot();
        }
        figures
    }
}
