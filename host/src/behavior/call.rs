//! One request as a behaviour sees it, and what can go wrong in a behaviour.

use std::sync::Arc;

use crate::clock::Nanos;
use crate::random::{Draws, Key};
use crate::types::request::{Operation, Request};

/// One request as a behaviour sees it. Mirrors the contract's `call` record; texts are behind `request`.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Who this request is: equal for every attempt of the same request.
    pub identity: u64,
    /// 0 for the first attempt, 1 for the first retry.
    pub attempt: u32,
    /// How often this identity and attempt has been seen before.
    pub occurrence: u32,
    /// Seed of all draws of this behaviour for this call.
    pub seed: u64,
    /// Time since the run began, on whichever clock runs.
    pub now: Nanos,
    /// Index of the scenario's model entry.
    pub model: u32,
    /// Index of the caller's tier; the one after the last if none counts for it, so 0 if there are none.
    pub tenant: u32,
    /// Stage of a pipeline; 0 is the model itself.
    pub stage: u32,
    /// What is asked for.
    pub operation: Operation,
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// The most tokens one reply may have.
    pub max_output_tokens: u32,
    /// Requests that this model is answering as this one arrives.
    pub running: u32,
    /// Requests that wait for this model as this one arrives.
    pub waiting: u32,
    /// The request itself, for behaviours that need more than numbers.
    pub request: &'a Arc<Request>,
    /// Notes every draw, where somebody wants to see them.
    pub draws: Option<&'a Draws>,
}

impl<'a> Call<'a> {
    /// The first attempt of a small chat at an idle model as the run begins: for rehearsals and measurements.
    pub fn first(request: &'a Arc<Request>) -> Self {
        Self {
            identity: 0,
            attempt: 0,
            occurrence: 0,
            seed: 0,
            now: 0,
            model: 0,
            tenant: 0,
            stage: 0,
            operation: Operation::Chat,
            input_tokens: 10,
            max_output_tokens: 100,
            running: 0,
            waiting: 0,
            request,
            draws: None,
        }
    }

    /// The draw called `name` of this behaviour for this call, in [0, 1).
    pub fn draw(&self, name: &str) -> f64 {
        let value = Key::of_seed(self.seed).named(name).unit();
        if let Some(draws) = self.draws {
            draws.note(name, value);
        }
        value
    }

    /// Does the draw called `name` fall below `share` (0 to 1)? A share of 0 never strikes, one of 1 always.
    pub fn strikes(&self, name: &str, share: f64) -> bool {
        let value = Key::of_seed(self.seed).named(name).unit();
        let hit = value < share;
        if let Some(draws) = self.draws {
            let meaning = if hit { "strikes" } else { "passes" };
            draws.note_meaning(name, value, format!("{meaning} at a rate of {share}"));
        }
        hit
    }
}

/// Why a behaviour gave no answer. The planner falls back or answers 500, as the scenario says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{behaviour} `{name}`: {message}")]
pub struct BehaviorError {
    /// `fault`, `responder` or `latency`.
    pub behaviour: &'static str,
    /// The behaviour's name in the scenario.
    pub name: String,
    /// What happened and what to do.
    pub message: String,
    /// A short fixed word for metrics: `trap`, `timeout`, `memory`, `bad-answer`, `breaker` …
    pub cause: &'static str,
}
