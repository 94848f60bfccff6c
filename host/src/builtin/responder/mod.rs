//! Native responders: what is answered, and the writers that turn "37 tokens of prose" or "JSON of this schema" into bytes.
//!
//! [`text`] generates; [`fixed`] and [`echo`] know their text; [`template`] fills one in; [`fixtures`] look for one that fits the
//! request; [`tool_calls`] calls tools; [`conversation`] goes through steps, each a responder of its own. [`style`] writes text in
//! several shapes and languages, [`json_schema`] instances of JSON Schemas. `length` and `calls` are options that several share.

use std::sync::Arc;

use crate::behavior::call::Call;
use crate::behavior::catalog::{Catalog, Maker};
use crate::behavior::responder::Responder;
use crate::random::Key;

mod calls;
pub mod conversation;
pub mod echo;
mod file;
pub mod fixed;
pub mod fixtures;
pub mod json_schema;
mod length;
mod nested;
pub mod style;
pub mod template;
pub mod text;
pub mod tool_calls;

/// Every native responder by name.
fn makers() -> [(&'static str, Arc<dyn Maker<dyn Responder>>); 7] {
    [
        ("text", Arc::new(text::Make)),
        ("fixed", Arc::new(fixed::Make)),
        ("echo", Arc::new(echo::Make)),
        ("template", Arc::new(template::Make)),
        ("fixtures", Arc::new(fixtures::Make)),
        ("tool-calls", Arc::new(tool_calls::Make)),
        ("conversation", Arc::new(conversation::Make)),
    ]
}

/// Adds every native responder, style of text and the writer of JSON.
pub fn register(catalog: &mut Catalog) {
    catalog.responder.extend(makers().map(|(name, maker)| (name.to_owned(), maker)));
    style::register(&mut catalog.styles);
    catalog.json = Some(Arc::new(json_schema::SchemaWriter::new()));
}

/// The key of the draw called `name` for choice number `choice`. The first choice has the call's own, see [`Call::draw`].
fn choice_key(call: &Call<'_>, choice: u32, name: &str) -> Key {
    let key = Key::of_seed(call.seed).named(name);
    if choice == 0 { key } else { key.with(choice.into()) }
}

/// The draw called `name` for choice number `choice`, in [0, 1).
fn draw(call: &Call<'_>, choice: u32, name: &str) -> f64 {
    if choice == 0 {
        return call.draw(name);
    }
    let value = choice_key(call, choice, name).unit();
    if let Some(draws) = call.draws {
        draws.note(&format!("{name} of choice {choice}"), value);
    }
    value
}
