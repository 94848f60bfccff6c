//! JSON that breaks its schema on purpose, by construction: one keyword that the value fulfilled is broken, and since a schema's
//! keywords all have to hold, the value no longer fits, whatever else the schema says.
//!
//! Looked at are `required`, the `type` of properties, and `additionalProperties: false`, at the top. Where a schema has none of them,
//! the whole is put into a list, which no vendor's schema allows: they all want an object.

use serde_json::{Map, Value, json};

/// The member that no schema knows.
const UNEXPECTED: &str = "unexpected_member";

/// Ways to break a value.
#[derive(Clone, Copy)]
enum Way {
    /// A required member is not there.
    Missing,
    /// A member has a value of another type.
    WrongType,
    /// There is a member too many.
    Unexpected,
    /// The text is no JSON.
    NoJson,
}

/// Arguments of a tool call that do not fit `schema`: no JSON, a wrong type or a missing member, whichever of these `draw` (in
/// [0, 1)) chooses. What the schema cannot be broken by becomes no JSON.
pub(super) fn of_arguments(arguments: &str, schema: Option<&Value>, draw: f64) -> String {
    const WAYS: [Way; 3] = [Way::NoJson, Way::WrongType, Way::Missing];
    let way = WAYS[((draw * 3.0) as usize).min(2)];
    let broken = match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(members)) => break_members(&members, schema, way, draw),
        _ => None,
    };
    broken.unwrap_or_else(|| no_json(arguments))
}

/// JSON that does not fit `schema` (or, without one, is no object), in a way that `draw` (in [0, 1)) chooses. `None` if `text` was no
/// JSON object in the first place.
pub(super) fn of_structure(text: &str, schema: Option<&Value>, draw: f64) -> Option<String> {
    const WAYS: [Way; 3] = [Way::Missing, Way::WrongType, Way::Unexpected];
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(text) else { return None };
    let first = ((draw * 3.0) as usize).min(2);
    let mut broken = (0..3).filter_map(|turn| break_members(&members, schema, WAYS[(first + turn) % 3], draw));
    Some(broken.next().unwrap_or_else(|| Value::Array(vec![Value::Object(members.clone())]).to_string()))
}

fn no_json(text: &str) -> String {
    // Without its last character no object is whole.
    let kept = text.trim_end();
    match kept.char_indices().last() {
        Some((last, _)) if kept.starts_with('{') => kept[..last].to_owned(),
        _ => "{".to_owned(),
    }
}

/// `members` broken in one way, or `None` if `schema` cannot be broken that way. `draw` chooses the member.
fn break_members(members: &Map<String, Value>, schema: Option<&Value>, way: Way, draw: f64) -> Option<String> {
    let schema = schema?.as_object()?;
    let mut broken = members.clone();
    match way {
        Way::Missing => {
            let required = schema.get("required")?.as_array()?;
            let there: Vec<&str> = required.iter().filter_map(Value::as_str).filter(|name| members.contains_key(*name)).collect();
            broken.shift_remove(*choose(&there, draw)?);
        }
        Way::WrongType => {
            let properties = schema.get("properties")?.as_object()?;
            let typed = |name: &String| Some((name.clone(), of_another_type(properties.get(name)?.get("type")?)?));
            let typed: Vec<(String, Value)> = members.keys().filter_map(typed).collect();
            let (name, value) = choose(&typed, draw)?.clone();
            broken.insert(name, value);
        }
        Way::Unexpected => {
            let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
            if !is_closed || schema.contains_key("patternProperties") || broken.contains_key(UNEXPECTED) {
                return None;
            }
            if schema.get("properties").is_some_and(|properties| properties.get(UNEXPECTED).is_some()) {
                return None;
            }
            broken.insert(UNEXPECTED.to_owned(), Value::Bool(true));
        }
        Way::NoJson => return None,
    }
    Some(Value::Object(broken).to_string())
}

fn choose<T>(from: &[T], draw: f64) -> Option<&T> {
    // The draw has chosen the way with its first bits; what is left of it chooses here.
    let rest = (draw * 3.0).fract();
    from.get(((rest * from.len() as f64) as usize).min(from.len().saturating_sub(1)))
}

