//! Measures what a plugin costs: calls a second, the time of a call, the memory of an instance, the time to make one.
//!
//! The plugin, a Wasm plugin that does nothing and native behaviours that do nothing take turns on one thread, in short rounds, so that
//! whatever else the machine does disturbs all alike. A round is one loop of calls and is timed as a whole, which gives calls a second; of
//! every few calls one is timed by itself, which gives the quantiles. Live limits and the live meter apply (CPU time, not instructions).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::StartError;
use crate::app::simulate::EPOCH_UNIX_S;
use crate::app::trial::run::of_requests;
use crate::app::trial::{Subject, TrialError};
use crate::app::workshop::Workshop;
use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Catalog, Makers, Setting};
use crate::behavior::fault::Fault;
use crate::behavior::latency::Latency;
use crate::behavior::responder::Responder;
use crate::builtin;
use crate::clock::real::{RealClock, monotonic_ns};
use crate::random::Key;
use crate::scenario::refusal::Refusal;
use crate::types::limits::GUEST_INLINE_US;
use crate::types::problem::Problem;
use crate::types::request::{Message, Operation, Request, Role};
use crate::wasm::{Kind, LoadSpec, Plugin, Room, STANDARD_PACK};
use crate::worker;

/// The plugin of the standard pack that is measured beside: with these options it decides nothing from the request.
const NOOP: (&str, &str) = ("support-desk", r#"{"attentive": false}"#);

/// One call in so many is timed by itself: reading the clock twice costs about as much as a native call.
const TIMED_ONE_IN: u64 = 16;
/// Calls in a row before another takes its turn.
const BATCH: u64 = 64;
/// Tokens of the reply that a latency model is asked about.
const TOKENS: u32 = 100;

/// How long to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchOptions {
    /// The plugin's options.
    pub options: Value,
    /// How long all calls take together, in milliseconds.
    pub for_ms: u64,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The plugin's name.
    pub plugin: String,
    /// The calls of the plugin by kind, each with those that it was measured beside.
    pub kinds: Vec<KindMeasured>,
    /// What an instance takes.
    pub room: Room,
}

/// What calls of one kind cost.
#[derive(Debug, Clone)]
pub struct KindMeasured {
    /// The word for the kind.
    pub kind: &'static str,
    /// The plugin.
    pub plugin: Calls,
    /// A Wasm plugin that does nothing, where there is one of this kind.
    pub wasm_noop: Option<Calls>,
    /// The native behaviour that does nothing.
    pub native_noop: Calls,
}

/// Calls of one behaviour.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// Nanoseconds of all calls together, without those that were timed by themselves.
    ns: u64,
    counted: u64,
    /// Single calls, in nanoseconds, sorted.
    timed: Vec<u64>,
}

impl Calls {
    /// Calls a second.
    pub fn per_second(&self) -> f64 {
        self.counted as f64 / (self.ns.max(1) as f64 * 1e-9)
    }

    /// The quantile `share` of single calls, in nanoseconds.
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = ((share * self.timed.len() as f64).ceil() as usize).max(1) - 1;
        self.timed.get(rank).copied().unwrap_or(0)
    }

    fn json(&self) -> Value {
        json!({ "calls": self.count, "per_s": self.per_second(), "p50_ns": self.quantile(0.5), "p99_ns": self.quantile(0.99) })
    }
}

/// A behaviour that is measured.
enum Behaviour {
    Fault(Arc<dyn Fault>),
    Responder(Arc<dyn Responder>),
    Latency(Arc<dyn Latency>),
}

impl Behaviour {
    fn ask(&self, call: &Call<'_>) -> Result<(), BehaviorError> {
        match self {
            Self::Fault(fault) => fault.decide(call).map(|verdict| drop(std::hint::black_box(verdict))),
            Self::Responder(responder) => responder.respond(call, 1).map(|answers| drop(std::hint::black_box(answers))),
            Self::Latency(latency) => latency.plan(call, TOKENS).map(|schedule| drop(std::hint::black_box(schedule))),
        }
    }
}

