//! Ready instances of one plugin with one set of options.
//!
//! Each worker has a slot of its own, in the pool and not in the thread, so that an idle thread keeps no old generation alive.
//! All others (the slow lane, tests) and workers whose instance has just been lost take from a small queue of spares. The
//! janitor, one thread for all pools, refills that queue and drops what has been retired, so that neither costs a request.
//! An instance is replaced after a bounded number of calls, which differs from one to the next so that they do not all go at once.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use metrics::{Counter, Gauge, Histogram};

use crate::behavior::call::BehaviorError;
use crate::behavior::catalog::Setting;
use crate::clock::Nanos;
use crate::clock::real::monotonic_ns;
use crate::random::Key;
use crate::telemetry::metrics as names;
use crate::types::limits;
use crate::wasm::Threads;
use crate::wasm::breaker::{Breaker, Pass};
use crate::wasm::engine_config::Meter;
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
            tending: Mutex::default(),
            breaker,
            usage,
            threads: Arc::clone(threads),
            mould,
        });
        // The first instance tells whether the options are good.
        let first = pool.fresh()?;
        pool.keep(first);
        if !fresh_per_call {
            for slot in &pool.slots {
                *lock(slot) = Some(pool.fresh()?);
            }
        }
        pool.tend();
        threads.janitor.tend_also(&pool);
        Ok(pool)
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
            None => slot.insert(self.spare()?),
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
        let mut instance = self.spare()?;
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

    /// Must this kind run off the workers?
    pub(super) fn is_slow(&self, kind: Kind) -> bool {
        self.gauges[kind as usize].slow.load(Ordering::Relaxed)
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
        let mut instance = self.mould.start(self.setting.epoch_unix_s).map_err(SetupError::Plugin)?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let spread = Key::of_seed(number).named("recycle").bits() % u64::from(limits::PLUGIN_RECYCLE_CALLS);
        let calls = limits::PLUGIN_RECYCLE_CALLS + spread as u32;
        instance.configure(&self.mould, &self.options, &self.setting, &self.ready, calls)?;
        self.made_total.increment(1);
        Ok(Box::new(instance))
    }

    /// How many instances have been made.
    #[cfg(test)]
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    fn spare(&self) -> Result<Box<Instance>, PluginError> {
        if let Some(instance) = self.spares.pop() {
            if self.fresh_per_call {
                self.threads.janitor.wake();
            }
            return Ok(instance);
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
        // With a full queue this drops the instance right here, which is slow but bounded.
        drop(self.retired.push(instance));
        self.threads.janitor.wake();
    }

    /// Drops what has been retired and makes up for it.
    pub(super) fn tend(&self) {
        let _tending = lock(&self.tending);
        while self.retired.pop().is_some() {}
        while self.spares.len() < limits::PLUGIN_SPARES {
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
        self.mould.meter == Meter::Cpu && self.is_slow(kind)
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
        if self.breaker.fault(now, pass) {
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

/// The thread that tends all pools; it ends when this is dropped.
pub(super) struct Janitor {
    rounds: Arc<Rounds>,
    thread: Option<JoinHandle<()>>,
    handle: Thread,
}

#[derive(Default)]
struct Rounds {
    stop: AtomicBool,
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Janitor {
    /// Starts the thread. Fails if the system gives none.
    pub(super) fn start() -> std::io::Result<Self> {
        let rounds = Arc::new(Rounds::default());
        let seen = Arc::clone(&rounds);
        let thread = std::thread::Builder::new().name("plugin-janitor".to_owned()).spawn(move || {
            while !seen.stop.load(Ordering::Relaxed) {
                seen.go();
                std::thread::park_timeout(Duration::from_secs(1));
            }
        })?;
        Ok(Self { rounds, handle: thread.thread().clone(), thread: Some(thread) })
    }

    fn wake(&self) {
        self.handle.unpark();
    }

    fn tend_also(&self, pool: &Arc<Pool>) {
        lock(&self.rounds.pools).push(Arc::downgrade(pool));
    }
}

impl Rounds {
    fn go(&self) {
        let pools: Vec<_> = {
            let mut pools = lock(&self.pools);
            pools.retain(|pool| pool.strong_count() > 0);
            pools.iter().filter_map(Weak::upgrade).collect()
        };
        pools.iter().for_each(|pool| pool.tend());
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.rounds.stop.store(true, Ordering::Relaxed);
        self.handle.unpark();
        // The last pool may go on the janitor's own thread and take this along; a thread cannot wait for itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A round cannot panic, and there would be nobody to tell.
            let _ = thread.join();
        }
    }
}
