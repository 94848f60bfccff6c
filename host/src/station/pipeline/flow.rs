//! What passes a stage, counted so that Little's law can be checked: areas under the numbers of those inside, and the sum of their
//! stays.

use crate::clock::Nanos;

/// Counts of one stage. Areas are in visitor-nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Visitors that came.
    pub entered: u64,
    /// Visitors that got what they came for and went on.
    pub passed: u64,
    /// Visitors that were refused, failed or left early.
    pub failed: u64,
    /// Visitors that are here, waiting or served.
    pub inside: u32,
    /// Visitors that are waiting.
    pub waiting: u32,
    /// The most that ever waited.
    pub waiting_max: u32,
    /// Area under [`Flow::inside`] up to [`Flow::until`].
    pub inside_area: u128,
    /// Area under [`Flow::waiting`] up to [`Flow::until`].
    pub waiting_area: u128,
    /// Sum of the stays of those who are gone.
    pub stayed_ns: u128,
    /// Sum of the waits of those who wait no more.
    pub waited_ns: u128,
    /// The time up to which the areas are counted.
    pub until: Nanos,
}

impl Flow {
    /// Brings the areas up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        let passed = u128::from(now.saturating_sub(self.until));
        self.inside_area += passed * u128::from(self.inside);
        self.waiting_area += passed * u128::from(self.waiting);
        self.until = self.until.max(now);
    }

    /// Somebody came at `now` and waits.
    pub fn enter(&mut self, now: Nanos) {
        self.advance(now);
        self.entered += 1;
        self.inside += 1;
        self.waiting += 1;
        self.waiting_max = self.waiting_max.max(self.waiting);
    }

    /// Somebody who came at `entered` waits no more.
    pub fn begin(&mut self, entered: Nanos, now: Nanos) {
        self.advance(now);
        self.waiting -= 1;
        self.waited_ns += u128::from(now - entered);
    }

    /// Somebody who came at `entered` is gone; `waiting` if it still waited, `passed` if it got what it came for.
    pub fn leave(&mut self, entered: Nanos, now: Nanos, waiting: bool, passed: bool) {
        self.advance(now);
        self.inside -= 1;
        if waiting {
            self.waiting -= 1;
            self.waited_ns += u128::from(now - entered);
        }
        self.stayed_ns += u128::from(now - entered);
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
    }
}
