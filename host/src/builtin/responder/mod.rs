//! Native responders: what is answered, and the writers that turn "37 tokens of prose" or "JSON of this schema" into bytes.
//!
//! [`text`] generates, [`fixed`] and [`echo`] know their text. [`style`] writes text from `words`;
//! [`json_schema`] writes instances of JSON Schemas.

use std::sync::Arc;

use crate::behavior::catalog::Catalog;

pub mod echo;
pub mod fixed;
pub mod json_schema;
pub mod style;
pub mod text;
mod words;

/// Adds every native responder, style of text and the writer of JSON.
pub fn register(catalog: &mut Catalog) {
    catalog.responder.insert("text".to_owned(), Arc::new(text::Make));
    catalog.responder.insert("fixed".to_owned(), Arc::new(fixed::Make));
    catalog.responder.insert("echo".to_owned(), Arc::new(echo::Make));
    style::register(&mut catalog.styles);
    catalog.json = Some(Arc::new(json_schema::SchemaWriter::new()));
}
