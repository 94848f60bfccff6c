//! Ready instances of one plugin with one set of options.
//!
//! Each worker has a slot of its own, in the pool and not in the thread, so that an idle thread keeps no old generation alive.
//! All others (the slow lane, tests) and workers whose instance has just been lost take from a small queue of spares. The
//! janitor, one thread for all pools, refills that queue and drops what has been retired, so that neither costs a request. What takes
//! long to set up is never set up by a worker: a request that would have to is planned in the slow lane.
//! An instance is replaced after a bounded number of calls, which differs from one to the next so that they do not all go at once.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use metrics::{Counter, Gauge, Histogram};

use crate::behavior::call::BehaviorError;
use crate::behavior::catalog::Setting;
use crate::clock::Nanos;
use crate::clock::real::{monotonic_ns, thread_cpu_ns};
use crate::random::Key;
use crate::telemetry::metrics as names;
use crate::types::limits;
use crate::wasm::Threads;
use crate::wasm::breaker::{Breaker, Pass};
use crate::wasm::error::{Cause, PluginError};
use crate::wasm::guest::Moment;
use crate::wasm::instance::{Instance, Kind, Mould, SetupError};
use crate::wasm::judge::BadAnswer;
use crate::wasm::usage::Usage;

/// One call in so many is timed.
const TIMED_ONE_IN: u32 = 16;
/// Timed calls in a row that must be slow before a behaviour counts as slow.
const SLOW_IN_A_ROW: u32 = 8;

type Slot = CachePadded<Mutex<Option<Box<Instance>>>>;

/// Ready instances of one plugin with one set of options.
pub(super) struct Pool {
    mould: Arc<Mould>,
    options: String,
    setting: Setting,
    fresh_per_call: bool,
    slots: Box<[Slot]>,
    spares: ArrayQueue<Box<Instance>>,
    retired: ArrayQueue<Box<Instance>>,
    /// How many spares there should be. None for a plugin that is tried apart: whoever tries it waits for each.
    spares_kept: usize,
    /// CPU time in nanoseconds of setting an instance up, the quickest so far.
    set_up_ns: AtomicU64,
    /// Nobody asks these behaviours, though they may be brought back: instances are for others.
    is_resting: AtomicBool,
    /// Held by whoever tends this pool: two at it would make twice as many spares as are missing.
    tending: Mutex<()>,
    breaker: Arc<Breaker>,
    usage: Arc<Usage>,
    gauges: [KindGauge; 5],
    ready: Gauge,
    made_total: Counter,
    made: AtomicU64,
    /// Held, so that time goes on for these guests and somebody tends them, whoever else is gone.
    threads: Arc<Threads>,
}

/// What is measured of one kind of behaviour.
struct KindGauge {
    calls: Counter,
    time: Histogram,
    slow: AtomicBool,
    slow_in_a_row: AtomicU32,
}

impl KindGauge {
    fn new(mould: &Mould, kind: Kind) -> Self {
        let labels = [("plugin", mould.name.as_str()), ("behaviour", kind.word())];
        // What a plugin never decides is shown nowhere.
        let is_there = mould.kinds().contains(&kind);
        Self {
            calls: if is_there { names::counter(names::PLUGIN_CALLS, &labels) } else { Counter::noop() },
            time: if is_there { names::histogram(names::PLUGIN_TIME, &labels) } else { Histogram::noop() },
            slow: AtomicBool::new(false),
            slow_in_a_row: AtomicU32::new(0),
        }
    }

    fn timed(&self, ns: u64, may_be_slow: bool) {
        self.time.record(ns as f64 / 1e9);
        if !may_be_slow || ns < limits::GUEST_INLINE_US * 1_000 {
            self.slow_in_a_row.store(0, Ordering::Relaxed);
        } else if self.slow_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= SLOW_IN_A_ROW {
            self.slow.store(true, Ordering::Relaxed);
        }
    }
}

