//! One running instance of a plugin, and the mould that instances come from.
//!
//! A [`Mould`] is a compiled component with everything linked: making an instance from it takes some ten microseconds. Every way
//! into a guest goes through [`Instance::enter`], which gives it its time and turns whatever comes back into a [`PluginError`].
//! An instance that failed must be dropped: wasmtime forbids entering it again, and its memory is in nobody knows what state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::behavior::catalog::Setting;
use crate::types::limits;
use crate::types::problem::Problem;
use crate::wasm::bindings::exports::simwright::plugin::{autoscaler, balancer, fault, latency, lifecycle, responder};
use crate::wasm::bindings::simwright::plugin::types;
use crate::wasm::contract::{CONTRACT, Fit, fit, parts};
use crate::wasm::error::{Cause, PluginError, diagnose};
use crate::wasm::guest::{Guest, Moment};
use crate::wasm::host_services::{self, Home};
use crate::wasm::limits::{FIRST_LOOK_TICKS, on_epoch};
use crate::wasm::ticker::Timer;
use crate::wasm::wasi;

// What a host function does wrong is caught at the call, which needs panics that unwind.
const _: () = assert!(cfg!(panic = "unwind"), "build with `panic = \"unwind\"`");

/// The kinds of behaviour a plugin may export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Decides what fails.
    Fault,
    /// Decides what is answered.
    Responder,
    /// Decides when tokens leave.
    Latency,
    /// Chooses between replicas.
    Balancer,
    /// Says how many replicas there shall be.
    Autoscaler,
}

impl Kind {
    /// All kinds, in the order in which a request asks them; at last those that belong to groups of replicas.
    pub const ALL: [Self; 5] = [Self::Fault, Self::Responder, Self::Latency, Self::Balancer, Self::Autoscaler];

    /// The word in metrics and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Responder => "responder",
            Self::Latency => "latency",
            Self::Balancer => "balancer",
            Self::Autoscaler => "autoscaler",
        }
    }

    /// The function that a call asks.
    fn function(self) -> &'static str {
        match self {
            Self::Fault => "fault.decide",
            Self::Responder => "responder.respond",
            Self::Latency => "latency.plan",
            Self::Balancer => "balancer.pick",
            Self::Autoscaler => "autoscaler.decide",
        }
    }

    /// Do others wait while it is asked, so that it must be quick?
    pub(super) fn holds_others_up(self) -> bool {
        matches!(self, Self::Balancer | Self::Autoscaler)
    }
}

/// A compiled and linked component with its limits.
pub(super) struct Mould {
    pub(super) name: String,
    pub(super) timer: Timer,
    pub(super) time_us: u64,
    memory_bytes: usize,
    /// Instructions of the latest call of a behaviour, where they are counted.
    pub(super) fuel_used: AtomicU64,
    pre: InstancePre<Guest>,
    home: Arc<Home>,
    lifecycle: lifecycle::GuestIndices,
    fault: Option<fault::GuestIndices>,
    responder: Option<responder::GuestIndices>,
    latency: Option<latency::GuestIndices>,
    balancer: Option<balancer::GuestIndices>,
    autoscaler: Option<autoscaler::GuestIndices>,
}

/// Why an instance could not be set up.
#[derive(Debug)]
pub(super) enum SetupError {
    /// The plugin failed.
    Plugin(PluginError),
    /// The plugin does not accept its options; pointers are relative to them.
    Options(Vec<Problem>),
}

impl Mould {
    /// Links `component`: checks what it imports and exports, and that it can be instantiated at all.
    pub(super) fn link(
        component: &Component,
        home: Arc<Home>,
        timer: Timer,
        memory_bytes: usize,
        time_us: u64,
    ) -> Result<Self, PluginError> {
        check_exports(&home.name, component.engine(), component)?;
        Self::link_any(component, home, timer, memory_bytes, time_us)
    }

