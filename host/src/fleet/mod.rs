//! Plays a scenario in virtual time: the same plans, stations and decisions as the live server, without waiting.
//!
//! [`Fleet`] is one run. Its loop (`player`) takes whatever comes first: a request of the [`Traffic`](crate::workload::Traffic), a
//! change at the [`Site`](crate::station::pipeline::Site), or an end that it has noted itself. A request becomes facts and a plan as in
//! real time (`template`), and is then in [`flight`](self::flight) until its client has its answer. [`measure`] counts, [`audit`] checks
//! what must hold in every run, [`cost`] adds up prices, [`report`] says it all for people and programs, with `groups` for those of
//! replicas.
//!
//! An *event* is one change of state that was taken from a queue: a request that comes, a service, wait or patience that ends, a batch
//! that changes. Times are nanoseconds since the run began. Nothing here reads a clock or draws a number that is not keyed.

use std::sync::Arc;

use crate::clock::Nanos;
use crate::plan::generation::Generation;
use crate::report::timeline::{Attempt, Timeline};
use crate::scenario::Scenario;
use crate::types::problem::Problem;
use crate::workload::Workload;

#[cfg(test)]
mod any_tests;
pub mod audit;
pub mod cost;
pub mod flight;
mod groups;
pub mod measure;
mod player;
mod quotas;
pub mod report;
mod template;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod theory;
mod way;

pub use flight::{Ended, Fate};
pub use groups::decision_json;
pub use player::Fleet;
pub use report::Report;
pub use template::identity_of;

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The run stops after so many events, whatever is still to come.
    pub events_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events_max: crate::types::limits::SIMULATED_EVENTS_MAX }
    }
}

/// Watches a run: what a progress bar and tests need. Every method has a default that does nothing.
pub trait Watch {
    /// A request has ended, one attempt of it; in the order of their ends.
    fn ended(&mut self, ended: &Ended) {
        let _ = ended;
    }

    /// So far the run has come; told every few thousand events.
    fn progress(&mut self, now: Nanos, events: u64, requests: u64) {
        let _ = (now, events, requests);
    }
}

/// Nobody watches.
impl Watch for () {}

/// Two watch, or one of them if the other is not there.
impl<A: Watch, B: Watch> Watch for (Option<A>, Option<B>) {
    fn ended(&mut self, ended: &Ended) {
        self.0.iter_mut().for_each(|one| one.ended(ended));
        self.1.iter_mut().for_each(|other| other.ended(ended));
    }

    fn progress(&mut self, now: Nanos, events: u64, requests: u64) {
        self.0.iter_mut().for_each(|one| one.progress(now, events, requests));
        self.1.iter_mut().for_each(|other| other.progress(now, events, requests));
    }
}

/// What the lines of a picture stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinesBy {
    /// The model entries of the scenario.
    #[default]
    Model,
    /// The classes of the workload.
    Class,
    /// The tenants of the workload.
    Tenant,
}

/// Notes what happened when.
#[derive(Debug, Clone)]
pub struct Chronicle {
    by: LinesBy,
    /// What was noted.
    pub timeline: Timeline,
}

impl Chronicle {
    /// An empty one of a run of `workload` against `scenario`.
    pub fn of(scenario: &Scenario, workload: &Workload, by: LinesBy) -> Self {
        let timeline = match by {
            LinesBy::Model => Timeline::of(scenario.models.iter().map(|model| &*model.name)),
            LinesBy::Class => Timeline::of(workload.classes.iter().map(|class| &*class.name)),
            LinesBy::Tenant => Timeline::of(workload.tenants.iter().map(String::as_str)),
        };
        Self { by, timeline }
    }
}

impl Watch for Chronicle {
    fn ended(&mut self, ended: &Ended) {
        let line = match self.by {
            LinesBy::Model => ended.model,
            LinesBy::Class => Some(ended.class),
            LinesBy::Tenant => Some(ended.tenant),
        };
        self.timeline.record(&Attempt {
            line: line.map(|line| line as usize),
            arrival: ended.arrival,
            first_token: ended.first_token,
            end: ended.end,
            is_failed: ended.fate != Fate::Whole,
            tokens: ended.output_tokens,
        });
    }
}

/// Plays `workload` against `generation` to its end or its limit.
pub fn run(
    generation: &Arc<Generation>,
    workload: &Workload,
    limits: Limits,
    watch: &mut impl Watch,
) -> Result<Report, Vec<Problem>> {
    let mut fleet = Fleet::begin(generation, workload)?;
    fleet.play(limits, watch);
    Ok(fleet.report())
}
