//! What becomes of a request, with every place in the reply resolved to a step or a time.

use std::time::Duration;

use crate::behavior::fault::{Cut, Position, Verdict};
use crate::types::api_error::ApiError;

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
}

impl Action {
    /// The word for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hang(_) => "hang",
            Self::Cut(Cut::Reset) => "cut-reset",
            Self::Cut(Cut::Close) => "cut-close",
            Self::Cut(Cut::End) => "cut-end",
            Self::Stall(_) => "stall",
            Self::ErrorEvent(_) => "error-event",
        }
    }
}

impl Outcome {
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
#[error("the verdict `{0}` is not one that this version plays; use error, hang, cut, stall or error-event")]
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
        Verdict::Error(error) => {
            let message = error.message.unwrap_or_else(|| usual_message(error.status).to_owned());
            let mut refusal = ApiError::of_status(error.status, message);
            refusal.retry_after_ms = error.retry_after_ms;
            refusal.code = error.code.map(Into::into);
            return Ok(Outcome::Refuse(refusal));
        }
        Verdict::Hang(hang) => (Position::Start, Action::Hang(ms(hang))),
        Verdict::Cut(cut, position) => (position, Action::Cut(cut)),
        Verdict::Stall(stall, position) => (position, Action::Stall(ms(stall))),
        Verdict::ErrorEvent(message, position) => (position, Action::ErrorEvent(message)),
        Verdict::Damage(damage, _) => return Err(Unplayable(format!("damage {damage:?}"))),
        Verdict::Drip(_) => return Err(Unplayable("drip".to_owned())),
        Verdict::Other(named) => return Err(Unplayable(named.kind)),
    };
    let place = match position {
        Position::Start => Place::BeforeHead,
        Position::Token(token) => Place::AfterStep(token.min(steps)),
        Position::Share(share) => Place::AfterStep(share_of(share, steps)),
        Position::AfterMs(after) => Place::AfterTime(ms(after)),
    };
    Ok(Outcome::Interrupt(Interrupt { place, action }))
}

/// So many steps are `share` of `steps`, rounded down. A share such as 70 % has no exact `f32`: what lies below a whole number only by
/// that error counts as the whole number.
fn share_of(share: f32, steps: u32) -> u32 {
    let exact = f64::from(share.clamp(0.0, 1.0)) * f64::from(steps);
    ((exact * (1.0 + f64::from(f32::EPSILON))).floor() as u32).min(steps)
}

fn usual_message(status: u16) -> &'static str {
    match status {
        400 => "The request is invalid.",
        401 => "Incorrect API key provided.",
        403 => "You are not allowed to use this model.",
        404 => "The requested resource was not found.",
        408 => "The request took too long to arrive.",
        409 => "The request conflicts with another one.",
        429 => "Rate limit reached. Please try again later.",
        503 => "The server is currently overloaded. Please try again later.",
        529 => "Overloaded",
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
    fn a_verdict_that_cannot_be_played_is_named() {
        let error = resolve(Verdict::Drip(5), 1).unwrap_err();
        assert!(error.to_string().contains("`drip`"));
    }
}
