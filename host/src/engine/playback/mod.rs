//! What leaves when: a plan being played, as a state machine that is told the time.
//!
//! [`Playback::play`] gives everything that is due to a [`Stage`] and says when to come back. Deadlines are absolute; being late
//! with one token never moves the next. Offsets count from the request's arrival; behind a pipeline, from the moment at which its
//! stations let the reply begin, and a replica's tokens leave as its steps end: [`Behind`] knows what must still be asked.

use crate::behavior::fault::Cut;
use crate::clock::Nanos;
use crate::engine::conduct::Fate;
use crate::engine::measure::Active;
use crate::engine::playback::behind::Behind;
use crate::plan::Plan;
use crate::plan::reply::ReplyCursor;
use crate::plan::timing::TimingCursor;
use crate::plan::verdict::{Action, Interrupt, Outcome, Place};
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, StreamEvent};

mod behind;

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
    /// Nothing before this time, unless [`Playback::watch`]'s task is woken; `Nanos::MAX` if only that can bring anything.
    Wait(Nanos),
    /// Nothing any more.
    Done(Ending),
}

/// What a reply's head waits for, or a whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Nothing happens before this time; the same as [`Moment::Wait`].
    Wait(Nanos),
    /// It leaves.
    Leaves,
    /// A station turned the request away.
    Refused(ApiError),
}

/// How a playback ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should, or with an error event.
    Complete,
    /// By a cut.
    Cut(Cut),
}

/// How the deadlines of a reply are found.
enum Pace {
    /// By the plan, from the base on.
    Planned(TimingCursor),
    /// All of it at the base.
    AtOnce,
    /// As a replica makes the tokens.
    Steps,
}

/// A plan being played.
pub struct Playback {
    plan: Plan,
    active: Active,
    reply: ReplyCursor,
    pace: Pace,
    interrupt: Option<Interrupt>,
    arrival: Nanos,
    /// From when the reply's offsets count.
    base: Nanos,
    /// What stalls have added to all later deadlines.
    shift: Nanos,
    step: u32,
    steps: u32,
    /// Deadline of the newest step, and of the next one.
    newest: Nanos,
    next: Nanos,
    ended: Option<Ending>,
    /// Its way through stations; boxed, because most have none.
    behind: Option<Box<Behind>>,
}

impl Playback {
    /// `plan` for a request that arrived at `arrival`.
    pub fn of(plan: Plan, arrival: Nanos, active: Active) -> Self {
        let mut playback = Self::unpaced(plan, arrival, active);
        if playback.steps > 0 {
            playback.find_next();
        }
        playback
    }

    fn unpaced(plan: Plan, arrival: Nanos, active: Active) -> Self {
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
        Self {
            reply: ReplyCursor::of(&plan.reply),
            steps: plan.reply.steps(),
            pace: Pace::Planned(TimingCursor::default()),
            plan,
            active,
            interrupt,
            arrival,
            base: arrival,
            shift: 0,
            step: 0,
            newest: arrival,
            next: arrival,
            ended: None,
            behind: None,
        }
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

    /// Does the reply's head leave at `now`? It leaves with the first token, or with what happens before it.
    pub fn head(&mut self, now: Nanos) -> Head {
        self.freshen(now);
        if self.wants_to_ask() {
            self.ask();
        }
        match self.refused() {
            Some((_, error)) => Head::Refused(error),
            None if self.head_due() <= now => Head::Leaves,
            None => Head::Wait(self.unless_told(self.head_due())),
        }
    }

    /// When it leaves, as far as that is known.
    fn head_due(&self) -> Nanos {
        // Damage is done to what comes anyway, and sends nothing itself.
        let is_damage = self.interrupt.as_ref().is_some_and(|interrupt| matches!(interrupt.action, Action::Damage(_)));
        self.interrupt_due().filter(|_| !is_damage).map_or(self.next, |due| due.min(self.next))
    }

    /// Gives everything that is due at `now` to `stage`.
    pub fn play(&mut self, now: Nanos, stage: &mut impl Stage) -> Moment {
        if let Some(ending) = self.ended {
            return Moment::Done(ending);
        }
        self.freshen(now);
        let moment = self.advance(now, stage, true);
        if let Moment::Done(ending) = moment {
            self.ended = Some(ending);
            self.close(200, now);
        }
        moment
    }

    /// Plays to the end at once, for a reply that is sent whole and that [`Playback::whole`] has let leave: gives its events to `stage`
    /// and says when it is due and how it ends. The tokens inside are not measured: they leave in one write. A reply that is cut gives all
    /// its events, too: what breaks off are the bytes of the whole, and [`Playback::progress`] says where.
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
        let fate = match self.refused() {
            Some((_, error)) if status >= 400 => Fate::Refused(error.retry_after_ms),
            Some(_) => Fate::Broken,
            None => Fate::of(status, &self.plan.outcome, self.interrupt.is_none()),
        };
        let usage = self.plan.usage;
        // Of a reply that broke off, the share that had left; of a failed request, nothing.
        let left = u64::from(usage.output) * u64::from(self.step) / u64::from(self.steps.max(1));
        let used = if status == 200 { usage.input.saturating_add(left as u32) } else { 0 };
        let finish = self.plan.reply.choices.first().map_or(Finish::Stop, |choice| choice.finish);
        if let Some(serving) = self.active.serves() {
            let waited = |behind: &Behind| behind.waited(now);
            serving.finishes(finish, self.behind.as_deref().map_or(0, waited));
        }
        self.active.end(status, now, usage, used, fate);
        // What it holds at its stations is for others now.
        self.behind = None;
    }

    fn advance(&mut self, now: Nanos, stage: &mut impl Stage, measured: bool) -> Moment {
        loop {
            if self.wants_to_ask() {
                self.ask();
            }
            if let Some((at, error)) = self.refused() {
                self.newest = at;
                stage.due(at);
                stage.event(&StreamEvent::Error { message: &error.message, code: error.code.as_deref() });
                return Moment::Done(Ending::Complete);
            }
            if let Some(due) = self.interrupt_due() {
                if now < due {
                    return Moment::Wait(self.unless_told(due));
                }
                if let Some(ending) = self.interrupt(due, stage) {
                    return Moment::Done(ending);
                }
                continue;
            }
            let due = if self.step == self.steps { self.end_due() } else { self.next };
            if now < due {
                return Moment::Wait(self.unless_told(due));
            }
            if self.step == self.steps {
                // After the last token the end is due at once, unless a stall or other stages come between.
                self.newest = due;
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
            } else {
                self.ask_for_the_end();
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
                stage.event(&StreamEvent::Error { message: &message, code: None });
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
        self.shift = self.shift.saturating_add(ns);
        self.next = self.next.saturating_add(ns);
    }

    fn find_next(&mut self) {
        self.next = match &mut self.pace {
            Pace::Planned(cursor) => {
                let offset = self.plan.timing.advance(cursor);
                self.base.saturating_add(offset).saturating_add(self.shift)
            }
            Pace::AtOnce => self.base.saturating_add(self.shift),
            Pace::Steps => self.ask_for_a_token(),
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
mod tests;
