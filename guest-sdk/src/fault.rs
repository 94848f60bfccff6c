//! Faults: shall this request fail, how and where? Asked first.
//!
//! A [`Verdict`] says what the host does: answer, refuse with an HTTP error, hang, cut, stall, damage or drip. [`Position`] says
//! where in the reply it happens.

use std::time::Duration;

use serde_json::{Value, json};

use crate::call::Call;
use crate::plugin::Plugin;

use crate::bindings::base::simwright::plugin::types::Named;
pub use crate::bindings::fault::exports::simwright::plugin::fault::{Cut, Damage, HttpError, Position, Verdict};

/// A plugin that decides whether and how a request fails.
pub trait Fault: Plugin {
    /// The verdict on one request. [`Verdict::Pass`] answers it.
    fn decide(&self, call: &Call) -> Verdict;
}

impl Verdict {
    /// Refuse with this status, from 400 to 599, and what the vendor says for it. [`HttpError::new`] says more.
    pub fn http(status: u16) -> Self {
        HttpError::new(status).into()
    }

    /// Refuse with 429; come back after `retry_after`.
    pub fn rate_limited(retry_after: Duration) -> Self {
        HttpError::new(429).retry_after(retry_after).into()
    }

    /// Refuse with 503; come back after `retry_after`.
    pub fn overloaded(retry_after: Duration) -> Self {
        HttpError::new(503).retry_after(retry_after).into()
    }

    /// Send nothing for so long, then close.
    pub fn hang(time: Duration) -> Self {
        Self::HangMs(ms_of(time))
    }

    /// End the connection or stream at a place in the reply.
    pub fn cut(how: Cut, at: Position) -> Self {
        Self::Cut((how, at))
    }

    /// Send nothing for so long at a place in the reply, then go on.
    pub fn stall(time: Duration, at: Position) -> Self {
        Self::StallMs((ms_of(time), at))
    }

    /// Send the vendor's error event with this message at a place in a stream, then end.
    pub fn error_event(message: impl Into<String>, at: Position) -> Self {
        Self::ErrorEvent((message.into(), at))
    }

    /// Spoil the bytes at a place in the reply.
    pub fn damage(how: Damage, at: Position) -> Self {
        Self::Damage((how, at))
    }

    /// Let the vendor end the reply at a place as if it had reached the token limit.
    pub fn length(at: Position) -> Self {
        finish(json!({ "reason": "length", "at": words(at) }))
    }

    /// Let the vendor's content filter end the reply at a place.
    pub fn content_filter(at: Position) -> Self {
        finish(json!({ "reason": "content-filter", "at": words(at) }))
    }

    /// Let the model refuse to go on at a place, in these words.
    pub fn refusal(message: impl Into<String>, at: Position) -> Self {
        finish(json!({ "reason": "refusal", "at": words(at), "message": message.into() }))
    }

    /// Send no more than so many bytes a second.
    pub fn drip(bytes_per_s: u32) -> Self {
        Self::DripBytesPerS(bytes_per_s)
    }
}

impl HttpError {
    /// An error with this status, from 400 to 599. What is not given is what the vendor says for it.
    pub fn new(status: u16) -> Self {
        Self { status, retry_after_ms: None, message: None, code: None }
    }

    /// The same with a time after which to come back.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after_ms = Some(ms_of(time));
        self
    }

    /// The same with this sentence in the body.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The same with this code in the body.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl From<HttpError> for Verdict {
    fn from(error: HttpError) -> Self {
        Self::Error(error)
    }
}

impl Position {
    /// So long after the request.
    pub fn after(time: Duration) -> Self {
        Self::AfterMs(ms_of(time))
    }
}

/// An early finish: a kind that the contract has no case for yet.
fn finish(options: Value) -> Verdict {
    Verdict::Other(Named { kind: "finish".to_owned(), json: options.to_string() })
}

/// A place as scenarios write it.
fn words(at: Position) -> String {
    match at {
        Position::Start => "start".to_owned(),
        Position::Token(token) => format!("token {token}"),
        Position::Share(share) => format!("{}%", f64::from(share) * 100.0),
        Position::AfterMs(ms) => format!("{ms}ms"),
    }
}

/// Whole milliseconds; longer than the contract can say (49 days) becomes the longest it can.
fn ms_of(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_carry_status_and_retry_time() {
        let Verdict::Error(error) = Verdict::rate_limited(Duration::from_millis(1_500)) else { panic!("not an error") };
        assert_eq!((error.status, error.retry_after_ms, error.message), (429, Some(1_500), None));
        let worded: Verdict = HttpError::new(503).message("drained").code("overloaded").into();
        let Verdict::Error(error) = worded else { panic!("not an error") };
        assert_eq!((error.message.as_deref(), error.code.as_deref()), (Some("drained"), Some("overloaded")));
    }

    #[test]
    fn an_early_finish_is_another_kind_with_its_place_in_words() {
        let said = |verdict| match verdict {
            Verdict::Other(named) if named.kind == "finish" => serde_json::from_str::<Value>(&named.json).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(said(Verdict::length(Position::Share(0.5))), json!({"reason": "length", "at": "50%"}));
        assert_eq!(said(Verdict::content_filter(Position::AfterMs(20))), json!({"reason": "content-filter", "at": "20ms"}));
        let refusal = said(Verdict::refusal("\"no\"", Position::Token(3)));
        assert_eq!(refusal, json!({"reason": "refusal", "at": "token 3", "message": "\"no\""}));
    }

    #[test]
    fn durations_saturate_instead_of_wrapping() {
        assert_eq!(Verdict::hang(Duration::MAX), Verdict::HangMs(u32::MAX));
        assert_eq!(Position::after(Duration::from_secs(2)), Position::AfterMs(2_000));
    }
}
