//! The running set: one immutable scenario with its behaviours made and warm, swapped whole on reload.

use std::sync::Arc;

use metrics::Gauge;

use crate::behavior::fault::Fault;
use crate::behavior::latency::Latency;
use crate::behavior::responder::Responder;
use crate::behavior::tokenizer::Tokenizer;
use crate::behavior::writer::{JsonWriter, TextWriter};
use crate::scenario::Scenario;

/// One immutable set of scenario and behaviours. Requests hold the one they began with.
pub struct Generation {
    /// 1 for the first of a run, then one more with each change.
    pub number: u64,
    /// Seed of all draws.
    pub seed: u64,
    /// The scenario it was built from.
    pub scenario: Arc<Scenario>,
    /// One a model entry, in the scenario's order.
    pub models: Vec<Model>,
    /// Styles of text, by the index that segments carry.
    pub styles: Vec<Arc<dyn TextWriter>>,
    /// The styles' names, by the same index; the first is the default.
    pub style_names: Vec<String>,
    /// Counts and splits texts.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// Writes JSON that fits a schema.
    pub json: Arc<dyn JsonWriter>,
    pub(crate) _alive: Alive,
}

/// The behaviours of one model entry.
pub struct Model {
    /// Asked in order until one does not pass.
    pub faults: Vec<Slot<dyn Fault>>,
    /// Decides the answer.
    pub reply: Slot<dyn Responder>,
    /// Decides when it leaves.
    pub latency: Slot<dyn Latency>,
}

/// A behaviour in use, with what takes its place when it fails.
pub struct Slot<B: ?Sized> {
    /// Its name in the scenario.
    pub name: String,
    /// The behaviour.
    pub primary: Arc<B>,
    /// What takes its place.
    pub fallback: Option<Arc<B>>,
}

impl Model {
    /// Is one of the behaviours known to be slow, so that planning belongs in the slow lane?
    pub fn is_slow(&self) -> bool {
        self.faults.iter().any(|slot| slot.primary.is_slow()) || self.reply.primary.is_slow() || self.latency.primary.is_slow()
    }
}

/// Counts generations alive for as long as it lives.
pub(crate) struct Alive(Gauge);

impl Alive {
    pub(crate) fn begin(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
