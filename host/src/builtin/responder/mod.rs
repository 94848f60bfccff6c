//! Native responders: what is answered, and the writers that turn "37 tokens of prose" or "JSON of this schema" into bytes.
//!
//! [`text`] generates; [`fixed`] and [`echo`] know their text; [`template`] fills one in; [`fixtures`] look for one that fits the
//! request; [`tool_calls`] calls tools; [`conversation`] goes through steps, each a responder of its own. [`style`] writes text in
//! several shapes and languages, [`json_schema`] instances of JSON Schemas. Several share `length` and `calls`, which are options,
//! and `nested`, which makes the responders inside them.

use std::sync::Arc;

use crate::behavior::call::Call;
use crate::behavior::catalog::{Catalog, Maker};
use crate::behavior::responder::Responder;
use crate::random::Key;

mod calls;
pub mod conversation;
pub mod echo;
pub mod fixed;
pub mod fixtures;
pub mod json_schema;
mod length;
mod nested;
pub mod style;
pub mod template;
pub mod text;
pub mod tool_calls;

/// A responder's name and maker.
type Named = (&'static str, Arc<dyn Maker<dyn Responder>>);

/// Every native responder.
fn makers() -> [Named; 7] {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::behavior::catalog::Setting;

    #[test]
    fn what_a_maker_takes_its_schema_takes_and_misspelt_options_neither_takes() {
        let options = [
            ("text", json!({"tokens": {"p50": 3, "p99": 9}, "reasoning": "max-tokens", "style": "code", "language": "fr"})),
            (
                "text",
                json!({"tokens": {"share-of-max": "50%"}, "tools": {"call": ["a", {"name": "b", "arguments": {}}], "count": 2}}),
            ),
            ("text", json!({"tokens": {"min": 1, "max": 2}, "tools": "never"})),
            ("fixed", json!({"text": "a", "reasoning": "b"})),
            ("echo", json!({})),
            ("template", json!({"text": "{{ model }}", "tool-calls": [{"name": "a", "arguments": {"b": "{{ turn }}"}}]})),
            (
                "fixtures",
                json!({"entries": [{"match": {"user": {"not": "a"}, "tool-result": true}, "reply": "b"}], "otherwise": "echo"}),
            ),
            (
                "tool-calls",
                json!({"call": "a*", "count": {"min": 1, "max": 2}, "answer": {"fixed": {"text": "a"}}, "quote": true}),
            ),
            ("conversation", json!({"steps": ["a", {"text": {}}], "after": "repeat"})),
        ];
        for (name, maker) in makers() {
            let schema = maker.schema();
            let validator = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut seen = 0;
            for (_, options) in options.iter().filter(|(known, _)| *known == name) {
                if let Err(problems) = maker.make(options, &Setting::default()) {
                    panic!("{name}: {options}: {problems:?}");
                }
                let error = validator.iter_errors(options).next();
                assert!(error.is_none(), "{name}: {options}: {}", error.expect("an error"));
                seen += 1;
            }
            assert!(seen > 0, "no options for `{name}` here");
            let misspelt = json!({ "tokenz": 3 });
            assert!(maker.make(&misspelt, &Setting::default()).is_err() && !validator.is_valid(&misspelt), "{name}");
        }
    }
}
