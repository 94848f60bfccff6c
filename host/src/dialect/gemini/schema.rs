//! The vendor's own way to write a JSON Schema: types in capitals (`OBJECT`), and `nullable`. Whoever writes an instance wants the usual
//! way, so it is made from that here.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::dialect::json::path::Path;
use crate::dialect::json::schema::check_depth;
use crate::types::mistake::{Mistake, What};

/// `schema` at `path` in the usual way. `owner` says whose it is.
pub(super) fn usual(schema: &RawValue, path: Path<'_>, owner: impl Fn() -> String) -> Result<Arc<RawValue>, Mistake> {
    let bad = |reason: String| path.mistake(What::Schema { owner: owner().into(), reason: reason.into() });
    check_depth(schema).map_err(&bad)?;
    let mut value: Value = serde_json::from_str(schema.get()).map_err(|error| bad(error.to_string()))?;
    if !value.is_object() {
        return Err(bad("it is no object".to_owned()));
    }
    rewrite(&mut value);
    to_raw_value(&value).map(Arc::from).map_err(|error| bad(error.to_string()))
}

/// Writes the types in `schema` small, all the way down.
fn rewrite(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let is_nullable = fields.remove("nullable") == Some(Value::Bool(true));
    if let Some(Value::String(kind)) = fields.get_mut("type") {
        kind.make_ascii_lowercase();
        if is_nullable {
            let both = Value::from(vec![kind.clone(), "null".to_owned()]);
            fields.insert("type".to_owned(), both);
        }
    }
    for (name, value) in fields.iter_mut() {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(inner)) => inner.values_mut().for_each(rewrite),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(inner)) => inner.iter_mut().for_each(rewrite),
            ("items" | "additionalProperties", inner) => rewrite(inner),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_small_all_the_way_down_and_values_stay() {
        let given = r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","enum":["OBJECT"],"nullable":true},"l":{"type":"ARRAY","items":{"anyOf":[{"type":"NUMBER"}]}}}}"#;
        let given = RawValue::from_string(given.to_owned()).unwrap();
        let made = usual(&given, Path::root(false), String::new).unwrap();
        let made: Value = serde_json::from_str(made.get()).unwrap();
        assert_eq!(
            made,
            serde_json::json!({"type": "object", "properties": {
                "type": {"type": ["string", "null"], "enum": ["OBJECT"]},
                "l": {"type": "array", "items": {"anyOf": [{"type": "number"}]}},
            }})
        );
    }
}
