//! The loop of a run, and what it does with each thing that happens; `ending` has how flights end.
//!
//! At equal times the site goes first, then what the player has noted itself, then whoever comes: who is served at the last moment is
//! served, and who comes as a place is freed finds it free.

use std::sync::Arc;

use slab::Slab;

use crate::clock::Nanos;
use crate::fleet::flight::{Fate, Finish, Flight, NONE, shape};
use crate::fleet::measure::Measure;
use crate::fleet::quotas::Quotas;
use crate::fleet::report::{Report, Stop};
use crate::fleet::template::{Template, Templates};
use crate::fleet::way::{Way, unfit_blocks};
use crate::fleet::{Limits, Watch};
use crate::plan::Plan;
use crate::plan::generation::Generation;
use crate::plan::identity::Identity;
use crate::plan::planner::{Facts, pick, plan};
use crate::plan::refused::status_of;
use crate::plan::timeline::{Timeline, applying};
use crate::plan::verdict::{Action, Interrupt, Outcome, Place};
use crate::plan::work::{Caller, work_of};
use crate::random::Key;
use crate::scenario::IncidentSet;
use crate::station::Refusal;
use crate::station::pipeline::agenda::{Agenda, Phase};
use crate::station::pipeline::route::ReplyBy;
use crate::station::pipeline::{Happened, Site, What};
use crate::station::retry::{self, Retry};
use crate::types::problem::Problem;
use crate::workload::{Ask, Traffic, Workload};

mod ending;

/// So many events pass between two reports of progress.
const PROGRESS_EVENTS: u64 = 16_384;

/// One run of a workload against a generation.
pub struct Fleet {
    pub(super) generation: Arc<Generation>,
    pub(super) traffic: Traffic,
    pub(super) site: Option<Site>,
    templates: Templates,
    ways: Vec<Way>,
    timeline: Timeline,
    /// Requests of each model entry so far, and those under way.
    numbers: Vec<u64>,
    running: Vec<u32>,
    flights: Slab<Flight>,
    /// The flight of each visit.
    by_visit: Vec<u32>,
    pub(super) quotas: Quotas,
    /// The budget of the clients' retries.
    retries: Option<Retry>,
    agenda: Agenda<Due>,
    happened: Vec<Happened>,
    spare: Vec<Happened>,
    pub(super) now: Nanos,
    serials: u32,
    /// Events that are not the site's, when the newest was, and what follows from them.
    events: u64,
    newest_event: Nanos,
    digest: Key,
    pub(super) measure: Measure,
    pub(super) stopped: Stop,
}

/// What the player has noted for later: of which flight, by slot and serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// The reply has come to its end.
    End(u32, u32),
    /// The interrupt by time.
    Strike(u32, u32),
    /// The client goes.
    Deadline(u32, u32),
}

/// A site whose time begins.
fn begun(mut site: Site) -> Site {
    site.start(0);
    site
}

impl Fleet {
    /// A run that has not begun. Literal prompts of `workload` are counted here. The problems are those of the workload.
    pub fn begin(generation: &Arc<Generation>, workload: &Workload) -> Result<Self, Vec<Problem>> {
        let scenario = &generation.scenario;
        let mut templates = Templates::of(workload, scenario);
        let mut workload = workload.clone();
        templates.count_prompts(generation, &mut workload);
        let ways: Vec<Way> = (0..scenario.models.len()).map(|model| Way::of(generation, model)).collect();
        let problems = unfit_blocks(&workload, &ways);
        if !problems.is_empty() {
            return Err(problems);
        }
        let models = scenario.models.len();
        Ok(Self {
            site: generation.site(false).map(begun),
            traffic: Traffic::begin(&workload, generation.seed)?,
            measure: Measure::of(scenario),
            generation: Arc::clone(generation),
            templates,
            ways,
            timeline: Timeline::new(0),
            numbers: vec![0; models],
            running: vec![0; models],
            flights: Slab::new(),
            by_visit: Vec::new(),
            quotas: Quotas::of(scenario),
            retries: workload.client.retry_budget.map(retry_budget),
            agenda: Agenda::default(),
            happened: Vec::new(),
            spare: Vec::new(),
            now: 0,
            serials: 0,
            events: 0,
            newest_event: 0,
            digest: Key::of_seed(generation.seed),
            stopped: Stop::Over,
        })
    }

