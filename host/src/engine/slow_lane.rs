//! A few plain threads for work that may take long: planning with slow plugins. Bounded, so that slow plugins fill their own queue
//! and nothing else.
//!
//! Tenants take turns, one request each, so that who asks more waits longer and nobody else does. When the queue is full, the
//! tenant with most requests in it gives up its newest for who has fewer; otherwise the first to come could fill it for all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use metrics::Gauge;
use tokio::sync::oneshot;

use crate::telemetry::metrics as names;
use crate::types::api_error::{ApiError, Cause};
use crate::types::limits::{SLOW_LANE_RETRY_AFTER_MS, SLOW_LANE_WAITING_MAX};

/// As many as it takes to run two looping guests and still serve a third; more would only fight the workers for the cores.
const THREADS: usize = 3;

/// Work that waits. It is told whether its turn has come or it had to give up its place.
type Job = Box<dyn FnOnce(Fate) + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Run,
    Displaced,
}

/// The slow lane.
pub struct SlowLane {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
    waiting: Gauge,
}

impl SlowLane {
    /// Starts its threads; they end when the lane is dropped.
    pub fn start() -> Self {
        let waiting = names::gauge(names::SLOW_LANE_WAITING, &[]);
        let shared = Arc::new(Shared { queue: Mutex::new(Queue::of(SLOW_LANE_WAITING_MAX)), came: Condvar::new(), waiting });
        for index in 0..THREADS {
            let theirs = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("slow-lane-{index}"));
            if let Err(error) = thread.spawn(move || theirs.work()) {
                tracing::error!(%error, "cannot start a thread of the slow lane");
            }
        }
        Self { shared }
    }

    /// Runs `work` of `tenant` when a thread is free and it is that tenant's turn. The error is a refusal: too much is waiting already.
    pub async fn run<T: Send + 'static>(&self, tenant: u64, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move |fate| {
            // The client may be gone; then nobody wants the result.
            if !done.is_closed() {
                drop(done.send((fate == Fate::Run).then(work)));
            }
        });
        let displaced = self.shared.enter(tenant, job);
        if let Some(job) = displaced {
            job(Fate::Displaced);
        }
        match result.await {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(full()),
            Err(_) => Err(ApiError::of_status(500, "simwright: the slow lane lost a request to a panic")),
        }
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.came.notify_all();
    }
}

impl Shared {
    /// Lets a job wait, and gives the one that has to go for it.
    fn enter(&self, tenant: u64, job: Job) -> Option<Job> {
        let mut queue = self.lock();
        let displaced = queue.push(tenant, job);
        self.waiting.set(queue.waiting as f64);
        drop(queue);
        self.came.notify_one();
        displaced
    }

    /// What each thread does until the lane is closed and empty.
    fn work(&self) {
        while let Some(job) = self.next() {
            // A job that panics drops its sender, which tells its caller; the thread must live on for the others.
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(Fate::Run))));
        }
    }

    /// Waits for the next job; `None` once there will be no more.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.pop() {
                self.waiting.set(queue.waiting as f64);
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self.came.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits, by tenant.
struct Queue {
    most: usize,
    waiting: usize,
    closed: bool,
    /// The jobs of each tenant that has some, oldest first.
    jobs: HashMap<u64, VecDeque<Job>>,
    /// The tenants that have some, in the order of their turns.
    turns: VecDeque<u64>,
}

impl Queue {
    fn of(most: usize) -> Self {
        Self { most, waiting: 0, closed: false, jobs: HashMap::new(), turns: VecDeque::new() }
    }

    /// Adds a job. If there is no room, gives back the job that has to go: this one, or the newest of the tenant that has most.
    fn push(&mut self, tenant: u64, job: Job) -> Option<Job> {
        let own = self.jobs.get(&tenant).map_or(0, VecDeque::len);
        let displaced = if self.waiting < self.most {
            None
        } else {
            // Only as many as fit are looked at, and only when it is full.
            let most = self.jobs.iter().map(|(tenant, jobs)| (jobs.len(), *tenant)).max();
            match most {
                Some((length, longest)) if length > own + 1 => self.take(longest, VecDeque::pop_back),
                _ => return Some(job),
            }
        };
        if own == 0 {
            self.turns.push_back(tenant);
        }
        self.jobs.entry(tenant).or_default().push_back(job);
        self.waiting += 1;
        displaced
    }

    /// The oldest job of the tenant whose turn it is.
    fn pop(&mut self) -> Option<Job> {
        let tenant = self.turns.pop_front()?;
        self.turns.push_back(tenant);
        self.take(tenant, VecDeque::pop_front)
    }

