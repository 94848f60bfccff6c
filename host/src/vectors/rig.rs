//! The rig: a scenario of one model around a plugin, so that the planner asks it as it asks any behaviour, and its decisions are
//! noted on the way. Balancers and autoscalers, which no planner asks, are asked with what the case says of a group.
//!
//! What a case fixes and a planner would draw or look up (seed, identity, names) is put into the call just before the plugin sees it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::Gauge;
use serde_json::{Map, Value, json};

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Catalog, Maker, Setting};
use crate::behavior::fault::{Fault, Verdict};
use crate::behavior::latency::{Latency, Schedule};
use crate::behavior::responder::{Answer, Responder};
use crate::builtin;
use crate::clock::Nanos;
use crate::plan::build::{Ingredients, build};
use crate::plan::generation::Generation;
use crate::plan::identity::{Identity, content_of};
use crate::plan::planner::{Facts, output_limit, plan};
use crate::plan::token_counts::input_tokens;
use crate::plan::verdict::{Outcome, Place};
use crate::plan::{Phase, Plan};
use crate::random::Key;
use crate::scenario::read::parse;
use crate::station::autoscaler::Sight;
use crate::station::balancer::chooser::{self, Asker, Question};
use crate::types::fields::escape;
use crate::types::limits;
use crate::types::problem::Problem;
use crate::types::request::Request;
use crate::vectors::{Asks, CallFacts, Case, Step, words};
use crate::wasm::{Kind, Plugin, PluginChooser, PluginScaler};

/// When every case begins, as Unix time in seconds: the first moment of 2025, as in virtual time.
const EPOCH_UNIX_S: u64 = 1_735_689_600;

/// Tokens of a reply that the plugin does not decide.
const TOKENS: u32 = 64;

/// A model for which `plugin` with `options` decides all that it can, as a scenario writes it; the rest is plain.
pub fn rig_model(plugin: &Plugin, options: &Value) -> Value {
    let (name, kinds) = (plugin.name(), plugin.kinds());
    let behaviour = if options.as_object().is_none_or(Map::is_empty) { json!(name) } else { json!({ name: options }) };
    let used = |kind: Kind, native: Value| if kinds.contains(&kind) { behaviour.clone() } else { native };
    let faults = if kinds.contains(&Kind::Fault) { json!([behaviour]) } else { json!([]) };
    json!({
        "match": "*",
        "faults": faults,
        "reply": used(Kind::Responder, json!({ "text": { "tokens": TOKENS } })),
        "latency": used(Kind::Latency, json!({ "constant": { "first": "0ms", "between": "0ms" } })),
    })
}

/// A plugin under test.
pub(super) struct Rig {
    plugin: Arc<Plugin>,
    lens: Arc<Lens>,
    /// By settings, what was used last at the end. Each holds instances, and a live server needs some, too.
    ready: VecDeque<(String, Result<Ready, Vec<Problem>>)>,
}

/// The plugin, set up for a case.
#[derive(Clone)]
pub(super) struct Ready {
    generation: Arc<Generation>,
    balancer: Option<Arc<PluginChooser>>,
    autoscaler: Option<Arc<PluginScaler>>,
}

/// What came of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered {
    /// What each kind decided that was asked, by its word, and the `outcome`.
    pub(super) decided: Map<String, Value>,
    /// When each token would leave, if there is a reply.
    pub(super) tokens_at: Vec<Nanos>,
    /// Tokens of the reply.
    pub(super) tokens: u32,
    /// The fuel of each call, where it is counted.
    pub(super) fuel: Vec<(&'static str, u64)>,
}

/// Names that a case says, which the plugin is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    models: Vec<String>,
    tenants: Vec<String>,
    stages: Vec<String>,
}

impl Names {
    fn of(case: &Case) -> Self {
        let mut names = Self { stages: vec!["model".to_owned()], ..Self::default() };
        let add = |list: &mut Vec<String>, name: &str| {
            if !name.is_empty() && !list.iter().any(|known| known == name) {
                list.push(name.to_owned());
            }
        };
        for step in &case.steps {
            add(&mut names.models, &step.request.model);
            add(&mut names.tenants, &step.call.tenant);
            add(&mut names.stages, &step.call.stage);
        }
        // As in a scenario with tiers: the nameless one after the last.
        if !names.tenants.is_empty() {
            names.tenants.push(String::new());
        }
        names
    }
}

fn index(list: &[String], name: &str) -> u32 {
    let nameless = list.len().saturating_sub(1);
    list.iter().position(|known| known == name).unwrap_or(nameless) as u32
}

