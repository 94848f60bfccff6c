//! The handles of a model's metrics, and the guard that counts one request from its beginning to its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::metrics::{Counter, Gauge, Histogram};

use crate::clock::Nanos;
use crate::station::quota::Budget;
use crate::telemetry::metrics;
use crate::types::usage::Usage;

/// Handles by model name; they outlive generations, so that counts go on across reloads.
#[derive(Default)]
pub struct Measures {
    models: Mutex<HashMap<String, Arc<ModelMeasure>>>,
    /// Every phase and incident that was ever shown, with its gauge: one that a reload took away must go down to 0.
    situation: Mutex<HashMap<(&'static str, String), Gauge>>,
}

impl Measures {
    /// The handles of the model entry `name`.
    pub fn of_model(&self, name: &str) -> Arc<ModelMeasure> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(models.entry(name.to_owned()).or_insert_with(|| Arc::new(ModelMeasure::of(name))))
    }

    /// Shows the running `phase`, and each incident with its strength.
    pub fn situation<'a>(&self, phase: Option<&'a str>, incidents: impl Iterator<Item = (&'a str, f64)>) {
        let mut shown = self.situation.lock().unwrap_or_else(PoisonError::into_inner);
        let phase = phase.map(|name| (metrics::PHASE, "phase", name, 1.0));
        let incidents = incidents.map(|(name, strength)| (metrics::INCIDENT, "incident", name, strength));
        let now: Vec<_> = phase.into_iter().chain(incidents).collect();
        for (metric, label, name, _) in &now {
            shown.entry((metric, (*name).to_owned())).or_insert_with(|| metrics::gauge(metric, &[(label, name)]));
        }
        for ((metric, name), gauge) in shown.iter() {
            let of = now.iter().find(|(known, _, other, _)| known == metric && other == name);
            gauge.set(of.map_or(0.0, |(_, _, _, value)| *value));
        }
    }
}

/// The handles of one model's metrics.
pub struct ModelMeasure {
    name: String,
    /// Requests that came to this entry since the run began.
    pub requests: AtomicU64,
    /// Requests being answered now.
    pub running: AtomicU32,
    /// Requests of the last minute, against what the scenario allows.
    pub request_budget: Budget,
    /// Tokens of the last minute, against what the scenario allows.
    pub token_budget: Budget,
    running_gauge: Gauge,
    answered: Counter,
    cancelled: Counter,
    ttft: Histogram,
    gap: Histogram,
    duration: Histogram,
    input_tokens: Counter,
    output_tokens: Counter,
}

impl ModelMeasure {
    fn of(name: &str) -> Self {
        let model = [("model", name)];
        let tokens = |direction| metrics::counter(metrics::TOKENS, &[("model", name), ("direction", direction)]);
        Self {
            name: name.to_owned(),
            requests: AtomicU64::new(0),
            running: AtomicU32::new(0),
            request_budget: Budget::default(),
            token_budget: Budget::default(),
            running_gauge: metrics::gauge(metrics::RUNNING, &model),
            answered: metrics::counter(metrics::REQUESTS, &[("model", name), ("status", "200")]),
            cancelled: metrics::counter(metrics::CANCELLED, &model),
            ttft: metrics::histogram(metrics::TTFT, &model),
            gap: metrics::histogram(metrics::GAP, &model),
            duration: metrics::histogram(metrics::DURATION, &model),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
        }
    }
}

/// Counts a request that was refused before a model was found for it: bad JSON, an unknown model or path.
pub fn unplanned(status: u16) {
    metrics::counter(metrics::REQUESTS, &[("model", ""), ("status", &status.to_string())]).increment(1);
}

/// One request under way. Dropped without [`Active::end`], its client has left.
pub struct Active {
    measure: Arc<ModelMeasure>,
    arrival: Nanos,
    newest_token: Nanos,
    ended: bool,
}

impl Active {
    /// Counts a request in.
    pub fn begin(measure: Arc<ModelMeasure>, arrival: Nanos) -> Self {
        measure.running.fetch_add(1, Ordering::Relaxed);
        measure.running_gauge.increment(1.0);
        Self { measure, arrival, newest_token: 0, ended: false }
    }

    /// A token left at `now`.
    pub fn token(&mut self, now: Nanos) {
        if self.newest_token == 0 {
            self.measure.ttft.record(seconds(self.arrival, now));
        } else {
            self.measure.gap.record(seconds(self.newest_token, now));
        }
        self.newest_token = now.max(1);
    }

    /// The request came to its planned end with `status` at `now`.
    pub fn end(&mut self, status: u16, now: Nanos, usage: Usage) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match status {
            200 => self.measure.answered.increment(1),
            other => {
                metrics::counter(metrics::REQUESTS, &[("model", &self.measure.name), ("status", &other.to_string())])
                    .increment(1);
            }
        }
        self.measure.duration.record(seconds(self.arrival, now));
        self.measure.input_tokens.increment(usage.input.into());
        self.measure.output_tokens.increment(usage.output.into());
    }

    /// A fault of `kind` was planned.
    pub fn fault(&self, kind: &str) {
        metrics::counter(metrics::FAULTS, &[("model", &self.measure.name), ("kind", kind)]).increment(1);
    }

    /// A fallback answered for a failed `behaviour`.
    pub fn fallback(&self, behaviour: &str) {
        metrics::counter(metrics::FALLBACKS, &[("model", &self.measure.name), ("behaviour", behaviour)]).increment(1);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.measure.running.fetch_sub(1, Ordering::Relaxed);
        self.measure.running_gauge.decrement(1.0);
        if !self.ended {
            self.measure.cancelled.increment(1);
        }
    }
}

fn seconds(from: Nanos, to: Nanos) -> f64 {
    to.saturating_sub(from) as f64 * 1e-9
}
