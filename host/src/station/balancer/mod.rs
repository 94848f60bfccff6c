//! Which of several backends takes a request. One rule a file; all are asked the same and answer with the place of a backend.
//!
//! A rule sees how busy the backends are at the moment ([`Backend`]), and it is handed what it may look at in the request: a key (a user,
//! a session), the hashes of the prompt's blocks, and one draw. Nothing is sent to a backend that is not healthy or has weight 0
//! (draining). A backend keeps its place for as long as the balancer lives: new ones are added at the end, and one that has gone for good
//! stays unhealthy. Ties go to each alike, by the draw. A [`chooser`] is a rule that is no part of this program.

use crate::clock::Nanos;

pub mod chooser;
mod consistent_hash;
mod latency;
mod least_busy;
mod prefix_affinity;
mod random;
mod round_robin;
mod two_choices;
mod weighted;

/// How to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// One after the other.
    RoundRobin,
    /// The one with the least to do for its weight.
    LeastBusy,
    /// In turn, each as often as its weight says, and spread evenly.
    Weighted,
    /// The less busy of two that are drawn.
    TwoChoices,
    /// The same key to the same backend, as long as that is not too busy.
    ConsistentHash {
        /// Points of each backend on the ring, 1 or more. Shares of the keys differ by about 1/sqrt(points) of their mean.
        points: u32,
        /// The most that one backend may have to do, in percent of the mean of all, 100 or more. `None`: any.
        bound_percent: Option<u32>,
    },
    /// The one of two that has answered sooner and has less to do (peak EWMA).
    Latency {
        /// The time in which the memory of a slow answer fades to 1/e, in nanoseconds, 1 or more. Finagle has 10 s.
        decay_ns: Nanos,
    },
    /// The one that knows the longest prefix of the prompt, unless others have much less to do.
    PrefixAffinity {
        /// Blocks that one backend is taken to remember, 1 or more: those of its KV cache.
        blocks_max: u32,
        /// How many blocks of a known prefix one request more to do outweighs. 0: the prefix alone counts.
        busy_blocks: u32,
    },
    /// Any.
    Random,
}

/// What a balancer sees of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// Requests that it works on.
    pub running: u32,
    /// Requests that wait there.
    pub waiting: u32,
    /// Its share of the work against that of others, where a rule looks at it; with 0 it gets nothing new.
    pub weight: u32,
    /// May it be asked at all?
    pub healthy: bool,
}

impl Default for Backend {
    fn default() -> Self {
        Self { running: 0, waiting: 0, weight: 1, healthy: true }
    }
}

impl Backend {
    pub(super) fn is_open(&self) -> bool {
        self.healthy && self.weight > 0
    }

    fn busy(&self) -> u64 {
        u64::from(self.running) + u64::from(self.waiting)
    }

    /// What it would have to do with one request more, for its weight: the shortest expected delay (Linux Virtual Server's `sed`).
    fn burden(&self) -> f64 {
        (self.busy() + 1) as f64 / f64::from(self.weight)
    }
}

/// What a rule is asked with.
struct Ask<'a> {
    now: Nanos,
    view: &'a [Backend],
    key: u64,
    prefix: &'a [u64],
    draw: f64,
}

impl Ask<'_> {
    fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.view.len()).filter(|place| self.view[*place].is_open())
    }

    /// How many backends are open.
    fn open_count(&self) -> usize {
        self.open().count()
    }

    /// The backend that is number `index` of the `count` open ones.
    fn open_at(&self, index: usize, count: usize) -> Option<usize> {
        if count == self.view.len() { (index < count).then_some(index) } else { self.open().nth(index) }
    }

    /// One of two different backends that are drawn, each pair alike: the one that costs less, the first of them if both cost the same.
    fn cheaper_of_two(&self, cost: impl Fn(usize) -> f64) -> Option<usize> {
        let count = self.open_count();
        if count < 2 {
            return self.open().next();
        }
        let pair = below(self.draw, count * (count - 1));
        let (one, other) = (pair / (count - 1), pair % (count - 1));
        let (one, other) = (self.open_at(one, count)?, self.open_at(other + usize::from(other >= one), count)?);
        Some(if cost(other) < cost(one) { other } else { one })
    }

    /// The open backend that costs least; one of them by the draw, if several do.
    fn cheapest(&self, cost: impl Fn(usize) -> f64) -> Option<usize> {
        let (mut least, mut first, mut ties) = (f64::INFINITY, None, 0);
        for place in self.open() {
            let cost = cost(place);
            if cost < least {
                (least, first, ties) = (cost, Some(place), 1);
            } else if cost == least {
                ties += 1;
            }
        }
        let drawn = || self.open().filter(|place| cost(*place) == least).nth(below(self.draw, ties));
        if ties > 1 { drawn() } else { first }
    }
}

/// A whole number below `count` from a draw in [0, 1).
fn below(draw: f64, count: usize) -> usize {
    ((draw * count as f64) as usize).min(count.saturating_sub(1))
}

/// What every rule can do.
trait Choose: std::fmt::Debug + Send {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize>;

    /// Hears that `backend` has answered at `now`, `latency_ns` after it was asked.
    fn served(&mut self, _now: Nanos, _backend: usize, _latency_ns: Nanos) {}
}

/// A balancer with its rule's memory.
#[derive(Debug)]
pub struct Balancer {
    rule: Box<dyn Choose>,
}

impl Balancer {
    /// A balancer before `count` backends. More may come later.
    pub fn new(rule: Rule, count: usize) -> Self {
        let rule: Box<dyn Choose> = match rule {
            Rule::RoundRobin => Box::<round_robin::RoundRobin>::default(),
            Rule::LeastBusy => Box::new(least_busy::LeastBusy),
            Rule::Weighted => Box::<weighted::Weighted>::default(),
            Rule::TwoChoices => Box::new(two_choices::TwoChoices),
            Rule::ConsistentHash { points, bound_percent } => {
                Box::new(consistent_hash::ConsistentHash::new(points, bound_percent, count))
            }
            Rule::Latency { decay_ns } => Box::new(latency::Latency::new(decay_ns, count)),
            Rule::PrefixAffinity { blocks_max, busy_blocks } => {
                Box::new(prefix_affinity::PrefixAffinity::new(blocks_max, busy_blocks, count))
            }
            Rule::Random => Box::new(random::Random),
        };
        Self { rule }
    }

    /// The place in `view` of the backend that takes a request; `None` if none is open.
    ///
    /// `key` says what belongs together (for consistent hashing), `prefix` holds the hashes of the prompt's blocks from the first, each
    /// over all blocks up to it (for prefix affinity), `draw` is a number in [0, 1). Rules that do not look at one may be handed anything.
    pub fn pick(&mut self, now: Nanos, view: &[Backend], key: u64, prefix: &[u64], draw: f64) -> Option<usize> {
        self.rule.pick(&Ask { now, view, key, prefix, draw })
    }

    /// Says that `backend` has answered at `now`, `latency_ns` after it was asked. A failure counts as slow as the caller thinks fit.
    pub fn served(&mut self, now: Nanos, backend: usize, latency_ns: Nanos) {
        self.rule.served(now, backend, latency_ns);
    }
}

#[cfg(test)]
mod queueing_tests;
