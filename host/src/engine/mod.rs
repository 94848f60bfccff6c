//! Plays plans in real time, without HTTP: a request goes in, a [`playback::Playback`] comes out.
//!
//! [`Engine`] holds the running [`Generation`] and swaps it whole. [`pacer`] wakes what is due, one pacer a worker. [`playback`]
//! is the state machine that says what leaves when; [`slow_lane`] keeps slow plugins off the workers; [`occurrences`] counts
//! repeats; [`situation`] knows the phase and what operators switched; [`measure`] keeps the metrics' handles, [`tally`] the figures of
//! the verdict, [`served`] what model servers count and [`lateness`] how late tokens left; [`conduct`] watches what clients do about
//! failures; [`decisions`] writes down what was decided; [`quotas`] says who has asked for too much. [`drive`] is the stations of pipelines
//! on the real clock. [`canary`] is a new generation on trial, and [`change`] the words in which changes are asked for and answered.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::dialect::Endpoint;
use crate::engine::canary::Canary;
use crate::engine::conduct::Conduct;
use crate::engine::decisions::{Decided, Decisions};
use crate::engine::drive::Drive;
use crate::engine::drive::gauges::Gauges;
use crate::engine::drive::net::Sites;
use crate::engine::drive::view::StationView;
use crate::engine::measure::{Active, Measures, Visits};
use crate::engine::occurrences::Occurrences;
use crate::engine::playback::Playback;
use crate::engine::quotas::{Limits, Quotas};
use crate::engine::served::Served;
use crate::engine::situation::{Situation, Unmoved};
use crate::engine::slow_lane::SlowLane;
use crate::plan::Plan;
use crate::plan::generation::Generation;
use crate::plan::identity::{self, Identity, content_of};
use crate::plan::planner::{Facts, pick, plan, seed_of};
use crate::plan::timeline::strength;
use crate::plan::token_counts::input_tokens;
use crate::plan::work::{Caller, TOKEN_BYTES, enters, work_of};
use crate::random::Draws;
use crate::report::{Figures, Verdict, judge};
use crate::scenario::ModelEntry;
use crate::types::allowance::Allowance;
use crate::types::api_error::ApiError;
use crate::types::request::Request;

pub mod canary;
pub mod change;
pub mod conduct;
pub mod decisions;
pub mod drive;
pub mod lateness;
pub mod measure;
pub mod occurrences;
pub mod pacer;
pub mod playback;
pub mod quotas;
pub mod served;
pub mod situation;
pub mod slow_lane;
pub mod tally;

/// The live player.
pub struct Engine {
    running: ArcSwap<Running>,
    /// A generation that answers some of the requests for now.
    trial: ArcSwapOption<Trial>,
    clock: RealClock,
    occurrences: Occurrences,
    slow_lane: SlowLane,
    measures: Measures,
    quotas: Quotas,
    conduct: Arc<Conduct>,
    decisions: Option<Decisions>,
    sites: Sites,
    gauges: Gauges,
}

/// A generation with the handles of its models' metrics, by the same index.
pub struct Running {
    /// The generation.
    pub generation: Arc<Generation>,
    /// The phase it is in, and the incidents that operators switched.
    pub situation: Situation,
    measures: Vec<Arc<measure::ModelMeasure>>,
    limits: Limits,
    /// The stations of its pipelines, if it has any.
    drive: Option<Arc<Drive>>,
    /// Requests that it answers now.
    pub visits: Arc<Visits>,
}

/// A generation on trial.
pub struct Trial {
    /// What plays for the requests that it takes.
    pub running: Arc<Running>,
    /// Which those are, and how it does.
    pub canary: Canary,
}

/// What answers one request: the generation that runs when it comes, or the one on trial.
pub struct Chosen {
    running: Arc<Running>,
    /// Who is told what came of it.
    trial: Option<Arc<Trial>>,
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
    /// What is asked; the decision log needs it for ids.
    pub endpoint: Option<&'static dyn Endpoint>,
}

/// A request that is planned and about to play.
pub struct Begun {
    /// What plays.
    pub playback: Box<Playback>,
    /// What its caller may still ask for.
    pub allowance: Allowance,
}

