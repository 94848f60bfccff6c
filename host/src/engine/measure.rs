//! The handles of a model's metrics, and the guard that counts one request from its beginning to its end. What the verdict needs is
//! counted beside them, in a [`Tally`].

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ::metrics::{Counter, Gauge, Histogram};

use crate::clock::Nanos;
use crate::engine::conduct::{Came, Conduct, Fate};
use crate::engine::quotas::Held;
use crate::engine::served::{Counts, End, Served, Serving};
use crate::engine::tally::Tally;
use crate::report::ModelFigures;
use crate::station::Cause;
use crate::telemetry::metrics;
use crate::types::criterion::Counted;
use crate::types::request::Request;
use crate::types::usage::Usage;

/// Handles by model name; they outlive generations, so that counts go on across reloads.
#[derive(Default)]
pub struct Measures {
    models: Mutex<HashMap<String, Arc<ModelMeasure>>>,
    /// Every phase and incident that was ever shown, with its gauge: one that a reload took away must go down to 0.
    situation: Mutex<HashMap<(&'static str, String), Gauge>>,
    /// What was refused before a model was found.
    refused: Tally,
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

    /// What has been measured so far, by model.
    pub fn figures(&self) -> BTreeMap<String, ModelFigures> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = ("".to_owned(), self.refused.figures());
        models.iter().map(|(name, measure)| (name.clone(), measure.tally.figures())).chain([refused]).collect()
    }
}

/// The handles of one model's metrics.
pub struct ModelMeasure {
    name: String,
    /// Requests that came to this entry since the run began.
    pub requests: AtomicU64,
    /// Requests being answered now.
    pub running: AtomicU32,
    running_gauge: Gauge,
    answered: Counter,
    cancelled: Counter,
    ttft: Histogram,
    gap: Histogram,
    duration: Histogram,
    input_tokens: Counter,
    output_tokens: Counter,
    retries: Counter,
    ignored_waits: Counter,
    storms: Counter,
    truncated_accepted: Gauge,
    /// For the verdict.
    pub tally: Tally,
    /// What a model server would count; made with the first request that is to be counted so.
    served: OnceLock<Box<Counts>>,
}

impl ModelMeasure {
    fn of(name: &str) -> Self {
        let model = [("model", name)];
        let tokens = |direction| metrics::counter(metrics::TOKENS, &[("model", name), ("direction", direction)]);
        Self {
            name: name.to_owned(),
            requests: AtomicU64::new(0),
            running: AtomicU32::new(0),
            running_gauge: metrics::gauge(metrics::RUNNING, &model),
            answered: metrics::counter(metrics::REQUESTS, &[("model", name), ("status", "200")]),
            cancelled: metrics::counter(metrics::CANCELLED, &model),
            ttft: metrics::histogram(metrics::TTFT, &model),
            gap: metrics::histogram(metrics::GAP, &model),
            duration: metrics::histogram(metrics::DURATION, &model),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
            retries: metrics::counter(metrics::CLIENT_RETRIES, &model),
            ignored_waits: metrics::counter(metrics::CLIENT_IGNORED_WAITS, &model),
            storms: metrics::counter(metrics::CLIENT_STORMS, &model),
            truncated_accepted: metrics::gauge(metrics::CLIENT_TRUNCATED_ACCEPTED, &model),
            tally: Tally::default(),
            served: OnceLock::new(),
        }
    }

    /// What a model server would have counted so far.
    pub fn served(&self) -> Served {
        self.served.get().map(|counts| counts.snapshot()).unwrap_or_default()
    }

    /// Counts what a request says about its client.
    pub fn came(&self, came: Came) {
        let noted = [
            (came.retry, Counted::Retries, &self.retries),
            (came.ignored_wait, Counted::IgnoredRetryAfter, &self.ignored_waits),
            (came.storm, Counted::RetryStorms, &self.storms),
        ];
        for (_, counted, exported) in noted.into_iter().filter(|(is_true, ..)| *is_true) {
            self.tally.add(counted);
            exported.increment(1);
        }
    }

    /// Counts a truncated reply, which counts as accepted for now.
    pub fn truncated(&self) {
        self.tally.add(Counted::TruncatedAccepted);
        self.truncated_accepted.increment(1.0);
    }

    /// The client of a truncated reply has asked again.
    pub fn truncation_noticed(&self) {
        self.tally.take_back(Counted::TruncatedAccepted);
        self.truncated_accepted.decrement(1.0);
    }
}

impl Measures {
    /// Counts a request that was refused at `now`, before a model was found for it: bad JSON, an unknown model or path.
    pub fn unplanned(&self, status: u16, now: Nanos) {
        metrics::counter(metrics::REQUESTS, &[("model", ""), ("status", &status.to_string())]).increment(1);
        self.refused.arrived(now);
        self.refused.ended(now, 0);
        [Counted::Requests, Counted::Errors, Counted::Refusals].into_iter().for_each(|counted| self.refused.add(counted));
    }
}

/// Requests that one generation answers now.
#[derive(Debug, Default)]
pub struct Visits {
    requests: AtomicU32,
    streams: AtomicU32,
}

impl Visits {
    /// All of them, and those that stream.
    pub fn counts(&self) -> (u32, u32) {
        (self.requests.load(Ordering::Relaxed), self.streams.load(Ordering::Relaxed))
    }
}

/// One of them, until it is dropped.
struct Visit {
    visits: Arc<Visits>,
    streams: bool,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.visits.requests.fetch_sub(1, Ordering::Relaxed);
        self.visits.streams.fetch_sub(u32::from(self.streams), Ordering::Relaxed);
    }
}

