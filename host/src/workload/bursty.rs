//! Bursts: a Poisson process whose rate is switched by chance between two states (a Markov-modulated Poisson process, MMPP-2).
//!
//! Each state lasts an exponential time. With rate 0 in one of them it is an on-off source (an interrupted Poisson process).

use crate::clock::Nanos;
use crate::random::{Key, Stream};
use crate::workload::gaps::exponential;

/// Two states that take turns, the calm one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursty {
    /// Between the bursts.
    pub calm: State,
    /// Within a burst.
    pub burst: State,
}

/// One of the states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// Requests a second; not negative, and above 0 in one of the two.
    pub rate: f64,
    /// How long it lasts in the mean, in seconds; above 0.
    pub mean_s: f64,
}

/// One run.
#[derive(Debug)]
pub(super) struct Run {
    bursty: Bursty,
    /// Of the lengths of states.
    lengths: Stream,
    /// Of the gaps within them.
    gaps: Stream,
    in_burst: bool,
    /// The newest arrival or change of state.
    at: Nanos,
    /// When the state ends.
    ends: Nanos,
}

impl Run {
    pub(super) fn begin(bursty: Bursty, key: Key) -> Self {
        let (lengths, gaps) = (key.named("states").stream(), key.named("gaps").stream());
        let mut run = Self { bursty, lengths, gaps, in_burst: false, at: 0, ends: 0 };
        run.ends = ns(exponential(run.lengths.unit()) * bursty.calm.mean_s);
        run
    }

    /// The next arrival; `None` if there is none before the end of time.
    pub(super) fn next(&mut self) -> Option<Nanos> {
        while self.at < Nanos::MAX {
            let state = if self.in_burst { self.bursty.burst } else { self.bursty.calm };
            if state.rate > 0.0 {
                let at = self.at.saturating_add(ns(exponential(self.gaps.unit()) / state.rate));
                if at < self.ends {
                    self.at = at;
                    return Some(at);
                }
            }
            // What an exponential wait has lasted says nothing of what is left: the next state may draw anew.
            self.at = self.ends;
            self.in_burst = !self.in_burst;
            let next = if self.in_burst { self.bursty.burst } else { self.bursty.calm };
            self.ends = self.at.saturating_add(ns(exponential(self.lengths.unit()) * next.mean_s));
        }
        None
    }
}

fn ns(seconds: f64) -> Nanos {
    libm::rint(seconds * 1e9) as Nanos
}
