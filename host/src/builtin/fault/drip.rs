//! `drip`: a share of the replies leaves at no more than so many bytes a second.
//!
//! Options: `bytes-per-second` (a whole number from 1, required), `rate` (a share, all if not given). Each attempt of a request is
//! drawn anew. The drip begins when the reply's head is due. On HTTP/1.1 the head drips, too; on HTTP/2 the head leaves as always and
//! the data drips, since other streams share the connection.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, Verdict};
use crate::builtin::fault::{rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::limits::DRIP_BYTES_PER_S_MAX;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Drip`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the replies leaves byte by byte: `rate`, `bytes-per-second`"
    }

    fn schema(&self) -> Value {
        let speed = schema::integer("How many bytes leave in a second.", 1..=DRIP_BYTES_PER_S_MAX);
        schema::object([("rate", rate_schema()), ("bytes-per-second!", speed)])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("bytes-per-second");
        let rate = fields.share("rate").unwrap_or(1.0);
        let bytes_per_s = fields.integer("bytes-per-second", 1..=DRIP_BYTES_PER_S_MAX).unwrap_or(1) as u32;
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Drip { rate, bytes_per_s })),
            problems => Err(problems),
        }
    }
}

/// Lets a share of the replies drip.
#[derive(Debug, Clone)]
pub struct Drip {
    rate: f64,
    bytes_per_s: u32,
}

impl Fault for Drip {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        Ok(if strikes("drip", self.rate, call) { Verdict::Drip(self.bytes_per_s) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn a_drip_is_as_fast_as_the_options_say() {
        let fault = Make.make(&json!({"bytes-per-second": 20}), &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("hi"));
        assert_eq!(fault.decide(&testing::call(&request, 1)).expect("a verdict"), Verdict::Drip(20));
    }

    #[test]
    fn every_mistake_is_reported() {
        let pointers = |options: Value| -> Vec<String> {
            let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
            problems.into_iter().map(|problem| problem.pointer).collect()
        };
        assert_eq!(pointers(json!({"rate": 2, "bytes-per-second": 0, "at": "start"})), ["/rate", "/bytes-per-second", "/at"]);
        assert_eq!(pointers(json!({})), [""]);
    }
}
