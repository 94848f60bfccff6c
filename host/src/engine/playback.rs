//! What leaves when: a plan being played, as a state machine that is told the time.
//!
//! [`Playback::play`] gives everything that is due to a [`Stage`] and says when to come back. Deadlines are absolute; being late
//! with one token never moves the next.

use crate::behavior::fault::Cut;
use crate::clock::Nanos;
use crate::engine::conduct::Fate;
use crate::engine::measure::Active;
use crate::plan::Plan;
use crate::plan::reply::ReplyCursor;
use crate::plan::timing::{Due, TimingCursor};
use crate::plan::verdict::{Action, Interrupt, Outcome, Place};
use crate::types::reply::StreamEvent;

/// Where a playback's events go.
pub trait Stage {
    /// The events up to the next call belong to a token that was due at `due`.
    fn due(&mut self, due: Nanos);
    /// The next event.
    fn event(&mut self, event: &StreamEvent<'_>);
    /// The planned damage strikes from here on, after so many steps. What it does is the stage's business: it is done to bytes.
    fn strike(&mut self, step: u32);
    /// Has a damage made an end, so that nothing more comes?
    fn is_over(&self) -> bool {
        false
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing before this time.
    Wait(Nanos),
    /// Nothing any more.
    Done(Ending),
}

/// How a playback ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should, or with an error event.
    Complete,
    /// By a cut.
    Cut(Cut),
}

/// A plan being played.
pub struct Playback {
    plan: Plan,
    active: Active,
    reply: ReplyCursor,
    timing: TimingCursor,
    interrupt: Option<Interrupt>,
    arrival: Nanos,
    /// What stalls have added to all later deadlines.
    shift: Nanos,
    step: u32,
    steps: u32,
    /// Deadline of the newest step, and of the next one.
    newest: Nanos,
    next: Nanos,
    ended: Option<Ending>,
}

impl Playback {
    /// `plan` for a request that arrived at `arrival`.
    pub fn of(plan: Plan, arrival: Nanos, active: Active) -> Self {
        if let Some(kind) = plan.fault_kind() {
            active.fault(kind);
        }
        plan.fallbacks.iter().for_each(|behaviour| active.fallback(behaviour));
        let interrupt = match &plan.outcome {
            // What these do has been planned, or is done to bytes by those who make them.
            Outcome::Interrupt(Interrupt { action: Action::Drip(_) | Action::Finish(_), .. }) => None,
            Outcome::Interrupt(interrupt) => Some(interrupt.clone()),
            Outcome::Answer | Outcome::Refuse(_) => None,
        };
        let mut playback = Self {
            reply: ReplyCursor::of(&plan.reply),
            steps: plan.reply.steps(),
            timing: TimingCursor::default(),
            plan,
            active,
            interrupt,
            arrival,
            shift: 0,
            step: 0,
            newest: arrival,
            next: arrival,
            ended: None,
        };
        if playback.steps > 0 {
            playback.find_next();
        }
        playback
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// When the request arrived.
    pub fn arrival(&self) -> Nanos {
        self.arrival
    }

    /// What happens before the reply's head, if anything; a stall there is played as part of the waiting.
    pub fn before_head(&mut self) -> Option<Action> {
        let before = self.interrupt.take_if(|interrupt| interrupt.place == Place::BeforeHead)?;
        match before.action {
            Action::Stall(stall) => {
                self.stall(stall.as_nanos() as Nanos);
                None
            }
            action => Some(action),
        }
    }

    /// When the reply's head leaves: with the first token, or with what happens before it.
    pub fn head_due(&self) -> Nanos {
        // Damage is done to what comes anyway, and sends nothing itself.
        let is_damage = self.interrupt.as_ref().is_some_and(|interrupt| matches!(interrupt.action, Action::Damage(_)));
        self.interrupt_due().filter(|_| !is_damage).map_or(self.next, |due| due.min(self.next))
    }

    /// Gives everything that is due at `now` to `stage`.
    pub fn play(&mut self, now: Nanos, stage: &mut impl Stage) -> Moment {
        if let Some(ending) = self.ended {
            return Moment::Done(ending);
        }
        let moment = self.advance(now, stage, true);
        if let Moment::Done(ending) = moment {
            self.ended = Some(ending);
            self.close(200, now);
        }
        moment
    }

    /// Plays to the end at once, for a reply that is sent whole: gives its events to `stage` and says when it is due and how it
    /// ends. The tokens inside are not measured: they leave in one write. A reply that is cut gives all its events, too: what breaks
    /// off are the bytes of the whole, and [`Playback::progress`] says where.
    pub fn play_whole(&mut self, stage: &mut impl Stage) -> (Nanos, Ending) {
        let ending = match self.advance(Nanos::MAX, stage, false) {
            Moment::Done(ending) => ending,
            Moment::Wait(_) => Ending::Complete,
        };
        if matches!(ending, Ending::Cut(_)) {
            for _ in self.step..self.steps {
                self.read_step(stage);
            }
            stage.event(&StreamEvent::Usage(self.plan.told));
            stage.event(&StreamEvent::End);
        }
        (self.newest, ending)
    }

    /// Steps played and steps in all: how much of a reply had left when it was cut.
    pub fn progress(&self) -> (u32, u32) {
        (self.step, self.steps)
    }

    /// Notes that the request ended with `status` at `now`; `first` if its first byte leaves only now.
    pub fn end(&mut self, status: u16, now: Nanos, first: bool) {
        if first && status == 200 {
            self.active.token(now);
        }
        self.close(status, now);
    }

    fn close(&mut self, status: u16, now: Nanos) {
        let fate = Fate::of(status, &self.plan.outcome, self.interrupt.is_none());
        let usage = self.plan.usage;
        // Of a reply that broke off, the share that had left; of a failed request, nothing.
        let left = u64::from(usage.output) * u64::from(self.step) / u64::from(self.steps.max(1));
        let used = if status == 200 { usage.input.saturating_add(left as u32) } else { 0 };
        self.active.end(status, now, usage, used, fate);
    }

    fn advance(&mut self, now: Nanos, stage: &mut impl Stage, measured: bool) -> Moment {
        loop {
            if let Some(due) = self.interrupt_due() {
                if now < due {
                    return Moment::Wait(due);
                }
                if let Some(ending) = self.interrupt(due, stage) {
                    return Moment::Done(ending);
                }
                continue;
            }
            if now < self.next {
                return Moment::Wait(self.next);
            }
            if self.step == self.steps {
                // After the last token the end is due at once, unless a stall has come between.
                self.newest = self.next;
                stage.event(&StreamEvent::Usage(self.plan.told));
                stage.event(&StreamEvent::End);
                return Moment::Done(Ending::Complete);
            }
            stage.due(self.next);
            self.read_step(stage);
            if measured {
                self.active.token(now);
            }
            self.step += 1;
            self.newest = self.next;
            if stage.is_over() {
                return Moment::Done(Ending::Complete);
            }
            if self.step < self.steps {
                self.find_next();
            }
        }
    }

    /// Plays the interrupt, which was due at `due`. Some end the playback.
    fn interrupt(&mut self, due: Nanos, stage: &mut impl Stage) -> Option<Ending> {
        let action = self.interrupt.take()?.action;
        let ending = match action {
            Action::Stall(stall) => {
                self.stall(stall.as_nanos() as Nanos);
                return None;
            }
            Action::Damage(_) => {
                stage.strike(self.step);
                return None;
            }
            Action::Drip(_) | Action::Finish(_) => return None,
            Action::Hang(_) => Ending::Cut(Cut::Close),
            Action::Cut(cut) => Ending::Cut(cut),
            Action::ErrorEvent(message) => {
                stage.due(due);
                stage.event(&StreamEvent::Error { message: &message });
                Ending::Complete
            }
        };
        self.newest = due;
        Some(ending)
    }

    fn read_step(&mut self, stage: &mut impl Stage) {
        self.reply.step(&self.plan.reply, &self.plan.generation.styles, |event| stage.event(&event));
    }

    fn stall(&mut self, ns: Nanos) {
        self.shift += ns;
        self.next += ns;
    }

    fn find_next(&mut self) {
        self.next = match self.plan.timing.advance(&mut self.timing) {
            Due::At(offset) => self.arrival.saturating_add(offset).saturating_add(self.shift),
            // A replica tells its streams itself when a step ends; until there are replicas nothing plans this.
            Due::Step(_) => Nanos::MAX,
        };
    }

    /// When the interrupt comes, if it comes before the next step.
    fn interrupt_due(&self) -> Option<Nanos> {
        match self.interrupt.as_ref()?.place {
            Place::BeforeHead => Some(self.arrival),
            Place::AfterStep(step) if self.step >= step => Some(self.newest),
            Place::AfterStep(_) => None,
            Place::AfterTime(after) => {
                let due = self.arrival.saturating_add(after.as_nanos() as Nanos);
                // A reply that is complete before its interrupt has escaped it.
                (self.step < self.steps && due <= self.next).then_some(due)
            }
        }
    }
}

#[cfg(test)]
#[path = "playback_tests.rs"]
mod tests;
