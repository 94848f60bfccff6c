//! Schemas that clients send, schemas that no instance satisfies, and schemas made to do harm.
//!
//! The writer validates what it writes, so a test of what can be written only has to see that nothing is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn write(schema: &Value, seed: u64) -> Result<Value, SchemaRefused> {
    let raw = serde_json::value::to_raw_value(schema).expect("a schema");
    let text = SchemaWriter::new().write(&raw, seed)?;
    Ok(serde_json::from_str(&text).expect("JSON"))
}

/// Writes several instances; the writer itself validates each.
fn assert_writable(schema: &Value) {
    for seed in 0..20 {
        if let Err(refused) = write(schema, seed) {
            panic!("{schema} refused at `{}`: {refused}", refused.pointer);
        }
    }
}

#[test]
fn a_typical_strict_schema_is_satisfied() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 18, "maximum": 99},
            "score": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "mood": {"enum": ["calm", "busy"]},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 2, "maxItems": 4},
            "nickname": {"type": ["string", "null"]},
            "born": {"type": "string", "format": "date"}
        },
        "required": ["name", "age", "score", "mood", "tags", "nickname", "born"],
        "additionalProperties": false
    });
    assert_writable(&schema);
    let keys: Vec<String> = write(&schema, 1).expect("an instance").as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["name", "age", "score", "mood", "tags", "nickname", "born"]);
}

#[test]
fn every_format_that_is_written_is_valid() {
    for format in ["date", "time", "date-time", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid", "postal-code"] {
        assert_writable(&json!({"type": "string", "format": format}));
    }
}

#[test]
fn patterns_and_lengths_are_met() {
    for pattern in ["^[A-Z]{3}-\\d{4}$", "^(red|green)+$", "x", "^\\S+@\\S+$", "^#?[0-9a-fA-F]{6}$", "^[^,]{2,5}$"] {
        assert_writable(&json!({"type": "string", "pattern": pattern}));
    }
    assert_writable(&json!({"type": "string", "pattern": "^[a-z]*$", "minLength": 3, "maxLength": 5}));
    for (least, most) in [(0, 0), (1, 1), (5, 5), (9, 9), (10, 10), (300, 301)] {
        assert_writable(&json!({"type": "string", "minLength": least, "maxLength": most}));
    }
}

#[test]
fn numbers_lie_within_any_bounds() {
    assert_writable(&json!({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6}));
    assert_writable(&json!({"type": "integer", "multipleOf": 7, "minimum": 50}));
    assert_writable(&json!({"type": "integer", "maximum": -5}));
    assert_writable(&json!({"type": "number", "minimum": 0.001, "maximum": 0.002}));
    assert_writable(&json!({"type": "number", "multipleOf": 0.25, "maximum": 3}));
    assert_writable(&json!({"type": "number", "minimum": -1, "exclusiveMaximum": 0}));
}

#[test]
fn combinations_are_resolved() {
    assert_writable(&json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}));
    assert_writable(&json!({"oneOf": [{"type": "number"}, {"type": "integer", "minimum": 5}, {"type": "string"}]}));
    assert_writable(&json!({
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
            {"properties": {"a": {"maximum": 4}, "b": {"const": true}}, "required": ["b"]}
        ]
    }));
    assert_writable(&json!({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": false}));
    assert_writable(&json!({"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": true}));
    assert_writable(&json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 4}));
}

#[test]
fn schemas_that_contain_themselves_end() {
    let tree = json!({
        "$defs": {"node": {
            "type": "object",
            "properties": {"value": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["value", "children"],
            "additionalProperties": false
        }},
        "$ref": "#/$defs/node"
    });
    assert_writable(&tree);
    let list = json!({
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["next"]
    });
    assert_writable(&list);
}

#[test]
fn a_schema_that_demands_nothing_gives_an_object_with_members() {
    for schema in [json!({}), json!(true), json!({"type": "object"})] {
        let instance = write(&schema, 1).expect("an instance");
        assert!(instance.as_object().is_some_and(|object| !object.is_empty()), "{instance}");
    }
    assert_eq!(write(&json!({"type": "object", "properties": {}}), 1), Ok(json!({})));
}

#[test]
fn what_is_impossible_is_refused_with_its_place() {
    let cases = [
        (json!({"properties": {"a": {"type": "integer", "minimum": 5, "maximum": 4}}, "required": ["a"]}), "/properties/a"),
        (json!({"properties": {"a/b": false}, "required": ["a/b"]}), "/properties/a~1b"),
        (json!({"type": "string", "pattern": "^(?=a)b"}), "/pattern"),
        (json!({"type": "array", "minItems": 1_000_000_000}), "/minItems"),
        (json!({"type": "string", "minLength": 1_000_000_000}), "/minLength"),
        (json!({"not": {}}), "/not"),
    ];
    for (schema, pointer) in cases {
        let refused = write(&schema, 1).expect_err("a refusal");
        assert_eq!(refused.pointer, pointer, "{schema}: {refused}");
    }
}

#[test]
fn hostile_schemas_are_refused_and_not_followed() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]}),
        json!({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}),
        json!({"type": "string", "pattern": "^((){900}){900}(a{900}){900}$"}),
        json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}], "enum": vec!["x".repeat(100); 2_000]}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"type": "strin"}),
        json!(7),
    ] {
        assert!(write(&schema, 1).is_err(), "{schema}");
    }
}

#[test]
fn equal_seeds_write_equal_instances_and_others_do_not() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    assert_eq!(write(&schema, 1), write(&schema, 1));
    assert_ne!(write(&schema, 1), write(&schema, 2));
}

/// Keywords put together at random: most such schemas are odd, many impossible.
fn any_schema() -> impl Strategy<Value = Value> {
    let number = prop_oneof![Just(json!(-3)), Just(json!(0)), Just(json!(2.5)), Just(json!(7)), Just(json!(1e300))];
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({"$ref": "#"})),
        Just(json!({"type": ["null", "integer"]})),
        Just(json!({"enum": [1, "a", null]})),
        (number.clone(), number).prop_map(|(low, high)| json!({"type": "number", "minimum": low, "maximum": high})),
        (0..40_u32, 0..40_u32).prop_map(|(low, high)| json!({"type": "string", "minLength": low, "maxLength": high})),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            (prop_oneof![Just("anyOf"), Just("oneOf"), Just("allOf")], some).prop_map(|(key, parts)| json!({key: parts})),
            (inner.clone(), 0..5_u32).prop_map(|(items, least)| json!({"type": "array", "items": items, "minItems": least})),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"properties": {"a": a, "b": b}, "required": ["b"]})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_schema_is_satisfied_or_refused_with_a_reason(schema in any_schema(), seed: u64) {
        match write(&schema, seed) {
            Ok(instance) => prop_assert!(jsonschema::is_valid(&schema, &instance), "{schema}: {instance}"),
            Err(refused) => prop_assert!(!refused.message.is_empty()),
        }
    }
}
