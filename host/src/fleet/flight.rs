//! A request on its way: one attempt, from its arrival until its client has its answer or has gone.

use crate::behavior::fault::Damage;
use crate::clock::Nanos;
use crate::fleet::quotas::Held;
use crate::plan::Plan;
use crate::plan::timing::Timing;
use crate::plan::verdict::{Action, Interrupt, Outcome, Place};
use crate::station::pipeline::route::ReplyBy;
use crate::station::{Cause, Visitor};
use crate::workload::{Answer, Ask};

/// The number of something that is not there.
pub(super) const NONE: u32 = u32::MAX;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its client has the whole reply.
    Whole,
    /// It was refused with this status: by a station for a cause, or as its plan says.
    Refused(u16, Option<Cause>),
    /// Its reply was cut short after a status of 200.
    Truncated,
    /// It failed in a way that no client can miss.
    Broken,
    /// Its client has waited as long as it would, and gone.
    Abandoned,
}

impl Fate {
    /// What its client makes of it.
    pub(super) fn answer(self, retry_after_ns: u64) -> Answer {
        match self {
            Self::Whole => Answer::Whole,
            Self::Refused(status, _) => Answer::Refused { status, retry_after_ns },
            Self::Truncated | Self::Broken | Self::Abandoned => Answer::Broken,
        }
    }
}

/// What is known of an attempt when it has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// The number of its request.
    pub number: u64,
    /// Which attempt, from 0.
    pub attempt: u32,
    /// The model entry that answered, by its index; `None` if there is none of that name.
    pub model: Option<u32>,
    /// When it came.
    pub arrival: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// When its first token left, if one did.
    pub first_token: Option<Nanos>,
    /// What it waited in all, where its way is a plain row of stages, and it went to its end.
    pub waited: Option<Nanos>,
    /// How it ended.
    pub fate: Fate,
    /// Tokens of its prompt.
    pub input_tokens: u32,
    /// Tokens that left.
    pub output_tokens: u32,
}

/// How a reply ends once it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Whole,
    Truncated,
    Broken,
    /// Nothing more comes for so long; then it is cut.
    Hangs(Nanos),
}

impl Finish {
    pub(super) fn fate(self) -> Fate {
        match self {
            Self::Whole => Fate::Whole,
            Self::Truncated | Self::Hangs(_) => Fate::Truncated,
            Self::Broken => Fate::Broken,
        }
    }

    /// How long the client waits in vain before it learns of the end.
    pub(super) fn lingers(self) -> Nanos {
        if let Self::Hangs(ns) = self { ns } else { 0 }
    }
}

/// One attempt under way.
pub(super) struct Flight {
    pub(super) ask: Ask,
    /// Tells this flight from others that had its slot.
    pub(super) serial: u32,
    pub(super) model: u32,
    /// Its visit at the site; [`NONE`] without one.
    pub(super) visit: Visitor,
    /// When its reply begins; `Nanos::MAX` before that is known.
    pub(super) begun: Nanos,
    pub(super) first_token: Nanos,
    /// When a replica took it into its batch.
    pub(super) running: Nanos,
    /// What stalls add to what comes after them: so long, from this token on.
    pub(super) stall: Option<(u32, Nanos)>,
    pub(super) finish: Finish,
    /// When its tokens leave from `begun` on; `None` if a replica says so or all leave at once.
    pub(super) timing: Option<Timing>,
    /// Tokens that are written, up to a cut.
    pub(super) steps: u32,
    /// The time that its stages take at least, and its reply.
    pub(super) least: Nanos,
    /// Who writes the reply, once that is known.
    pub(super) by: Option<ReplyBy>,
    /// When its reply was written.
    pub(super) written: Nanos,
    /// What strikes by time.
    pub(super) strikes: Option<Box<Action>>,
    pub(super) input_tokens: u32,
    /// What it holds of quotas.
    pub(super) held: Held,
    /// Is it sent token by token?
    pub(super) is_streamed: bool,
}

impl Flight {
    /// `ask` as it arrives.
    pub(super) fn of(ask: Ask, serial: u32, model: u32) -> Self {
        Self {
            input_tokens: ask.input_tokens,
            ask,
            serial,
            model,
            visit: NONE,
            begun: Nanos::MAX,
            first_token: Nanos::MAX,
            running: Nanos::MAX,
            stall: None,
            finish: Finish::Whole,
            timing: None,
            steps: 0,
            least: 0,
            by: None,
            written: Nanos::MAX,
            strikes: None,
            held: Held::new(),
            is_streamed: true,
        }
    }

    /// By how much a stall delays its end.
    pub(super) fn delay(&self) -> Nanos {
        self.stall.map_or(0, |(_, ns)| ns)
    }

    /// The time for which it was served at least, from what is planned and what the replica took.
    pub(super) fn least_served(&self) -> Nanos {
        let by_replica = if self.running == Nanos::MAX { 0 } else { self.written.saturating_sub(self.running) };
        self.least.saturating_add(by_replica)
    }

    /// What it waited if it ends at `now`, where all that is no service is waiting.
    pub(super) fn waited(&self, now: Nanos) -> Option<Nanos> {
        (now - self.ask.at).checked_sub(self.least_served().saturating_add(self.delay()))
    }
}

/// What `plan` makes of the reply: tokens written, how it ends, and the stall within it.
pub(super) fn shape(plan: &Plan) -> (u32, Finish, Option<(u32, Nanos)>) {
    let steps = plan.reply.steps();
    let Outcome::Interrupt(Interrupt { place, action }) = &plan.outcome else { return (steps, Finish::Whole, None) };
    let cut = match place {
        Place::BeforeHead => 0,
        Place::AfterStep(step) => steps.min(*step),
        // Strikes by time: the player notes it.
        Place::AfterTime(_) => steps,
    };
    let finish = finish_of(action);
    match (action, place) {
        (_, Place::AfterTime(_)) => (steps, Finish::Whole, None),
        (Action::Stall(stall), _) => (steps, Finish::Whole, Some((cut, stall.as_nanos() as Nanos))),
        _ if action.ends_the_reply() => (cut, finish, None),
        _ => (steps, finish, None),
    }
}

/// How a reply ends that `action` strikes, as its client sees it.
pub(super) fn finish_of(action: &Action) -> Finish {
    match action {
        Action::Hang(hang) => Finish::Hangs(hang.as_nanos() as Nanos),
        Action::Cut(_) | Action::Damage(Damage::TruncatedJson | Damage::EmptyBody | Damage::MissingEnd) => Finish::Truncated,
        Action::ErrorEvent(_) | Action::Damage(Damage::MalformedChunk) => Finish::Broken,
        // Virtual time has no bytes: what drips arrives as planned.
        Action::Stall(_) | Action::Drip(_) | Action::Finish(_) | Action::Damage(_) => Finish::Whole,
    }
}

/// The HTTP status of a refusal by a station, as the live server sends it.
pub(super) fn status_of(cause: Cause) -> u16 {
    match cause {
        Cause::Requests | Cause::Tokens | Cause::Concurrency => 429,
        Cause::TooLong => 400,
        Cause::QueueFull | Cause::QueueTimeout | Cause::PoolTimeout | Cause::BreakerOpen | Cause::NoReplica => 503,
        Cause::Budget | Cause::Lost => 504,
        Cause::StageFailed => 500,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_request_in_flight_fits_its_budget() {
        // With its visit at the site it stays below 1 KiB (benches measure the whole).
        let bytes = size_of::<super::Flight>();
        assert!(bytes <= 400, "{bytes}");
    }
}
