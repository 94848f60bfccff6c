//! A request on its way: one attempt, from its arrival until its client has its answer or has gone.

use std::num::NonZeroU64;

use crate::clock::Nanos;
use crate::fleet::quotas::Held;
use crate::plan::Plan;
use crate::plan::timing::Timing;
use crate::plan::verdict::{Action, Interrupt, Outcome, Place, Seen};
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
    /// It failed after a status of 200 in a way that no client can miss.
    Broken,
    /// Nothing came at all before its connection ended.
    Lost,
    /// Its client has waited as long as it would, and gone.
    Abandoned,
}

impl Fate {
    /// Is it charged to its quotas? What failed before its head is not.
    pub(super) fn is_charged(self) -> bool {
        !matches!(self, Self::Refused(..) | Self::Lost)
    }

    /// What its client makes of it.
    pub(super) fn answer(self, retry_after_ns: u64) -> Answer {
        match self {
            Self::Whole => Answer::Whole,
            Self::Refused(status, _) => Answer::Refused { status, retry_after_ns },
            Self::Truncated | Self::Broken | Self::Lost | Self::Abandoned => Answer::Broken,
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
    /// The class of the workload, by its index.
    pub class: u32,
    /// The tenant, by its index in the workload.
    pub tenant: u32,
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

/// How a reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// It comes to its end, and its client makes this of it.
    Complete(Seen),
    /// It is cut off.
    Cut,
    /// An error event ends it, or a refusal takes the place of one that is sent whole.
    Error,
}

impl Finish {
    /// Of a reply to which `action` is done.
    pub(super) fn of(action: &Action) -> Self {
        match action {
            Action::Cut(_) | Action::Hang(_) => Self::Cut,
            Action::ErrorEvent(_) => Self::Error,
            // Virtual time has no bytes: what drips arrives as planned.
            other => Self::Complete(other.seen()),
        }
    }

    /// Does nothing come that would follow?
    pub(super) fn breaks_off(self) -> bool {
        !matches!(self, Self::Complete(_))
    }

    /// What the client makes of it, of a stream whose head has left or of a whole reply of which `left` tokens have.
    pub(super) fn fate(self, is_streamed: bool, left: u32) -> Fate {
        match self {
            Self::Complete(Seen::Whole) => Fate::Whole,
            Self::Complete(Seen::Truncated) => Fate::Truncated,
            Self::Complete(Seen::Broken) => Fate::Broken,
            Self::Cut if is_streamed || left > 0 => Fate::Truncated,
            Self::Cut => Fate::Lost,
            Self::Error if is_streamed => Fate::Broken,
            Self::Error => Fate::Refused(500, None),
        }
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
    /// What a stall adds to what comes after it: so long, from this token on.
    pub(super) stall: Option<(u32, NonZeroU64)>,
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
    /// When its end is due, once that is known; what was noted for earlier is void.
    pub(super) ends_at: Nanos,
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
            finish: Finish::Complete(Seen::Whole),
            timing: None,
            steps: 0,
            least: 0,
            by: None,
            written: Nanos::MAX,
            ends_at: 0,
            strikes: None,
            held: Held::new(),
            is_streamed: true,
        }
    }

    /// By how much a stall delays its token `token`.
    pub(super) fn held(&self, token: u32) -> Nanos {
        self.stall.filter(|(from, _)| token >= *from).map_or(0, |(_, ns)| ns.get())
    }

    /// By how much a stall delays its end.
    pub(super) fn delay(&self) -> Nanos {
        self.stall.map_or(0, |(_, ns)| ns.get())
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
pub(super) fn shape(plan: &Plan) -> (u32, Finish, Option<(u32, NonZeroU64)>) {
    let (steps, complete) = (plan.reply.steps(), Finish::Complete(Seen::Whole));
    let Outcome::Interrupt(Interrupt { place, action }) = &plan.outcome else { return (steps, complete, None) };
    let struck = match place {
        Place::BeforeHead => 0,
        Place::AfterStep(step) => steps.min(*step),
        // The player notes it.
        Place::AfterTime(_) => return (steps, complete, None),
    };
    let finish = Finish::of(action);
    match action {
        Action::Stall(stall) => (steps, complete, NonZeroU64::new(stall.as_nanos() as Nanos).map(|ns| (struck, ns))),
        _ if finish.breaks_off() => (struck, finish, None),
        _ => (steps, finish, None),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_request_in_flight_fits_its_budget() {
        // With its visit at the site it stays below 1 KiB (benches measure the whole).
        let bytes = size_of::<super::Flight>();
        assert!(bytes <= 312, "{bytes}");
    }
}
