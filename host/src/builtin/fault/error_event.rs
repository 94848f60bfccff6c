//! `error-event`: a share of the streams ends with the vendor's error event.
//!
//! Options: `at` (`start`, `token 12`, `50%` or `350ms`, required), `message` (a text), `rate` (a share, all if not given). Each
//! attempt of a request is drawn anew. A reply that is not streamed, or one struck at `start`, is refused with status 500 instead:
//! it has no events.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, Position, Verdict};
use crate::builtin::fault::{position, rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// What the event says if the options do not.
const MESSAGE: &str = "The server had an error while processing your request. Sorry about that!";

/// Makes [`ErrorEvent`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the streams ends with the vendor's error event: `rate`, `message`, `at`"
    }

    fn schema(&self) -> Value {
        let message = schema::text("What the event says.");
        schema::object([("rate", rate_schema()), ("message", message), ("at!", position::schema())])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let rate = fields.share("rate").unwrap_or(1.0);
        let message = fields.text("message").unwrap_or(MESSAGE).to_owned();
        let at = position::read(&mut fields).unwrap_or(Position::Start);
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(ErrorEvent { rate, message, at })),
            problems => Err(problems),
        }
    }
}

/// Ends a share of the streams with an error.
#[derive(Debug, Clone)]
pub struct ErrorEvent {
    rate: f64,
    message: String,
    at: Position,
}

impl Fault for ErrorEvent {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        let hit = strikes("error-event", self.rate, call);
        Ok(if hit { Verdict::ErrorEvent(self.message.clone(), self.at) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn an_error_event_says_what_and_where() {
        let request = Arc::new(testing::request("hi"));
        let cases = [
            (json!({"at": "50%"}), Verdict::ErrorEvent(MESSAGE.to_owned(), Position::Share(0.5))),
            (json!({"message": "lost", "at": "token 2"}), Verdict::ErrorEvent("lost".to_owned(), Position::Token(2))),
        ];
        for (options, verdict) in cases {
            let fault = Make.make(&options, &Setting::default()).expect("good options");
            assert_eq!(fault.decide(&testing::call(&request, 1)).expect("a verdict"), verdict, "{options}");
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let options = json!({"rate": 2, "message": 3, "at": "token", "status": 500});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/rate", "/message", "/at", "/status"]);
    }
}