    /// The same without a look at versions.
    pub(super) fn link_any(
        component: &Component,
        home: Arc<Home>,
        timer: Timer,
        memory_bytes: usize,
        time_us: u64,
    ) -> Result<Self, PluginError> {
        let name = home.name.clone();
        let import = |error: wasmtime::Error| PluginError::new(&name, Cause::Import, format!("it cannot be linked: {error:#}"));
        let mut linker: Linker<Guest> = Linker::new(component.engine());
        host_services::link(&mut linker).map_err(import)?;
        wasi::link(&name, &mut linker, component)?;
        let pre = linker.instantiate_pre(component).map_err(import)?;
        let version = |error: wasmtime::Error| {
            PluginError::new(&name, Cause::Version, format!("its exports differ from `simwright:plugin@{CONTRACT}`: {error:#}"))
        };
        // A version that is compatible will do.
        let exports =
            |interface: &str| component.get_export_index(None, format!("simwright:plugin/{interface}@{CONTRACT}")).is_some();
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(&pre).map_err(version)?,
            fault: exports("fault").then(|| fault::GuestIndices::new(&pre)).transpose().map_err(version)?,
            responder: exports("responder").then(|| responder::GuestIndices::new(&pre)).transpose().map_err(version)?,
            latency: exports("latency").then(|| latency::GuestIndices::new(&pre)).transpose().map_err(version)?,
            balancer: exports("balancer").then(|| balancer::GuestIndices::new(&pre)).transpose().map_err(version)?,
            autoscaler: exports("autoscaler").then(|| autoscaler::GuestIndices::new(&pre)).transpose().map_err(version)?,
            name: name.clone(),
            timer,
            time_us,
            memory_bytes,
            fuel_used: AtomicU64::new(0),
            pre,
            home,
        })
    }

    /// The same component linked again, with another home.
    pub(super) fn linked_to(&self, home: Arc<Home>) -> Result<Self, PluginError> {
        Self::link(self.pre.component(), home, self.timer.clone(), self.memory_bytes, self.time_us)
    }

    /// The component that it is made of.
    pub(super) fn component(&self) -> &Component {
        self.pre.component()
    }

    /// What its instances share.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// What the plugin decides.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let has = |kind: &Kind| match kind {
            Kind::Fault => self.fault.is_some(),
            Kind::Responder => self.responder.is_some(),
            Kind::Latency => self.latency.is_some(),
            Kind::Balancer => self.balancer.is_some(),
            Kind::Autoscaler => self.autoscaler.is_some(),
        };
        Kind::ALL.into_iter().filter(has).collect()
    }

    /// A new instance, not yet configured.
    pub(super) fn start(&self, epoch_unix_s: u64) -> Result<Instance, PluginError> {
        let guest = Guest::new(Arc::clone(&self.home), self.memory_bytes, epoch_unix_s);
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| &mut guest.space);
        store.set_hostcall_fuel(limits::GUEST_TRANSFER_BYTES);
        if let Timer::Cpu(pulse) = &self.timer {
            let pulse = Arc::clone(pulse);
            store.epoch_deadline_callback(move |store| {
                pulse.beat();
                on_epoch(store)
            });
        }
        store.data_mut().begin_setup();
        give_time(&mut store, &self.timer, limits::GUEST_SETUP_US);
        let exports = self.pre.instantiate(&mut store).and_then(|instance| {
            let fault = self.fault.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
            let responder = self.responder.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
            let latency = self.latency.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
            let balancer = self.balancer.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
            let autoscaler = self.autoscaler.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
            let lifecycle = self.lifecycle.load(&mut store, &instance)?;
            Ok(Exports { lifecycle, fault, responder, latency, balancer, autoscaler })
        });
        match exports {
            Ok(exports) => Ok(Instance { store, exports, calls_left: u32::MAX, memory_mark: usize::MAX, alive: None }),
            Err(error) => Err(diagnose(&self.name, "start", &error, store.data())),
        }
    }
}

