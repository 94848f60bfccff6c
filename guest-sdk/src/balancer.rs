//! Balancers: which of several backends takes a request? Asked once for each choice.
//!
//! An [`Ask`] is the request in hand, a [`Backend`] what is to be seen of one backend; the answer is a [`Choice`]. The host lets other
//! requests wait meanwhile, so a balancer is quick: no body, no long lists. What it must remember goes to [`state`](crate::state).

use std::time::Duration;

use crate::call::Traits;
use crate::host;
use crate::plugin::{Moment, Plugin};
use crate::random::{Key, Rng};

pub use crate::bindings::balancer::exports::simwright::plugin::balancer::{Ask, Backend, Choice, TurnAway};

/// A plugin that chooses between backends.
pub trait Balancer: Plugin {
    /// The backend that takes the request. A place in `backends` is the number of the backend there.
    fn pick(&self, ask: &Ask, backends: &[Backend]) -> Choice;
}

impl Ask {
    /// Time since the run began, on whichever clock runs.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns)
    }

    /// Is this a repeated attempt of the same request?
    pub fn is_retry(&self) -> bool {
        self.attempt > 0 || self.traits.contains(Traits::RETRY)
    }

    /// A generator for draws that come in a row. The same choice draws the same numbers everywhere.
    pub fn rng(&self) -> Rng {
        self.key().rng()
    }

    /// The root of this choice's named draws: `ask.key().named("coin").unit()` is not shifted by other draws.
    pub fn key(&self) -> Key {
        Key::of_seed(self.seed)
    }

    /// A header by its lower-case name. Credentials are never shown.
    pub fn header(&self, name: &str) -> Option<String> {
        host::header(name)
    }

    /// A fact about the request by name.
    pub fn attribute(&self, name: &str) -> Option<String> {
        host::attribute(name)
    }
}

impl Moment for Ask {
    fn now(&self) -> Duration {
        self.now()
    }
}

impl Backend {
    /// Requests that it works on or that wait there.
    pub fn busy(&self) -> u64 {
        u64::from(self.running) + u64::from(self.waiting)
    }
}

impl Choice {
    /// The open backend that costs least, the first of them if several do; nobody's wish if none is open. A cost that is no number
    /// counts as the highest.
    pub fn cheapest(backends: &[Backend], cost: impl Fn(&Backend) -> f64) -> Self {
        let open = (0..).zip(backends).filter(|(_, backend)| backend.open);
        let costs = open
            .map(|(place, backend)| (cost(backend), place))
            .map(|(cost, place)| (if cost.is_nan() { f64::INFINITY } else { cost }, place));
        costs.min_by(|one, other| one.0.total_cmp(&other.0)).map_or(Self::Any, |(_, place)| Self::Backend(place))
    }

    /// Turns the request away, and says when to come again, if that is known.
    pub fn refuse(retry_after: Option<Duration>) -> Self {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Self::Refuse(TurnAway { retry_after_ms: retry_after.map(ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_cheapest_is_open_and_the_first_of_equals() {
        let busy = |running| testing::backend().load(running, 0).build();
        let closed = testing::backend().open(false).build();
        let cost = |backend: &Backend| backend.busy() as f64;
        assert_eq!(Choice::cheapest(&[busy(2), closed, busy(1), busy(1)], cost), Choice::Backend(2));
        assert_eq!(Choice::cheapest(&[closed], cost), Choice::Any);
        assert_eq!(Choice::cheapest(&[busy(1), busy(0)], |backend| f64::NAN * cost(backend)), Choice::Backend(0));
    }
}
