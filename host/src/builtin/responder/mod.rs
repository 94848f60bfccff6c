//! Native responders: what is answered.
//!
//! [`fixed`] and [`echo`] know their text.

use std::sync::Arc;

use crate::behavior::catalog::Catalog;

pub mod echo;
pub mod fixed;

/// Adds every native responder.
pub fn register(catalog: &mut Catalog) {
    catalog.responder.insert("fixed".to_owned(), Arc::new(fixed::Make));
    catalog.responder.insert("echo".to_owned(), Arc::new(echo::Make));
}