/// Says what is wrong with what the component exports, before wasmtime says it in its own words.
fn check_exports(plugin: &str, engine: &Engine, component: &Component) -> Result<(), PluginError> {
    let ty = component.component_type();
    let ours: Vec<&str> = ty.exports(engine).map(|(name, _)| name).filter(|name| name.starts_with("simwright:plugin/")).collect();
    let has = |interface: &str| ours.iter().any(|name| parts(name).is_some_and(|(known, _)| known == interface));
    if ours.is_empty() {
        let message = format!("it exports nothing of `simwright:plugin`, of which this release speaks `{CONTRACT}`");
        return Err(PluginError::new(plugin, Cause::Version, message));
    }
    for name in &ours {
        let version = parts(name).map_or("", |(_, version)| version);
        let message = match fit(version, CONTRACT) {
            Fit::Good => continue,
            Fit::Newer => {
                format!("it exports `{name}`: it needs a release that speaks `simwright:plugin@{version}`, and this one speaks")
            }
            Fit::Other => format!("it exports `{name}`, but this release speaks"),
        };
        return Err(PluginError::new(plugin, Cause::Version, format!("{message} `simwright:plugin@{CONTRACT}`")));
    }
    if !has("lifecycle") {
        return Err(PluginError::new(plugin, Cause::Version, "it does not export `lifecycle`, which every plugin has"));
    }
    if !Kind::ALL.iter().any(|kind| has(kind.word())) {
        let message = "it exports no behaviour: none of `fault`, `responder`, `latency`, `balancer` and `autoscaler`";
        return Err(PluginError::new(plugin, Cause::Version, message));
    }
    Ok(())
}

#[inline]
fn give_time(store: &mut Store<Guest>, timer: &Timer, time_us: u64) {
    match timer {
        Timer::Cpu(pulse) => {
            store.set_epoch_deadline(FIRST_LOOK_TICKS);
            pulse.beat();
        }
        Timer::Fuel => {
            let fuel = time_us.saturating_mul(limits::GUEST_FUEL_PER_US);
            // The engine of this meter counts fuel, and that is all that this can complain about.
            let set = store.set_fuel(fuel);
            debug_assert!(set.is_ok());
        }
    }
}

/// What an instance exports.
struct Exports {
    lifecycle: lifecycle::Guest,
    fault: Option<fault::Guest>,
    responder: Option<responder::Guest>,
    latency: Option<latency::Guest>,
    balancer: Option<balancer::Guest>,
    autoscaler: Option<autoscaler::Guest>,
}

/// One running instance.
pub(super) struct Instance {
    store: Store<Guest>,
    exports: Exports,
    /// Calls until it is replaced.
    pub(super) calls_left: u32,
    /// Memory in bytes at which it is replaced.
    memory_mark: usize,
    /// The gauge of living instances, once this one counts.
    alive: Option<Gauge>,
}

impl Instance {
    /// Asks what the plugin is.
    pub(super) fn describe(&mut self, mould: &Mould) -> Result<lifecycle::About, PluginError> {
        self.set_up(mould, "describe", |instance| instance.exports.lifecycle.call_describe(&mut instance.store))
    }

    /// Configures the instance, after which it is ready; it is counted by `alive` from now on and replaced after `calls`.
    pub(super) fn configure(
        &mut self,
        mould: &Mould,
        options: &str,
        setting: &Setting,
        alive: &Gauge,
        calls: u32,
    ) -> Result<(), SetupError> {
        let names =
            lifecycle::Names { models: setting.models.clone(), tenants: setting.tenants.clone(), stages: setting.stages.clone() };
        let setting = lifecycle::Setting { names, epoch_unix_s: setting.epoch_unix_s };
        let configured = self.set_up(mould, "configure", |instance| {
            instance.exports.lifecycle.call_configure(&mut instance.store, options, &setting)
        });
        match configured {
            Ok(Ok(())) => {}
            Ok(Err(problems)) => return Err(SetupError::Options(problems.into_iter().map(problem).collect())),
            Err(error) => return Err(SetupError::Plugin(error)),
        }
        let space = &self.store.data().space;
        // Half of what was left at the start: a leak is noticed long before it hurts.
        self.memory_mark = space.used_bytes() + (space.limit_bytes().saturating_sub(space.used_bytes())) / 2;
        self.calls_left = calls;
        alive.increment(1.0);
        self.alive = Some(alive.clone());
        Ok(())
    }

    fn set_up<R>(
        &mut self,
        mould: &Mould,
        function: &str,
        ask: impl FnOnce(&mut Self) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        self.store.data_mut().begin_setup();
        give_time(&mut self.store, &mould.timer, limits::GUEST_SETUP_US);
        self.enter(mould, function, ask)
    }

