//! So many replicas as the time says: a list of times within a period, each with the number that holds from then on. The last one holds
//! on into the next period.

use crate::clock::Nanos;

/// Numbers of replicas over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// After so long it begins again, in nanoseconds, above every time of `steps`.
    pub period_ns: Nanos,
    /// Times within the period, rising, each with its number; at least one.
    pub steps: Vec<(Nanos, u32)>,
}

impl Schedule {
    pub(super) fn wish(&self, now: Nanos) -> u32 {
        let at = now % self.period_ns.max(1);
        let begun = self.steps.iter().rev().find(|(from, _)| *from <= at);
        begun.or(self.steps.last()).map_or(1, |(_, count)| *count)
    }
}