impl Engine {
    /// An engine that plays `generation` on `clock`.
    pub fn new(generation: Generation, clock: RealClock) -> Self {
        let (measures, quotas) = (Measures::default(), Quotas::default());
        // The line of the first scenario begins with the run.
        let situation = Situation::new(&generation.scenario, 0);
        let sites = Sites::new(clock);
        let drive = sites.drive(&generation);
        let limits = quotas.of(&generation, 0);
        Self {
            running: ArcSwap::from_pointee(Running::of(generation, situation, &measures, limits, drive)),
            trial: ArcSwapOption::empty(),
            clock,
            occurrences: Occurrences::default(),
            slow_lane: SlowLane::start(),
            measures,
            quotas,
            conduct: Arc::default(),
            decisions: None,
            sites,
            gauges: Gauges::default(),
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

    /// Lets `next`, which was prepared, answer all requests that begin from now on. Requests under way keep theirs. A generation on trial
    /// gives way. Quick, as `try_out` is.
    pub fn swap(&self, next: Running) {
        self.trial.store(None);
        self.running.store(Arc::new(next));
    }

    /// Lets `next`, which was prepared, answer the requests that `canary` takes, in place of any other on trial. All others go on as
    /// before.
    pub fn try_out(&self, next: Running, canary: Canary) {
        self.trial.store(Some(Arc::new(Trial { running: Arc::new(next), canary })));
    }

    /// The generation that is on trial.
    pub fn trial(&self) -> Option<Arc<Trial>> {
        self.trial.load_full()
    }

    /// Lets the generation on trial answer all requests that begin from now on.
    pub fn promote(&self) {
        if let Some(trial) = self.trial.load_full() {
            self.running.store(Arc::clone(&trial.running));
            self.trial.store(None);
        }
    }

    /// Lets the generation on trial answer no request that begins from now on.
    pub fn withdraw(&self) {
        self.trial.store(None);
        // Quotas and stations that both have go back to what the running one says.
        let running = self.running.load();
        drop(self.quotas.of(&running.generation, self.clock.now()));
        if let Some(drive) = &running.drive {
            drive.adopt(&running.generation);
        }
    }

    /// What plays `generation` after what runs now: the time line goes on where it stands unless the scenario says another one; what
    /// operators switched stays. So do its stations, unless they or the ways to them change.
    pub fn prepare(&self, generation: Generation) -> Running {
        let before = self.running.load_full();
        let situation = before.situation.carry(&before.generation.scenario, &generation.scenario, self.clock.now());
        let drive = match &before.drive {
            Some(drive) if generation.has_site_of(&before.generation) => {
                drive.adopt(&generation);
                Some(Arc::clone(drive))
            }
            _ => self.sites.drive(&generation),
        };
        let limits = self.quotas.of(&generation, self.clock.now());
        Running::of(generation, situation, &self.measures, limits, drive)
    }

    /// Brings the gauges that change with the time alone to what they are now.
    pub fn refresh(&self) {
        let running = self.running.load();
        let (scenario, situation) = (&running.generation.scenario, &running.situation);
        let phase = situation.phase(scenario, self.clock.now());
        let name = phase.and_then(|now| Some(scenario.phases.as_ref()?.line.get(now.phase)?.name.as_str()));
        let incidents = scenario.incidents.iter().enumerate();
        let strengths = incidents
            .map(|(index, incident)| (incident.name.as_str(), strength(scenario, index, phase, situation.by_hand(index))));
        self.measures.situation(name, strengths);
        self.gauges.show(&self.sites.all(), self.clock.now());
    }

    /// Sets the strength of the incident `name`, 0 to 1, or leaves it to the scenario again; a generation on trial follows, if it has it.
    pub fn switch(&self, name: &str, strength: Option<f64>) -> Result<(), Unmoved> {
        let running = self.running.load();
        running.situation.switch(&running.generation.scenario, name, strength)?;
        if let Some(trial) = self.trial.load().as_ref() {
            // A scenario that no longer has it has nothing to switch.
            let _ = trial.running.situation.switch(&trial.running.generation.scenario, name, strength);
        }
        Ok(())
    }

    /// Empties the cache called `name` of the running scenario, and of older ones that requests are still in. Gives how many answers are
    /// forgotten; `None` if there is no such cache.
    pub fn flush(&self, name: &str) -> Option<u64> {
        self.sites.all().iter().filter_map(|drive| drive.flush(name)).reduce(u64::saturating_add)
    }

    /// Puts the answer to `request` into the cache called `name` of the running scenario, as if it had been asked before; it counts with
    /// the size of its prompt. `None` if there is no such cache.
    pub fn warm(&self, name: &str, request: &Request) -> Option<()> {
        let running = self.running.load();
        let bytes = input_tokens(&running.generation, request).saturating_mul(TOKEN_BYTES);
        running.drive.as_ref()?.warm(name, content_of(request), bytes)
    }

    /// What the stations of the running scenario do at `now`, in its order; nothing if no model has a pipeline.
    pub fn stations(&self, now: Nanos) -> Vec<StationView> {
        self.running.load().drive.as_ref().map(|drive| drive.view(now)).unwrap_or_default()
    }

    /// What answers a request from `origin` that says `said`, in its own words and not yet read: how it is read depends on what is chosen.
    /// Whoever is tried out is drawn by the request's identity, or by these words if it has none of its own.
    pub fn choose(&self, origin: Origin, said: &[&[u8]]) -> Chosen {
        let identity = || origin.identity.unwrap_or_else(|| identity::of_words(said));
        match self.trial.load_full().filter(|trial| trial.canary.takes(identity())) {
            Some(trial) => Chosen { running: Arc::clone(&trial.running), trial: Some(trial) },
            None => Chosen { running: self.running.load_full(), trial: None },
        }
    }

    /// Plans `request`, which `chosen` answers. The error is the vendor's refusal of a model that nobody has, or of more work than there is room for.
    pub async fn begin(&self, chosen: Chosen, request: Arc<Request>, origin: Origin) -> Result<Begun, ApiError> {
        let Chosen { running, trial } = chosen;
        let generation = &running.generation;
        let unknown = || ApiError::unknown_model(&request.model);
        // Before anything is counted: a misspelt name is no request of any model.
        let first = generation.scenario.find_any(request.names(), |_, _| true).ok_or_else(unknown)?;
        let seen = |identity, attempt| self.occurrences.next(identity, attempt);
        let mut facts = facts_of(generation, &running.situation, &request, origin, None, seen);
        let model = running.pick(first, &request, &mut facts).ok_or_else(unknown)?;
        let measure = &running.measures[model];
        (facts.running, facts.waiting) = running.crowd(model);
        let Identity { identity, attempt, .. } = facts.identity;
        let mut active = Active::begin(Arc::clone(measure), origin.arrival).watched(&self.conduct, identity, attempt);
        active.visits(&running.visits, request.streams);
        let caller = running.caller(model, &request, &facts);
        let asked = running.limits.asked(generation, &request, &facts, model);
        match running.limits.enter(&asked, self.clock) {
            Ok(held) => active.hold(held, facts.input_tokens),
            Err(refusal) => {
                active.refused(refusal.cause);
                facts.refused = Some(refusal);
            }
        }
        if generation.scenario.api.shows_vllm_metrics {
            active.serve(&request);
        }
        let logged = self.decisions.as_ref().map(|decisions| (decisions, Arc::clone(&request)));
        let planned = if facts.refused.is_none() && generation.is_slow(model, facts.incidents) {
            let generation = Arc::clone(generation);
            let tenant = request.tenant_key(generation.scenario.tenant_header.as_ref());
            let planned = self.slow_lane.run(tenant, move || plan(&generation, model, &request, &facts)).await;
            // A refusal is counted where it is sent, and its client has not left.
            planned.inspect_err(|error| {
                active.withdraw();
                note(trial.as_deref(), Some(&error.message));
            })?
        } else {
            plan(generation, model, &request, &facts)
        };
        note(trial.as_deref(), planned.failure());
        if let Some((decisions, request)) = logged {
            decisions.note(Decided { endpoint: origin.endpoint, request, facts, plan: planned.clone() });
        }
        let tokens = planned.usage.input.saturating_add(planned.usage.output);
        let allowance = running.limits.allowance(&asked, tokens);
        Ok(Begun { playback: running.play(planned, origin.arrival, active, caller), allowance })
    }

    /// What was served since it was asked to be counted, by the names of entries of the running scenario; and how many requests are being
    /// answered and wait. For entries whose replicas tell for themselves, too.
    pub fn served(&self) -> Vec<(String, (u32, u32), Served)> {
        let running = self.running.load();
        let of = |(index, entry): (usize, &ModelEntry)| {
            let measure = &running.measures[index];
            (entry.name.clone(), running.crowd(index), measure.served())
        };
        running.generation.scenario.models.iter().enumerate().map(of).collect()
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
    fn of(generation: Generation, situation: Situation, measures: &Measures, limits: Limits, drive: Option<Arc<Drive>>) -> Self {
        let measures = generation.scenario.models.iter().map(|model| measures.of_model(&model.name)).collect();
        Self { generation: Arc::new(generation), situation, measures, limits, drive, visits: Arc::default() }
    }

    /// The stations of the pipeline of the entry `model`, if it has one.
    fn drive_of(&self, model: usize) -> Option<&Arc<Drive>> {
        self.drive.as_ref().filter(|_| self.generation.scenario.models[model].pipeline.is_some())
    }

    /// Whose `request` is, as the stations of its entry see it.
    fn caller(&self, model: usize, request: &Arc<Request>, facts: &Facts) -> Caller {
        if self.drive_of(model).is_none() {
            return Caller::default();
        }
        Caller::of(&self.generation, model, request, facts)
    }

    /// Requests that the entry `model` is answering, and those that wait for it.
    fn crowd(&self, model: usize) -> (u32, u32) {
        match self.drive_of(model) {
            Some(drive) => drive.crowd(model),
            None => (self.measures[model].running.load(Ordering::Relaxed), 0),
        }
    }

    /// Plays `plan`, through the stations of its pipeline if it has one. The playback is boxed because it is handed on several times
    /// before it rests in a body.
    fn play(&self, plan: Plan, arrival: Nanos, active: Active, caller: Caller) -> Box<Playback> {
        Box::new(match self.drive_of(plan.model).filter(|_| enters(&plan)) {
            Some(drive) => {
                let work = work_of(&plan, caller);
                let tokens = work.output_tokens;
                Playback::behind(plan, arrival, active, drive.enter(arrival, work), tokens)
            }
            None => Playback::of(plan, arrival, active),
        })
    }

    /// The entry that answers `request`, which counts as one of its requests from now on. `first` is the first that matches its name:
    /// the one that answers, unless it has conditions.
    fn pick(&self, first: usize, request: &Request, facts: &mut Facts) -> Option<usize> {
        let has_conditions = |model: usize| self.generation.scenario.models[model].when.is_some();
        let requests = |model: usize| &self.measures[model].requests;
        let mut model = first;
        while has_conditions(model) {
            // What the conditions of the entry that was looked at last were told.
            let told = Cell::new(0);
            let number = |entry: usize| {
                told.set(requests(entry).load(Ordering::Relaxed) + 1);
                told.get()
            };
            model = pick(&self.generation, request, facts, None, number)?;
            if has_conditions(model) {
                facts.number = told.get();
                // Another request may have taken this number meanwhile, and then the conditions may not hold for the next.
                let taken = requests(model).compare_exchange(told.get() - 1, told.get(), Ordering::Relaxed, Ordering::Relaxed);
                if taken.is_ok() {
                    return Some(model);
                }
            }
        }
        facts.number = requests(model).fetch_add(1, Ordering::Relaxed) + 1;
        Some(model)
    }
}

impl Chosen {
    /// What answers.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.running.generation
    }
}

/// Tells the canary of `trial` what came of one of its requests.
fn note(trial: Option<&Trial>, failure: Option<&str>) {
    if let Some(trial) = trial {
        trial.canary.note_unanswered(trial.running.generation.unanswered());
        trial.canary.note(failure);
    }
}

/// What there is to know of `request` before its entry is found. Counts it on the time line; `seen` counts it by identity and attempt,
/// and says how often these came before. `draws` notes how incidents were drawn.
pub fn facts_of(
    generation: &Generation,
    situation: &Situation,
    request: &Request,
    origin: Origin,
    draws: Option<&Draws>,
    seen: impl FnOnce(u64, u32) -> u32,
) -> Facts {
    let content = content_of(request);
    let (identity, attempt) = (origin.identity.unwrap_or(content), origin.attempt.unwrap_or(0));
    let identity = Identity { content, identity, attempt, occurrence: seen(identity, attempt) };
    let phase = situation.enter(&generation.scenario, origin.arrival);
    let events = identity.event_key(seed_of(generation, request));
    let incidents = situation.applying(&generation.scenario, phase, events, draws);
    let input_tokens = input_tokens(generation, request);
    let tier = generation.scenario.tier_of(|| request.tenant(generation.scenario.tenant_header.as_ref()).unwrap_or_default());
    Facts { input_tokens, incidents, tier, ..Facts::arriving(identity, origin.attempt, origin.arrival, phase) }
}
