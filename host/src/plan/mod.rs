//! Decides what will happen to a request, once, and never acts: no I/O, no clock, no waiting.
//!
//! [`planner`] asks the behaviours of a [`generation`] in order (route, fault, respond, latency) and gives a [`Plan`]: a verdict, a
//! [`reply`] and a [`timing`]. [`build`] turns a scenario and a catalog into a generation; it alone turns names into behaviours.
//! [`identity`] says who a request is and names every draw.

use std::sync::Arc;

use crate::plan::generation::Generation;
use crate::plan::identity::Identity;
use crate::plan::reply::Reply;
use crate::plan::timing::Timing;
use crate::plan::verdict::Outcome;
use crate::types::usage::Usage;

pub mod build;
pub mod generation;
pub mod identity;
pub mod planner;
pub mod realise;
pub mod reply;
pub mod timing;
pub mod verdict;

/// What will happen to one request.
pub struct Plan {
    /// The generation that decided; it lives as long as its last plan.
    pub generation: Arc<Generation>,
    /// Index of the model entry that answers.
    pub model: usize,
    /// Who the request is.
    pub identity: Identity,
    /// Answer it, and if not, how it fails.
    pub outcome: Outcome,
    /// What is answered; empty if the outcome leaves nothing to answer.
    pub reply: Reply,
    /// When each token leaves.
    pub timing: Timing,
    /// What it costs.
    pub usage: Usage,
    /// Behaviours whose fallback had to answer: `fault`, `responder`, `latency`.
    pub fallbacks: Vec<&'static str>,
}
