//! Decides what will happen to a request, once, and never acts: no I/O, no clock, no waiting.
//!
//! [`planner`] asks the behaviours of a [`generation`] in order (fault, reply, latency) and gives a [`Plan`]: an outcome, a [`reply`]
//! and a [`timing`]. [`build`] turns a scenario and a catalog into a generation; it alone turns names into behaviours.
//! [`identity`] says who a request is and names every draw; [`timeline`] which phase of the scenario it is in; [`token_counts`] how
//! long its prompt is; [`verdict`] where a fault strikes; [`work`] what it brings to the stations, [`prefix`] what of its prompt their
//! replicas may know, [`step_time`] what a plugin says of their steps; `altered` and `violation` do what a fault does to the reply
//! itself; `notes` tells what was drawn. [`decision`] writes a plan down in a few lines; [`refused`] words what a station turned away.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::behavior::fault::Fault;
use crate::clock::Nanos;
use crate::plan::generation::{Generation, Slot, SlotAt};
use crate::plan::identity::Identity;
use crate::plan::reply::Reply;
use crate::plan::timing::Timing;
use crate::plan::verdict::Outcome;
use crate::random::Key;
use crate::scenario::IncidentSet;
use crate::station::replica::StepTime;
use crate::types::usage::Usage;

mod altered;
pub mod build;
pub mod decision;
pub mod generation;
pub mod identity;
mod notes;
pub mod planner;
pub mod prefix;
pub mod realise;
pub mod refused;
pub mod reply;
pub mod step_time;
pub mod timeline;
pub mod timing;
pub mod token_counts;
pub mod verdict;
mod violation;
#[cfg(test)]
mod way_tests;
pub mod work;

/// The phases of planning in which behaviours are asked, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What fails.
    Fault,
    /// What is answered.
    Reply,
    /// When it leaves.
    Latency,
}

/// What will happen to one request.
#[derive(Clone)]
pub struct Plan {
    /// The generation that decided; it lives as long as its last plan.
    pub generation: Arc<Generation>,
    /// Index of the model entry that answers.
    pub model: usize,
    /// Who the request is.
    pub identity: Identity,
    /// The key below which all that happens to it is drawn; what it says is drawn below its content.
    pub events: Key,
    /// The last phase in which a behaviour was asked; `None` if the request was refused before the first.
    pub last_asked: Option<Phase>,
    /// The phase in which it arrived: index in the scenario's time line.
    pub phase: Option<usize>,
    /// The incidents that applied to it.
    pub incidents: IncidentSet,
    /// Index in [`Plan::faults`] of the fault that did not pass.
    pub struck: Option<usize>,
    /// Is the fault that is played one that the request itself brought?
    pub by_request: bool,
    /// Faults that were not asked because their conditions did not hold: bit i for the i-th of those that the request might have met.
    /// What comes after the 64th counts as asked.
    pub passed_over: u64,
    /// The responder that was asked, and the latency model.
    pub asked: (Option<SlotAt>, Option<SlotAt>),
    /// Answer it, and if not, how it fails.
    pub outcome: Outcome,
    /// What is answered; empty if the outcome leaves nothing to answer.
    pub reply: Reply,
    /// When each token leaves.
    pub timing: Timing,
    /// What a replica's steps take from this request on, if the latency model says so.
    pub step: Option<StepTime>,
    /// What each stage of the model's pipeline takes, in nanoseconds, by the stage's index.
    pub stages: SmallVec<[Nanos; 4]>,
    /// Which way each switch of the pipeline goes.
    pub choices: SmallVec<[u8; 4]>,
    /// What it costs.
    pub usage: Usage,
    /// What the client is told that it costs: the same, unless a fault makes it wrong.
    pub told: Usage,
    /// Behaviours whose fallback had to answer: `fault`, `responder`, `latency`.
    pub fallbacks: Vec<&'static str>,
}

/// The code of an answer to a request whose behaviour failed.
const BEHAVIOUR_FAILED: &str = "behaviour_failed";

impl Plan {
    /// The faults that the request met, in the order in which they were asked: those of the incidents that applied, then the model's
    /// own, without those whose conditions did not hold.
    pub fn faults(&self) -> impl Iterator<Item = &Slot<dyn Fault>> {
        let met = self.generation.faults(self.model, self.incidents).enumerate();
        met.filter(|&(index, _)| index >= 64 || self.passed_over >> index & 1 == 0).map(|(_, (_, slot))| slot)
    }

    /// The word for the fault that is played; `None` if there is none. A refusal that no fault asked for (a prompt too long, a failed
    /// plugin) is none, even where a fault had struck before it.
    pub fn fault_kind(&self) -> Option<&'static str> {
        // A fault that refuses leaves nothing else to ask.
        let is_own = !matches!(self.outcome, Outcome::Refuse(_)) || self.last_asked == Some(Phase::Fault);
        self.outcome.fault_kind().filter(|_| (self.struck.is_some() || self.by_request) && is_own)
    }

    /// What went wrong that the scenario did not ask for: a behaviour gave no answer, and the request failed or a fallback took over.
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Refuse(error) if error.code.as_deref() == Some(BEHAVIOUR_FAILED) => Some(&error.message),
            _ => self.fallbacks.first().map(|kind| match *kind {
                "fault" => "a fault gave no answer, and its fallback took over",
                "latency" => "a latency model gave no answer, and its fallback took over",
                _ => "a responder gave no answer, and its fallback took over",
            }),
        }
    }

    /// The name of the responder that was asked.
    pub fn responder(&self) -> Option<&str> {
        let SlotAt { incident, index } = self.asked.0?;
        let own = &self.generation.models[self.model].reply;
        let list = incident.map_or(own, |incident| &self.generation.changes[incident].reply);
        Some(&list[index].name)
    }

    /// The name of the latency model that was asked.
    pub fn latency(&self) -> Option<&str> {
        let SlotAt { incident, index } = self.asked.1?;
        let own = &self.generation.models[self.model].latency;
        let list = incident.map_or(own, |incident| &self.generation.changes[incident].latency);
        Some(&list[index].name)
    }

    /// The name of the phase in which the request arrived.
    pub fn phase_name(&self) -> Option<&str> {
        let phases = self.generation.scenario.phases.as_ref()?;
        Some(&phases.line.get(self.phase?)?.name)
    }

    /// The names of the incidents that applied.
    pub fn incident_names(&self) -> impl Iterator<Item = &str> {
        self.incidents.iter().map(|incident| self.generation.scenario.incidents[incident].name.as_str())
    }
}
