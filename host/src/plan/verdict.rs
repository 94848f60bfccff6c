//! What becomes of a request, with every place in the reply resolved to a step or a time.
//!
//! What a fault changes in the reply itself, and not in how it leaves, is in [`super::altered`].

use std::time::Duration;

use crate::behavior::fault::{Cut, Damage, EarlyFinish, HttpError, Position, Verdict};
use crate::types::api_error::{ApiError, Cause, ErrorKind};

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is answered.
    Answer,
    /// It is refused.
    Refuse(ApiError),
    /// It is answered up to a place, and then something happens.
    Interrupt(Interrupt),
}

/// Something that happens inside a reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupt {
    /// Where.
    pub place: Place,
    /// What.
    pub action: Action,
}

/// Where in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the first byte of the head.
    BeforeHead,
    /// After so many steps.
    AfterStep(u32),
    /// So long after the request's arrival.
    AfterTime(Duration),
}

/// What happens there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing is sent for so long, then the connection closes.
    Hang(Duration),
    /// The connection or stream ends.
    Cut(Cut),
    /// Nothing is sent for so long; then it goes on.
    Stall(Duration),
    /// An error event with this message; then the stream ends.
    ErrorEvent(String),
    /// The reply is spoilt.
    Damage(Damage),
    /// From its first byte on, the reply leaves at no more than so many bytes a second.
    Drip(u32),
    /// The vendor ends the reply in order.
    Finish(EarlyFinish),
}

/// What the client makes of a reply to which something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// All of it arrives, late or spoilt in ways that a client may live with.
    Whole,
    /// It is cut short, which a client may miss.
    Truncated,
    /// It fails in a way that no client can miss.
    Broken,
}

impl Action {
    /// What the client of a reply sees of it that has begun with status 200.
    pub fn seen(&self) -> Seen {
        match self {
            Self::Cut(_) | Self::Hang(_) => Seen::Truncated,
            Self::Damage(Damage::TruncatedJson | Damage::EmptyBody | Damage::MissingEnd) => Seen::Truncated,
            Self::ErrorEvent(_) | Self::Damage(Damage::MalformedChunk) => Seen::Broken,
            Self::Stall(_) | Self::Drip(_) | Self::Finish(_) | Self::Damage(_) => Seen::Whole,
        }
    }

    /// The word for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hang(_) => "hang",
            Self::Cut(Cut::Reset) => "cut-reset",
            Self::Cut(Cut::Close) => "cut-close",
            Self::Cut(Cut::End) => "cut-end",
            Self::Stall(_) => "stall",
            Self::ErrorEvent(_) => "error-event",
            Self::Damage(damage) => damage.name(),
            Self::Drip(_) => "drip",
            Self::Finish(finish) => finish.name(),
        }
    }

    /// Does the reply as planned end here? What changes the reply itself has been planned already, and the rest goes on.
    pub fn ends_the_reply(&self) -> bool {
        matches!(self, Self::Hang(_) | Self::Cut(_) | Self::ErrorEvent(_))
    }
}

impl Outcome {
    /// Is anything answered at all? Not if the request is refused, or broken off before the head.
    pub fn is_answered(&self) -> bool {
        match self {
            Self::Refuse(_) => false,
            Self::Interrupt(Interrupt { place: Place::BeforeHead, action }) => !action.ends_the_reply(),
            Self::Interrupt(_) | Self::Answer => true,
        }
    }

    /// The word for metrics and logs; `None` if nothing goes wrong.
    pub fn fault_kind(&self) -> Option<&'static str> {
        match self {
            Self::Answer => None,
            Self::Refuse(_) => Some("error"),
            Self::Interrupt(interrupt) => Some(interrupt.action.kind()),
        }
    }
}

/// A verdict that this version cannot play.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the verdict `{0}` is not one that this version plays; use error, hang, cut, stall, error-event, damage or drip, or `finish` as \
     another kind"
)]
pub struct Unplayable(pub String);

