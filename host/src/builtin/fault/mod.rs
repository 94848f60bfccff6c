//! Native faults: each answers with a verdict, and the machines act on it.
//!
//! [`none`] lets everything pass; [`http_error`] refuses a share of the requests. The others act on the connection or inside the
//! reply: [`hang`] sends nothing, [`cut`] ends too early, [`stall`] pauses, [`error_event`] ends a stream with the vendor's error.
//! Where in a reply they act is written as `position.rs` says.

use std::sync::Arc;

use crate::behavior::call::Call;
use crate::behavior::catalog::Makers;
use crate::behavior::fault::Fault;
use crate::types::fields::Fields;
use crate::types::limits::DELAY_US_MAX;

pub mod cut;
pub mod error_event;
pub mod hang;
pub mod http_error;
pub mod none;
mod position;
pub mod stall;

/// Adds every native fault.
pub fn register(makers: &mut Makers<dyn Fault>) {
    makers.insert("none".to_owned(), Arc::new(none::Make));
    makers.insert("http-error".to_owned(), Arc::new(http_error::Make));
    makers.insert("hang".to_owned(), Arc::new(hang::Make));
    makers.insert("cut".to_owned(), Arc::new(cut::Make));
    makers.insert("stall".to_owned(), Arc::new(stall::Make));
    makers.insert("error-event".to_owned(), Arc::new(error_event::Make));
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

    #[test]
    fn every_fault_with_a_rate_strikes_that_share_of_the_calls() {
        let mut makers = Makers::default();
        register(&mut makers);
        let request = Arc::new(testing::request("hi"));
        let cases = [
            ("http-error", json!({"rate": "20%", "status": 500})),
            ("hang", json!({"rate": "20%", "for": "1s"})),
            ("cut", json!({"rate": "20%", "at": "50%"})),
            ("stall", json!({"rate": "20%", "for": "1s", "at": "token 3"})),
            ("error-event", json!({"rate": "20%", "at": "token 3"})),
        ];
        for (name, options) in cases {
            let fault =
                makers[name].make(&options, &Setting::default()).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
            let is_hit = |seed: &u64| fault.decide(&testing::call(&request, *seed)).expect("a verdict") != Verdict::Pass;
            let hits = (0..10_000_u64).filter(is_hit).count() as f64;
            // Four standard deviations of a fair draw.
            assert!((hits - 2_000.0).abs() < 4.0 * (10_000.0_f64 * 0.2 * 0.8).sqrt(), "{name}: {hits} hits");
        }
    }
}
