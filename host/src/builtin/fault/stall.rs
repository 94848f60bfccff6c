//! `stall`: a share of the replies pauses at a place and then goes on; everything after it leaves that much later.
//!
//! Options: `for` (a duration up to `1h`, required), `at` (`start`, `token 12`, `50%` or `350ms`, required), `rate` (a share, all
//! if not given). Each attempt of a request is drawn anew.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, Position, Verdict};
use crate::builtin::fault::{delay_ms, position, rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Stall`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the replies pauses at a place: `rate`, `for`, `at`"
    }

    fn schema(&self) -> Value {
        let time = schema::duration("How long nothing comes, at most `1h`.");
        schema::object([("rate", rate_schema()), ("for!", time), ("at!", position::schema())])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("for");
        let rate = fields.share("rate").unwrap_or(1.0);
        let for_ms = delay_ms(&mut fields, "for").unwrap_or_default();
        let at = position::read(&mut fields).unwrap_or(Position::Start);
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Stall { rate, for_ms, at })),
            problems => Err(problems),
        }
    }
}

/// Pauses a share of the replies.
#[derive(Debug, Clone)]
pub struct Stall {
    rate: f64,
    for_ms: u32,
    at: Position,
}

impl Fault for Stall {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        Ok(if strikes("stall", self.rate, call) { Verdict::Stall(self.for_ms, self.at) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn a_stall_says_how_long_and_where() {
        let fault = Make.make(&json!({"for": "250us", "at": "token 3"}), &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("hi"));
        let verdict = fault.decide(&testing::call(&request, 1)).expect("a verdict");
        assert_eq!(verdict, Verdict::Stall(1, Position::Token(3)));
    }

    #[test]
    fn every_mistake_is_reported() {
        let pointers = |options: Value| -> Vec<String> {
            let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
            problems.into_iter().map(|problem| problem.pointer).collect()
        };
        assert_eq!(pointers(json!({"rate": 2, "for": "long", "at": 5, "how": "end"})), ["/rate", "/for", "/at", "/how"]);
        assert_eq!(pointers(json!({})), ["", ""]);
    }
}