/// Does `verdict` leave nothing to answer?
pub fn leaves_nothing(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Error(_) | Verdict::Hang(_) => true,
        Verdict::Cut(_, position) => *position == Position::Start,
        _ => false,
    }
}

/// `verdict` on a reply of `steps` steps.
pub fn resolve(verdict: Verdict, steps: u32) -> Result<Outcome, Unplayable> {
    let ms = |ms: u32| Duration::from_millis(ms.into());
    let (position, action) = match verdict {
        Verdict::Pass => return Ok(Outcome::Answer),
        Verdict::Error(error) => return Ok(Outcome::Refuse(refusal(error))),
        Verdict::Hang(hang) => (Position::Start, Action::Hang(ms(hang))),
        Verdict::Cut(cut, position) => (position, Action::Cut(cut)),
        Verdict::Stall(stall, position) => (position, Action::Stall(ms(stall))),
        Verdict::ErrorEvent(message, position) => (position, Action::ErrorEvent(message)),
        Verdict::Damage(damage, position) => {
            let place = damaged_place(damage, position, steps);
            return Ok(Outcome::Interrupt(Interrupt { place, action: Action::Damage(damage) }));
        }
        Verdict::Drip(bytes_per_s) => (Position::Token(0), Action::Drip(bytes_per_s)),
        // No byte is special about the start of a reply that ends in order: its head leaves as always.
        Verdict::Finish(finish, Position::Start) => (Position::Token(0), Action::Finish(finish)),
        Verdict::Finish(finish, position) => (position, Action::Finish(finish)),
        Verdict::Other(named) => return Err(Unplayable(named.kind)),
    };
    Ok(Outcome::Interrupt(Interrupt { place: place_of(position, steps), action }))
}

fn place_of(position: Position, steps: u32) -> Place {
    match position {
        Position::Start => Place::BeforeHead,
        Position::Token(token) => Place::AfterStep(token.min(steps)),
        Position::Share(share) => Place::AfterStep(share_of(share, steps)),
        Position::AfterMs(after) => Place::AfterTime(Duration::from_millis(after.into())),
    }
}

/// Where `damage` strikes. It strikes the chunk that comes next, so behind the last token it strikes that token's.
fn damaged_place(damage: Damage, position: Position, steps: u32) -> Place {
    match place_of(position, steps) {
        _ if !damage.has_place() => Place::AfterStep(0),
        Place::BeforeHead => Place::AfterStep(0),
        Place::AfterStep(step) => Place::AfterStep(step.min(steps.saturating_sub(1))),
        after @ Place::AfterTime(_) => after,
    }
}

fn refusal(error: HttpError) -> ApiError {
    let kind = error.kind.unwrap_or(ApiError::of_status(error.status, "").kind);
    let code = error.code.map(Into::into);
    let cause = error.cause.or(error.message.is_none().then_some(Cause::Usual));
    let message = error.message.unwrap_or_else(|| usual_message(error.status, kind, code.as_deref()).to_owned());
    ApiError {
        kind,
        code,
        cause: cause.map(Box::new),
        param: error.param.map(Into::into),
        retry_after_ms: error.retry_after_ms,
        retry_form: error.retry_form,
        should_retry: error.should_retry,
        ..ApiError::of_status(error.status, message)
    }
}

/// So many steps are `share` of `steps`, rounded down. A share such as 70 % has no exact `f32`: what lies below a whole number only by
/// that error counts as the whole number.
fn share_of(share: f32, steps: u32) -> u32 {
    let exact = f64::from(share.clamp(0.0, 1.0)) * f64::from(steps);
    ((exact * (1.0 + f64::from(f32::EPSILON))).floor() as u32).min(steps)
}

