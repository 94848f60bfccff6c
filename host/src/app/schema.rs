//! Descriptions for other programs: the schema of scenario files with every behaviour of this program in it, native ones and the
//! standard pack; and what the port for clients serves.

use serde_json::Value;

use crate::app::StartError;
use crate::app::workshop::Workshop;
use crate::behavior::catalog::Makers;
use crate::clock::real::RealClock;
use crate::scenario::schema::{Behaviours, Known, scenarios};
use crate::scenario::source::Source;

/// JSON Schema of scenario files.
pub fn schema() -> Result<Value, StartError> {
    let catalog = Workshop::open(RealClock::start(), None, 1)?.full_catalog()?;
    let behaviours =
        Behaviours { latency: known(&catalog.latency), faults: known(&catalog.fault), reply: known(&catalog.responder) };
    Ok(scenarios(&behaviours))
}

/// What the port for clients serves, as OpenAPI 3.1.
pub fn api() -> Value {
    const DESCRIPTION: &str = include_str!("../../assets/openapi.yaml");
    // It is built in, and a test reads it.
    Source::parse("openapi.yaml", DESCRIPTION).map(|source| source.value).unwrap_or_default()
}

fn known<B: ?Sized>(makers: &Makers<B>) -> Vec<Known> {
    let mut known = Vec::with_capacity(makers.len());
    for (name, maker) in makers {
        known.push(Known { name: name.clone(), summary: maker.summary().to_owned(), options: maker.schema() });
    }
    known
}
