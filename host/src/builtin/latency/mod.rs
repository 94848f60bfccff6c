//! Native latency models: each answers with a rule, and the machines draw from it.
//!
//! [`constant`] is the same for every token; [`delays`] gives each delay its own law, and the short forms (`log-normal`, `gamma` …)
//! both the same. How a law is written is in [`grammar::law`](crate::grammar::law).

use std::sync::Arc;

use crate::behavior::catalog::Makers;
use crate::behavior::latency::Latency;
use crate::grammar::law;

pub mod constant;
pub mod delays;

/// Adds every native latency model.
pub fn register(makers: &mut Makers<dyn Latency>) {
    makers.insert("constant".to_owned(), Arc::new(constant::Make));
    makers.insert("delays".to_owned(), Arc::new(delays::Make::any()));
    for kind in law::KINDS.iter().filter(|kind| kind.name != "constant") {
        makers.insert(kind.name.to_owned(), Arc::new(delays::Make::of(kind)));
    }
}
