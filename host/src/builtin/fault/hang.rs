//! `hang`: a share of the requests gets no byte; after a while the connection closes.
//!
//! Options: `for` (a duration up to `1h`, required), `rate` (a share, all if not given). Each attempt of a request is drawn anew.
//! On HTTP/2 the stream is reset without an error instead.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, Verdict};
use crate::builtin::fault::{delay_ms, rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Hang`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the requests gets no byte, and then the connection closes: `rate`, `for`"
    }

    fn schema(&self) -> Value {
        schema::object([("rate", rate_schema()), ("for!", schema::duration("How long nothing comes, at most `1h`."))])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("for");
        let rate = fields.share("rate").unwrap_or(1.0);
        let for_ms = delay_ms(&mut fields, "for").unwrap_or_default();
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Hang { rate, for_ms })),
            problems => Err(problems),
        }
    }
}

/// Leaves a share of the requests without an answer.
#[derive(Debug, Clone)]
pub struct Hang {
    rate: f64,
    for_ms: u32,
}

impl Fault for Hang {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        Ok(if strikes("hang", self.rate, call) { Verdict::Hang(self.for_ms) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn every_request_hangs_for_the_time_that_the_options_say() {
        let fault = Make.make(&json!({"for": "1.5s"}), &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("hi"));
        assert_eq!(fault.decide(&testing::call(&request, 1)).expect("a verdict"), Verdict::Hang(1_500));
    }

    #[test]
    fn every_mistake_is_reported() {
        let pointers = |options: Value| -> Vec<String> {
            let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
            problems.into_iter().map(|problem| problem.pointer).collect()
        };
        assert_eq!(pointers(json!({"rate": 2, "for": "2h", "at": "start"})), ["/rate", "/for", "/at"]);
        assert_eq!(pointers(json!({})), [""]);
    }
}