    /// Makes one call of a behaviour.
    #[inline]
    pub(super) fn call<R>(
        &mut self,
        mould: &Mould,
        kind: Kind,
        moment: Moment<'_>,
        ask: impl FnOnce(&mut Self) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        let time_us = if kind.holds_others_up() { mould.time_us.min(limits::CHOOSER_TIME_US) } else { mould.time_us };
        self.store.data_mut().begin(moment, time_us);
        give_time(&mut self.store, &mould.timer, time_us);
        let result = self.enter(mould, kind.function(), ask);
        if !mould.timer.is_cpu() {
            let left = self.store.get_fuel().unwrap_or(0);
            let given = time_us.saturating_mul(limits::GUEST_FUEL_PER_US);
            mould.fuel_used.store(given.saturating_sub(left), Ordering::Relaxed);
        }
        result
    }

    #[inline]
    fn enter<R>(
        &mut self,
        mould: &Mould,
        function: &str,
        ask: impl FnOnce(&mut Self) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        // A host function that panics is our mistake; it must not take the worker along.
        let result = catch_unwind(AssertUnwindSafe(|| ask(self)));
        self.store.data_mut().end();
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(diagnose(&mould.name, function, &error, self.store.data())),
            Err(_panic) => {
                Err(PluginError::new(&mould.name, Cause::Host, format!("the host failed while `{function}` called it")))
            }
        }
    }

    /// From now on calls leave no trace: no state, no log, no counters.
    pub(super) fn rehearse(&mut self) {
        self.store.data_mut().rehearsal = true;
    }

    /// Asks the fault.
    pub(super) fn decide(&mut self, call: types::Call) -> wasmtime::Result<fault::Verdict> {
        let exported = self.exports.fault.as_ref().ok_or_else(|| not_exported(Kind::Fault))?;
        exported.call_decide(&mut self.store, call)
    }

    /// Asks the responder.
    pub(super) fn respond(&mut self, call: types::Call, choices: u32) -> wasmtime::Result<Vec<responder::Answer>> {
        let exported = self.exports.responder.as_ref().ok_or_else(|| not_exported(Kind::Responder))?;
        exported.call_respond(&mut self.store, call, choices)
    }

    /// Asks the latency model.
    pub(super) fn plan(&mut self, call: types::Call, output_tokens: u32) -> wasmtime::Result<latency::Schedule> {
        let exported = self.exports.latency.as_ref().ok_or_else(|| not_exported(Kind::Latency))?;
        exported.call_plan(&mut self.store, call, output_tokens)
    }

    /// Asks the balancer.
    pub(super) fn pick(&mut self, ask: balancer::Ask, backends: &[balancer::Backend]) -> wasmtime::Result<balancer::Choice> {
        let exported = self.exports.balancer.as_ref().ok_or_else(|| not_exported(Kind::Balancer))?;
        exported.call_pick(&mut self.store, ask, backends)
    }

    /// Asks the autoscaler.
    pub(super) fn scale(&mut self, group: &autoscaler::Group) -> wasmtime::Result<autoscaler::Decision> {
        let exported = self.exports.autoscaler.as_ref().ok_or_else(|| not_exported(Kind::Autoscaler))?;
        exported.call_decide(&mut self.store, group)
    }

    /// Did the last call use more CPU time than a worker should give?
    pub(super) fn was_slow(&self) -> bool {
        self.store.data().watch.was_slow()
    }

    /// Its linear memory in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().space.used_bytes()
    }

    /// Has its memory grown so much that a new instance is better?
    pub(super) fn has_grown(&self) -> bool {
        self.store.data().space.used_bytes() > self.memory_mark
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(alive) = &self.alive {
            alive.decrement(1.0);
        }
    }
}

fn not_exported(kind: Kind) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the plugin has no `{}`", kind.function()))
}

fn problem(given: types::Problem) -> Problem {
    let problem = Problem::new(host_services::printable(&given.path), host_services::printable(&given.message));
    match given.hint {
        Some(hint) => problem.hint(host_services::printable(&hint)),
        None => problem,
    }
}
