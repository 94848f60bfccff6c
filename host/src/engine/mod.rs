//! Plays plans in real time, without HTTP: a request goes in, a [`playback::Playback`] comes out.
//!
//! [`Engine`] holds the running [`Generation`] and swaps it whole. [`pacer`] wakes what is due, one pacer a worker. [`playback`]
//! is the state machine that says what leaves when; [`slow_lane`] keeps slow plugins off the workers; [`occurrences`] counts
//! repeats; [`token_counts`] counts prompts; [`measure`] keeps the metrics' handles and [`tally`] the figures of the
//! verdict; [`conduct`] watches what clients do about failures; [`decisions`] writes down what was decided.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::dialect::Dialect;
use crate::engine::conduct::Conduct;
use crate::engine::decisions::{Decided, Decisions};
use crate::engine::measure::{Active, Measures};
use crate::engine::occurrences::Occurrences;
use crate::engine::playback::Playback;
use crate::engine::slow_lane::SlowLane;
use crate::engine::token_counts::input_tokens;
use crate::plan::generation::Generation;
use crate::plan::identity::{Identity, content_of};
use crate::plan::planner::{Facts, plan};
use crate::report::{Figures, Verdict, judge};
use crate::types::api_error::ApiError;
use crate::types::request::Request;

pub mod conduct;
pub mod decisions;
pub mod lateness;
pub mod measure;
pub mod occurrences;
pub mod pacer;
pub mod playback;
pub mod slow_lane;
pub mod tally;
pub mod token_counts;

/// The live player.
pub struct Engine {
    running: ArcSwap<Running>,
    clock: RealClock,
    occurrences: Occurrences,
    slow_lane: SlowLane,
    measures: Measures,
    conduct: Arc<Conduct>,
    decisions: Option<Decisions>,
}

/// A generation with the handles of its models' metrics, by the same index.
pub struct Running {
    /// The generation.
    pub generation: Arc<Generation>,
    measures: Vec<Arc<measure::ModelMeasure>>,
}

/// What the doors know of a request besides its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin {
    /// Hash of the identity that the client named, if it did.
    pub identity: Option<u64>,
    /// Which attempt the client says this is.
    pub attempt: Option<u32>,
    /// When its head was complete.
    pub arrival: u64,
    /// Who speaks; the decision log needs it for ids.
    pub dialect: Option<&'static dyn Dialect>,
}

impl Engine {
    /// An engine that plays `generation` on `clock`.
    pub fn new(generation: Generation, clock: RealClock) -> Self {
        let measures = Measures::default();
        Self {
            running: ArcSwap::from_pointee(Running::of(generation, &measures)),
            clock,
            occurrences: Occurrences::default(),
            slow_lane: SlowLane::start(),
            measures,
            conduct: Arc::default(),
            decisions: None,
        }
    }

    /// The same, writing down every decision.
    #[must_use]
    pub fn with_decisions(mut self, decisions: Option<Decisions>) -> Self {
        self.decisions = decisions;
        self
    }

    /// The log of decisions, if there is one.
    pub fn decisions(&self) -> Option<&Decisions> {
        self.decisions.as_ref()
    }

    /// The clock of this run.
    pub fn clock(&self) -> &RealClock {
        &self.clock
    }

    /// What plays for requests that begin now.
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Lets `generation` answer all requests that begin from now on. Requests under way keep theirs.
    pub fn swap(&self, generation: Generation) {
        self.running.store(Arc::new(Running::of(generation, &self.measures)));
    }

    /// Plans `request`. The error is the vendor's refusal of a model that nobody has, or of more work than there is room for.
    ///
    /// The playback is boxed because it is handed on several times before it rests in a body.
    pub async fn begin(&self, request: Arc<Request>, origin: Origin) -> Result<Box<Playback>, ApiError> {
        let running = self.running.load_full();
        let generation = &running.generation;
        let model = generation.scenario.find(&request.model).ok_or_else(|| unknown_model(&request.model))?;
        let content = content_of(&request);
        let (identity, attempt) = (origin.identity.unwrap_or(content), origin.attempt.unwrap_or(0));
        let occurrence = self.occurrences.next(identity, attempt);
        let measure = &running.measures[model];
        let facts = Facts {
            identity: Identity { content, identity, attempt, occurrence },
            now: origin.arrival,
            input_tokens: input_tokens(generation, &request),
            running: measure.running.load(Ordering::Relaxed),
            waiting: 0,
        };
        let mut active = Active::begin(Arc::clone(measure), origin.arrival).watched(&self.conduct, identity, attempt);
        let logged = self.decisions.as_ref().map(|decisions| (decisions, Arc::clone(&request)));
        let planned = if generation.models[model].is_slow() {
            let generation = Arc::clone(generation);
            let planned = self.slow_lane.run(move || plan(&generation, model, &request, &facts)).await;
            // A refusal is counted where it is sent, and its client has not left.
            planned.inspect_err(|_| active.withdraw())?
        } else {
            plan(generation, model, &request, &facts)
        };
        if let Some((decisions, request)) = logged {
            decisions.note(Decided { dialect: origin.dialect, request, facts, plan: planned.clone() });
        }
        Ok(Box::new(Playback::of(planned, origin.arrival, active)))
    }

    /// Counts a request that was refused at `now` before a model was found for it.
    pub fn unplanned(&self, status: u16, now: Nanos) {
        self.measures.unplanned(status, now);
    }

    /// The run so far, judged by the criteria of the running scenario.
    pub fn verdict(&self) -> Verdict {
        let figures = Figures { models: self.measures.figures(), lateness: lateness::snapshot() };
        judge(&self.running().generation.scenario.criteria, figures)
    }

    /// Unix time in seconds of the moment `at`.
    pub fn unix_s(&self, at: Nanos) -> u64 {
        self.clock.epoch_unix_s() + at / 1_000_000_000
    }
}

impl Running {
    fn of(generation: Generation, measures: &Measures) -> Self {
        let measures = generation.scenario.models.iter().map(|model| measures.of_model(&model.name)).collect();
        Self { generation: Arc::new(generation), measures }
    }
}

fn unknown_model(name: &str) -> ApiError {
    let shown: String = name.chars().take(100).collect();
    let message = format!("The model `{shown}` does not exist or you do not have access to it.");
    ApiError::of_status(404, message).with_code("model_not_found")
}
