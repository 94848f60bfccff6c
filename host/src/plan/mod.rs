//! Decides what will happen to a request, once, and never acts: no I/O, no clock, no waiting.
//!
//! [`planner`] asks the behaviours of a [`generation`] in order (fault, reply, latency) and gives a [`Plan`]: an outcome, a [`reply`]
//! and a [`timing`]. [`build`] turns a scenario and a catalog into a generation; it alone turns names into behaviours.
//! [`identity`] says who a request is and names every draw. [`verdict`] says where a fault strikes; `altered` and `violation` do what a
//! fault does to the reply itself.

use std::sync::Arc;

use crate::plan::generation::Generation;
use crate::plan::identity::Identity;
use crate::plan::reply::Reply;
use crate::plan::timing::Timing;
use crate::plan::verdict::Outcome;
use crate::types::usage::Usage;

mod altered;
pub mod build;
pub mod generation;
pub mod identity;
pub mod planner;
pub mod realise;
pub mod reply;
pub mod timing;
pub mod verdict;
mod violation;

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
pub struct Plan {
    /// The generation that decided; it lives as long as its last plan.
    pub generation: Arc<Generation>,
    /// Index of the model entry that answers.
    pub model: usize,
    /// Who the request is.
    pub identity: Identity,
    /// The last phase in which a behaviour was asked; `None` if the request was refused before the first.
    pub last_asked: Option<Phase>,
    /// Index in the model's faults of the one that did not pass.
    pub struck: Option<usize>,
    /// Answer it, and if not, how it fails.
    pub outcome: Outcome,
    /// What is answered; empty if the outcome leaves nothing to answer.
    pub reply: Reply,
    /// When each token leaves.
    pub timing: Timing,
    /// What it costs.
    pub usage: Usage,
    /// What the client is told that it costs: the same, unless a fault makes it wrong.
    pub told: Usage,
    /// Behaviours whose fallback had to answer: `fault`, `responder`, `latency`.
    pub fallbacks: Vec<&'static str>,
}