    /// Plays to the end, or until a limit is reached; then it may be called again with a greater one.
    pub fn play(&mut self, limits: Limits, watch: &mut impl Watch) {
        let mut told = 0;
        self.stopped = Stop::Over;
        while let Some(at) = self.next_at() {
            let events = self.events();
            if events >= limits.events_max {
                self.stopped = Stop::Events(limits.events_max);
                break;
            }
            if events - told >= PROGRESS_EVENTS {
                told = events;
                watch.progress(self.now, events, self.traffic.begun());
            }
            self.now = at;
            if let Some(site) = &mut self.site {
                site.advance(at, &mut self.happened);
                self.settle(watch);
            }
            while let Some((_, due)) = self.agenda.pop(at) {
                self.due(due, watch);
            }
            while let Some(ask) = self.traffic.next(at) {
                self.ask(ask, watch);
            }
        }
        watch.progress(self.now, self.events(), self.traffic.begun());
    }

    /// When something happens next. Groups of replicas change no more once nobody is left who could come.
    fn next_at(&mut self) -> Option<Nanos> {
        let earlier = |one: Option<Nanos>, other: Option<Nanos>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if self.flights.is_empty() && self.traffic.next_at().is_none() {
            self.site.iter_mut().for_each(Site::rest);
        }
        let site = self.site.as_ref().and_then(Site::next_at);
        earlier(earlier(site, self.agenda.next_at()), self.traffic.next_at())
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events + self.site.as_ref().map_or(0, Site::events)
    }

