//! What is counted in a run, and what the words mean.
//!
//! * *request*: what a user wants; *attempt*: one try of it. Times are those of attempts, as the server sees them.
//! * *ttft*: from an attempt's arrival to its first token; of a reply that is not streamed, to the whole. *duration*: to the end of the
//!   reply, or to the refusal; not of those whose client has gone.
//! * *gap*: from one token of a reply to the next, each gap counted once. Those of a replica are the lengths of its steps, told in runs and
//!   counted exactly; if several models share the replica, they belong to none of them, and stand in the sum only.
//! * *waited*: the part of the duration that is no service, where the way is a plain row of stages. The time that a replica needs is
//!   service from the moment at which it took the request into its batch, pauses after a preemption included.
//! * *answered*: from a request's first attempt to the end of a whole reply, waits between attempts included.

use std::collections::{BTreeMap, HashMap};

use crate::clock::Nanos;
use crate::fleet::flight::{Ended, Fate, Flight};
use crate::report::{Figures, ModelFigures};
use crate::scenario::Scenario;
use crate::station::pipeline::Settings;
use crate::station::pipeline::route::Step;
use crate::station::{Cause, Visitor, replica};
use crate::stats::histogram::Snapshot;
use crate::types::criterion::Counted;
use crate::types::limits::{STORM_RETRIES, STORM_WINDOW_S};
use crate::workload::Next;

/// Everything that a run counts.
pub struct Measure {
    /// By model entry; the last one is what belongs to none.
    pub(super) models: Vec<OfModel>,
    /// Whose the gaps of each station's replicas are.
    of_station: Vec<usize>,
    /// Attempts by how they ended.
    pub(super) attempts: Attempts,
    /// Attempts that were refused, by the cause of a station.
    pub(super) refused: [u64; Cause::ALL.len()],
    /// The same by status, where a plan refused them.
    pub(super) refused_by_plan: BTreeMap<u16, u64>,
    /// Times to a whole answer from the first attempt on.
    pub(super) answered: Snapshot,
    /// Ends that came before they could: there must be none.
    pub(super) early: u64,
    /// Requests that are being tried again, by their number. Never walked.
    retried: HashMap<u64, Retried>,
}

/// Attempts by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// All that came.
    pub came: u64,
    /// Those among them that were not the first of their request.
    pub retries: u64,
    /// Whole replies.
    pub whole: u64,
    /// Refused.
    pub refused: u64,
    /// Cut short, or failed otherwise.
    pub broken: u64,
    /// Their client has gone.
    pub abandoned: u64,
    /// Requests whose client does not try again.
    pub given_up: u64,
}

/// What is counted of one model entry.
pub(super) struct OfModel {
    pub(super) name: String,
    pub(super) figures: ModelFigures,
    pub(super) waited: Snapshot,
    pub(super) input_tokens: u64,
    /// Those among them that were not refused.
    pub(super) charged_input_tokens: u64,
}

#[derive(Default)]
struct Retried {
    first_at: Nanos,
    /// The start of the window in which retries are counted, and how many there were.
    window: (Nanos, u32),
    /// Not before this time, it was told.
    back_at: Nanos,
    /// Its last reply was cut short, which counts at the model entry that wrote it, if one did.
    truncated: Option<Option<u32>>,
}

impl OfModel {
    fn of(name: &str) -> Self {
        let figures = ModelFigures {
            first_token: Snapshot::fine(),
            gap: Snapshot::fine(),
            duration: Snapshot::fine(),
            ..ModelFigures::default()
        };
        Self { name: name.to_owned(), figures, waited: Snapshot::fine(), input_tokens: 0, charged_input_tokens: 0 }
    }

    fn is_used(&self) -> bool {
        self.figures.span_ns.is_some() || self.figures.gap.count() > 0
    }

    fn add(&mut self, counted: Counted) {
        self.figures.counts[counted as usize] += 1;
    }
}