impl Pool {
    /// A pool with one instance for each of `workers`, all configured. The janitor among `threads` tends it.
    pub(super) fn fill(
        mould: Arc<Mould>,
        options: String,
        setting: Setting,
        fresh_per_call: bool,
        workers: usize,
        (breaker, usage): (Arc<Breaker>, Arc<Usage>),
        threads: &Arc<Threads>,
    ) -> Result<Arc<Self>, SetupError> {
        let plugin = [("plugin", mould.name.as_str())];
        let is_apart = mould.home().journal.is_some();
        let pool = Arc::new(Self {
            gauges: Kind::ALL.map(|kind| KindGauge::new(&mould, kind)),
            ready: names::gauge(names::PLUGIN_READY, &plugin),
            made_total: names::counter(names::PLUGIN_INSTANCES, &plugin),
            made: AtomicU64::new(0),
            options,
            setting,
            fresh_per_call,
            slots: (0..workers).map(|_| CachePadded::new(Mutex::new(None))).collect(),
            spares: ArrayQueue::new(limits::PLUGIN_SPARES + workers),
            retired: ArrayQueue::new(64),
            spares_kept: if is_apart { 0 } else { limits::PLUGIN_SPARES },
            set_up_ns: AtomicU64::new(u64::MAX),
            is_resting: AtomicBool::new(false),
            tending: Mutex::default(),
            breaker,
            usage,
            threads: Arc::clone(threads),
            mould,
        });
        // The first instance tells whether the options are good.
        let mut first = Some(pool.fresh()?);
        if !fresh_per_call {
            for slot in &pool.slots {
                *lock(slot) = Some(first.take().map_or_else(|| pool.fresh(), Ok)?);
            }
        }
        first.into_iter().for_each(|first| pool.keep(first));
        pool.tend();
        threads.janitor.tend_also(&pool);
        Ok(pool)
    }

    /// Gives its instances back: nobody asks these behaviours for now. A request that is still on its way gets one of its own.
    pub(super) fn rest(&self) {
        self.is_resting.store(true, Ordering::Relaxed);
        self.threads.janitor.wake();
    }

    /// Has an instance for each worker again, after a rest.
    pub(super) fn resume(&self) {
        // The janitor is not at it meanwhile, so it does not take away what is made here.
        let tending = lock(&self.tending);
        if !self.is_resting.swap(false, Ordering::Relaxed) {
            return;
        }
        let missing = self.slots.iter().filter(|_| !self.fresh_per_call).filter_map(|slot| slot.try_lock().ok());
        for mut slot in missing.filter(|slot| slot.is_none()) {
            match self.fresh() {
                Ok(instance) => *slot = Some(instance),
                // Whoever calls first tries again, and is told why.
                Err(error) => {
                    tracing::debug!(plugin = %self.mould.name, "no instance for a worker: {error:?}");
                    break;
                }
            }
        }
        drop(tending);
        self.tend();
    }