    /// A number that follows from every event so far and its time.
    pub fn digest(&self) -> u64 {
        self.digest.with(self.site.as_ref().map_or(0, Site::digest)).bits()
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// What has been measured so far, and whether it holds together. The run is over then: who is still on the way is given up.
    pub fn report(mut self) -> Report {
        let in_flight = self.flights.len() as u64;
        if in_flight == 0 {
            // Limits that nobody came to are no part of the run.
            self.now = self.site.as_ref().map_or(0, Site::newest_event).max(self.newest_event);
        }
        let stages = self.site.as_mut().map(|site| Report::stages(&self.generation.scenario, site, self.now)).unwrap_or_default();
        let stations = self.site.as_mut().map(|site| Report::stations(&self.generation.scenario, site, &stages, self.now));
        let (events, digest) = (self.events(), self.digest());
        // With nobody left the counts of every stage must add up.
        for (_, flight) in std::mem::take(&mut self.flights) {
            self.quotas.settle(self.now, flight.held, 0);
            if let (Some(site), true) = (&mut self.site, flight.visit != NONE) {
                site.leave(self.now, flight.visit, &mut self.happened);
            }
        }
        Report::of(self, in_flight, stages, stations.unwrap_or_default(), (events, digest))
    }

    fn count(&mut self, what: u64) {
        self.events += 1;
        self.newest_event = self.now;
        self.digest = self.digest.with(self.now).with(what);
    }

    /// A client asks.
    fn ask(&mut self, ask: Ask, watch: &mut impl Watch) {
        let identity = self.templates.identity(&ask);
        let (generation, template) = (&self.generation, self.templates.of_ask(&ask));
        let (scenario, is_streamed) = (&generation.scenario, template.request.streams);
        let (tier, tenant) = (template.tier, template.tenant);
        let mut facts = facts_of(generation, &mut self.timeline, &ask, identity, tier);
        if let Some(budget) = self.retries.as_mut().filter(|_| ask.attempt == 0) {
            budget.deposit(ask.at);
        }
        let Some(model) = entry_of(generation, template, &mut self.numbers, &mut facts) else {
            self.count(u64::from(ask.class) << 8 | 0xfe);
            self.measure.came(None, ask.number, ask.attempt, ask.at);
            let slot = self.flights.insert(Flight::of(ask, self.serials, NONE));
            return self.end(slot, Fate::Refused(404, None), 0, watch);
        };
        self.measure.came(Some(model as u32), ask.number, ask.attempt, ask.at);
        let way = &self.ways[model];
        if way.has_pipeline {
            (facts.running, facts.waiting) = self.site.as_ref().map_or((0, 0), |site| site.crowd(model));
        } else {
            facts.running = self.running[model];
        }
        let entry = (model, &scenario.models[model]);
        let held = self.quotas.enter(ask.at, (tier, tenant), entry, &template.request, ask.input_tokens);
        facts.refused = held.as_ref().err().copied();
        let planned = plan(generation, model, &template.request, &facts);
        let request = Arc::clone(&template.request);
        let prefix = template.prefix(generation, &ask, model, way.block_tokens);
        let priority = tier.map_or(0, |tier| scenario.tiers[tier].priority);
        self.running[model] += 1;
        self.serials = self.serials.wrapping_add(1);
        let deadline = self.traffic.deadline(&ask);
        let slot = self.flights.insert(Flight::of(ask, self.serials, model as u32));
        let flight = &mut self.flights[slot];
        (flight.is_streamed, flight.held) = (is_streamed, held.unwrap_or_default());
        if let Some(deadline) = deadline {
            self.agenda.push(deadline, Phase::Limit, Due::Deadline(slot as u32, self.serials));
            let flights = &self.flights;
            self.agenda.sweep(flights.len(), |due| {
                let (Due::End(slot, serial) | Due::Strike(slot, serial) | Due::Deadline(slot, serial)) = *due;
                flights.get(slot as usize).is_some_and(|flight| flight.serial == serial)
            });
        }
        let caller = Caller { tenant, priority, prefix, tier, request: Some(request) };
        self.depart(slot, planned, facts.refused, caller, watch);
    }

    /// Lets the flight in `slot` begin as it is planned.
    fn depart(&mut self, slot: usize, plan: Plan, refused: Option<Refusal>, caller: Caller, watch: &mut impl Watch) {
        if plan.fault_kind().is_some() {
            self.measure.fault(plan.model);
        }
        let word = (plan.model as u64) << 8;
        let flight = &mut self.flights[slot];
        let (serial, arrival) = (flight.serial, flight.ask.at);
        match &plan.outcome {
            Outcome::Refuse(error) => {
                self.count(word | 0xfd);
                let (status, wait_ns) = (error.status, u64::from(error.retry_after_ms.unwrap_or(0)) * 1_000_000);
                return self.end(slot, Fate::Refused(status, refused.map(|refused| refused.cause)), wait_ns, watch);
            }
            Outcome::Interrupt(Interrupt { action, .. }) if !plan.outcome.is_answered() => {
                // What never begins is no stream.
                (flight.finish, flight.is_streamed) = (Finish::of(action), false);
                let hangs_ns = if let Action::Hang(hang) = action { hang.as_nanos() as Nanos } else { 0 };
                self.count(word | 0xfc);
                return self.end_at(slot, arrival.saturating_add(hangs_ns));
            }
            Outcome::Interrupt(Interrupt { place: Place::AfterTime(after), action }) => {
                flight.strikes = Some(action.clone().into());
                let at = arrival.saturating_add(after.as_nanos() as Nanos);
                self.agenda.push(at, Phase::Limit, Due::Strike(slot as u32, serial));
            }
            Outcome::Interrupt(_) | Outcome::Answer => {}
        }
        (flight.steps, flight.finish, flight.stall) = shape(&plan);
        flight.input_tokens = plan.usage.input;
        match &mut self.site {
            Some(site) if self.ways[plan.model].has_pipeline => {
                let work = work_of(&plan, caller);
                flight.least = work.takes.iter().sum::<Nanos>().saturating_add(work.reply_ns);
                flight.timing = Some(plan.timing);
                let visit = site.enter(arrival, work, &mut self.happened);
                flight.visit = visit;
                if visit as usize >= self.by_visit.len() {
                    self.by_visit.resize(visit as usize + 1, NONE);
                }
                self.by_visit[visit as usize] = slot as u32;
                self.settle(watch);
            }
            _ => {
                let length = plan.timing.length(flight.steps);
                (flight.begun, flight.least, flight.timing) = (arrival, length, Some(plan.timing));
                let at = arrival.saturating_add(length).saturating_add(flight.delay());
                self.count(word | 0xff);
                self.end_at(slot, at);
            }
        }
    }

    /// Takes note of what happened at the site.
    fn settle(&mut self, watch: &mut impl Watch) {
        while !self.happened.is_empty() {
            let mut happened = std::mem::replace(&mut self.happened, std::mem::take(&mut self.spare));
            happened.iter().for_each(|one| self.take_note(*one, watch));
            happened.clear();
            self.spare = happened;
        }
    }

    fn take_note(&mut self, Happened { at, visit, what }: Happened, watch: &mut impl Watch) {
        if let What::Replica(event) = what {
            return self.measure.replica(visit >> 16, event);
        }
        let slot = self.by_visit.get(visit as usize).map_or(usize::MAX, |slot| *slot as usize);
        let Some(flight) = self.flights.get_mut(slot).filter(|flight| flight.visit == visit) else { return };
        match what {
            What::Begun(by) => {
                flight.begun = at;
                if by != ReplyBy::Timing {
                    flight.timing = None;
                }
                if let ReplyBy::Prepared(text) = by {
                    flight.steps = self.generation.models[flight.model as usize].texts[usize::from(text)].1.len() as u32;
                }
                flight.by = Some(by);
            }
            What::Running => flight.running = flight.running.min(at),
            What::FirstToken => {
                flight.first_token = at.saturating_add(flight.held(0));
                (flight.by, flight.timing) = (Some(ReplyBy::Replica), None);
            }
            What::Served | What::Preempted | What::Replica(_) => {}
            What::Written => {
                flight.written = at;
                if flight.is_streamed && flight.finish.breaks_off() {
                    // Its client has seen the end; the stages behind it are not gone through.
                    self.written(slot, watch);
                }
            }
            What::Done => {
                // A stall holds back what its client sees, and no station.
                let delay = flight.delay();
                if delay > 0 {
                    return self.end_at(slot, at.saturating_add(delay).max(self.now));
                }
                self.written(slot, watch);
            }
            What::Refused(refusal) => {
                let has_head = flight.is_streamed && self.left(slot) > 0;
                let fate = if has_head { Fate::Broken } else { Fate::Refused(status_of(refusal.cause), Some(refusal.cause)) };
                let wait_ms = refusal.retry_after_ms().filter(|_| !has_head).unwrap_or(0);
                self.end(slot, fate, u64::from(wait_ms) * 1_000_000, watch);
            }
        }
    }
}

/// What is known of `ask` as it comes, but for its entry.
fn facts_of(generation: &Generation, timeline: &mut Timeline, ask: &Ask, identity: Identity, tier: Option<usize>) -> Facts {
    let scenario = &generation.scenario;
    let phase = scenario.phases.as_ref().and_then(|phases| timeline.enter(phases, ask.at));
    // Most scenarios have none, and then nothing is drawn.
    let draw = || applying(scenario, phase, |_| None, identity.event_key(generation.seed), None);
    let incidents = if scenario.incidents.is_empty() { IncidentSet::default() } else { draw() };
    let (input_tokens, output_tokens) = (ask.input_tokens, ask.output_tokens);
    let arriving = Facts::arriving(identity, Some(ask.attempt), ask.at, phase);
    Facts { incidents, input_tokens, output_tokens, tier, ..arriving }
}

/// The entry that answers requests like `template`, one more of which this is from now on.
fn entry_of(generation: &Generation, template: &Template, numbers: &mut [u64], facts: &mut Facts) -> Option<usize> {
    let first = template.first_entry?;
    let model = match generation.scenario.models[first].when {
        None => first,
        Some(_) => pick(generation, &template.request, facts, None, |entry| numbers[entry] + 1)?,
    };
    numbers[model] += 1;
    facts.number = numbers[model];
    Some(model)
}

/// Retries as a share of requests, of which none is free: what requests pay in can be used for 10 s, and one retry of it later, too.
fn retry_budget(share: f64) -> Retry {
    Retry::new(retry::Settings { per_mille: (share * 1e3).round() as u32, free_per_s: 0, ..retry::Settings::default() })
}
