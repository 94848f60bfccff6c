//! `length`, `content-filter` and `refusal`: a share of the replies is ended by the vendor, in order but before it is complete.
//!
//! Options: `at` (`start`, `token 12`, `50%` or `350ms`; `50%` if not given, and `start` for `refusal`), `rate` (a share, all if not
//! given), and for `refusal` also `message` (a text). Each attempt of a request is drawn anew. The reply has what comes before the
//! place, then the vendor's reason to finish, and the counts are those of what came. A refusal's words come where the vendor puts
//! them, after what had been said.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{EarlyFinish, Fault, Position, REFUSAL, Verdict};
use crate::builtin::fault::{position, rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Finish`].
#[derive(Debug, Clone, Copy)]
pub enum Make {
    /// Of `length`.
    Length,
    /// Of `content-filter`.
    ContentFilter,
    /// Of `refusal`.
    Refusal,
}

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        match self {
            Self::Length => "a share of the replies stops as if it had reached the token limit: `rate`, `at`",
            Self::ContentFilter => "a share of the replies is stopped by a content filter: `rate`, `at`",
            Self::Refusal => "a share of the requests is politely refused by the model: `rate`, `message`, `at`",
        }
    }

    fn schema(&self) -> Value {
        let message = matches!(self, Self::Refusal).then(|| ("message", schema::text("What the refusal says.")));
        schema::object([("rate", rate_schema()), ("at", position::schema())].into_iter().chain(message))
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let rate = fields.share("rate").unwrap_or(1.0);
        let at = position::read_optional(&mut fields);
        let (finish, usual) = match self {
            Self::Length => (EarlyFinish::Length, Position::Share(0.5)),
            Self::ContentFilter => (EarlyFinish::ContentFilter, Position::Share(0.5)),
            Self::Refusal => (EarlyFinish::Refusal(fields.text("message").unwrap_or(REFUSAL).to_owned()), Position::Start),
        };
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Finish { rate, finish, at: at.unwrap_or(usual) })),
            problems => Err(problems),
        }
    }
}

/// Finishes a share of the replies early.
#[derive(Debug, Clone)]
pub struct Finish {
    rate: f64,
    finish: EarlyFinish,
    at: Position,
}

impl Fault for Finish {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        let hit = strikes(self.finish.name(), self.rate, call);
        Ok(if hit { Verdict::Finish(self.finish.clone(), self.at) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn each_finish_has_its_reason_and_its_usual_place() {
        let request = Arc::new(testing::request("hi"));
        let refusal = |text: &str| EarlyFinish::Refusal(text.to_owned());
        let cases = [
            (Make::Length, json!({}), Verdict::Finish(EarlyFinish::Length, Position::Share(0.5))),
            (Make::Length, json!({"at": "token 3"}), Verdict::Finish(EarlyFinish::Length, Position::Token(3))),
            (Make::ContentFilter, json!({"at": "2s"}), Verdict::Finish(EarlyFinish::ContentFilter, Position::AfterMs(2_000))),
            (Make::Refusal, json!({}), Verdict::Finish(refusal(REFUSAL), Position::Start)),
            (Make::Refusal, json!({"message": "no", "at": "50%"}), Verdict::Finish(refusal("no"), Position::Share(0.5))),
        ];
        for (make, options, verdict) in cases {
            let fault = make.make(&options, &Setting::default()).expect("good options");
            assert_eq!(fault.decide(&testing::call(&request, 1)).expect("a verdict"), verdict, "{options}");
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let options = json!({"rate": "x", "at": 5, "message": 7});
        let pointers = |make: Make| -> Vec<String> {
            let problems = make.make(&options, &Setting::default()).err().expect("mistakes");
            problems.into_iter().map(|problem| problem.message).collect()
        };
        assert_eq!(pointers(Make::Refusal).len(), 3);
        assert!(pointers(Make::Length)[2].contains("unknown field `message`"));
    }
}
