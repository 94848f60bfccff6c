//! What changes are made to: what runs, what is on trial, and what ran before and can be brought back.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use ::metrics::Gauge;

use crate::app::reload::record::Shown;
use crate::app::reload::sources::Sources;
use crate::app::workshop::{Need, Tried};
use crate::engine::change::{Change, Declined};
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
    /// Files that were saved since something was changed: their looks have been refused or outdated, and the next one stands for them.
    pub(super) saved: BTreeSet<PathBuf>,
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
    /// How many of its packs nobody who is trusted has signed.
    pub(super) insecure: usize,
}

/// A generation that may begin to answer.
pub(super) struct Built {
    pub(super) generation: Generation,
    pub(super) made: Made,
}

impl Made {
    /// Its plugins for who asks.
    pub(super) fn shown(&self) -> Vec<Shown> {
        self.plugins.iter().map(|(need, plugin)| Shown::of(need, plugin)).collect()
    }
}

impl Desk {
    /// Does anything that is here have a plugin that was tried out as `tried`? Then it need not be again.
    pub(super) fn has_tried(&self, tried: &Tried) -> bool {
        let mut made = self.running.iter().chain(&self.trial).chain(&self.kept);
        made.any(|made| made.plugins.iter().any(|(need, _)| need.tried() == *tried))
    }

    /// `change`; one for saved files is for all that were saved and have had no effect yet.
    pub(super) fn with_saved<'a>(&mut self, change: &'a Change) -> Cow<'a, Change> {
        let Change::Saved(files) = change else { return Cow::Borrowed(change) };
        self.saved.extend(files.iter().cloned());
        Cow::Owned(Change::Saved(self.saved.iter().cloned().collect()))
    }

    /// Is the newest generation, the one on trial or else the running one, among those `expected`, or are none?
    pub(super) fn expect(&self, expected: &[u64]) -> Result<(), Declined> {
        let number = |made: &Option<Made>| made.as_ref().map(|made| made.number);
        let (running, trial) = (number(&self.running).unwrap_or(0), number(&self.trial));
        if expected.is_empty() || expected.contains(&trial.unwrap_or(running)) {
            return Ok(());
        }
        let is_for_running = expected.contains(&running);
        let expected = expected.iter().map(u64::to_string).collect::<Vec<_>>().join(" or ");
        Err(match trial {
            Some(canary) if is_for_running => Declined::OnTrial { expected, canary },
            trial => Declined::Unexpected { expected, head: trial.unwrap_or(running) },
        })
    }

    /// `change` has been made, so files that were saved before it need no look any more. A followed plugin says nothing of them.
    pub(super) fn has_taken(&mut self, change: &Change) {
        if !matches!(change, Change::Offered { .. }) {
            self.saved.clear();
        }
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
        let (sources, digest, insecure) = (made.sources.clone(), made.digest, made.insecure);
        Ok(Built { generation, made: Made { number, copy, sources, digest, plugins, insecure } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_counts_until_a_change_has_taken_it() {
        let saved = |names: &[&str]| Change::Saved(names.iter().map(PathBuf::from).collect());
        let mut desk = Desk::default();
        assert_eq!(*desk.with_saved(&saved(&["b"])), saved(&["b"]));
        assert_eq!(*desk.with_saved(&saved(&["a"])), saved(&["a", "b"]), "the first look came to nothing");
        let offered = Change::Offered { name: "x".to_owned() };
        desk.has_taken(&offered);
        assert_eq!(*desk.with_saved(&offered), offered);
        assert_eq!(*desk.with_saved(&saved(&["a"])), saved(&["a", "b"]), "a followed plugin says nothing of files");
        desk.has_taken(&Change::Files);
        assert_eq!(*desk.with_saved(&saved(&["c"])), saved(&["c"]));
    }
}