/// Measures `subject`.
pub fn bench(subject: &Subject, options: &BenchOptions) -> Result<Measured, TrialError> {
    // Whoever is a worker has an instance to itself, as live.
    worker::enter(0);
    let workshop = Workshop::open(RealClock::of_run(EPOCH_UNIX_S), None, 1)?;
    let plugin = workshop.plugins().load(subject.spec())?.apart(false)?;
    of_requests(&plugin)?;
    let noop = noop(&workshop)?;
    let mut native = Catalog::default();
    builtin::register(&mut native);
    let mut kinds = Vec::new();
    let share_ms = options.for_ms / plugin.kinds().len().max(1) as u64;
    for kind in plugin.kinds() {
        let Some(idle) = idle(&native, kind)? else { continue };
        let own = made(&plugin, kind, &options.options)?;
        let wasm = noop.kinds().contains(&kind).then(|| made(&noop, kind, &serde_json::from_str(NOOP.1).unwrap_or_default()));
        let mut runs = [(Some(own), Calls::default()), (wasm.transpose()?, Calls::default()), (Some(idle), Calls::default())];
        take_turns(&mut runs, share_ms).map_err(|error| TrialError::Unfound(format!("it cannot be measured: {error}")))?;
        let [(_, mine), (wasm, wasm_calls), (_, native)] = runs;
        kinds.push(KindMeasured { kind: kind.word(), plugin: mine, wasm_noop: wasm.map(|_| wasm_calls), native_noop: native });
    }
    let room = plugin.room(&options.options)?;
    Ok(Measured { plugin: plugin.name().to_owned(), kinds, room })
}

fn noop(workshop: &Workshop) -> Result<Arc<Plugin>, TrialError> {
    let (name, bytes) = STANDARD_PACK.iter().find(|(name, _)| *name == NOOP.0).copied().unwrap_or(("", &[]));
    Ok(workshop.plugins().load(LoadSpec::new(name, bytes))?.apart(false)?)
}

/// The native behaviour of `kind` that does nothing.
fn idle(native: &Catalog, kind: Kind) -> Result<Option<Behaviour>, TrialError> {
    let (setting, nothing) = (setting(), json!({}));
    Ok(match kind {
        Kind::Fault => Some(Behaviour::Fault(make(&native.fault, "none", &nothing, &setting)?)),
        Kind::Responder => Some(Behaviour::Responder(make(&native.responder, "fixed", &json!({ "text": "x" }), &setting)?)),
        Kind::Latency => Some(Behaviour::Latency(make(&native.latency, "constant", &json!({ "first": "1ms" }), &setting)?)),
        Kind::Balancer | Kind::Autoscaler => None,
    })
}

/// What `plugin` with `options` decides of `kind`.
fn made(plugin: &Arc<Plugin>, kind: Kind, options: &Value) -> Result<Behaviour, TrialError> {
    let mut catalog = Catalog::default();
    plugin.register(&mut catalog);
    let (setting, name) = (setting(), plugin.name());
    Ok(match kind {
        Kind::Fault => Behaviour::Fault(make(&catalog.fault, name, options, &setting)?),
        Kind::Responder => Behaviour::Responder(make(&catalog.responder, name, options, &setting)?),
        _ => Behaviour::Latency(make(&catalog.latency, name, options, &setting)?),
    })
}

fn make<B: ?Sized>(makers: &Makers<B>, name: &str, options: &Value, setting: &Setting) -> Result<Arc<B>, TrialError> {
    let missing = || vec![Problem::new("", format!("there is no `{name}`"))];
    let made = makers.get(name).ok_or_else(missing).and_then(|maker| maker.make(options, setting));
    made.map_err(|problems| StartError::from(Refusal { file: "the options".to_owned(), files: Vec::new(), problems }).into())
}

fn setting() -> Setting {
    Setting {
        models: vec!["test".to_owned()],
        stages: vec!["model".to_owned()],
        epoch_unix_s: EPOCH_UNIX_S,
        ..Setting::default()
    }
}

/// Lets the behaviours take turns until `for_ms` have passed; the first round of each warms it up and is not counted.
fn take_turns(runs: &mut [(Option<Behaviour>, Calls)], for_ms: u64) -> Result<(), BehaviorError> {
    let message = Message::new(Role::User, "Where is my parcel?");
    let request = Arc::new(Request::chat("test", vec![message]));
    for (behaviour, _) in runs.iter() {
        behaviour.iter().try_for_each(|behaviour| round(behaviour, &request, 0, &mut Calls::default()))?;
    }
    let (from, mut number) = (monotonic_ns(), 1);
    while monotonic_ns().saturating_sub(from) < for_ms * 1_000_000 {
        for (behaviour, calls) in runs.iter_mut() {
            let Some(behaviour) = behaviour else { continue };
            round(behaviour, &request, number, calls)?;
        }
        number += 1;
    }
    runs.iter_mut().for_each(|(_, calls)| calls.timed.sort_unstable());
    Ok(())
}

