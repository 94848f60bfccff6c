//! Plugins that belong to groups of replicas: balancers and autoscalers. As `adapter` for behaviours, with one difference: all requests
//! of a site wait while they are asked. So they have less time, one that is seen to be slow is left out from then on, and whatever goes
//! wrong costs nobody an answer: the station's own rule decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::behavior::call::BehaviorError;
use crate::clock::Nanos;
use crate::station::Unanswered;
use crate::station::autoscaler::{self, Scaler, Wish, Wished};
use crate::station::balancer::chooser::{Asker, Choice, Chooser, Question, Sight};
use crate::types::request::{Format, Request, ToolChoice};
use crate::wasm::bindings::exports::simwright::plugin::autoscaler::{Decision, Group};
use crate::wasm::bindings::exports::simwright::plugin::balancer::{self, Ask, Backend};
use crate::wasm::bindings::simwright::plugin::types::Traits;
use crate::wasm::guest::Moment;
use crate::wasm::host_services::printable;
use crate::wasm::instance::{Instance, Kind};
use crate::wasm::judge;
use crate::wasm::pool::Pool;

/// Replicas that a rehearsal shows.
const REHEARSED_BACKENDS: usize = 16;

/// A plugin's balancer.
pub struct PluginChooser {
    pool: Arc<Pool>,
    failures: AtomicU64,
}

impl PluginChooser {
    pub(super) fn of(pool: Arc<Pool>) -> Self {
        Self { pool, failures: AtomicU64::new(0) }
    }

    /// What it chooses, or why it does not: asked also where it would hold others up.
    pub fn choose(&self, question: &Question<'_>) -> Result<Choice, BehaviorError> {
        let moment = Moment { now: question.now, seed: question.seed, request: Some(&question.asker.request) };
        let backends: Vec<Backend> = question.backends.iter().map(backend).collect();
        let ask = |instance: &mut Instance| instance.pick(ask(question), &backends);
        self.pool.call(Kind::Balancer, moment, ask, |given| judge::choice(given, question.backends))
    }
}

impl Chooser for PluginChooser {
    fn pick(&self, question: &Question<'_>) -> Result<Choice, Unanswered> {
        let held_up = self.pool.holds_up(Kind::Balancer);
        let chosen = if held_up { Err(self.pool.left_out(Kind::Balancer)) } else { self.choose(question) };
        told(chosen).inspect_err(|_| _ = self.failures.fetch_add(1, Ordering::Relaxed))
    }

    fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// A plugin's autoscaler.
pub struct PluginScaler(pub(super) Arc<Pool>);

impl PluginScaler {
    /// What it wishes and why, or why it wishes nothing: asked also where it would hold others up.
    pub fn decide(
        &self,
        station: &str,
        seed: u64,
        settings: &autoscaler::Settings,
        sight: &autoscaler::Sight,
    ) -> Result<(Wish, String), BehaviorError> {
        let moment = Moment { now: sight.now, seed, request: None };
        let group = group(station, seed, settings, sight);
        let judge = |given: Decision| judge::decision(given, settings);
        self.0.call(Kind::Autoscaler, moment, |instance| instance.scale(&group), judge)
    }
}

impl Scaler for PluginScaler {
    fn wish(
        &self,
        station: &str,
        seed: u64,
        settings: &autoscaler::Settings,
        sight: &autoscaler::Sight,
    ) -> Result<Wished, Unanswered> {
        if self.0.holds_up(Kind::Autoscaler) {
            return told(Err(self.0.left_out(Kind::Autoscaler)));
        }
        let (wish, reason) = told(self.decide(station, seed, settings, sight))?;
        if let Wish::Replicas(replicas) = wish
            && replicas != sight.wanted
        {
            let plugin = &self.0.mould().name;
            tracing::info!(plugin, station, wanted = sight.wanted, wished = replicas, "{}", printable(&reason));
        }
        Ok(Wished { wish, reason })
    }
}

/// What was answered. A failure has been counted; the log says the rest to those who look for it.
fn told<T>(answered: Result<T, BehaviorError>) -> Result<T, Unanswered> {
    Ok(answered.inspect_err(|error| tracing::debug!("{error}; the rule of the station decides"))?)
}

/// The question as the contract has it.
fn ask(question: &Question<'_>) -> Ask {
    let Asker { model, tenant, attempt, occurrence, max_output_tokens, request, .. } = question.asker;
    Ask {
        identity: question.identity,
        attempt: *attempt,
        occurrence: *occurrence,
        seed: question.seed,
        now_ns: question.now,
        model: *model,
        tenant: *tenant,
        stage: question.stage,
        operation: request.operation as u32,
        input_tokens: question.input_tokens,
        max_output_tokens: *max_output_tokens,
        traits: traits(request, *attempt),
        prefix: question.prefix,
        priority: question.priority.into(),
    }
}

/// What else is true of `request`.
pub(super) fn traits(request: &Request, attempt: u32) -> Traits {
    let mut traits = Traits::empty();
    let mut note = |is_true: bool, flag: Traits| {
        if is_true {
            traits |= flag;
        }
    };
    note(request.streams, Traits::STREAMING);
    note(!request.tools.is_empty() && request.tool_choice != ToolChoice::None, Traits::TOOLS);
    note(!matches!(request.format, Format::Text), Traits::JSON);
    note(attempt > 0, Traits::RETRY);
    traits
}

fn backend(sight: &Sight) -> Backend {
    Backend {
        open: sight.open,
        weight: sight.weight,
        running: sight.running,
        waiting: sight.waiting,
        pending_tokens: sight.pending_tokens.try_into().unwrap_or(u32::MAX),
        cached_tokens: sight.cached_tokens,
        kv_used: sight.kv_used,
        first_token_us: micros(sight.first_token_ns),
        gap_us: micros(sight.gap_ns),
    }
}

fn group(station: &str, seed: u64, settings: &autoscaler::Settings, sight: &autoscaler::Sight) -> Group {
    let seconds = sight.interval_ns as f64 * 1e-9;
    Group {
        station: station.to_owned(),
        seed,
        now_ns: sight.now,
        interval_ns: sight.interval_ns,
        boot_ns: settings.boot_ns,
        least: settings.least,
        most: settings.most,
        wanted: sight.wanted,
        ready: sight.ready,
        starting: sight.starting,
        draining: sight.draining,
        running: sight.running,
        waiting: sight.waiting,
        arrivals_per_s: if seconds > 0.0 { sight.arrivals as f64 / seconds } else { 0.0 },
        refused: sight.refused.try_into().unwrap_or(u32::MAX),
        busy: sight.busy_share,
        kv_used: if sight.ready > 0 { sight.kv / f64::from(sight.ready) } else { 0.0 },
        first_token_us: micros(sight.first_token_ns),
        first_token_max_us: micros(sight.first_token_max_ns),
    }
}

fn micros(ns: Nanos) -> u32 {
    (ns / 1_000).try_into().unwrap_or(u32::MAX)
}

/// A choice that nobody waits for, to see how long one takes.
pub(super) fn rehearsed_choice(instance: &mut Instance, number: u64) -> wasmtime::Result<balancer::Choice> {
    let ask = Ask {
        identity: number,
        attempt: 0,
        occurrence: 0,
        seed: number,
        now_ns: 0,
        model: 0,
        tenant: 0,
        stage: 0,
        operation: 1,
        input_tokens: 10,
        max_output_tokens: 100,
        traits: Traits::empty(),
        prefix: 0,
        priority: 0,
    };
    let idle = backend(&Sight { open: true, weight: 1, ..Sight::default() });
    instance.pick(ask, &[idle; REHEARSED_BACKENDS])
}

/// A decision that changes nothing.
pub(super) fn rehearsed_decision(instance: &mut Instance, number: u64) -> wasmtime::Result<Decision> {
    let settings = autoscaler::Settings {
        least: 1,
        most: 2,
        every_ns: 1_000_000_000,
        boot_ns: 0,
        drain_ns: 0,
        rule: autoscaler::Rule::Keep,
        up: autoscaler::Pace::FREE,
        down: autoscaler::Pace::FREE,
    };
    let sight = autoscaler::Sight { interval_ns: 1_000_000_000, wanted: 1, ready: 1, ..autoscaler::Sight::default() };
    instance.scale(&group("", number, &settings, &sight))
}
