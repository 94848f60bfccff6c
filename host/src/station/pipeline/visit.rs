//! One request on its way through a pipeline.

use smallvec::SmallVec;

use crate::clock::Nanos;
use crate::random::Key;
use crate::station::balancer::chooser::Asker;
use crate::station::pipeline::route::Stage;
use crate::station::replica::{Prefix, StepTime};
use crate::station::{Refusal, Visitor};

/// What a request brings: decided by its plan, before it meets a station.
#[derive(Debug, Clone)]
pub struct Work {
    /// The way that it goes: index of its model.
    pub route: u16,
    /// Who asks: decides about fairness.
    pub tenant: u64,
    /// Goes first in queues that look at it.
    pub priority: u8,
    /// What is asked, for caches: equal questions have equal numbers.
    pub content: u64,
    /// What stays together, for balancers that keep a conversation on one replica.
    pub affinity: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the reply that are sent: up to a cut, if one is planned.
    pub output_tokens: u32,
    /// Which of the prompt's beginning others share.
    pub prefix: Prefix,
    /// Size of prompt and reply on a link, in bytes.
    pub bytes: u32,
    /// From the beginning of the reply to its end, as the plan's latency model says.
    pub reply_ns: Nanos,
    /// What the steps of a replica take from when it enters there, until another says otherwise.
    pub step: Option<Box<StepTime>>,
    /// What each stage takes besides waiting, by its index, and behind these each retry; 0 for those beyond the list.
    pub takes: SmallVec<[Nanos; 4]>,
    /// Which way each switch goes.
    pub choices: SmallVec<[u8; 4]>,
    /// Will its reply be cut off? Then no cache keeps it.
    pub is_cut: bool,
    /// Below this the stations' draws are made.
    pub draws: Key,
    /// Who asks, where choosers want to know.
    pub asker: Option<Box<Asker>>,
}

impl Work {
    /// What `stage` takes that has been tried so many times before.
    pub fn takes(&self, stage: &Stage, tries: u8) -> Nanos {
        let index = match (tries, stage.retry) {
            (1.., Some(retry)) => usize::from(retry.takes_from) + usize::from(tries) - 1,
            _ => usize::from(stage.index),
        };
        self.takes.get(index).copied().unwrap_or(0)
    }
}

/// What one stage did to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The stage's index.
    pub stage: u16,
    /// When it came.
    pub entered: Nanos,
    /// When the waiting was over; `None` if it never was.
    pub begun: Option<Nanos>,
    /// When it went.
    pub left: Nanos,
    /// Did the stage do what it should?
    pub passed: bool,
    /// The replica at which it was, if it goes through several.
    pub member: u32,
}

/// How far a visit has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Between two steps.
    Walks,
    /// In a stage, waiting for its station.
    Waits,
    /// In a stage, being served.
    Served,
    /// Its branches are under way.
    Forked,
    /// At the end of its way.
    Done,
    /// Turned away.
    Refused(Refusal),
}

/// A walk: a request, or one branch of it.
#[derive(Debug)]
pub(super) struct Visit {
    /// The visit that brought it here: itself, unless it is a branch.
    pub(super) root: Visitor,
    /// Index of its way, and of the first of that way's flows.
    pub(super) route: u16,
    pub(super) first_flow: u32,
    /// Of which fork it is a branch.
    pub(super) parent: Option<Visitor>,
    /// Its branches that are under way.
    pub(super) branches: SmallVec<[Visitor; 2]>,
    /// How many branches must still arrive.
    pub(super) needed: u16,
    /// Index of the step at which it is.
    pub(super) step: u16,
    pub(super) state: State,
    /// Changes with everything that makes an entry of the agenda void.
    pub(super) stamp: u32,
    /// The same for the limit of a stage's time.
    pub(super) limit: u32,
    /// When its service ends, `Nanos::MAX` if that is not known; at last, when its way has ended.
    pub(super) until: Nanos,
    pub(super) entered: Nanos,
    pub(super) begun: Nanos,
    /// Attempts of this stage that failed.
    pub(super) tries: u8,
    /// Does it stand in its stage's station, so that it must leave it?
    pub(super) is_inside: bool,
    /// Was its breaker asked, so that it must be told how it went?
    pub(super) is_guarded: bool,
    /// Did the cache have its answer?
    pub(super) is_hit: bool,
    /// What the station itself takes of its time.
    pub(super) extra_ns: Nanos,
    /// The member of a group of replicas that serves it.
    pub(super) member: u32,
    /// The caches that want its answer.
    pub(super) fills: SmallVec<[u16; 4]>,
    /// Has its reply begun?
    pub(super) is_writing: bool,
    pub(super) work: Option<Work>,
}

impl Visit {
    pub(super) fn new(root: Visitor, (route, first_flow): (u16, u32), work: Option<Work>) -> Self {
        Self {
            root,
            route,
            first_flow,
            parent: None,
            branches: SmallVec::new(),
            needed: 0,
            step: 0,
            state: State::Walks,
            stamp: 0,
            limit: 0,
            until: Nanos::MAX,
            entered: 0,
            begun: 0,
            tries: 0,
            is_inside: false,
            is_guarded: false,
            is_hit: false,
            extra_ns: 0,
            member: 0,
            fills: SmallVec::new(),
            is_writing: false,
            work,
        }
    }

    /// Index of the flow of `stage`, which is one of its way.
    pub(super) fn flow_of(&self, stage: &Stage) -> usize {
        self.first_flow as usize + usize::from(stage.index)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_visit_fits_its_budget() {
        // With its flight, and with what a replica knows of it, it stays well below 1 KiB (benches measure the whole).
        let bytes = size_of::<super::Visit>();
        assert!(bytes <= 296, "{bytes}");
    }
}
