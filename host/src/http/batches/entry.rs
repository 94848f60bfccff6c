//! One batch as long as it is known: how far it is, and whether it is told to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::dialect::bulk::{Batch, Bulk, Outcome, Problem, Spent, Stage, Task};
use crate::random::Key;

/// Whether a batch goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Signal {
    /// It does.
    Go,
    /// No more of its requests begin.
    Cancel,
    /// Its time is over, that of requests under way too.
    Expire,
}

/// A batch that clients can ask about.
pub(super) struct Entry {
    bulk: &'static dyn Bulk,
    number: u64,
    draw: Key,
    id: Box<str>,
    batch: Mutex<Batch>,
    signal: watch::Sender<Signal>,
}

impl Entry {
    /// `batch`, which has the number `number` and draws from `draw`.
    pub(super) fn of(bulk: &'static dyn Bulk, number: u64, draw: Key, batch: Batch) -> Self {
        let id = batch.id.clone();
        Self { bulk, number, draw, id, batch: Mutex::new(batch), signal: watch::Sender::new(Signal::Go) }
    }

    pub(super) fn bulk(&self) -> &'static dyn Bulk {
        self.bulk
    }

    /// Was it handed in as one of `bulk`'s?
    pub(super) fn is_of(&self, bulk: &dyn Bulk) -> bool {
        self.bulk.name() == bulk.name()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// How it looks now.
    pub(super) fn batch(&self) -> Batch {
        self.state().clone()
    }

    /// The number that the id of the request `index` is drawn from.
    pub(super) fn draw(&self, index: usize) -> u64 {
        self.draw.with(index as u64).bits()
    }

    pub(super) fn signal(&self) -> Signal {
        *self.signal.borrow()
    }

    /// Ready when it has been told to stop at least as firmly as `signal`.
    pub(super) async fn reached(&self, signal: Signal) {
        drop(self.signal.subscribe().wait_for(|told| *told >= signal).await);
    }

    /// Its time is over.
    pub(super) fn expire(&self) {
        self.tell(Signal::Expire);
    }

    /// Stops it at `now`. The error is the stage of one that is over.
    pub(super) fn cancel(&self, now: u64) -> Result<(), Stage> {
        let mut batch = self.state();
        if batch.stage.is_over() {
            return Err(batch.stage);
        }
        if matches!(batch.stage, Stage::Validating | Stage::InProgress) {
            batch.stage = Stage::Cancelling;
            batch.moments.cancelling = Some(now);
            self.tell(Signal::Cancel);
        }
        Ok(())
    }

    fn tell(&self, signal: Signal) {
        self.signal.send_if_modified(|told| {
            let is_more = signal > *told;
            if is_more {
                *told = signal;
            }
            is_more
        });
    }

    /// Its input is wrong.
    pub(super) fn fail(&self, problems: Vec<Problem>, now: u64) {
        let mut batch = self.state();
        batch.problems = problems;
        (batch.stage, batch.moments.ended) = (Stage::Failed, Some(now));
    }

    /// Its input is right, and `tasks` begin.
    pub(super) fn begin(&self, tasks: &[Task], now: u64) {
        let mut batch = self.state();
        batch.tally.total = tasks.len() as u32;
        batch.model = tasks.first().map(|task| task.model.clone()).filter(|model| !model.is_empty());
        if batch.stage == Stage::Validating {
            (batch.stage, batch.moments.began) = (Stage::InProgress, Some(now));
        }
    }

    /// Counts what came of one of its requests.
    pub(super) fn count(&self, outcome: &Outcome<'_>, spent: Spent) {
        let mut batch = self.state();
        batch.spent += spent;
        let tally = &mut batch.tally;
        *match outcome {
            Outcome::Answered { status: 200, .. } => &mut tally.succeeded,
            Outcome::Answered { .. } | Outcome::Broken(_) => &mut tally.failed,
            Outcome::Cancelled => &mut tally.cancelled,
            Outcome::Expired => &mut tally.expired,
        } += 1;
    }

    /// The last of its requests is over.
    pub(super) fn finalize(&self, now: u64) {
        let mut batch = self.state();
        if batch.stage == Stage::InProgress {
            (batch.stage, batch.moments.finalizing) = (Stage::Finalizing, Some(now));
        }
    }

    /// It is over, and `output` and `errors` are the files that it left.
    pub(super) fn end(&self, output: Option<Box<str>>, errors: Option<Box<str>>, now: u64) {
        let mut batch = self.state();
        (batch.output, batch.errors, batch.moments.ended) = (output, errors, Some(now));
        batch.stage = match self.signal() {
            Signal::Go => Stage::Completed,
            Signal::Cancel => Stage::Cancelled,
            Signal::Expire => Stage::Expired,
        };
    }

    fn state(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
