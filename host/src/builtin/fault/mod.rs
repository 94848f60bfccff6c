//! Native faults: each answers with a verdict, and the machines act on it.
//!
//! [`none`] lets everything pass. Refused before there is a reply: [`http_error`], [`context_length`]. On the connection: [`hang`]
//! sends nothing, [`reset`] ends before the first byte, [`cut`] too early, [`drip`] lets bytes leave one by one. Inside the reply:
//! [`stall`] pauses, [`error_event`] ends a stream with the vendor's error, [`finish`] ends it in order but early, [`damage`] spoils
//! it. Where in a reply they act is written as [`crate::behavior::position`] says.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::Call;
use crate::behavior::catalog::Makers;
use crate::behavior::fault::Fault;
use crate::types::fields::Fields;
use crate::types::limits::DELAY_US_MAX;
use crate::types::schema;

pub mod context_length;
pub mod cut;
pub mod damage;
pub mod drip;
pub mod error_event;
pub mod finish;
pub mod hang;
pub mod http_error;
pub mod none;
mod position;
pub mod reset;
pub mod stall;

/// Adds every native fault.
pub fn register(makers: &mut Makers<dyn Fault>) {
    makers.insert("none".to_owned(), Arc::new(none::Make));
    makers.insert("http-error".to_owned(), Arc::new(http_error::Make));
    makers.insert("context-length".to_owned(), Arc::new(context_length::Make));
    makers.insert("hang".to_owned(), Arc::new(hang::Make));
    makers.insert("reset".to_owned(), Arc::new(reset::Make));
    makers.insert("cut".to_owned(), Arc::new(cut::Make));
    makers.insert("drip".to_owned(), Arc::new(drip::Make));
    makers.insert("stall".to_owned(), Arc::new(stall::Make));
    makers.insert("error-event".to_owned(), Arc::new(error_event::Make));
    makers.insert("length".to_owned(), Arc::new(finish::Make::Length));
    makers.insert("content-filter".to_owned(), Arc::new(finish::Make::ContentFilter));
    makers.insert("refusal".to_owned(), Arc::new(finish::Make::Refusal));
    for (kind, summary) in damage::TABLE {
        makers.insert(kind.name().to_owned(), Arc::new(damage::Make { kind, summary }));
    }
}

/// What an editor is told of the option `rate`.
fn rate_schema() -> Value {
    schema::share("How many of the requests it strikes; all if not given.")
}

/// Does the fault `name` strike this call? Each attempt of a request is drawn anew.
fn strikes(name: &str, rate: f64, call: &Call<'_>) -> bool {
    call.strikes(name, rate)
}

/// A delay of at most an hour in whole milliseconds, rounded up, so that nothing that waits for it is ever early.
fn delay_ms(fields: &mut Fields<'_>, name: &'static str) -> Option<u32> {
    let us = fields.duration_us(name)?;
    if us > DELAY_US_MAX {
        fields.problem(name, format!("`{name}` is longer than an hour; give at most `1h`"));
        return None;
    }
    Some(us.div_ceil(1_000) as u32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::behavior::catalog::Setting;
    use crate::behavior::fault::Verdict;
    use crate::builtin::testing;
    use crate::random::Key;

    /// Options that each fault needs besides `rate`.
    fn needed(name: &str) -> Value {
        match name {
            "http-error" => json!({"status": 500}),
            "hang" => json!({"for": "1s"}),
            "cut" | "error-event" => json!({"at": "50%"}),
            "stall" => json!({"for": "1s", "at": "token 3"}),
            "drip" => json!({"bytes-per-second": 20}),
            _ => json!({}),
        }
    }

    fn makers() -> Makers<dyn Fault> {
        let mut makers = Makers::default();
        register(&mut makers);
        makers
    }

    /// How many of `calls` the fault `name` strikes at `rate`.
    fn hits(name: &str, rate: f64, calls: u64) -> u64 {
        let mut options = needed(name);
        options["rate"] = rate.into();
        let made = makers()[name].make(&options, &Setting::default());
        let fault = made.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let request = Arc::new(testing::request("hi"));
        // As the planner seeds them: one key for each request below the run's.
        let seed = |number: u64| Key::of_seed(7).named("event").with(number).named("fault").with(0).bits();
        let is_hit = |number: &u64| fault.decide(&testing::call(&request, seed(*number))).expect("a verdict") != Verdict::Pass;
        (0..calls).filter(is_hit).count() as u64
    }

    /// Is the number of hits inside the interval that holds 99.9 % of a binomial law? By its normal approximation with the correction
    /// for whole numbers, which is within a hit of the exact bounds where `calls * rate * (1 - rate)` is above a thousand (Abramowitz
    /// and Stegun 26.2.23 for the quantile).
    fn is_plausible(hits: u64, rate: f64, calls: u64) -> bool {
        const Z_999: f64 = 3.290_527;
        let (mean, deviation) = (calls as f64 * rate, (calls as f64 * rate * (1.0 - rate)).sqrt());
        assert!(deviation * deviation > 1_000.0, "too few calls for the normal law");
        (hits as f64 - mean).abs() <= Z_999 * deviation + 0.5
    }

    #[test]
    fn a_million_draws_are_inside_the_binomial_interval_at_every_rate() {
        for rate in [0.001_1, 0.01, 0.05, 0.333, 0.5, 0.98] {
            let found = hits("http-error", rate, 1_000_000);
            assert!(is_plausible(found, rate, 1_000_000), "{found} hits at {rate}");
        }
    }

    #[test]
    fn every_fault_with_a_rate_strikes_that_share_of_a_million_calls() {
        for name in makers().keys().filter(|name| *name != "none") {
            let found = hits(name, 0.2, 1_000_000);
            assert!(is_plausible(found, 0.2, 1_000_000), "{name}: {found} hits");
        }
    }

    #[test]
    fn a_rate_of_zero_strikes_nobody_and_of_one_everybody() {
        for name in makers().keys().filter(|name| *name != "none") {
            assert_eq!((hits(name, 0.0, 1_000), hits(name, 1.0, 1_000)), (0, 1_000), "{name}");
        }
    }

    #[test]
    fn every_fault_tells_editors_of_the_options_it_takes() {
        for (name, maker) in &makers() {
            let schema = maker.schema();
            let judge = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut options = needed(name);
            if name != "none" {
                options["rate"] = "5%".into();
            }
            assert!(judge.is_valid(&options), "{name}: {schema}");
            assert!(maker.make(&options, &Setting::default()).is_ok(), "{name}");
            let fields = schema["properties"].as_object().expect("fields").keys();
            let told: Vec<_> = maker.summary().split('`').skip(1).step_by(2).collect();
            assert!(fields.into_iter().all(|field| told.contains(&field.as_str())), "{name}: {}", maker.summary());
        }
    }
}
