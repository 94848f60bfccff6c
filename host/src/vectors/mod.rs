//! Test vectors of plugins: what is asked, and what must be decided. Files `tests/*.yaml` of projects and packs.
//!
//! [`read`] makes cases of files and names every mistake at its place; `request` and `expect` are its parts, `pattern` and `bounds`
//! what an expectation may say. [`mod@check`] runs the cases: a `rig` puts the plugin into a scenario of one model, so that the planner
//! itself asks it, and notes what it decides in the [`words`] of scenarios. A balancer or an autoscaler is asked with a `group` of
//! replicas that the case describes. [`report`] says what came out, as a diff.
//!
//! Each case is run on fresh instances and on one instance in two orders, with an empty state: answers that differ depend on
//! memory that an instance keeps, which no plugin may rely on.

pub mod bounds;
pub mod check;
mod expect;
pub mod group;
pub mod pattern;
pub mod read;
pub mod report;
mod request;
mod rig;
#[cfg(test)]
mod tests;
pub mod words;

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Nanos;
use crate::scenario::refusal::Refusal;
use crate::scenario::source::Source;
use crate::station::balancer::chooser::Sight;
use crate::types::problem::{Place, Problem};
use crate::types::request::Request;
use crate::wasm::Plugin;

pub use check::{check, check_while};
pub use expect::Expect;
pub use group::Group;
pub use report::Report;
pub use rig::rig_model;

/// The cases of one or several files.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// In the order of the files.
    pub cases: Vec<Case>,
}

impl Suite {
    /// Refuses cases that say they are about another plugin than `plugin`, each file once: nobody would run them.
    pub fn only_about(&self, plugin: &Plugin) -> Result<(), Refusal> {
        let mut refusal = Refusal { file: String::new(), files: Vec::new(), problems: Vec::new() };
        let others =
            self.cases.iter().filter_map(|case| Some((case, case.plugin.as_deref().filter(|name| !plugin.is_called(name))?)));
        for (case, name) in others {
            let mut problem =
                Problem::new("/plugin", format!("these cases are about `{name}`, and there is only `{}`", plugin.about().name));
            problem = problem.hint("correct the name, or leave it out where there is only one plugin");
            let found = Refusal::of(&case.source, vec![problem]);
            if !refusal.problems.contains(&found.problems[0]) {
                refusal.file = found.file;
                refusal.files.extend(found.files);
                refusal.problems.extend(found.problems);
            }
        }
        if refusal.problems.is_empty() { Ok(()) } else { Err(refusal) }
    }
}

/// One case: what is asked in order, and what must come.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it shows, in the author's words; no other case of its file is called so.
    pub name: String,
    /// The plugin that it is about, where a file says so; else the only one there is.
    pub plugin: Option<String>,
    /// Where it is written.
    pub place: Place,
    /// The plugin's options.
    pub options: Value,
    /// Places in the options that the plugin must complain about, as JSON pointers; `None` if it must accept them.
    pub refused: Option<Vec<String>>,
    /// The most fuel that one call may take.
    pub max_fuel: Option<u64>,
    /// One request after the other; state lives from the first to the last.
    pub steps: Vec<Step>,
    /// What knows the places of the options.
    source: Arc<Source>,
    /// JSON pointer of the options in it.
    options_pointer: String,
}

/// One request, or many alike that differ in their seeds.
#[derive(Debug, Clone)]
pub struct Step {
    /// Where it is written.
    pub place: Place,
    /// What is asked.
    pub request: Arc<Request>,
    /// What the host knows besides.
    pub call: CallFacts,
    /// Who is asked.
    pub asks: Asks,
    /// How often, each time with other draws; once if `None`.
    pub over: Option<Over>,
    /// What must come.
    pub expect: Expect,
}

/// Who is asked in a step.
#[derive(Debug, Clone, Default)]
pub enum Asks {
    /// The planner, and so every behaviour of a request.
    #[default]
    Request,
    /// The balancer, which of these takes the request.
    Balancer(Vec<Sight>),
    /// The autoscaler.
    Autoscaler(Box<Group>),
}

/// What a call says besides the request; what is not written is as of the first request of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// The seed that every behaviour is given.
    pub seed: u64,
    /// Time since the run began.
    pub now: Nanos,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// How often this identity and attempt has been seen before.
    pub occurrence: u32,
    /// Equal for all attempts of one request; made from what is asked if not given.
    pub identity: Option<u64>,
    /// The caller's tier; empty for none.
    pub tenant: String,
    /// The stage of a pipeline; empty for the model itself.
    pub stage: String,
    /// Requests that are being answered.
    pub running: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// Tokens of the prompt; counted if not given.
    pub input_tokens: Option<u32>,
    /// Tokens of the reply, for latency models: the responder is not asked then.
    pub output_tokens: Option<u32>,
    /// A number for the first block of the prompt, for balancers; 0 if nothing is known of it.
    pub prefix: u64,
    /// The priority of the caller's tier, for balancers.
    pub priority: u8,
}

/// Many requests alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// How many.
    pub requests: u64,
    /// From one to the next.
    pub every: Nanos,
}
