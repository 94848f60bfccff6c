//! `reset`: a share of the connections is reset before the first byte of the reply.
//!
//! Options: `rate` (a share, all if not given). Each attempt of a request is drawn anew. The same as `cut: { at: start }`; on HTTP/2 the
//! stream is reset with an error.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Cut, Fault, Position, Verdict};
use crate::builtin::fault::{rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Reset`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the connections is reset before the first byte: `rate`"
    }

    fn schema(&self) -> Value {
        schema::object([("rate", rate_schema())])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let rate = fields.share("rate").unwrap_or(1.0);
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Reset { rate })),
            problems => Err(problems),
        }
    }
}

/// Resets a share of the connections.
#[derive(Debug, Clone)]
pub struct Reset {
    rate: f64,
}

impl Fault for Reset {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        let hit = strikes("reset", self.rate, call);
        Ok(if hit { Verdict::Cut(Cut::Reset, Position::Start) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn a_reset_comes_before_the_first_byte() {
        let fault = Make.make(&Value::Null, &Setting::default()).expect("no options");
        let request = Arc::new(testing::request("hi"));
        let verdict = fault.decide(&testing::call(&request, 1)).expect("a verdict");
        assert_eq!(verdict, Verdict::Cut(Cut::Reset, Position::Start));
    }

    #[test]
    fn a_reset_has_no_place() {
        let problems = Make.make(&json!({"at": "50%"}), &Setting::default()).err().expect("a mistake");
        assert_eq!(problems[0].pointer, "/at");
    }
}