/// One request under way. Dropped without [`Active::end`], its client has left.
pub struct Active {
    measure: Arc<ModelMeasure>,
    arrival: Nanos,
    newest_token: Nanos,
    ended: bool,
    watch: Option<Watch>,
    visit: Option<Visit>,
    /// What it holds of its quotas.
    held: Option<Box<Held>>,
    input_tokens: u32,
    /// Tokens that have left.
    tokens: u32,
    /// What a model server would count of it, if that is to be counted.
    serving: Option<Box<Serving>>,
}

/// Whose conduct a request belongs to.
struct Watch {
    conduct: Arc<Conduct>,
    identity: u64,
    is_retry: bool,
}

impl Active {
    /// Counts a request in.
    pub fn begin(measure: Arc<ModelMeasure>, arrival: Nanos) -> Self {
        measure.running.fetch_add(1, Ordering::Relaxed);
        measure.running_gauge.increment(1.0);
        measure.tally.arrived(arrival);
        Self {
            measure,
            arrival,
            newest_token: 0,
            ended: false,
            watch: None,
            visit: None,
            held: None,
            input_tokens: 0,
            tokens: 0,
            serving: None,
        }
    }

    /// What a model server would count of it, a `request`, is counted.
    pub fn serve(&mut self, request: &Request) {
        self.serving = Some(Box::new(Serving::of(request)));
    }

    /// The same, once it is known how it ends and how long it has waited by then.
    pub fn serves(&mut self) -> Option<&mut Serving> {
        self.serving.as_deref_mut()
    }

    /// The same for a request of `identity`, its `attempt`-th, whose end `conduct` shall know.
    #[must_use]
    pub fn watched(mut self, conduct: &Arc<Conduct>, identity: u64, attempt: u32) -> Self {
        let came = conduct.came(identity, attempt, self.arrival);
        self.measure.came(came);
        self.watch = Some(Watch { conduct: Arc::clone(conduct), identity, is_retry: came.retry });
        self
    }

    /// Its generation answers it, `streams` or not, until it is dropped.
    pub fn visits(&mut self, visits: &Arc<Visits>, streams: bool) {
        visits.requests.fetch_add(1, Ordering::Relaxed);
        visits.streams.fetch_add(u32::from(streams), Ordering::Relaxed);
        self.visit = Some(Visit { visits: Arc::clone(visits), streams });
    }

    /// It holds `held` of its quotas until it ends, and its prompt has `input_tokens`.
    pub fn hold(&mut self, held: Option<Box<Held>>, input_tokens: u32) {
        (self.held, self.input_tokens) = (held, input_tokens);
    }

    /// A limit turned it away.
    pub fn refused(&self, cause: Cause) {
        metrics::counter(metrics::REFUSED, &[("model", &self.measure.name), ("cause", cause.name())]).increment(1);
    }

    /// A token left at `now`.
    pub fn token(&mut self, now: Nanos) {
        self.tokens += 1;
        if let Some(serving) = &mut self.serving {
            serving.token(now);
            if self.newest_token > 0 {
                self.measure.served.get_or_init(Box::default).gap(now.saturating_sub(self.newest_token));
            }
        }
        if self.newest_token == 0 {
            self.measure.ttft.record(seconds(self.arrival, now));
            self.measure.tally.times().first_token.record(now.saturating_sub(self.arrival), 1);
        } else {
            self.measure.gap.record(seconds(self.newest_token, now));
            self.measure.tally.times().gap.record(now.saturating_sub(self.newest_token), 1);
        }
        self.newest_token = now.max(1);
    }

    /// The request came to its planned end with `status` at `now`, and its client has seen `fate`. Its quotas are charged `used` tokens.
    pub fn end(&mut self, status: u16, now: Nanos, usage: Usage, used: u32, fate: Fate) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(mut held) = self.held.take() {
            held.used(used);
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
        if let Some(serving) = &self.serving {
            self.measure.served.get_or_init(Box::default).ended(serving, (self.arrival, now), usage, fate);
        }
        let tally = &self.measure.tally;
        tally.ended(now, usage.output);
        tally.times().duration.record(now.saturating_sub(self.arrival), 1);
        tally.add(Counted::Requests);
        if fate != Fate::Whole {
            tally.add(Counted::Errors);
        }
        if matches!(fate, Fate::Refused(_)) {
            tally.add(Counted::Refusals);
        }
        match &self.watch {
            Some(watch) if fate != Fate::Whole => watch.conduct.failed(watch.identity, fate, now, &self.measure),
            Some(watch) if watch.is_retry => watch.conduct.answered(watch.identity),
            _ => {}
        }
    }

    /// The request is counted elsewhere.
    pub fn withdraw(&mut self) {
        self.ended = true;
        self.held.take().into_iter().for_each(|mut held| held.give_back());
    }

    /// A fault of `kind` was planned.
    pub fn fault(&self, kind: &str) {
        self.measure.tally.add(Counted::Faults);
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
        if let Some(held) = &mut self.held {
            // Its client has left: what it got counts.
            held.used(self.input_tokens.saturating_add(self.tokens));
        }
        if !self.ended {
            self.measure.cancelled.increment(1);
            if self.serving.is_some() {
                self.measure.served.get_or_init(Box::default).add(End::Abort);
            }
            self.measure.tally.add(Counted::Requests);
            self.measure.tally.add(Counted::Abandoned);
            if let Some(watch) = &self.watch {
                // Whoever left and comes again retries; nobody told it to wait, so the time does not matter.
                watch.conduct.failed(watch.identity, Fate::Broken, 0, &self.measure);
            }
        }
    }
}

fn seconds(from: Nanos, to: Nanos) -> f64 {
    to.saturating_sub(from) as f64 * 1e-9
}
