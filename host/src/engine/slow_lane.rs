//! A few plain threads for work that may take long: planning with slow plugins. Bounded, so that slow plugins fill their own queue
//! and nothing else.

use crossbeam::channel::{Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::types::api_error::ApiError;
use crate::types::limits::SLOW_LANE_WAITING_MAX;

/// As many as it takes to run two looping guests and still serve a third; more would only fight the workers for the cores.
const THREADS: usize = 3;

type Job = Box<dyn FnOnce() + Send>;

/// The slow lane.
pub struct SlowLane {
    jobs: Sender<Job>,
}

impl SlowLane {
    /// Starts its threads; they end when the lane is dropped.
    pub fn start() -> Self {
        let (jobs, queue) = bounded::<Job>(SLOW_LANE_WAITING_MAX);
        for index in 0..THREADS {
            let queue = queue.clone();
            // A job that panics drops its sender, which tells its caller; the thread must live on for the others.
            let work = move || {
                for job in &queue {
                    drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
                }
            };
            if let Err(error) = std::thread::Builder::new().name(format!("slow-lane-{index}")).spawn(work) {
                tracing::error!(%error, "cannot start a thread of the slow lane");
            }
        }
        Self { jobs }
    }

    /// Runs `work` when a thread is free. The error is a refusal: too much is waiting already.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            // The client may be gone; then nobody wants the result.
            drop(done.send(work()));
        });
        match self.jobs.try_send(job) {
            Ok(()) => result.await.map_err(|_| ApiError::of_status(500, "simwright: the slow lane lost a request to a panic")),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                let message = "simwright: too many requests wait for slow plugins; make the plugins faster or send fewer";
                Err(ApiError { retry_after_ms: Some(1_000), ..ApiError::of_status(503, message) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_costs_its_own_request_and_no_thread() {
        let lane = SlowLane::start();
        for _ in 0..2 * THREADS {
            let error = lane.run(|| panic!("a test of panics")).await.unwrap_err();
            assert_eq!(error.status, 500);
        }
        assert_eq!(lane.run(|| 7).await.expect("a free thread"), 7);
    }
}
