//! What a scenario says of stations and pipelines, checked: settings as the stations take them, and ways compiled to routes.

use std::sync::Arc;

use crate::scenario::BehaviorUse;
use crate::scenario::when::When;
use crate::station::pipeline::Settings;
use crate::station::pipeline::route::Route;

/// One entry of `stations:`.
#[derive(Debug, Clone)]
pub struct StationEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub settings: Settings,
    /// What it costs an hour, of replicas each of them; in any currency.
    pub cost_per_hour: Option<f64>,
    /// The plugin that chooses between its replicas, before the rule of the settings.
    pub chooser: Option<BehaviorUse>,
    /// The plugin that says how many replicas there shall be, before the rule of the settings.
    pub scaler: Option<BehaviorUse>,
}

impl StationEntry {
    /// Is it a cache?
    pub fn is_cache(&self) -> bool {
        matches!(self.settings, Settings::Cache(_))
    }
}

/// The `pipeline:` of a model entry.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The way, compiled. Its stations are indices in the scenario's `stations`.
    pub route: Route,
    /// What each stage takes, by its index; the first whose conditions hold, nothing if there is none.
    pub takes: Vec<Vec<BehaviorUse>>,
    /// Texts that stages answer with, in place of the model's own reply.
    pub texts: Vec<String>,
    /// For each switch the conditions of its ways, in order; the last has none.
    pub switches: Vec<Vec<Option<Arc<When>>>>,
    /// Does its latency model time the reply anywhere? Elsewhere replicas do, or the reply is there at once.
    pub times_reply: bool,
    /// Is the entry's latency model asked: does it time a reply, or give a replica its coefficients?
    pub asks_latency: bool,
}