    /// Takes a job of `tenant`, which has no turn any more if that was its last.
    fn take(&mut self, tenant: u64, which: impl FnOnce(&mut VecDeque<Job>) -> Option<Job>) -> Option<Job> {
        let jobs = self.jobs.get_mut(&tenant)?;
        let job = which(jobs);
        if jobs.is_empty() {
            self.jobs.remove(&tenant);
            self.turns.retain(|turn| *turn != tenant);
        }
        self.waiting -= usize::from(job.is_some());
        job
    }
}

fn full() -> ApiError {
    let message = "simwright: too many requests wait for slow plugins; make the plugins faster or send fewer";
    ApiError { retry_after_ms: Some(SLOW_LANE_RETRY_AFTER_MS), ..ApiError::because(Cause::Overloaded, 503, message) }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_panic_costs_its_own_request_and_no_thread() {
        let lane = SlowLane::start();
        for _ in 0..2 * THREADS {
            let error = lane.run(0, || panic!("a test of panics")).await.unwrap_err();
            assert_eq!(error.status, 500);
        }
        assert_eq!(lane.run(0, || 7).await.expect("a free thread"), 7);
    }

    /// A queue, and jobs that say of themselves what became of them.
    fn scene(most: usize) -> (Queue, impl Fn(&'static str) -> Job, std::sync::mpsc::Receiver<(&'static str, Fate)>) {
        let (said, heard) = channel();
        let job = move |name| -> Job {
            let said = said.clone();
            Box::new(move |fate| said.send((name, fate)).expect("somebody listens"))
        };
        (Queue::of(most), job, heard)
    }

    /// The names of all jobs in the order of their turns.
    fn played(queue: &mut Queue, heard: &std::sync::mpsc::Receiver<(&'static str, Fate)>) -> Vec<&'static str> {
        while let Some(job) = queue.pop() {
            job(Fate::Run);
        }
        assert_eq!((queue.waiting, queue.jobs.len(), queue.turns.len()), (0, 0, 0));
        heard.try_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn tenants_take_turns_whoever_asks_more() {
        let (mut queue, job, heard) = scene(100);
        for name in ["a1", "a2", "a3", "a4"] {
            assert!(queue.push(1, job(name)).is_none());
        }
        assert!(queue.push(2, job("b1")).is_none() && queue.push(3, job("c1")).is_none() && queue.push(2, job("b2")).is_none());
        assert_eq!(played(&mut queue, &heard), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
    }

    #[test]
    fn a_full_queue_takes_the_newest_of_who_has_most_for_who_has_fewer() {
        let (mut queue, job, heard) = scene(4);
        for name in ["a1", "a2", "a3", "a4"] {
            assert!(queue.push(1, job(name)).is_none());
        }
        let refused = |queue: &mut Queue, tenant, name| {
            queue.push(tenant, job(name)).expect("one must go")(Fate::Displaced);
            heard.try_recv().expect("it says so")
        };
        assert_eq!(refused(&mut queue, 1, "a5"), ("a5", Fate::Displaced));
        assert_eq!(refused(&mut queue, 2, "b1"), ("a4", Fate::Displaced));
        assert_eq!(refused(&mut queue, 2, "b2"), ("a3", Fate::Displaced));
        // Two each is fair.
        assert_eq!(refused(&mut queue, 2, "b3"), ("b3", Fate::Displaced));
        assert_eq!(refused(&mut queue, 3, "c1"), ("b2", Fate::Displaced), "of equals, any");
        assert_eq!(played(&mut queue, &heard), ["a1", "b1", "c1", "a2"]);
    }

    #[tokio::test]
    async fn work_of_a_client_that_has_left_is_not_done() {
        let lane = SlowLane::start();
        let (hold, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        // All threads are busy until `hold` is dropped, so what comes next must wait.
        let busy: Vec<_> = (0..THREADS)
            .map(|_| {
                let held = Arc::clone(&held);
                lane.run(1, move || held.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok())
            })
            .collect();
        let mut busy: Vec<_> = busy.into_iter().map(Box::pin).collect();
        for wait in &mut busy {
            assert!(futures_poll(wait).await.is_none());
        }
        let (said, heard) = channel();
        let mut left = Box::pin(lane.run(2, move || said.send("done")));
        assert!(futures_poll(&mut left).await.is_none());
        drop(left);
        drop(hold);
        for wait in busy {
            wait.await.expect("a free thread");
        }
        assert_eq!(lane.run(2, || 7).await.expect("a free thread"), 7);
        assert_eq!(heard.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected), "dropped and never run");
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
