//! What changes are made to: what runs, what is on trial, and what ran before and can be brought back.

use std::collections::VecDeque;
use std::sync::Arc;

use ::metrics::Gauge;

use crate::app::reload::sources::Sources;
use crate::app::workshop::{Need, Tried};
use crate::engine::change::{Declined, Terms};
use crate::plan::generation::Generation;
use crate::telemetry::metrics;
use crate::wasm::Plugin;

/// What changes are made to.
#[derive(Default)]
pub(super) struct Desk {
    /// Number of the newest generation.
    pub(super) newest: u64,
    /// What runs; not there before the first generation is built.
    pub(super) running: Option<Made>,
    /// What is on trial.
    pub(super) trial: Option<Made>,
    /// What ran before and can be brought back, the newest last.
    pub(super) kept: VecDeque<Made>,
}

/// A generation with what it was made from.
pub(super) struct Made {
    pub(super) number: u64,
    /// Its behaviours. This copy is not the one that answers, so that the gauge of generations alive counts only those that do.
    pub(super) copy: Generation,
    pub(super) sources: Sources,
    pub(super) digest: u128,
    /// Its plugins, held so that the next generation finds them loaded.
    pub(super) plugins: Vec<(Need, Arc<Plugin>)>,
}

/// A generation that may begin to answer.
pub(super) struct Built {
    pub(super) generation: Generation,
    pub(super) made: Made,
}

impl Desk {
    /// Does anything that is here have a plugin that was tried out as `tried`? Then it need not be again.
    pub(super) fn has_tried(&self, tried: &Tried) -> bool {
        let mut made = self.running.iter().chain(&self.trial).chain(&self.kept);
        made.any(|made| made.plugins.iter().any(|(need, _)| need.tried() == *tried))
    }

    /// Is what runs, or what is on trial, among what `terms` expect?
    pub(super) fn expect(&self, terms: &Terms) -> Result<(), Declined> {
        let number = |made: &Option<Made>| made.as_ref().map(|made| made.number);
        let (running, trial) = (number(&self.running).unwrap_or(0), number(&self.trial));
        if terms.expected.is_empty() || terms.expected.contains(&trial.unwrap_or(running)) {
            return Ok(());
        }
        let expected = terms.expected.iter().map(u64::to_string).collect::<Vec<_>>().join(" or ");
        Err(match trial {
            Some(canary) if terms.expected.contains(&running) => Declined::OnTrial { expected, canary },
            trial => Declined::Unexpected { expected, head: trial.unwrap_or(running) },
        })
    }

    /// What the newest generation is made from.
    pub(super) fn newest_made(&mut self) -> Option<&mut Made> {
        self.trial.as_mut().or(self.running.as_mut())
    }

    /// Is the newest generation made from exactly this?
    pub(super) fn is_at(&self, digest: u128) -> bool {
        self.trial.as_ref().or(self.running.as_ref()).is_some_and(|made| made.digest == digest)
    }

    /// A kept generation under the next number: the last one, or number `to`.
    pub(super) fn bring_back(&self, to: Option<u64>) -> Result<Built, Declined> {
        let found = match to {
            None => self.kept.back(),
            Some(to) => self.kept.iter().find(|made| made.number == to),
        };
        let Some(made) = found else {
            let numbers: Vec<String> = self.kept.iter().map(|made| made.number.to_string()).collect();
            let kept = if numbers.is_empty() { "none is kept".to_owned() } else { format!("kept: {}", numbers.join(", ")) };
            return Err(Declined::NoGeneration { to, kept });
        };
        let number = self.newest + 1;
        let generation = made.copy.renumbered(number, metrics::gauge(metrics::GENERATIONS, &[]));
        let copy = made.copy.renumbered(number, Gauge::noop());
        let plugins = made.plugins.clone();
        Ok(Built { generation, made: Made { number, copy, sources: made.sources.clone(), digest: made.digest, plugins } })
    }
}