/// What vendors say for a status, in words that fit all of them.
fn usual_message(status: u16, kind: ErrorKind, code: Option<&str>) -> &'static str {
    match (status, kind) {
        (_, ErrorKind::QuotaExhausted) => "You exceeded your current quota, please check your plan and billing details.",
        (_, ErrorKind::RateLimited) if code == Some("slow_down") => {
            "Your requests are increasing too quickly. Please slow down and ramp up more gradually."
        }
        (400, _) => "The request is invalid.",
        (401, _) => "Incorrect API key provided.",
        (403, _) => "You are not allowed to use this model.",
        (404, _) => "The model does not exist or you do not have access to it.",
        (408, _) => "The request took too long to arrive.",
        (409, _) => "The request conflicts with another one.",
        (422, _) => "The request was well formed but could not be processed.",
        (429, _) => "Rate limit reached. Please try again later.",
        (502, _) => "Bad gateway.",
        (503, _) => "The server is currently overloaded. Please try again later.",
        (504, _) => "The upstream server did not answer in time.",
        (529, _) => "Overloaded",
        _ => "The server had an error while processing your request. Sorry about that!",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_resolved_against_the_length_of_the_reply() {
        let at = |position| match resolve(Verdict::Cut(Cut::Reset, position), 40).unwrap() {
            Outcome::Interrupt(interrupt) => interrupt.place,
            other => panic!("{other:?}"),
        };
        assert_eq!(at(Position::Share(0.5)), Place::AfterStep(20));
        assert_eq!(at(Position::Share(f32::NAN)), Place::AfterStep(0));
        for percent in 0..=100_u32 {
            let place = at(Position::Share((f64::from(percent) / 100.0) as f32));
            assert_eq!(place, Place::AfterStep(percent * 40 / 100), "{percent} %");
        }
        assert_eq!(at(Position::Token(99)), Place::AfterStep(40));
        assert_eq!(at(Position::Start), Place::BeforeHead);
    }

    #[test]
    fn damage_strikes_a_chunk_that_exists() {
        let at = |damage, position, steps| match resolve(Verdict::Damage(damage, position), steps).unwrap() {
            Outcome::Interrupt(Interrupt { place, action: Action::Damage(_) }) => place,
            other => panic!("{other:?}"),
        };
        assert_eq!(at(Damage::DuplicateChunk, Position::Token(4), 10), Place::AfterStep(4));
        assert_eq!(at(Damage::DuplicateChunk, Position::Share(1.0), 10), Place::AfterStep(9));
        assert_eq!(at(Damage::DuplicateChunk, Position::Start, 10), Place::AfterStep(0));
        assert_eq!(at(Damage::DuplicateChunk, Position::Token(1), 0), Place::AfterStep(0));
        assert_eq!(at(Damage::WrongUsage, Position::Share(0.5), 10), Place::AfterStep(0));
        assert_eq!(at(Damage::SwapChunks, Position::AfterMs(7), 10), Place::AfterTime(Duration::from_millis(7)));
    }

    #[test]
    fn a_refusal_says_what_is_given_and_else_what_its_kind_usually_says() {
        let of = |error| match resolve(Verdict::Error(error), 0).unwrap() {
            Outcome::Refuse(refusal) => refusal,
            other => panic!("{other:?}"),
        };
        let quota = of(HttpError { status: 429, kind: Some(ErrorKind::QuotaExhausted), ..HttpError::default() });
        assert!(quota.kind == ErrorKind::QuotaExhausted && quota.message.contains("quota"), "{quota:?}");
        let plain = of(HttpError { status: 429, ..HttpError::default() });
        assert!(plain.kind == ErrorKind::RateLimited && plain.message.contains("Rate limit"), "{plain:?}");
        let own =
            HttpError { status: 404, message: Some("gone".to_owned()), param: Some("model".to_owned()), ..Default::default() };
        let own = of(own);
        assert_eq!((own.kind, &*own.message, own.param.as_deref()), (ErrorKind::NotFound, "gone", Some("model")));
    }

    #[test]
    fn a_verdict_that_cannot_be_played_is_named() {
        let named = crate::behavior::fault::Named { kind: "meteor".to_owned(), json: String::new() };
        let error = resolve(Verdict::Other(named), 1).unwrap_err();
        assert!(error.to_string().contains("`meteor`"));
    }
}
