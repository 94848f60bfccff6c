//! How often a plugin was asked, and how often it gave no answer: exact counts that can be read back, which those of `/metrics`
//! cannot. Each worker counts in a place of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

/// Counts of one loaded plugin.
#[derive(Debug)]
pub(super) struct Usage {
    /// One a worker, and the last for everybody else.
    calls: Box<[CachePadded<AtomicU64>]>,
    faults: AtomicU64,
}

impl Usage {
    /// Nothing counted yet, for `workers`.
    pub(super) fn of(workers: usize) -> Self {
        Self { calls: (0..=workers).map(|_| CachePadded::default()).collect(), faults: AtomicU64::new(0) }
    }

    /// One more call by the calling thread.
    #[inline]
    pub(super) fn called(&self) {
        let worker = crate::worker::current().unwrap_or(usize::MAX);
        if let Some(place) = self.calls.get(worker.min(self.calls.len() - 1)) {
            place.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One more call without an answer.
    pub(super) fn failed(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls and failures so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.calls.iter().map(|place| place.load(Ordering::Relaxed)).sum(), self.faults.load(Ordering::Relaxed))
    }
}
