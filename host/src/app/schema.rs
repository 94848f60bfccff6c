//! The schema of scenario files with every behaviour of this program in it: native ones and the standard pack.

use serde_json::Value;

use crate::app::StartError;
use crate::app::workshop::Workshop;
use crate::behavior::catalog::Makers;
use crate::clock::real::RealClock;
use crate::scenario::schema::{Behaviours, Known, scenarios};

/// JSON Schema of scenario files.
pub fn schema() -> Result<Value, StartError> {
    let catalog = Workshop::open(RealClock::start(), None, 1)?.full_catalog()?;
    let behaviours =
        Behaviours { latency: known(&catalog.latency), faults: known(&catalog.fault), reply: known(&catalog.responder) };
    Ok(scenarios(&behaviours))
}

fn known<B: ?Sized>(makers: &Makers<B>) -> Vec<Known> {
    let mut known = Vec::with_capacity(makers.len());
    for (name, maker) in makers {
        known.push(Known { name: name.clone(), summary: maker.summary().to_owned(), options: maker.schema() });
    }
    known
}
