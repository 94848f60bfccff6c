//! Native latency models: each answers with a rule, and the machines draw from it.
//!
//! [`constant`] is the same for every token; [`log_normal`] has the shape that hosted APIs show.

use std::sync::Arc;

use crate::behavior::catalog::Makers;
use crate::behavior::latency::Latency;
use crate::types::fields::Fields;
use crate::types::limits::DELAY_US_MAX;

pub mod constant;
pub mod log_normal;

/// Adds every native latency model.
pub fn register(makers: &mut Makers<dyn Latency>) {
    makers.insert("constant".to_owned(), Arc::new(constant::Make));
    makers.insert("log-normal".to_owned(), Arc::new(log_normal::Make));
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
