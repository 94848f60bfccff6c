//! Wakes what is due: one pacer a worker, finer than the runtime's millisecond wheel.
//!
//! Deadlines lie in order, each with those who wait for it: all streams of a replica wait for the end of its step, and are one entry
//! here. One kernel timer (`timerfd`, nanosecond resolution) is armed for the earliest. When it fires, the
//! worker's own pacer task wakes everything that is due: no signal crosses threads. A lone stream is woken at its deadline. When
//! there are many, the pacer turns at most once a [`GRAIN_NS`]: what has become due by then is polled together and shares its
//! writes, which are what a worker's time goes to. A busy worker does not wait for the timer: a stream that goes to sleep after the
//! next turn was due makes that turn itself.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::pacer::alarm::Alarm;

mod alarm;

/// The least time between two turns, in nanoseconds: what has become due by then shares a write, at the price of being late by half
/// of it on average on a crowded worker (`benches/README.md` has what was measured).
const GRAIN_NS: Nanos = 400_000;

/// One worker's pacer.
pub struct Pacer {
    clock: RealClock,
    queue: Mutex<Queue>,
    alarm: Alarm,
}

#[derive(Default)]
struct Queue {
    /// The first and the last sleeper of each deadline.
    rows: BTreeMap<Nanos, (usize, usize)>,
    sleepers: Slab<Sleeper>,
    /// What the alarm is set to.
    armed: Option<Nanos>,
    /// When somebody was woken last.
    turned: Nanos,
    /// Distinguishes a sleeper from the one that had its slot before.
    newest_ticket: u64,
}

/// One who waits for a deadline, in the row of those who do, in the order in which they came.
struct Sleeper {
    due: Nanos,
    ticket: u64,
    waker: Waker,
    before: Option<usize>,
    after: Option<usize>,
}

