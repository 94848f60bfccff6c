//! A native responder inside the options of another: a conversation's step, what a tool call ends in, what no fixture fits.
//!
//! Written as a scenario writes it: `name`, or `name: { options }`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::behavior::catalog::Setting;
use crate::behavior::responder::Responder;
use crate::builtin::responder::makers;
use crate::types::fields::{escape, kind_of};
use crate::types::problem::{Problem, did_you_mean};

/// Makes the responder that `value`, at `pointer`, asks for. The problems have pointers from where `pointer` starts.
pub(super) fn make(value: &Value, pointer: &str, setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
    let (name, options, below) = match value {
        Value::String(name) => (name.as_str(), &Value::Null, pointer.to_owned()),
        Value::Object(map) if map.len() == 1 => {
            let (name, options) = map.iter().next().expect("it has one field");
            (name.as_str(), options, format!("{pointer}/{}", escape(name)))
        }
        Value::Object(map) => {
            let message = format!("expected one responder such as `text: {{ tokens: 40 }}`, found {} fields", map.len());
            return Err(vec![Problem::new(pointer, message)]);
        }
        other => {
            let message = format!("expected a native responder such as `text: {{ tokens: 40 }}`, found {}", kind_of(other));
            return Err(vec![Problem::new(pointer, message)]);
        }
    };
    let makers = makers();
    let Some((_, maker)) = makers.iter().find(|(known, _)| *known == name) else {
        let names = makers.iter().map(|(known, _)| *known);
        let hint = match did_you_mean(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("native ones: {}", names.collect::<Vec<_>>().join(", ")),
        };
        let problem = Problem::new(&below, format!("there is no native responder `{name}`")).hint(hint);
        return Err(vec![if value.is_object() { problem.at_key() } else { problem }]);
    };
    maker.make(options, setting).map_err(|problems| problems.into_iter().map(|problem| problem.under(&below)).collect())
}

/// The schema of a nested responder, as far as it goes without repeating all of them inside each other.
pub(super) fn schema(description: &str) -> Value {
    let names: Vec<_> = makers().iter().map(|(name, _)| *name).collect();
    let one: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    json!({
        "description": description,
        "anyOf": [
            { "enum": names },
            { "type": "object", "properties": one, "minProperties": 1, "maxProperties": 1, "additionalProperties": false },
        ],
    })
}