/// A value of none of the types in `allowed`, which is a name or a list of names; `None` if it allows everything.
fn of_another_type(allowed: &Value) -> Option<Value> {
    let names: Vec<&str> = match allowed {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let allows = |name: &str| names.contains(&name) || name == "integer" && names.contains(&"number");
    let others = [
        ("string", json!("forty-two")),
        ("integer", json!(42)),
        ("boolean", json!(true)),
        ("array", json!([])),
        ("object", json!({})),
        ("null", Value::Null),
    ];
    others.into_iter().find(|(name, _)| !allows(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws() -> impl Iterator<Item = f64> {
        (0..300).map(|index| f64::from(index) / 300.0)
    }

    fn schemas() -> Vec<(Value, Value)> {
        let strict = json!({
            "type": "object", "required": ["city", "days", "unit"], "additionalProperties": false,
            "properties": {
                "city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}, "unit": {"enum": ["c", "f"]},
                "note": {"type": ["string", "null"]},
            },
        });
        let loose = json!({"type": "object", "properties": {"anything": {}}});
        let everything = json!({
            "type": "object",
            "properties": {"x": {"type": ["string", "number", "boolean", "array", "object", "null"]}},
        });
        let numbers = json!({"type": "object", "properties": {"x": {"type": "number"}}, "anyOf": [{"required": ["x"]}, {}]});
        vec![
            (strict, json!({"city": "Oslo", "days": 3, "unit": "c", "note": null})),
            (loose, json!({"anything": [1, 2]})),
            (everything, json!({"x": "y"})),
            (numbers, json!({"x": 1.5})),
            (json!({"type": "object"}), json!({})),
        ]
    }

    #[test]
    fn structures_are_json_that_never_fits_the_schema() {
        for (schema, value) in schemas() {
            let judge = jsonschema::validator_for(&schema).expect("a schema");
            assert!(judge.is_valid(&value), "{value}");
            for draw in draws() {
                let spoilt = of_structure(&value.to_string(), Some(&schema), draw).expect("an object");
                let spoilt: Value = serde_json::from_str(&spoilt).expect("JSON all the same");
                assert!(!judge.is_valid(&spoilt), "draw {draw}: {spoilt} fits {schema}");
            }
        }
        assert_eq!(of_structure("just words", None, 0.5), None);
        assert_eq!(of_structure("{\"a\":1}", None, 0.5).as_deref(), Some("[{\"a\":1}]"));
    }

    #[test]
    fn arguments_never_fit_the_schema_and_break_in_all_three_ways() {
        for (schema, value) in schemas() {
            let judge = jsonschema::validator_for(&schema).expect("a schema");
            for draw in draws() {
                let spoilt = of_arguments(&value.to_string(), Some(&schema), draw);
                let fits = serde_json::from_str::<Value>(&spoilt).is_ok_and(|spoilt| judge.is_valid(&spoilt));
                assert!(!fits, "draw {draw}: {spoilt} fits {schema}");
            }
        }
        let (schema, value) = &schemas()[0];
        let [no_json, wrong_type, missing] = [0.1, 0.4, 0.9].map(|draw| of_arguments(&value.to_string(), Some(schema), draw));
        assert!(serde_json::from_str::<Value>(&no_json).is_err(), "{no_json}");
        assert_eq!(serde_json::from_str::<Value>(&wrong_type).expect("JSON").as_object().map(Map::len), Some(4), "{wrong_type}");
        assert_eq!(serde_json::from_str::<Value>(&missing).expect("JSON").as_object().map(Map::len), Some(3), "{missing}");
    }

    #[test]
    fn arguments_without_a_schema_or_without_json_are_no_json() {
        for arguments in ["{}", "{\"a\":1}", "", "not json", " {\"a\": \"é\"} "] {
            for draw in [0.0, 0.5, 0.9] {
                let spoilt = of_arguments(arguments, None, draw);
                assert!(serde_json::from_str::<Value>(&spoilt).is_err(), "{spoilt}");
            }
        }
    }
}
