//! `none`: nothing fails.
//!
//! No options. Of use as a fallback and to switch off faults that a scenario's defaults would bring.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, Verdict};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Nothing`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "nothing fails"
    }

    fn schema(&self) -> Value {
        schema::object([])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        match Fields::of(options, "").finish() {
            problems if problems.is_empty() => Ok(Arc::new(Nothing)),
            problems => Err(problems),
        }
    }
}

/// Lets every request pass.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Fault for Nothing {
    fn decide(&self, _call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        Ok(Verdict::Pass)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn every_request_passes() {
        let fault = Make.make(&Value::Null, &Setting::default()).expect("no options");
        let request = Arc::new(testing::request("hi"));
        assert_eq!(fault.decide(&testing::call(&request, 1)).expect("a verdict"), Verdict::Pass);
    }

    #[test]
    fn options_are_refused_since_there_are_none() {
        let problems = Make.make(&json!({"rate": "5%"}), &Setting::default()).err().expect("a mistake");
        assert_eq!(problems[0].hint.as_deref(), Some("there are no fields here"));
    }
}