impl Rig {
    pub(super) fn new(plugin: Arc<Plugin>) -> Self {
        Self { plugin, lens: Arc::default(), ready: VecDeque::new() }
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Sets the plugin up for `case`. The error is what it says about the options, with pointers into them.
    pub(super) fn set_up(&mut self, case: &Case) -> Result<Ready, Vec<Problem>> {
        let names = Names::of(case);
        let key = format!("{}\n{names:?}", case.options);
        let known = self.ready.iter().position(|(known, _)| *known == key).and_then(|at| self.ready.remove(at));
        if known.is_none() && self.ready.len() == limits::VECTOR_SETTINGS_MAX {
            self.ready.pop_front();
        }
        let made = known.map_or_else(|| self.get_ready(&case.options, names), |(_, made)| made);
        self.ready.push_back((key, made.clone()));
        made
    }

    fn get_ready(&self, options: &Value, names: Names) -> Result<Ready, Vec<Problem>> {
        let generation = Arc::new(self.make(options, &names)?);
        let Names { models, tenants, stages } = names;
        let setting = Setting { models, tenants, stages, epoch_unix_s: EPOCH_UNIX_S, ..Setting::default() };
        let decides = |kind| self.plugin.kinds().contains(&kind);
        let balancer = decides(Kind::Balancer).then(|| self.plugin.chooser(options, &setting)).transpose()?;
        let autoscaler = decides(Kind::Autoscaler).then(|| self.plugin.scaler(options, &setting)).transpose()?;
        Ok(Ready { generation, balancer: balancer.map(Arc::new), autoscaler: autoscaler.map(Arc::new) })
    }

    fn make(&self, options: &Value, names: &Names) -> Result<Generation, Vec<Problem>> {
        let name = self.plugin.name();
        let kinds = self.plugin.kinds();
        let text = json!({ "simwright": 1, "models": [rig_model(&self.plugin, &Value::Null)] }).to_string();
        let draft = parse("the options", &text, Path::new("")).map_err(|refusal| refusal.problems)?;
        let mut catalog = Catalog::default();
        builtin::register(&mut catalog);
        self.plugin.register(&mut catalog);
        let lens = || Lensed {
            lens: Arc::clone(&self.lens),
            plugin: Arc::clone(&self.plugin),
            names: names.clone(),
            options: options.clone(),
        };
        if let Some(inner) = catalog.fault.remove(name).filter(|_| kinds.contains(&Kind::Fault)) {
            catalog.fault.insert(name.to_owned(), Arc::new(WatchedMaker { inner, lensed: lens() }));
        }
        if let Some(inner) = catalog.responder.remove(name).filter(|_| kinds.contains(&Kind::Responder)) {
            catalog.responder.insert(name.to_owned(), Arc::new(WatchedMaker { inner, lensed: lens() }));
        }
        if let Some(inner) = catalog.latency.remove(name).filter(|_| kinds.contains(&Kind::Latency)) {
            catalog.latency.insert(name.to_owned(), Arc::new(WatchedMaker { inner, lensed: lens() }));
        }
        let ingredients = Ingredients {
            catalog: &catalog,
            loadable: Vec::new(),
            unloaded: Vec::new(),
            number: 1,
            seed: 1,
            epoch_unix_s: EPOCH_UNIX_S,
            alive: Gauge::noop(),
        };
        build(draft, &ingredients).map_err(|problems| of_options(problems, name))
    }

    /// Asks once. `number` tells requests that are alike apart: the first is asked as it is written, the others with other draws.
    pub(super) fn ask(&self, ready: &Ready, case: &Case, step: usize, number: u64) -> Answered {
        let generation = &ready.generation;
        let Some(step) = case.steps.get(step) else { return Answered::default() };
        let (names, call) = (Names::of(case), &step.call);
        let root = Key::of_seed(call.seed).named("vector").with(number);
        let seed = if number == 0 { call.seed } else { root.named("seed").bits() };
        let content = content_of(&step.request);
        let identity = match call.identity {
            Some(identity) => identity,
            None if number == 0 => content,
            None => root.named("identity").bits(),
        };
        let given = Given {
            seed,
            identity,
            model: index(&names.models, &step.request.model),
            tenant: if names.tenants.is_empty() { 0 } else { index(&names.tenants, &call.tenant) },
            stage: names.stages.iter().position(|known| *known == call.stage).unwrap_or(0) as u32,
        };
        let later = step.over.map_or(0, |over| over.every).saturating_mul(number);
        match &step.asks {
            Asks::Request => {}
            Asks::Balancer(backends) => return self.ask_balancer(ready, step, given, later, backends),
            Asks::Autoscaler(group) => {
                let now = call.now.saturating_add(later);
                let decide =
                    |scaler: &PluginScaler| scaler.decide(&group.station, seed, &group.settings, &Sight { now, ..group.sight });
                let decided = ready.autoscaler.as_deref().map(|scaler| told(decide(scaler), words::wish));
                return self.alone(Kind::Autoscaler, decided);
            }
        }
        *lock(&self.lens.given) = given;
        lock(&self.lens.seen).clear();
        let facts = facts(generation, &step.request, call, root.bits() ^ content, later);
        let planned = plan(generation, 0, &step.request, &facts);
        let seen = std::mem::take(&mut *lock(&self.lens.seen));
        answered(&planned, seen)
    }

    fn ask_balancer(&self, ready: &Ready, step: &Step, given: Given, later: Nanos, backends: &[chooser::Sight]) -> Answered {
        let Given { seed, identity, model, tenant, stage } = given;
        let (call, generation) = (&step.call, &ready.generation);
        let input_tokens = call.input_tokens.unwrap_or_else(|| input_tokens(generation, &step.request));
        let asker = Asker {
            choosers: Arc::new([]),
            model,
            tenant,
            attempt: call.attempt,
            occurrence: call.occurrence,
            max_output_tokens: output_limit(&step.request, &generation.scenario.models[0], input_tokens),
            stages: Arc::new([]),
            request: Arc::clone(&step.request),
        };
        let now = call.now.saturating_add(later);
        let (prefix, priority) = (call.prefix, call.priority);
        let question = Question { now, seed, asker: &asker, identity, stage, input_tokens, prefix, priority, backends };
        let decided = ready.balancer.as_deref().map(|balancer| told(balancer.choose(&question), words::choice));
        self.alone(Kind::Balancer, decided)
    }

    /// What `kind` has decided alone; nothing if the plugin does not decide it.
    fn alone(&self, kind: Kind, decided: Option<Value>) -> Answered {
        let mut answered = Answered::default();
        if let Some(decided) = decided {
            answered.decided.insert(word_of(kind).to_owned(), decided);
            answered.fuel.extend(self.plugin.fuel_used().map(|fuel| (word_of(kind), fuel)));
        }
        answered
    }
}

/// An answer in words, or why there is none.
fn told<T>(answer: Result<T, BehaviorError>, words: impl FnOnce(&T) -> Value) -> Value {
    answer.map_or_else(|error| words::failed(&error), |answer| words(&answer))
}

/// What the planner is told: draws of its own follow the case's seed.
fn facts(generation: &Generation, request: &Request, call: &CallFacts, draws: u64, later: Nanos) -> Facts {
    let identity = Identity { content: draws, identity: draws, attempt: call.attempt, occurrence: call.occurrence };
    let tokens = if call.stage.is_empty() { call.output_tokens } else { call.output_tokens.or(Some(1)) };
    Facts {
        attempt: call.attempt + 1,
        now: call.now.saturating_add(later),
        input_tokens: call.input_tokens.unwrap_or_else(|| input_tokens(generation, request)),
        running: call.running,
        waiting: call.waiting,
        output_tokens: tokens,
        ..Facts::first(identity)
    }
}

/// The plugin's complaints about its options, each once, with pointers into them.
fn of_options(problems: Vec<Problem>, name: &str) -> Vec<Problem> {
    let uses = ["/models/0/faults/0", "/models/0/reply", "/models/0/latency"];
    // A behaviour that is named without options, as here, has none of its own in the pointer.
    let named = format!("/{}", escape(name));
    let mut list: Vec<Problem> = Vec::new();
    for mut problem in problems {
        if let Some(inner) = uses.iter().find_map(|used| problem.pointer.strip_prefix(used)) {
            problem.pointer = inner.strip_prefix(named.as_str()).unwrap_or(inner).to_owned();
        }
        problem.place = None;
        if !list.contains(&problem) {
            list.push(problem);
        }
    }
    list
}

fn answered(plan: &Plan, seen: Vec<Seen>) -> Answered {
    let mut answered = Answered::default();
    for Seen { kind, decided, fuel } in seen {
        answered.decided.insert(word_of(kind).to_owned(), decided);
        answered.fuel.extend(fuel.map(|fuel| (kind.word(), fuel)));
    }
    answered.decided.insert("outcome".to_owned(), outcome(&plan.outcome));
    if plan.last_asked == Some(Phase::Latency) && !matches!(plan.outcome, Outcome::Refuse(_)) {
        plan.timing.each(plan.reply.steps(), |at| {
            answered.tokens_at.push(at);
            true
        });
    }
    answered.tokens = plan.usage.output;
    answered
}

/// What becomes of the request, in the words of `explain --json`.
fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Answer => json!({ "kind": "answer" }),
        Outcome::Refuse(error) => {
            let mut fields = json!({ "kind": "refuse", "status": error.status, "message": error.message });
            if let Some(wait) = error.retry_after_ms {
                fields["retry_after_ms"] = json!(wait);
            }
            fields
        }
        Outcome::Interrupt(interrupt) => {
            let place = match interrupt.place {
                Place::BeforeHead => "before the first byte".to_owned(),
                Place::AfterStep(step) => format!("after token {step}"),
                Place::AfterTime(after) => format!("{:.1} ms after the request", after.as_secs_f64() * 1e3),
            };
            json!({ "kind": "interrupt", "action": interrupt.action.kind(), "place": place })
        }
    }
}

