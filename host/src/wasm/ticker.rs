//! Moves the epoch so that guests cannot hang. One plain thread, however many plugins and calls there are: a task of the async
//! runtime would stop exactly when looping guests hold all its workers.
//!
//! An epoch that ends does not end a call. It only makes the guest look up; [`crate::wasm::limits`] then decides by the CPU time
//! that the call has really used.
//!
//! While nobody calls a plugin the thread sleeps and looks up once a second, so that an idle server is idle. It goes to sleep only after
//! far more ticks than a call has until its first look, none of them with a call that begins or a guest that looks up. So a guest that is
//! in the middle of a call has its look before it, and wakes the thread with it. One whose thread was held up for a second just
//! between a beat and the deadline that follows is found by the ticks of the sleeper, within three.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// One tick, in microseconds: how soon an overlong call is noticed.
pub(super) const TICK_US: u64 = 1_000;
/// After so many ticks without a call or a look it sleeps, or up to twice as many: one to two seconds.
const QUIET_TICKS: u64 = 1_000;
/// One tick of the sleeper.
const ASLEEP: Duration = Duration::from_secs(1);

/// The thread that ticks; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    pulse: Arc<Pulse>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How the time of calls is measured, and who is told of them.
#[derive(Debug, Clone)]
pub(super) enum Timer {
    /// [`crate::wasm::Meter::Cpu`].
    Cpu(Arc<Pulse>),
    /// [`crate::wasm::Meter::Fuel`].
    Fuel,
}

impl Timer {
    /// Does it measure time, and not instructions?
    pub(super) fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu(_))
    }
}

/// Tells the ticker that it is needed.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Has a call begun, or a guest looked up, since the ticker looked here?
    is_felt: AtomicBool,
    is_asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Pulse {
    /// A call begins, or goes on. Next to free while others call, too: the line in the cache is written once a second.
    #[inline]
    pub(super) fn beat(&self) {
        if !self.is_felt.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Either the ticker sees here that it is needed before it sleeps, or it is seen here that it sleeps: both sides write one flag and
    /// then read the other's, in one order for all.
    #[cold]
    fn wake(&self) {
        self.is_felt.store(true, Ordering::SeqCst);
        if self.is_asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Does the ticker sleep?
    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        self.is_asleep.load(Ordering::SeqCst)
    }

    /// Sleeps on the ticker's thread until somebody calls, or `stop` says that nobody will; `tick`s once in `asleep`.
    fn sleep(&self, stop: &AtomicBool, asleep: Duration, tick: impl Fn()) {
        self.is_asleep.store(true, Ordering::SeqCst);
        while !self.is_felt.load(Ordering::SeqCst) && !stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(asleep);
            // Who has just called is given the whole of the first tick: a call that is looked at too soon counts as slow too soon.
            if !self.is_felt.load(Ordering::SeqCst) {
                tick();
            }
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

impl Ticker {
    /// Starts ticking for `engine`. Fails if the system gives no thread.
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        Self::start_with(engine, ASLEEP)
    }

    /// The same; while it sleeps it ticks once in `asleep`.
    fn start_with(engine: &Engine, asleep: Duration) -> std::io::Result<Self> {
        let (pulse, stop) = (Arc::new(Pulse::default()), Arc::new(AtomicBool::new(false)));
        let (felt, stopped, engine) = (Arc::clone(&pulse), Arc::clone(&stop), engine.clone());
        let tick = move || {
            let mut ticks = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                // Nothing wakes it before its time, as several who called at once might: see `Pulse::sleep`.
                std::thread::sleep(Duration::from_micros(TICK_US));
                engine.increment_epoch();
                ticks += 1;
                if ticks.is_multiple_of(QUIET_TICKS) && !felt.is_felt.swap(false, Ordering::SeqCst) {
                    felt.sleep(&stopped, asleep, || engine.increment_epoch());
                }
            }
        };
        let thread = std::thread::Builder::new().name("plugin-epochs".to_owned()).spawn(tick)?;
        // Nobody calls before this is done.
        let _ = pulse.thread.set(thread.thread().clone());
        Ok(Self { pulse, stop, thread: Some(thread) })
    }

    /// What keeps it ticking.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only sleeps and counts: it cannot fail, and there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::Meter;
    use crate::wasm::engine_config::{Room, engine_in};
    use crate::wasm::tests::support::eventually;

    #[test]
    fn it_sleeps_while_nobody_calls_and_wakes_when_somebody_does() {
        let engine = engine_in(Meter::Cpu, Room::for_workers(1)).expect("an engine");
        // So long that whoever is awake in time was woken.
        let ticker = Ticker::start_with(&engine, Duration::from_secs(3_600)).expect("a thread");
        let pulse = Arc::clone(ticker.pulse());
        for _ in 0..2 {
            eventually("it sleeps", || pulse.is_asleep());
            pulse.beat();
            eventually("it is awake", || !pulse.is_asleep());
        }
        // It ends from its sleep, too.
        eventually("it sleeps", || pulse.is_asleep());
        let end = std::thread::spawn(move || drop(ticker));
        eventually("it ends", || end.is_finished());
    }
}