impl Measure {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let models: Vec<OfModel> =
            scenario.models.iter().map(|model| OfModel::of(&model.name)).chain([OfModel::of("")]).collect();
        let none = models.len() - 1;
        let mut of_station = vec![usize::MAX; scenario.stations.len()];
        for (model, entry) in scenario.models.iter().enumerate() {
            for step in entry.pipeline.iter().flat_map(|pipeline| &pipeline.route.steps) {
                let Step::Stage(stage) = step else { continue };
                let Some(station) = stage.through.map(usize::from) else { continue };
                if matches!(scenario.stations[station].settings, Settings::Replicas(_)) {
                    let owner = &mut of_station[station];
                    *owner = if *owner == usize::MAX || *owner == model { model } else { none };
                }
            }
        }
        of_station.iter_mut().for_each(|owner| *owner = (*owner).min(none));
        Self {
            models,
            of_station,
            attempts: Attempts::default(),
            refused: [0; Cause::ALL.len()],
            refused_by_plan: BTreeMap::new(),
            answered: Snapshot::fine(),
            early: 0,
            retried: HashMap::new(),
        }
    }

    /// What criteria are judged by.
    pub(super) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for model in self.models.iter().filter(|model| !model.name.is_empty() || model.is_used()) {
            figures.models.entry(model.name.clone()).or_default().merge(&model.figures);
        }
        figures
    }

    fn model(&mut self, model: Option<u32>) -> &mut OfModel {
        let none = self.models.len() - 1;
        &mut self.models[model.map_or(none, |model| model as usize)]
    }

    /// An attempt has come at `now`; `model` answers it if there is one of its name.
    pub(super) fn came(&mut self, model: Option<u32>, number: u64, attempt: u32, now: Nanos) {
        const WINDOW_NS: Nanos = STORM_WINDOW_S * 1_000_000_000;
        self.attempts.came += 1;
        let of = self.model(model);
        of.figures.span_ns = of.figures.span_ns.or(Some((now, now)));
        if attempt == 0 {
            return;
        }
        of.add(Counted::Retries);
        self.attempts.retries += 1;
        let Some(retried) = self.retried.get_mut(&number) else { return };
        if retried.window.1 == 0 || now.saturating_sub(retried.window.0) > WINDOW_NS {
            retried.window = (now, 0);
        }
        retried.window.1 += 1;
        let (is_storm, is_early) = (retried.window.1 == STORM_RETRIES + 1, now < retried.back_at);
        let noticed = retried.truncated.take();
        let of = self.model(model);
        if is_storm {
            of.add(Counted::RetryStorms);
        }
        if is_early {
            of.add(Counted::IgnoredRetryAfter);
        }
        if let Some(of) = noticed {
            self.model(of).figures.counts[Counted::TruncatedAccepted as usize] -= 1;
        }
    }

    /// A fault was planned.
    pub(super) fn fault(&mut self, model: usize) {
        self.models[model].add(Counted::Faults);
    }

    /// An attempt is over, and its client does `next` about it. `back_at` is when it was told to come again, 0 if it was not.
    pub(super) fn ended(&mut self, ended: &Ended, next: Next, back_at: Nanos) {
        let none = self.models.len() - 1;
        let of = &mut self.models[ended.model.map_or(none, |model| model as usize)];
        of.add(Counted::Requests);
        of.input_tokens += u64::from(ended.input_tokens);
        if ended.fate.is_charged() {
            of.charged_input_tokens += u64::from(ended.input_tokens);
        }
        of.figures.output_tokens += u64::from(ended.output_tokens);
        if let Some((_, to)) = &mut of.figures.span_ns {
            *to = (*to).max(ended.end);
        }
        if ended.fate != Fate::Abandoned {
            of.figures.duration.record(ended.end - ended.arrival, 1);
        }
        if let Some(at) = ended.first_token {
            of.figures.first_token.record(at.saturating_sub(ended.arrival), 1);
        }
        if let Some(waited) = ended.waited {
            of.waited.record(waited, 1);
        }
        match ended.fate {
            Fate::Whole => self.attempts.whole += 1,
            Fate::Refused(status, cause) => {
                of.add(Counted::Errors);
                of.add(Counted::Refusals);
                self.attempts.refused += 1;
                match cause {
                    Some(cause) => self.refused[cause as usize] += 1,
                    None => *self.refused_by_plan.entry(status).or_default() += 1,
                }
            }
            Fate::Truncated | Fate::Broken | Fate::Lost => {
                of.add(Counted::Errors);
                if ended.fate == Fate::Truncated {
                    of.add(Counted::TruncatedAccepted);
                }
                self.attempts.broken += 1;
            }
            Fate::Abandoned => {
                of.add(Counted::Abandoned);
                self.attempts.abandoned += 1;
            }
        }
        self.follow(ended, next, back_at);
    }

    /// What becomes of the request after this attempt of it.
    fn follow(&mut self, ended: &Ended, next: Next, back_at: Nanos) {
        match next {
            Next::Retry { .. } => {
                let fresh = || Retried { first_at: ended.arrival, ..Retried::default() };
                let retried = self.retried.entry(ended.number).or_insert_with(fresh);
                (retried.back_at, retried.truncated) = (back_at, (ended.fate == Fate::Truncated).then_some(ended.model));
            }
            Next::Done | Next::GivenUp => {
                let first = (ended.attempt > 0).then(|| self.retried.remove(&ended.number)).flatten();
                if next == Next::GivenUp {
                    self.attempts.given_up += 1;
                } else {
                    let from = first.map_or(ended.arrival, |retried| retried.first_at);
                    self.answered.record(ended.end - from, 1);
                }
            }
        }
    }

    /// A replica of `station` says what it did.
    pub(super) fn replica(&mut self, station: Visitor, event: replica::Event) {
        let gap = &mut self.models[self.of_station[station as usize]].figures.gap;
        match event {
            replica::Event::Steps { first_ps, growth_ps, steps, sequences, .. } => {
                gap.record_run(first_ps, growth_ps, steps, sequences.into());
            }
            replica::Event::Resumed { gap_ps, .. } => gap.record(gap_ps / 1_000, 1),
            _ => {}
        }
    }

    /// The tokens of `flight` that have left by `now`, by its timing; notes when the first one did, and the gaps.
    pub(super) fn stream(&mut self, flight: &mut Flight, now: Nanos) -> u32 {
        let (begun, steps) = (flight.begun, flight.steps);
        let Some(timing) = &flight.timing else { return 0 };
        let mut unmeasured = Snapshot::default();
        let gap = if flight.is_streamed { &mut self.models[flight.model as usize].figures.gap } else { &mut unmeasured };
        let (mut written, mut newest, mut first) = (0, Nanos::MAX, Nanos::MAX);
        let is_whole = flight.stall.is_none() && flight.written != Nanos::MAX;
        if is_whole && steps == 1 {
            // Its first token is its last, and has no gap.
            (first, written) = (flight.written, 1);
        } else if let (Some(even), true) = (timing.even_gap(), is_whole) {
            first = begun.saturating_add(timing.length(1));
            gap_times(gap, even, steps);
            written = steps;
        } else {
            timing.each(steps, |offset| {
                let at = begun.saturating_add(offset).saturating_add(flight.held(written));
                if at > now {
                    return false;
                }
                match newest {
                    Nanos::MAX => first = at,
                    before => gap.record(at - before, 1),
                }
                (written, newest) = (written + 1, at);
                true
            });
        }
        if written > 0 {
            flight.first_token = first;
        }
        written
    }

    /// The same for a reply that leaves all at once.
    pub(super) fn at_once(&mut self, flight: &mut Flight) -> u32 {
        flight.first_token = flight.begun;
        if !flight.is_streamed {
            return flight.steps;
        }
        gap_times(&mut self.models[flight.model as usize].figures.gap, 0, flight.steps);
        flight.steps
    }
}

/// Counts the gaps of `tokens` tokens.
fn gap_times(gap: &mut Snapshot, ns: Nanos, tokens: u32) {
    if tokens > 1 {
        gap.record(ns, u64::from(tokens - 1));
    }
}
