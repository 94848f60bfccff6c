//! Autoscalers: how many replicas shall a group have? Asked once in each interval that the scenario sets.
//!
//! A [`Group`] is what is to be seen of the replicas; the answer is a [`Decision`], a wish with a reason for the log. What must be
//! remembered from one interval to the next goes to [`state`](crate::state).

use std::time::Duration;

use crate::plugin::{Moment, Plugin};
use crate::random::Key;

pub use crate::bindings::autoscaler::exports::simwright::plugin::autoscaler::{Decision, Group, Wish};

/// A plugin that says how many replicas a group shall have.
pub trait Autoscaler: Plugin {
    /// What is wished for `group`.
    fn decide(&self, group: &Group) -> Decision;
}

impl Group {
    /// Time since the run began, on whichever clock runs.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns)
    }

    /// Time since the decision before.
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval_ns)
    }

    /// Requests that are worked on, and that wait.
    pub fn requests(&self) -> u64 {
        u64::from(self.running) + u64::from(self.waiting)
    }

    /// The root of this decision's named draws.
    pub fn key(&self) -> Key {
        Key::of_seed(self.seed)
    }

    /// A wish for `replicas`, or for as many as the scenario allows if that is fewer or more. What is no number is no wish.
    pub fn wish(&self, replicas: f64) -> Decision {
        if replicas.is_nan() {
            return Decision::keep();
        }
        // A conversion from a float saturates, and the bounds are in order.
        Decision::replicas((replicas as u32).clamp(self.least, self.most.max(self.least)))
    }
}

impl Moment for Group {
    fn now(&self) -> Duration {
        self.now()
    }
}

impl Decision {
    /// As many as were wanted last.
    pub const fn keep() -> Self {
        Self { wish: Wish::Keep, reason: String::new() }
    }

    /// So many. Beyond what the scenario allows the wish is refused; [`Group::wish`] keeps within it.
    pub const fn replicas(replicas: u32) -> Self {
        Self { wish: Wish::Replicas(replicas), reason: String::new() }
    }

    /// The same with a reason, in a few words for the log.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_wish_keeps_within_what_the_scenario_allows() {
        let group = testing::group().bounds(2, 8).build();
        assert_eq!(group.wish(0.0), Decision::replicas(2));
        assert_eq!(group.wish(5.9), Decision::replicas(5));
        assert_eq!(group.wish(f64::INFINITY), Decision::replicas(8));
        assert_eq!(group.wish(f64::NAN), Decision::keep());
    }
}
