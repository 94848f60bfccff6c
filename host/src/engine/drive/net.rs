//! The safety net of all sites: a thread that does what is due and that nobody polls for, such as the steps of a client that does not
//! read. It starts with the first site, sleeps while no site has work, and ends with the engine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::drive::Drive;
use crate::engine::drive::gauges::Names;
use crate::plan::generation::Generation;

/// How long after a time the net looks whether somebody has been there, in nanoseconds: those who poll come within their worker's
/// grain, and the net should find nothing to do.
pub(super) const SLACK_NS: Nanos = 1_000_000;

/// When somebody must look at the sites, and which there are.
pub struct Net {
    schedule: Mutex<Schedule>,
    changed: Condvar,
    /// A copy of [`Schedule::due`] that is looked at without the lock.
    due: AtomicU64,
}

struct Schedule {
    due: Nanos,
    is_closed: bool,
    /// Sites whose last request has gone vanish by themselves.
    drives: Vec<Weak<Drive>>,
}

impl Net {
    pub(super) fn new() -> Self {
        let schedule = Schedule { due: Nanos::MAX, is_closed: false, drives: Vec::new() };
        Self { schedule: Mutex::new(schedule), changed: Condvar::new(), due: AtomicU64::new(Nanos::MAX) }
    }

    /// Looks after `drive` from now on.
    pub(super) fn add(&self, drive: &Arc<Drive>) {
        self.lock().drives.push(Arc::downgrade(drive));
    }

    /// Something happens at `at`.
    pub(super) fn expect(&self, at: Nanos) {
        let at = at.saturating_add(SLACK_NS);
        // Whoever reads an old value here was at its site before the thread comes there, and the thread will see what there is.
        if at >= self.due.load(Ordering::Relaxed) {
            return;
        }
        let mut schedule = self.lock();
        if at < schedule.due {
            schedule.due = at;
            self.due.store(at, Ordering::Relaxed);
            drop(schedule);
            self.changed.notify_one();
        }
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.lock().due == Nanos::MAX
    }

    /// The sites there are.
    pub fn drives(&self) -> Vec<Arc<Drive>> {
        let mut schedule = self.lock();
        schedule.drives.retain(|drive| drive.strong_count() > 0);
        schedule.drives.iter().filter_map(Weak::upgrade).collect()
    }

    /// Looks after the sites until the net is closed.
    fn run(&self, clock: &RealClock) {
        while self.wait(clock) {
            let now = clock.now();
            // Each says itself what it expects next.
            self.drives().iter().for_each(|drive| drive.advance(now));
        }
    }

    /// Waits until something is due; `false` if the net is closed.
    fn wait(&self, clock: &RealClock) -> bool {
        let mut schedule = self.lock();
        loop {
            let now = clock.now();
            if schedule.is_closed {
                return false;
            }
            if schedule.due <= now {
                schedule.due = Nanos::MAX;
                self.due.store(Nanos::MAX, Ordering::Relaxed);
                return true;
            }
            schedule = match schedule.due {
                Nanos::MAX => self.changed.wait(schedule).unwrap_or_else(PoisonError::into_inner),
                due => {
                    let waited = self.changed.wait_timeout(schedule, clock.sleep_of(due - now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sites of an engine, and the thread that looks after them. Dropping it ends the thread.
pub struct Sites {
    clock: RealClock,
    net: Arc<Net>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Sites {
    /// No sites yet, and no thread.
    pub fn new(clock: RealClock) -> Self {
        Self { clock, net: Arc::new(Net::new()), thread: Mutex::default() }
    }

    /// Drives the site of `generation`, if it has one, from now on and for as long as somebody holds it.
    pub fn drive(&self, generation: &Generation) -> Option<Arc<Drive>> {
        let site = generation.site(true)?;
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (net, clock) = (Arc::clone(&self.net), self.clock);
            match std::thread::Builder::new().name("stations".to_owned()).spawn(move || net.run(&clock)) {
                Ok(started) => *thread = Some(started),
                Err(error) => tracing::error!(%error, "cannot start the thread that looks after the stations"),
            }
        }
        Some(Drive::new(site, Names::of(generation), self.clock, Arc::clone(&self.net)))
    }

    /// The sites there are: that of the running scenario, and those that older requests still hold.
    pub fn all(&self) -> Vec<Arc<Drive>> {
        self.net.drives()
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        self.net.lock().is_closed = true;
        self.net.changed.notify_one();
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic has been printed by its thread.
            let _ = thread.join();
        }
    }
}
