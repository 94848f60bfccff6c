//! Native latency models: each answers with a rule, and the machines draw from it.
//!
//! [`constant`] is the same for every token; [`delays`] gives each delay its own law, and the short forms (`log-normal`, `gamma` …)
//! both the same. [`law`] is the grammar of a law, [`parameters`] and [`empirical`] what each kind of law is made of.

use std::sync::Arc;

use crate::behavior::catalog::Makers;
use crate::behavior::latency::Latency;
use crate::types::fields::Fields;
use crate::types::limits::DELAY_US_MAX;

pub mod constant;
pub mod delays;
mod empirical;
pub mod law;
mod parameters;

/// Adds every native latency model.
pub fn register(makers: &mut Makers<dyn Latency>) {
    makers.insert("constant".to_owned(), Arc::new(constant::Make));
    makers.insert("delays".to_owned(), Arc::new(delays::Make::any()));
    for kind in law::KINDS.iter().filter(|kind| kind.name != "constant") {
        makers.insert(kind.name.to_owned(), Arc::new(delays::Make::of(kind)));
    }
}

/// The duration `name` in microseconds, or `None` if it is absent or wrong; longer than an hour is a mistake.
fn delay_us(fields: &mut Fields<'_>, name: &'static str) -> Option<u32> {
    let us = fields.duration_us(name)?;
    match u32::try_from(us) {
        Ok(short) if us <= DELAY_US_MAX => Some(short),
        _ => {
            fields.problem(name, format!("`{name}` is longer than an hour; give a delay of at most `1h`"));
            None
        }
    }
}
