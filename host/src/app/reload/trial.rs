//! The end of a trial: a canary that has passed answers all, one that has failed answers none, and what ran goes on.
//!
//! The canary decides by itself, request by request; a thread for each waits to hear of it, or for the end of its time, and then does
//! here what must be done in turn.

use std::sync::Weak;

use crossbeam::channel::Receiver;

use crate::app::reload::desk::{Desk, Made};
use crate::app::reload::{Reloader, count_trial, run};
use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::canary::{Canary, Standing};
use crate::engine::change::{Applied, Declined};
use crate::engine::{Engine, Trial};
use crate::plan::generation::Generation;
use crate::scenario::canary::CanarySettings;

impl Reloader {
    /// Lets `generation` answer a share of the requests, and sees to the end of that.
    pub(super) fn try_out(
        &self,
        desk: &mut Desk,
        engine: &Engine,
        generation: Generation,
        made: Made,
        settings: CanarySettings,
        applied: &Applied,
    ) {
        let now = engine.clock().now();
        let (canary, end) = Canary::begin(settings, generation.seed, made.number, now);
        let (number, deadline) = (made.number, canary.deadline());
        let next = engine.prepare(generation);
        let mut record = self.record();
        engine.try_out(next, canary);
        record.try_out(made.shown());
        let gone = desk.trial.replace(made);
        if let Some(trial) = engine.trial() {
            record.apply(applied, now, &trial.running.visits);
        }
        drop(record);
        drop(gone);
        let share = settings.share * 100.0;
        tracing::info!(generation = number, "on trial for {share} % of the requests ({}): {}", applied.cause, applied.summary);
        let (me, clock) = (Weak::clone(&self.me), *engine.clock());
        let wait = move || {
            let mut deadline = deadline;
            loop {
                wait_for_end(&end, deadline, &clock);
                deadline = me.upgrade().and_then(|reloader| reloader.settle_when_decided(number));
                if deadline.is_none() {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("canary".to_owned()).spawn(wait) {
            tracing::error!(%error, "cannot start a thread for the canary; end it with `POST /canary/promote` or `abort`");
        }
    }

    /// Ends the trial of generation `number` as it stands, if it is still on. One that nobody has asked goes on until the time that it gives.
    fn settle_when_decided(&self, number: u64) -> Option<Nanos> {
        let engine = self.engine.get()?;
        let mut desk = self.turn();
        let trial = engine.trial().filter(|trial| trial.running.generation.number == number)?;
        let now = engine.clock().now();
        trial.canary.note_unanswered(trial.running.generation.unanswered());
        match trial.canary.standing(now) {
            Standing::Going => {
                let more = trial.canary.settings().for_us?.saturating_mul(1_000);
                if trial.canary.deadline().is_some_and(|deadline| now < deadline.saturating_add(more)) {
                    tracing::warn!(generation = number, "nobody has asked what is on trial, so that goes on until somebody has");
                }
                return Some(now.saturating_add(more));
            }
            Standing::Passed => self.promote(&mut desk, engine, &trial, "promoted", "promoted"),
            Standing::Failed => self.withdraw(&mut desk, engine, &trial, "rolled-back", "rolled back"),
        }
        None
    }

    /// Ends the trial by hand.
    pub(super) fn settle_by_hand(&self, promote: bool, expected: &[u64]) -> Result<u64, Declined> {
        let engine = self.engine.get().ok_or(Declined::NoCanary)?;
        let mut desk = self.turn();
        let trial = engine.trial().ok_or(Declined::NoCanary)?;
        desk.expect(expected)?;
        match promote {
            true => self.promote(&mut desk, engine, &trial, "promoted", "promoted by hand"),
            false => self.withdraw(&mut desk, engine, &trial, "aborted", "aborted by hand"),
        }
        Ok(trial.running.generation.number)
    }

    fn promote(&self, desk: &mut Desk, engine: &Engine, trial: &Trial, outcome: &str, word: &str) {
        let number = trial.running.generation.number;
        let account = trial.canary.account();
        let mut record = self.record();
        engine.promote();
        record.note(number, format!("{word} after its trial: {account}"));
        let gone = desk.trial.take().map(|made| run(desk, &mut record, made));
        drop(record);
        drop(gone);
        count_trial(outcome);
        tracing::info!(generation = number, "{word}: {account}");
    }

    fn withdraw(&self, desk: &mut Desk, engine: &Engine, trial: &Trial, outcome: &str, word: &str) {
        let number = trial.running.generation.number;
        let account = trial.canary.account();
        let mut record = self.record();
        engine.withdraw();
        let gone = desk.trial.take();
        record.try_out(Vec::new());
        record.note(number, format!("{word}: {account}"));
        drop(record);
        drop(gone);
        let running = engine.running().generation.number;
        count_trial(outcome);
        tracing::error!(generation = number, "{word}, generation {running} answers all requests again: {account}");
    }
}

/// Waits until counts have decided a canary, or somebody else has, or its time is over.
fn wait_for_end(end: &Receiver<()>, deadline: Option<Nanos>, clock: &RealClock) {
    loop {
        let Some(deadline) = deadline else {
            // An error is the end of the canary: somebody has settled it.
            let _ = end.recv();
            return;
        };
        let left = deadline.saturating_sub(clock.now());
        if left == 0 || !end.recv_timeout(clock.sleep_of(left)).is_err_and(|error| error.is_timeout()) {
            return;
        }
    }
}