    /// Asks a behaviour, judges its answer and counts what happened.
    #[inline]
    pub(super) fn call<'r, G, R>(
        &self,
        kind: Kind,
        moment: impl Into<Moment<'r>>,
        ask: impl FnOnce(&mut Instance) -> wasmtime::Result<G>,
        judge: impl FnOnce(G) -> Result<R, BadAnswer>,
    ) -> Result<R, BehaviorError> {
        let moment = moment.into();
        let worker = crate::worker::current();
        let Some(pass) = self.breaker.admit(worker, moment.now) else { return Err(self.refused(kind)) };
        self.gauges[kind as usize].calls.increment(1);
        self.usage.called();
        // The answer is written to its place once. Handed through every layer as a result it would be copied in each, which
        // costs a schedule as much as all other bookkeeping together.
        let mut given = None;
        let ask = |instance: &mut Instance| {
            given = Some(ask(instance)?);
            Ok(())
        };
        let asked = match self.slot_of(worker) {
            Some(mut slot) => self.call_in_slot(&mut slot, kind, moment, ask),
            None => self.call_spare(kind, moment, ask),
        };
        let judged = match (asked, given) {
            (Ok(()), Some(given)) => judge(given)
                .map_err(|bad| PluginError::new(&self.mould.name, Cause::BadAnswer, format!("it returned a bad answer: {bad}"))),
            (Ok(()), None) => Err(PluginError::new(&self.mould.name, Cause::Host, "its answer was lost")),
            (Err(error), _) => Err(error),
        };
        match judged {
            Ok(value) => {
                if pass == Pass::Probe {
                    self.breaker.recover();
                }
                Ok(value)
            }
            Err(error) => Err(self.failed(kind, moment.now, pass, error)),
        }
    }

    /// The slot of the `worker` that calls, unless the caller is none or this pool has no instances to keep.
    #[inline]
    fn slot_of(&self, worker: Option<usize>) -> Option<MutexGuard<'_, Option<Box<Instance>>>> {
        if self.fresh_per_call {
            return None;
        }
        match self.slots.get(worker?)?.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            // Two threads say that they are the same worker; the second takes a spare.
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[inline]
    fn call_in_slot(
        &self,
        slot: &mut Option<Box<Instance>>,
        kind: Kind,
        moment: Moment<'_>,
        ask: impl FnOnce(&mut Instance) -> wasmtime::Result<()>,
    ) -> Result<(), PluginError> {
        let instance = match slot {
            Some(instance) => instance,
            None => slot.insert(self.spare(kind)?),
        };
        let result = self.ask(instance, kind, moment, ask);
        if (result.is_err() || instance.calls_left == 0)
            && let Some(old) = slot.take()
        {
            self.retire(old);
            // Taken here and not by the next request: a worker without an instance is late by an instantiation at worst.
            *slot = self.spares.pop();
        }
        result
    }

    fn call_spare(
        &self,
        kind: Kind,
        moment: Moment<'_>,
        ask: impl FnOnce(&mut Instance) -> wasmtime::Result<()>,
    ) -> Result<(), PluginError> {
        let mut instance = self.spare(kind)?;
        let result = self.ask(&mut instance, kind, moment, ask);
        if result.is_err() || instance.calls_left == 0 || self.fresh_per_call {
            self.retire(instance);
        } else {
            self.keep(instance);
        }
        result
    }

    /// The call itself, timed now and then. Sets `calls_left` to 0 when the instance should be replaced.
    #[inline]
    fn ask(
        &self,
        instance: &mut Instance,
        kind: Kind,
        moment: Moment<'_>,
        ask: impl FnOnce(&mut Instance) -> wasmtime::Result<()>,
    ) -> Result<(), PluginError> {
        instance.calls_left -= 1;
        let gauge = &self.gauges[kind as usize];
        let result = if instance.calls_left.is_multiple_of(TIMED_ONE_IN) {
            let start = monotonic_ns();
            let result = instance.call(&self.mould, kind, moment, ask);
            // How long somebody waited for the processor says nothing about the plugin, and a balancer that counts as slow is out.
            gauge.timed(monotonic_ns().saturating_sub(start), !kind.holds_others_up());
            if instance.has_grown() {
                instance.calls_left = 0;
            }
            result
        } else {
            instance.call(&self.mould, kind, moment, ask)
        };
        if instance.was_slow() {
            gauge.slow.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Must this kind run off the workers? It must as well while the worker that asks would have to set an instance up that takes long.
    pub(super) fn is_slow(&self, kind: Kind) -> bool {
        self.gauges[kind as usize].slow.load(Ordering::Relaxed) || self.sets_up_slowly() && self.lacks_instance()
    }

    /// Does setting an instance up take longer than somebody who must not wait should give? In virtual time nobody waits, nor does
    /// anybody for a plugin that is tried apart.
    fn sets_up_slowly(&self) -> bool {
        let is_slow = self.set_up_ns.load(Ordering::Relaxed) > limits::GUEST_SETUP_INLINE_US * 1_000;
        is_slow && self.mould.timer.is_cpu() && self.spares_kept > 0
    }

    /// Would the calling thread have to set an instance up?
    fn lacks_instance(&self) -> bool {
        self.spares.is_empty() && self.slot_of(crate::worker::current()).is_none_or(|slot| slot.is_none())
    }

    /// Marks `kind` as slow.
    pub(super) fn set_slow(&self, kind: Kind) {
        self.gauges[kind as usize].slow.store(true, Ordering::Relaxed);
    }

    /// The kinds that the plugin decides.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.mould.kinds()
    }

    /// The mould of its instances.
    pub(super) fn mould(&self) -> &Mould {
        &self.mould
    }

    /// An instance that is configured and unused.
    pub(super) fn fresh(&self) -> Result<Box<Instance>, SetupError> {
        let begun = thread_cpu_ns();
        let mut instance = self.mould.start(self.setting.epoch_unix_s).map_err(SetupError::Plugin)?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let spread = Key::of_seed(number).named("recycle").bits() % u64::from(limits::PLUGIN_RECYCLE_CALLS);
        let calls = limits::PLUGIN_RECYCLE_CALLS + spread as u32;
        instance.configure(&self.mould, &self.options, &self.setting, &self.ready, calls)?;
        self.set_up_ns.fetch_min(thread_cpu_ns().saturating_sub(begun), Ordering::Relaxed);
        self.made_total.increment(1);
        Ok(Box::new(instance))
    }

    /// How many instances have been made.
    #[cfg(test)]
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    fn spare(&self, kind: Kind) -> Result<Box<Instance>, PluginError> {
        if let Some(instance) = self.spares.pop() {
            if self.fresh_per_call {
                self.threads.janitor.wake();
            }
            return Ok(instance);
        }
        if self.sets_up_slowly() && (kind.holds_others_up() || crate::worker::current().is_some()) {
            self.threads.janitor.wake();
            let most = limits::GUEST_SETUP_INLINE_US;
            let message =
                format!("no instance of it is ready, and to set one up takes more than the {most} us that others can wait");
            return Err(PluginError::new(&self.mould.name, Cause::Slow, message));
        }
        self.fresh().map_err(|error| match error {
            SetupError::Plugin(error) => error,
            SetupError::Options(problems) => {
                let first = problems.first().map_or_else(String::new, ToString::to_string);
                let message = format!("`configure` now refuses options that it accepted before ({first})");
                PluginError::new(&self.mould.name, Cause::Setup, message)
            }
        })
    }

    fn keep(&self, instance: Box<Instance>) {
        if let Err(surplus) = self.spares.push(instance) {
            self.retire(surplus);
        }
    }

    fn retire(&self, instance: Box<Instance>) {
        if self.spares_kept == 0 {
            return;
        }
        // With a full queue this drops the instance right here, which is slow but bounded.
        drop(self.retired.push(instance));
        self.threads.janitor.wake();
    }

    /// Drops what has been retired and makes up for it; of a pool at rest, drops all.
    pub(super) fn tend(&self) {
        let _tending = lock(&self.tending);
        while self.retired.pop().is_some() {}
        if self.is_resting.load(Ordering::Relaxed) {
            while self.spares.pop().is_some() {}
            self.slots.iter().filter_map(|slot| slot.try_lock().ok()).for_each(|mut slot| *slot = None);
            return;
        }
        while self.spares.len() < self.spares_kept {
            match self.fresh() {
                Ok(instance) => self.keep(instance),
                Err(error) => {
                    tracing::debug!(plugin = %self.mould.name, "no spare instance: {error:?}");
                    return;
                }
            }
        }
    }

    /// Is `kind` asked for others who wait, and too slow for that? In virtual time nobody waits.
    pub(super) fn holds_up(&self, kind: Kind) -> bool {
        self.mould.timer.is_cpu() && self.gauges[kind as usize].slow.load(Ordering::Relaxed)
    }

    /// Says that `kind` is not asked any more, because it holds others up.
    pub(super) fn left_out(&self, kind: Kind) -> BehaviorError {
        self.count_failure(kind, Cause::Slow);
        let message =
            format!("it is not asked any more, because others wait for it and it took more than {} us", limits::GUEST_INLINE_US);
        PluginError::new(&self.mould.name, Cause::Slow, message).in_call(kind.word())
    }

    fn refused(&self, kind: Kind) -> BehaviorError {
        self.count_failure(kind, Cause::Breaker);
        let (faults, window_ms) = (limits::PLUGIN_BREAKER_FAULTS, limits::PLUGIN_BREAKER_WINDOW_MS);
        let message = format!("it is not asked, because it failed {faults} times within {window_ms} ms");
        PluginError::new(&self.mould.name, Cause::Breaker, message).in_call(kind.word())
    }

    fn failed(&self, kind: Kind, now: Nanos, pass: Pass, error: PluginError) -> BehaviorError {
        self.count_failure(kind, error.cause);
        // That nobody has an instance at hand is no fault of a call.
        if error.cause != Cause::Slow && self.breaker.fault(now, pass) {
            tracing::warn!("{error}; it is not asked for {} ms, since it has failed too often", limits::PLUGIN_BREAKER_OPEN_MS);
        }
        if error.cause == Cause::Timeout {
            self.set_slow(kind);
        }
        error.in_call(kind.word())
    }

    fn count_failure(&self, kind: Kind, cause: Cause) {
        let labels = [("plugin", self.mould.name.as_str()), ("behaviour", kind.word()), ("cause", cause.word())];
        names::counter(names::PLUGIN_FAILURES, &labels).increment(1);
        self.usage.failed();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
