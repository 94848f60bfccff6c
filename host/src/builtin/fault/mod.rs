//! Native faults: each answers with a verdict, and the machines act on it.
//!
//! [`none`] lets everything pass; [`http_error`] refuses a share of the requests.

use std::sync::Arc;

use crate::behavior::catalog::Makers;
use crate::behavior::fault::Fault;

pub mod http_error;
pub mod none;

/// Adds every native fault.
pub fn register(makers: &mut Makers<dyn Fault>) {
    makers.insert("none".to_owned(), Arc::new(none::Make));
    makers.insert("http-error".to_owned(), Arc::new(http_error::Make));
}
