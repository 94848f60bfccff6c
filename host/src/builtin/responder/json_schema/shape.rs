//! One flat node from a node of a schema: `$ref` is followed and `allOf` merged, so that what is left can be read key by key.
//!
//! Merging keeps what both sides demand: the larger minimum, the smaller maximum, the common types and values, all required
//! names. Where two sides say different things that do not combine, the first is kept, and the validator has the last word.

use serde_json::{Map, Value, json};

use crate::behavior::writer::SchemaRefused;
use crate::builtin::responder::json_schema::refuse;
use crate::types::limits::{SCHEMA_HOPS_MAX, SCHEMA_PAIRS_MAX, SCHEMA_VALUES_MAX};

/// A flat node: no `$ref` and no `allOf`.
pub(super) type Shape = Map<String, Value>;

/// Counts the steps of one instance, draws that failed included, so that a schema that explodes is refused and not followed.
pub(super) struct Budget {
    left: u32,
}

impl Budget {
    /// The budget of one instance.
    pub(super) fn new() -> Self {
        Self { left: SCHEMA_VALUES_MAX }
    }

    /// Takes `steps`; refuses if there are not as many left.
    fn spend(&mut self, steps: u32, pointer: &str) -> Result<(), SchemaRefused> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(refuse(
                pointer,
                format!("an instance needs more than {SCHEMA_VALUES_MAX} values; ask for fewer or smaller lists"),
            )),
        }
    }

    /// Is there room for so many values more?
    pub(super) fn has(&self, values: u64) -> bool {
        values <= u64::from(self.left)
    }
}

/// Keys that are not copied: the first two are resolved, the others demand nothing or are reached from the root.
const SKIPPED: [&str; 9] = ["$ref", "allOf", "$defs", "definitions", "description", "title", "examples", "default", "$comment"];
/// How much of a schema is copied for one step of the budget: one value or sixteen bytes of text are 1.
const BULK_PER_STEP: u32 = 64;

/// How much there is to copy of `value`.
fn bulk(value: &Value) -> u32 {
    match value {
        Value::String(text) => 1 + text.len() as u32 / 16,
        Value::Array(items) => 1 + items.iter().map(bulk).sum::<u32>(),
        Value::Object(members) => 1 + members.iter().map(|(name, value)| name.len() as u32 / 16 + bulk(value)).sum::<u32>(),
        _ => 1,
    }
}

/// The flat form of `node`, which lies at `pointer` of `root`.
pub(super) fn flatten(root: &Value, node: &Value, pointer: &str, budget: &mut Budget) -> Result<Shape, SchemaRefused> {
    flatten_within(root, node, pointer, budget, 0)
}

fn flatten_within(root: &Value, node: &Value, pointer: &str, budget: &mut Budget, hops: u32) -> Result<Shape, SchemaRefused> {
    budget.spend(1, pointer)?;
    if hops > SCHEMA_HOPS_MAX {
        return Err(refuse(pointer, "the references lead in a circle; let one of them end"));
    }
    let node = match node {
        Value::Object(node) => node,
        Value::Bool(true) => return Ok(Shape::new()),
        Value::Bool(false) => return Err(refuse(pointer, "the schema is `false`, which nothing satisfies; remove it")),
        _ => return Err(refuse(pointer, "a schema must be a map, `true` or `false`")),
    };
    let mut shape = Shape::new();
    for (key, value) in node {
        if !SKIPPED.contains(&key.as_str()) {
            budget.spend(bulk(value) / BULK_PER_STEP, pointer)?;
            shape.insert(key.clone(), value.clone());
        }
    }
    if let Some(reference) = node.get("$ref") {
        let (target, target_pointer) = resolve(root, reference, pointer)?;
        merge(&mut shape, flatten_within(root, target, &target_pointer, budget, hops + 1)?);
    }
    for (index, part) in node.get("allOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
        merge(&mut shape, flatten_within(root, part, &format!("{pointer}/allOf/{index}"), budget, hops + 1)?);
    }
    Ok(shape)
}

fn resolve<'a>(root: &'a Value, reference: &Value, pointer: &str) -> Result<(&'a Value, String), SchemaRefused> {
    let text = reference.as_str().unwrap_or_default();
    let target = text.strip_prefix('#').map(percent_decoded).and_then(|path| Some((root.pointer(&path)?, path)));
    target.ok_or_else(|| {
        refuse(format!("{pointer}/$ref"), format!("`{text}` leads nowhere; only `#/…` within the schema is followed"))
    })
}

/// Undoes the percent encoding of a URI fragment; what is no encoding stays as it is.
fn percent_decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => char::from(*high).to_digit(16).zip(char::from(*low).to_digit(16)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Adds to `shape` what `other` demands.
fn merge(shape: &mut Shape, other: Shape) {
    for (key, theirs) in other {
        let Some(ours) = shape.get_mut(&key) else {
            shape.insert(key, theirs);
            continue;
        };
        if *ours == theirs {
            continue;
        }
        match key.as_str() {
            "type" => *ours = common_types(ours, &theirs),
            "enum" => keep_common(ours, &theirs),
            "required" => add_missing(ours, theirs),
            "properties" | "patternProperties" | "$defs" | "definitions" => merge_named(ours, theirs),
            "items" | "additionalProperties" | "contains" | "propertyNames" => *ours = both(ours, theirs),
            "anyOf" | "oneOf" => *ours = cross(ours, &theirs),
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" if number(&theirs) > number(ours) => {
                *ours = theirs;
            }
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" if number(&theirs) < number(ours) => {
                *ours = theirs;
            }
            _ => {}
        }
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn both(ours: &Value, theirs: Value) -> Value {
    json!({"allOf": [ours, theirs]})
}

fn merge_named(ours: &mut Value, theirs: Value) {
    if let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) {
        for (name, theirs) in theirs {
            match ours.get_mut(&name) {
                Some(ours) if *ours == theirs => {}
                Some(ours) => *ours = both(ours, theirs),
                None => {
                    ours.insert(name, theirs);
                }
            }
        }
    }
}

fn keep_common(ours: &mut Value, theirs: &Value) {
    if let (Value::Array(ours), Value::Array(theirs)) = (ours, theirs) {
        ours.retain(|value| theirs.contains(value));
    }
}

fn add_missing(ours: &mut Value, theirs: Value) {
    if let (Value::Array(ours), Value::Array(theirs)) = (ours, theirs) {
        let missing: Vec<Value> = theirs.into_iter().filter(|name| !ours.contains(name)).collect();
        ours.extend(missing);
    }
}

/// The types that both allow; every `integer` is a `number`.
fn common_types(ours: &Value, theirs: &Value) -> Value {
    let theirs = type_names(theirs);
    let mut common = Vec::new();
    for name in type_names(ours) {
        if theirs.contains(&name) || (name == "integer" && theirs.contains(&"number")) {
            common.push(json!(name));
        } else if name == "number" && theirs.contains(&"integer") {
            common.push(json!("integer"));
        }
    }
    Value::Array(common)
}

/// The names that a `type` lists, one or several.
pub(super) fn type_names(value: &Value) -> Vec<&str> {
    match value {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Every pair of one of ours and one of theirs. Few enough in practice; what a hostile schema makes of it the budget stops.
fn cross(ours: &Value, theirs: &Value) -> Value {
    let (Value::Array(ours), Value::Array(theirs)) = (ours, theirs) else { return ours.clone() };
    let pairs = ours.iter().flat_map(|ours| theirs.iter().map(move |theirs| both(ours, theirs.clone())));
    Value::Array(pairs.take(SCHEMA_PAIRS_MAX).collect())
}