/// What is put into calls, and what was seen of the answers.
#[derive(Debug, Default)]
struct Lens {
    given: Mutex<Given>,
    seen: Mutex<Vec<Seen>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Given {
    seed: u64,
    identity: u64,
    model: u32,
    tenant: u32,
    stage: u32,
}

#[derive(Debug)]
struct Seen {
    kind: Kind,
    decided: Value,
    fuel: Option<u64>,
}

/// The word for what `kind` decides, as scenarios and vectors write it.
pub(super) fn word_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Fault => "fault",
        Kind::Responder => "reply",
        Kind::Latency => "latency",
        Kind::Balancer => "balancer",
        Kind::Autoscaler => "autoscaler",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Lensed {
    lens: Arc<Lens>,
    plugin: Arc<Plugin>,
    names: Names,
    /// Given to the plugin as they are: what stands in a scenario would get variables of the environment put in.
    options: Value,
}

impl Lensed {
    /// Asks with the case's own facts, and notes the answer.
    fn see<T>(
        &self,
        kind: Kind,
        call: &Call<'_>,
        ask: impl FnOnce(&Call<'_>) -> Result<T, BehaviorError>,
        words: impl FnOnce(&T) -> Value,
    ) -> Result<T, BehaviorError> {
        let Given { seed, identity, model, tenant, stage } = *lock(&self.lens.given);
        let answer = ask(&Call { seed, identity, model, tenant, stage, ..call.clone() });
        let decided = match &answer {
            Ok(answer) => words(answer),
            Err(error) => words::failed(error),
        };
        lock(&self.lens.seen).push(Seen { kind, decided, fuel: self.plugin.fuel_used() });
        answer
    }

    fn setting(&self, setting: &Setting) -> Setting {
        let Names { models, tenants, stages } = self.names.clone();
        Setting { models, tenants, stages, ..setting.clone() }
    }
}

/// Makes what `inner` makes, watched.
struct WatchedMaker<B: ?Sized> {
    inner: Arc<dyn Maker<B>>,
    lensed: Lensed,
}

struct Watched<B: ?Sized> {
    inner: Arc<B>,
    lensed: Lensed,
}

macro_rules! watched_maker {
    ($kind:path) => {
        impl Maker<dyn $kind> for WatchedMaker<dyn $kind> {
            fn summary(&self) -> &str {
                self.inner.summary()
            }

            fn make(&self, _options: &Value, setting: &Setting) -> Result<Arc<dyn $kind>, Vec<Problem>> {
                let inner = self.inner.make(&self.lensed.options, &self.lensed.setting(setting))?;
                Ok(Arc::new(Watched { inner, lensed: self.lensed.clone() }))
            }
        }
    };
}

watched_maker!(Fault);
watched_maker!(Responder);
watched_maker!(Latency);

impl Fault for Watched<dyn Fault> {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        self.lensed.see(Kind::Fault, call, |call| self.inner.decide(call), words::fault)
    }
}

impl Responder for Watched<dyn Responder> {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        self.lensed.see(Kind::Responder, call, |call| self.inner.respond(call, choices), |answers| words::reply(answers))
    }
}

impl Latency for Watched<dyn Latency> {
    fn plan(&self, call: &Call<'_>, output_tokens: u32) -> Result<Schedule, BehaviorError> {
        self.lensed.see(Kind::Latency, call, |call| self.inner.plan(call, output_tokens), words::latency)
    }
}