impl Pacer {
    /// A pacer for the current thread's runtime. The caller spawns [`Pacer::run`] there.
    pub fn start(clock: RealClock) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { clock, queue: Mutex::default(), alarm: Alarm::new()? }))
    }

    /// Wakes what is due, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.alarm.rang().await;
            self.turn(self.clock.now());
        }
    }

    /// Wakes everything due at `now` and sets the alarm for what comes next.
    fn turn(&self, now: Nanos) {
        let mut woken = Vec::new();
        let mut queue = self.lock();
        queue.armed = None;
        queue.take_due(now, &mut woken);
        self.arm(&mut queue, now);
        drop(queue);
        // Outside the lock: waking may drop a task, and with it a sleep of this very pacer.
        woken.into_iter().for_each(Waker::wake);
    }

    fn arm(&self, queue: &mut Queue, now: Nanos) {
        let Some(turn) = queue.next_turn() else { return };
        if queue.armed.is_none_or(|armed| turn < armed) {
            queue.armed = Some(turn);
            self.alarm.set(self.clock.sleep_of(turn.saturating_sub(now)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// When the next sleeper may be woken.
    fn next_turn(&self) -> Option<Nanos> {
        self.rows.first_key_value().map(|(due, _)| (*due).max(self.turned.saturating_add(GRAIN_NS)))
    }

    fn add(&mut self, due: Nanos, waker: Waker) -> (usize, u64) {
        self.newest_ticket += 1;
        let ticket = self.newest_ticket;
        let slot = self.sleepers.insert(Sleeper { due, ticket, waker, before: None, after: None });
        let row = self.rows.entry(due).or_insert((slot, slot));
        if row.1 != slot {
            let before = std::mem::replace(&mut row.1, slot);
            self.sleepers[before].after = Some(slot);
            self.sleepers[slot].before = Some(before);
        }
        (slot, ticket)
    }

    fn take_due(&mut self, now: Nanos, woken: &mut Vec<Waker>) {
        while let Some(row) = self.rows.first_entry().filter(|row| *row.key() <= now) {
            self.turned = now;
            let mut next = Some(row.remove().0);
            while let Some(slot) = next {
                let sleeper = self.sleepers.remove(slot);
                next = sleeper.after;
                woken.push(sleeper.waker);
            }
        }
    }

    fn forget(&mut self, slot: usize, ticket: u64) {
        if self.sleepers.get(slot).is_none_or(|sleeper| sleeper.ticket != ticket) {
            return;
        }
        let Sleeper { due, before, after, .. } = self.sleepers.remove(slot);
        match (before, after) {
            (None, None) => drop(self.rows.remove(&due)),
            (before, after) => {
                let row = self.rows.get_mut(&due);
                debug_assert!(row.is_some(), "whoever sleeps is in a row");
                let Some(row) = row else { return };
                match before {
                    Some(before) => self.sleepers[before].after = after,
                    None => row.0 = after.unwrap_or(row.0),
                }
                match after {
                    Some(after) => self.sleepers[after].before = before,
                    None => row.1 = before.unwrap_or(row.1),
                }
            }
        }
    }
}

/// One stream's place in its worker's pacer. Dropping it forgets the deadline.
pub struct Sleep {
    pacer: Arc<Pacer>,
    place: Option<(usize, u64)>,
}

impl Sleep {
    /// Nothing to wait for yet.
    pub fn on(pacer: Arc<Pacer>) -> Self {
        Self { pacer, place: None }
    }

    /// Ready once `due` has come; until then the task is woken at `due`, or not at all if that is `Nanos::MAX`. `now` is the caller's
    /// newest look at the clock.
    pub fn poll_until(&mut self, due: Nanos, now: Nanos, context: &mut Context<'_>) -> Poll<()> {
        let mut woken = Vec::new();
        let mut queue = self.pacer.lock();
        if let Some((slot, ticket)) = self.place.take() {
            queue.forget(slot, ticket);
        }
        if due > now && due < Nanos::MAX {
            self.place = Some(queue.add(due, context.waker().clone()));
        }
        if queue.next_turn().is_some_and(|turn| turn <= now) {
            queue.take_due(now, &mut woken);
        }
        self.pacer.arm(&mut queue, now);
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
        if due > now { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Waits until `due`.
    pub async fn until(&mut self, due: Nanos) {
        let clock = self.pacer.clock;
        std::future::poll_fn(|context| self.poll_until(due, clock.now(), context)).await;
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((slot, ticket)) = self.place.take() {
            self.pacer.lock().forget(slot, ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines() {
        on_runtime(async {
            let clock = RealClock::start();
            let pacer = Pacer::start(clock).unwrap();
            tokio::spawn(Arc::clone(&pacer).run());
            let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
            for ms in [5_u64, 1, 3] {
                let (told, mut sleep) = (told.clone(), Sleep::on(Arc::clone(&pacer)));
                tokio::spawn(async move {
                    sleep.until(ms * 1_000_000).await;
                    assert!(clock.now() >= ms * 1_000_000, "woken early");
                    told.send(ms).unwrap();
                });
            }
            let woken = [order.recv().await, order.recv().await, order.recv().await];
            assert_eq!(woken, [Some(1), Some(3), Some(5)]);
        });
    }

    /// Wakes at most once, and says when.
    fn sleeping(pacer: &Arc<Pacer>, due: Nanos, waker: &Waker) -> Sleep {
        let mut sleep = Sleep::on(Arc::clone(pacer));
        assert!(sleep.poll_until(due, 0, &mut Context::from_waker(waker)).is_pending());
        sleep
    }

    struct Tally(std::sync::atomic::AtomicUsize);

    impl std::task::Wake for Tally {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn sleepers_of_one_deadline_share_an_entry_and_are_woken_together() {
        on_runtime(async {
            let pacer = Pacer::start(RealClock::start()).unwrap();
            let tally = Arc::new(Tally(0.into()));
            let woken = || tally.0.load(std::sync::atomic::Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&tally));
            let far = 3_600_000_000_000;
            let mut sleeps: Vec<_> = (0..256).map(|_| sleeping(&pacer, far, &waker)).collect();
            let _later = sleeping(&pacer, far + 1, &waker);
            assert_eq!(pacer.lock().rows.len(), 2);
            // The first, the last and one between them leave; the others stay in their row.
            for gone in [255, 100, 0] {
                drop(sleeps.remove(gone));
            }
            pacer.turn(far - 1);
            assert_eq!(woken(), 0);
            pacer.turn(far);
            assert_eq!(woken(), 253);
            let queue = pacer.lock();
            assert_eq!((queue.rows.len(), queue.sleepers.len()), (1, 1));
        });
    }

    #[test]
    fn a_deadline_that_never_comes_costs_nothing() {
        on_runtime(async {
            let pacer = Pacer::start(RealClock::start()).unwrap();
            let _sleep = sleeping(&pacer, Nanos::MAX, Waker::noop());
            assert!(pacer.lock().rows.is_empty());
        });
    }

    #[test]
    fn forgotten_deadlines_leave_nothing_behind() {
        on_runtime(async {
            let pacer = Pacer::start(RealClock::start()).unwrap();
            // Many at one time, many at times of their own, and each moved before it is forgotten.
            for number in 0..2_000_u64 {
                let mut sleep = sleeping(&pacer, Nanos::MAX - 1, Waker::noop());
                assert!(sleep.poll_until(Nanos::MAX - number % 7 - 2, 0, &mut Context::from_waker(Waker::noop())).is_pending());
            }
            let queue = pacer.lock();
            assert!(queue.sleepers.is_empty() && queue.rows.is_empty());
        });
    }
}
