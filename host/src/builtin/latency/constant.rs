//! `constant`: the first token after one duration, each next one after another.
//!
//! Options: `first` and `between`, durations from 0 to `1h`, both 0 if not given. The one to measure the simulator with, since
//! whatever differs from it is not the model's doing.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::latency::{Delay, Latency, Schedule};
use crate::grammar::unit::delay_us;
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Constant`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Latency> for Make {
    fn summary(&self) -> &str {
        "the same delay before every token: `first`, then `between`"
    }

    fn schema(&self) -> Value {
        schema::object([
            ("first", schema::duration("From the request to the first token.")),
            ("between", schema::duration("From one token to the next.")),
        ])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Latency>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let first_us = delay_us(&mut fields, "first").unwrap_or(0);
        let between_us = delay_us(&mut fields, "between").unwrap_or(0);
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Constant { first_us, between_us })),
            problems => Err(problems),
        }
    }
}

/// The same delay before every token.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    first_us: u32,
    between_us: u32,
}

impl Latency for Constant {
    fn plan(&self, _call: &Call<'_>, _output_tokens: u32) -> Result<Schedule, BehaviorError> {
        Ok(Schedule { first: Delay::Us(self.first_us), between: Delay::Us(self.between_us), pauses: Vec::new(), rules: None })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn the_schedule_is_what_the_options_say() {
        let model = Make.make(&json!({"first": "350ms", "between": "20ms"}), &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("hi"));
        let schedule = model.plan(&testing::call(&request, 1), 10).expect("a schedule");
        assert_eq!(schedule, Schedule { first: Delay::Us(350_000), between: Delay::Us(20_000), pauses: Vec::new(), rules: None });
    }

    #[test]
    fn every_mistake_is_reported() {
        let options = json!({"first": "2h", "between": 20, "betwen": "1ms"});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/first", "/between", "/betwen"]);
    }
}
