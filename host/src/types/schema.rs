//! Words for the JSON Schema of what people write: an editor completes fields and shows their descriptions with it.
//!
//! A schema is only help while typing. What judges is the code that reads the value with [`crate::types::fields::Fields`].

use serde_json::{Map, Value, json};

/// A map with these fields and no others. A name that ends in `!` must be there.
pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in fields {
        let bare = name.trim_end_matches('!');
        if bare.len() < name.len() {
            required.push(bare.to_owned());
        }
        properties.insert(bare.to_owned(), schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A text.
pub fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// `true` or `false`.
pub fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

/// A whole number within `range`.
pub fn integer(description: &str, range: std::ops::RangeInclusive<u64>) -> Value {
    json!({ "type": "integer", "minimum": range.start(), "maximum": range.end(), "description": description })
}

/// A number within `range`.
pub fn number(description: &str, range: std::ops::RangeInclusive<f64>) -> Value {
    json!({ "type": "number", "minimum": range.start(), "maximum": range.end(), "description": description })
}

/// A share such as `5%` or `0.05`.
pub fn share(description: &str) -> Value {
    json!({ "type": ["string", "number"], "description": format!("{description} A share such as `5%` or `0.05`."), "examples": ["5%"] })
}

/// A duration such as `350ms`.
pub fn duration(description: &str) -> Value {
    json!({ "type": ["string", "integer"], "description": format!("{description} A duration such as `350ms` or `1.5s`."), "examples": ["350ms"] })
}

/// One of `words`.
pub fn word(description: &str, words: &[&str]) -> Value {
    json!({ "enum": words, "description": description })
}

/// A list of `items`.
pub fn list(description: &str, items: Value) -> Value {
    json!({ "type": "array", "items": items, "description": description })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_with_an_exclamation_mark_is_required() {
        let schema = object([("rate", share("How many.")), ("status!", integer("Which.", 400..=599))]);
        assert_eq!(schema["required"], json!(["status"]));
        assert_eq!(schema["properties"]["status"]["maximum"], 599);
        assert_eq!(schema["additionalProperties"], false);
    }
}
