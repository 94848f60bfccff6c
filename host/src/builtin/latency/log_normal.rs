//! `log-normal`: delays with a long tail, given by their median and 99th percentile as dashboards show them.
//!
//! Options: `first` and `between`, each a map of `p50` and `p99` (durations, `p99` at least `p50`) and optionally `max`, beyond
//! which no delay goes. Only the rule is decided here; the plan draws from it, so a long reply costs no memory.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::latency::{Delay, Latency, LogNormal, Schedule};
use crate::builtin::latency::delay_us;
use crate::types::fields::Fields;
use crate::types::problem::Problem;

/// Makes [`LogNormalDelays`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Latency> for Make {
    fn summary(&self) -> &str {
        "delays with a long tail, by median and 99th percentile: `first` and `between`, each {p50, p99, max}"
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Latency>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let first = quantiles(&mut fields, "first");
        let between = quantiles(&mut fields, "between");
        let problems = fields.finish();
        match (first, between) {
            (Some(first), Some(between)) if problems.is_empty() => Ok(Arc::new(LogNormalDelays { first, between })),
            _ => Err(problems),
        }
    }
}

/// Reads one `{p50, p99, max}`. `None` means that a mistake has been noted.
fn quantiles(fields: &mut Fields<'_>, name: &'static str) -> Option<LogNormal> {
    fields.require(name);
    let value = fields.value(name)?;
    let mut inner = Fields::of(value, fields.pointer(name));
    inner.require("p50");
    inner.require("p99");
    let p50_us = delay_us(&mut inner, "p50");
    let p99_us = delay_us(&mut inner, "p99");
    let max_us = delay_us(&mut inner, "max");
    if let (Some(p50), Some(p99)) = (p50_us, p99_us)
        && p99 < p50
    {
        inner.problem("p99", "`p99` is shorter than `p50`; give the larger of the two as `p99`");
    }
    if p50_us == Some(0) && p99_us.is_some_and(|p99| p99 > 0) {
        inner.problem("p50", "no log-normal has a `p50` of 0 and a longer `p99`; give a `p50` such as `1ms`");
    }
    if let (Some(p50), Some(max)) = (p50_us, max_us)
        && max < p50
    {
        inner.problem("max", "`max` is shorter than `p50`, so more than half of the delays would be cut; raise `max`");
    }
    let problems = inner.finish();
    let good = problems.is_empty();
    fields.extend(problems);
    match (p50_us, p99_us) {
        (Some(p50_us), Some(p99_us)) if good => Some(LogNormal { p50_us, p99_us, cap_us: max_us.unwrap_or(0) }),
        _ => None,
    }
}

/// Log-normal delays.
#[derive(Debug, Clone, Copy)]
pub struct LogNormalDelays {
    first: LogNormal,
    between: LogNormal,
}

impl Latency for LogNormalDelays {
    fn plan(&self, _call: &Call<'_>, _output_tokens: u32) -> Result<Schedule, BehaviorError> {
        let (first, between) = (Delay::LogNormal(self.first), Delay::LogNormal(self.between));
        Ok(Schedule { first, between, pauses: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn the_schedule_is_what_the_options_say() {
        let options = json!({"first": {"p50": "300ms", "p99": "1.2s", "max": "5s"}, "between": {"p50": "18ms", "p99": "60ms"}});
        let model = Make.make(&options, &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("hi"));
        let schedule = model.plan(&testing::call(&request, 1), 10).expect("a schedule");
        let first = LogNormal { p50_us: 300_000, p99_us: 1_200_000, cap_us: 5_000_000 };
        let between = LogNormal { p50_us: 18_000, p99_us: 60_000, cap_us: 0 };
        let expected = Schedule { first: Delay::LogNormal(first), between: Delay::LogNormal(between), pauses: Vec::new() };
        assert_eq!(schedule, expected);
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        let options = json!({"first": {"p50": "3s", "p99": "1s", "max": "2s", "p90": "1s"}});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/first/p99", "/first/max", "/first/p90", ""]);
    }
}
