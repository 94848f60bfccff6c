//! Wakes what is due: one pacer a worker, finer than the runtime's millisecond wheel.
//!
//! Deadlines lie in a heap; one kernel timer (`timerfd`, nanosecond resolution) is armed for the earliest. When it fires, the
//! worker's own pacer task wakes everything that is due: no signal crosses threads. A lone stream is woken at its deadline. When
//! there are many, the pacer turns at most once a [`GRAIN_NS`]: what has become due by then is polled together and shares its
//! writes, which are what a worker's time goes to. A busy worker does not wait for the timer: a stream that goes to sleep after the
//! next turn was due makes that turn itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
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
/// Deadlines that nobody waits for any more are swept out once they are this many and the larger half.
const STALE_MIN: usize = 1_024;

/// One worker's pacer.
pub struct Pacer {
    clock: RealClock,
    queue: Mutex<Queue>,
    alarm: Alarm,
}

#[derive(Default)]
struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    sleepers: Slab<Sleeper>,
    /// What the alarm is set to.
    armed: Option<Nanos>,
    /// When somebody was woken last.
    turned: Nanos,
    stale: usize,
    /// Distinguishes a sleeper from the one that had its slot before.
    newest_ticket: u64,
}

/// Ordered by deadline, then by who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Nanos,
    ticket: u64,
    slot: usize,
}

struct Sleeper {
    ticket: u64,
    waker: Waker,
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
            self.alarm.set(turn.saturating_sub(now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// When the next sleeper may be woken.
    fn next_turn(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse(first)| first.due.max(self.turned.saturating_add(GRAIN_NS)))
    }

    fn take_due(&mut self, now: Nanos, woken: &mut Vec<Waker>) {
        while let Some(Reverse(entry)) = self.heap.peek().copied().filter(|Reverse(entry)| entry.due <= now) {
            self.heap.pop();
            if self.sleepers.get(entry.slot).is_some_and(|sleeper| sleeper.ticket == entry.ticket) {
                self.turned = now;
                woken.push(self.sleepers.remove(entry.slot).waker);
            } else {
                self.stale = self.stale.saturating_sub(1);
            }
        }
    }

    fn forget(&mut self, slot: usize, ticket: u64) {
        if self.sleepers.get(slot).is_some_and(|sleeper| sleeper.ticket == ticket) {
            self.sleepers.remove(slot);
            self.stale += 1;
            if self.stale >= STALE_MIN && self.stale * 2 > self.heap.len() {
                let sleepers = &self.sleepers;
                self.heap.retain(|Reverse(entry)| sleepers.get(entry.slot).is_some_and(|s| s.ticket == entry.ticket));
                self.stale = 0;
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

    /// Ready once `due` has come; until then the task is woken at `due`. `now` is the caller's newest look at the clock.
    pub fn poll_until(&mut self, due: Nanos, now: Nanos, context: &mut Context<'_>) -> Poll<()> {
        let mut woken = Vec::new();
        let mut queue = self.pacer.lock();
        if let Some((slot, ticket)) = self.place.take() {
            queue.forget(slot, ticket);
        }
        if due > now {
            queue.newest_ticket += 1;
            let ticket = queue.newest_ticket;
            let slot = queue.sleepers.insert(Sleeper { ticket, waker: context.waker().clone() });
            queue.heap.push(Reverse(Entry { due, ticket, slot }));
            self.place = Some((slot, ticket));
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

    #[test]
    fn forgotten_deadlines_are_swept_out() {
        on_runtime(async {
            let pacer = Pacer::start(RealClock::start()).unwrap();
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..STALE_MIN * 8 {
                let mut sleep = Sleep::on(Arc::clone(&pacer));
                assert!(sleep.poll_until(Nanos::MAX, 0, &mut context).is_pending());
            }
            let queue = pacer.lock();
            assert!(queue.sleepers.is_empty());
            assert!(queue.heap.len() <= STALE_MIN, "{} entries left", queue.heap.len());
        });
    }
}
