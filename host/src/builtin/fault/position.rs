//! The option `at`: where in a reply a fault acts, as [`crate::behavior::position`] reads it.

use serde_json::{Value, json};

use crate::behavior::fault::Position;
use crate::behavior::position::ALLOWED;
use crate::types::fields::{Fields, kind_of};

/// The field `at`, which must be there. Notes a mistake that says what is allowed.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Position> {
    fields.require("at");
    read_optional(fields)
}

/// The field `at` if it is there. Notes a mistake that says what is allowed.
pub(super) fn read_optional(fields: &mut Fields<'_>) -> Option<Position> {
    let parsed = match fields.value("at")? {
        Value::String(text) => text.parse(),
        Value::Number(number) => Err(format!("`{number}` does not say of what; {ALLOWED}")),
        other => Err(format!("expected a place in the reply, found {}; {ALLOWED}", kind_of(other))),
    };
    parsed.map_err(|message| fields.problem("at", message)).ok()
}

/// What an editor is told of it.
pub(super) fn schema() -> Value {
    json!({
        "type": "string",
        "description": "Where in the reply: `start`, `token 12`, `50%` of the tokens, or `350ms` after the request.",
        "examples": ["start", "token 12", "50%", "350ms"],
    })
}