/// One batch of calls, each with draws of its own.
fn round(behaviour: &Behaviour, request: &Arc<Request>, number: u64, calls: &mut Calls) -> Result<(), BehaviorError> {
    let key = Key::of_seed(number).named("bench");
    let call = |index: u64| call(request, key.with(index).bits(), number * BATCH + index);
    let prepared: Vec<Call<'_>> = (0..BATCH).map(call).collect();
    let from = monotonic_ns();
    for call in &prepared {
        behaviour.ask(call)?;
    }
    calls.ns += monotonic_ns().saturating_sub(from);
    calls.counted += BATCH;
    calls.count += BATCH;
    for call in prepared.iter().take((BATCH / TIMED_ONE_IN) as usize) {
        let from = monotonic_ns();
        behaviour.ask(call)?;
        calls.timed.push(monotonic_ns().saturating_sub(from));
        calls.count += 1;
    }
    Ok(())
}

fn call(request: &Arc<Request>, seed: u64, number: u64) -> Call<'_> {
    Call {
        identity: seed,
        attempt: 0,
        occurrence: 0,
        seed,
        now: number * 1_000_000,
        model: 0,
        tenant: 0,
        stage: 0,
        operation: Operation::Chat,
        input_tokens: 200,
        max_output_tokens: 1_000,
        running: 3,
        waiting: 0,
        request,
        draws: None,
    }
}

impl KindMeasured {
    /// Is the plugin quick enough to be asked on the workers, by its median? A server judges by the quickest of a rehearsal at first, and
    /// later by calls that are slow in a row, or very slow once.
    pub fn is_inline(&self) -> bool {
        self.plugin.quantile(0.5) < GUEST_INLINE_US * 1_000
    }

    fn verdict(&self) -> String {
        let at = ns(self.plugin.quantile(0.5));
        if self.is_inline() {
            format!("{at} in the median is below {GUEST_INLINE_US}us: planned on the workers")
        } else {
            format!("{at} in the median is above {GUEST_INLINE_US}us: planned in the slow lane, off the workers")
        }
    }
}

impl Measured {
    /// For people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("plugin     {}, on one thread, taking turns with what does nothing", self.plugin)];
        for kind in &self.kinds {
            lines.push(String::new());
            lines.push(format!("{:<18}  {:>12}  {:>9}  {:>9}  {:>9}", kind.kind, "calls/s", "p50", "p99", "x native"));
            let native = kind.native_noop.per_second();
            let rows = [
                ("plugin", Some(&kind.plugin)),
                ("wasm, no work", kind.wasm_noop.as_ref()),
                ("native, no work", Some(&kind.native_noop)),
            ];
            for (name, calls) in rows {
                let Some(calls) = calls else { continue };
                let (median, slowest) = (ns(calls.quantile(0.5)), ns(calls.quantile(0.99)));
                let times = native / calls.per_second().max(1e-9);
                lines.push(format!("  {name:<16}  {:>12.0}  {median:>9}  {slowest:>9}  {times:>9.1}", calls.per_second()));
            }
            lines.push(format!("  {}", kind.verdict()));
        }
        let Room { instantiate_ns, configure_ns, memory_bytes } = self.room;
        lines.push(String::new());
        lines.push(format!(
            "instance   {} of memory, {} to instantiate, {} to configure",
            mebibytes(memory_bytes),
            ns(instantiate_ns),
            ns(configure_ns)
        ));
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let kind = |kind: &KindMeasured| {
            json!({
                "kind": kind.kind, "plugin": kind.plugin.json(), "wasm_noop": kind.wasm_noop.as_ref().map(Calls::json),
                "native_noop": kind.native_noop.json(), "inline": kind.is_inline(),
            })
        };
        let Room { instantiate_ns, configure_ns, memory_bytes } = self.room;
        json!({
            "plugin": self.plugin,
            "kinds": self.kinds.iter().map(kind).collect::<Vec<_>>(),
            "inline_limit_us": GUEST_INLINE_US,
            "instance": { "memory_bytes": memory_bytes, "instantiate_ns": instantiate_ns, "configure_ns": configure_ns },
        })
    }
}

fn ns(ns: u64) -> String {
    match ns {
        ns if ns < 1_000 => format!("{ns}ns"),
        ns => crate::app::trial::picture::time(ns),
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
