//! Writes an instance of one node of a schema, and of the nodes below it.
//!
//! Required members are always written, optional ones mostly; lists are short. Beyond a few levels only what must be there is
//! written and the plainest alternatives come first, so that a schema that contains itself ends.

use serde_json::{Map, Number, Value, json};

use crate::behavior::writer::SchemaRefused;
use crate::builtin::responder::json_schema::refuse;
use crate::builtin::responder::json_schema::shape::{Budget, Shape, flatten, type_names};
use crate::builtin::responder::json_schema::text;
use crate::random::Stream;
use crate::types::fields::escape;
use crate::types::limits::SCHEMA_DEPTH_MAX;

/// Levels below which only what must be there is written.
const GENEROUS_DEPTH: u32 = 6;

/// An instance of `schema`, not yet validated.
pub(super) fn write(schema: &Value, stream: Stream, budget: &mut Budget) -> Result<Value, SchemaRefused> {
    let mut author = Author { root: schema, stream, budget };
    author.value(schema, "", 0)
}

struct Author<'a> {
    root: &'a Value,
    stream: Stream,
    budget: &'a mut Budget,
}

impl Author<'_> {
    fn value(&mut self, node: &Value, pointer: &str, depth: u32) -> Result<Value, SchemaRefused> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(refuse(pointer, format!("instances nest deeper than {SCHEMA_DEPTH_MAX} levels; let the recursion end")));
        }
        let shape = flatten(self.root, node, pointer, self.budget)?;
        for key in ["anyOf", "oneOf"] {
            if shape.get(key).is_some_and(Value::is_array) {
                return self.alternative(shape, key, pointer, depth);
            }
        }
        if let Some(value) = shape.get("const") {
            return Ok(value.clone());
        }
        if let Some(Value::Array(values)) = shape.get("enum") {
            let fitting: Vec<&Value> = values.iter().filter(|value| fits_type(&shape, value)).collect();
            return match fitting.get(self.below(fitting.len())) {
                Some(value) => Ok((*value).clone()),
                None => Err(refuse(format!("{pointer}/enum"), "none of the values has the type that is asked for; add one")),
            };
        }
        match self.kind(&shape, depth) {
            Some("null") => Ok(Value::Null),
            Some("boolean") => Ok(Value::Bool(self.below(2) == 0)),
            Some("integer") => self.integer(&shape, pointer),
            Some("number") => self.number(&shape, pointer),
            Some("string") => text::string(&shape, pointer, &mut self.stream).map(Value::String),
            Some("array") => self.list(&shape, pointer, depth),
            Some("object") => self.object(&shape, pointer, depth),
            _ => Err(refuse(format!("{pointer}/type"), "no value has all the types that are asked for; allow one more")),
        }
    }

    /// Tries the alternatives under `key` until one can be written.
    fn alternative(&mut self, mut shape: Shape, key: &str, pointer: &str, depth: u32) -> Result<Value, SchemaRefused> {
        let Some(Value::Array(options)) = shape.remove(key) else { return Ok(Value::Null) };
        let base = Value::Object(shape);
        let first = self.below(options.len());
        let mut order: Vec<usize> = (0..options.len()).map(|index| (index + first) % options.len()).collect();
        if depth >= GENEROUS_DEPTH {
            order.sort_by_key(|index| weight(&options[*index]));
        }
        let mut refused = refuse(format!("{pointer}/{key}"), "there is no alternative; add one");
        for index in order {
            let both = json!({"allOf": [base, options[index]]});
            // One level deeper, so that alternatives that contain only themselves end too.
            match self.value(&both, &format!("{pointer}/{key}/{index}"), depth + 1) {
                Ok(value) => return Ok(value),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The type to write: what `type` allows, or what the other keys are about.
    fn kind(&mut self, shape: &Shape, depth: u32) -> Option<&'static str> {
        let Some(types) = shape.get("type") else { return Some(implied_kind(shape, depth)) };
        let allowed: Vec<&'static str> = type_names(types).into_iter().filter_map(known_kind).collect();
        let has_null = allowed.contains(&"null");
        let others: Vec<&'static str> = allowed.into_iter().filter(|kind| *kind != "null").collect();
        if others.is_empty() || (has_null && (depth >= GENEROUS_DEPTH || self.below(5) == 0)) {
            return has_null.then_some("null");
        }
        others.get(self.below(others.len())).copied()
    }

    fn object(&mut self, shape: &Shape, pointer: &str, depth: u32) -> Result<Value, SchemaRefused> {
        let mut object = Map::new();
        let required: Vec<&str> = shape.get("required").map(type_names).unwrap_or_default();
        let declared = shape.get("properties").and_then(Value::as_object);
        let most = bound(shape, "maxProperties").unwrap_or(u64::MAX);
        let optional_room = most.saturating_sub(required.len() as u64);
        let mut optional = 0;
        for (name, node) in declared.into_iter().flatten() {
            let place = format!("{pointer}/properties/{}", escape(name));
            if required.contains(&name.as_str()) {
                object.insert(name.clone(), self.value(node, &place, depth + 1)?);
            } else if depth < GENEROUS_DEPTH && optional < optional_room && self.below(4) > 0 {
                // What may be left out and cannot be written is left out.
                if let Ok(value) = self.value(node, &place, depth + 1) {
                    object.insert(name.clone(), value);
                    optional += 1;
                }
            }
        }
        let extra = shape.get("additionalProperties").unwrap_or(&Value::Bool(true));
        let place = format!("{pointer}/additionalProperties");
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), self.value(extra, &place, depth + 1)?);
            }
        }
        let is_open = declared.is_none() && !shape.contains_key("patternProperties") && *extra != Value::Bool(false);
        let wanted = if is_open && object.is_empty() && depth < GENEROUS_DEPTH { 2 + self.below(2) as u64 } else { 0 };
        let least = bound(shape, "minProperties").unwrap_or(0).max(wanted.min(most));
        self.fill(&mut object, least, extra, &place, depth)?;
        Ok(Value::Object(object))
    }

    /// Adds members of our own naming until there are `least`.
    fn fill(
        &mut self,
        object: &mut Map<String, Value>,
        least: u64,
        extra: &Value,
        pointer: &str,
        depth: u32,
    ) -> Result<(), SchemaRefused> {
        while (object.len() as u64) < least {
            let word = text::word(&mut self.stream);
            let name = if object.contains_key(word) { format!("{word}_{}", object.len() + 1) } else { word.to_owned() };
            let value = self.value(extra, pointer, depth + 1)?;
            object.insert(name, value);
        }
        Ok(())
    }

    fn list(&mut self, shape: &Shape, pointer: &str, depth: u32) -> Result<Value, SchemaRefused> {
        let everything = Value::Bool(true);
        let prefix: &[Value] = shape.get("prefixItems").and_then(Value::as_array).map_or(&[], Vec::as_slice);
        let (items, place) = match (shape.get("items"), shape.get("contains")) {
            (Some(items), _) => (items, format!("{pointer}/items")),
            (None, Some(contained)) => (contained, format!("{pointer}/contains")),
            (None, None) => (&everything, pointer.to_owned()),
        };
        let least = bound(shape, "minItems").unwrap_or(0);
        let most = bound(shape, "maxItems").unwrap_or(u64::MAX).max(least);
        if !self.budget.has(least) {
            return Err(refuse(format!("{pointer}/minItems"), "the list must be longer than any that is written; ask for fewer"));
        }
        let usual = if depth >= GENEROUS_DEPTH { 0 } else { 1 + self.below(3) as u64 };
        let prefix_length = if *items == Value::Bool(false) { 0 } else { usual };
        let count = (prefix.len() as u64).max(prefix_length).clamp(least, most);
        let is_unique = shape.get("uniqueItems") == Some(&Value::Bool(true));
        let mut list: Vec<Value> = Vec::new();
        // Twice as many draws as are needed, and some more, before giving up on values that differ.
        let mut draws_left = 2 * count + 32;
        while (list.len() as u64) < count && draws_left > 0 {
            draws_left -= 1;
            let index = list.len();
            let value = match prefix.get(index) {
                Some(node) => self.value(node, &format!("{pointer}/prefixItems/{index}"), depth + 1)?,
                None => match self.value(items, &place, depth + 1) {
                    Ok(value) => value,
                    Err(_) if index as u64 >= least => break,
                    Err(error) => return Err(error),
                },
            };
            if !(is_unique && list.contains(&value)) {
                list.push(value);
            }
        }
        Ok(Value::Array(list))
    }

    fn integer(&mut self, shape: &Shape, pointer: &str) -> Result<Value, SchemaRefused> {
        let step = limit(shape, "multipleOf").filter(|step| *step > 0.0).unwrap_or(1.0);
        // An integer that is a multiple of 0.5 is a multiple of 1; odder fractions are left to the validator.
        let step = if step.fract() == 0.0 { step } else { step.ceil() };
        let multiple = self.multiple(shape, step, pointer)?;
        Ok(Value::from((multiple * step) as i64))
    }

    fn number(&mut self, shape: &Shape, pointer: &str) -> Result<Value, SchemaRefused> {
        let value = if let Some(step) = limit(shape, "multipleOf").filter(|step| *step > 0.0) {
            self.multiple(shape, step, pointer)? * step
        } else {
            let range = Range::of(shape, 1.0);
            let drawn = range.low + (range.high - range.low) * self.stream.unit();
            let short = (drawn * 100.0).round() / 100.0;
            let middle = range.low + (range.high - range.low) / 2.0;
            [short, drawn, middle].into_iter().find(|value| range.contains(*value)).ok_or_else(|| empty_range(pointer))?
        };
        Number::from_f64(value).map(Value::Number).ok_or_else(|| empty_range(pointer))
    }

    /// A whole number k such that k times `step` is within the bounds.
    fn multiple(&mut self, shape: &Shape, step: f64, pointer: &str) -> Result<f64, SchemaRefused> {
        let range = Range::of(shape, step);
        let (mut low, mut high) = ((range.low / step).ceil(), (range.high / step).floor());
        if range.low_is_open && low * step <= range.low {
            low += 1.0;
        }
        if range.high_is_open && high * step >= range.high {
            high -= 1.0;
        }
        if low > high {
            return Err(empty_range(pointer));
        }
        // A range wider than 32 bits is drawn from its lower end.
        let count = (high - low + 1.0).min(f64::from(u32::MAX));
        Ok(low + f64::from(self.stream.below(count as u32)))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.stream.below(bound as u32) as usize
    }
}

/// The bounds of a number; where the schema has none, some that look natural.
struct Range {
    low: f64,
    high: f64,
    low_is_open: bool,
    high_is_open: bool,
}

impl Range {
    fn of(shape: &Shape, step: f64) -> Self {
        let closed_low = limit(shape, "minimum");
        let open_low = limit(shape, "exclusiveMinimum");
        let closed_high = limit(shape, "maximum");
        let open_high = limit(shape, "exclusiveMaximum");
        let low_is_open = open_low.is_some_and(|open| closed_low.is_none_or(|closed| open >= closed));
        let high_is_open = open_high.is_some_and(|open| closed_high.is_none_or(|closed| open <= closed));
        let low = if low_is_open { open_low } else { closed_low };
        let high = if high_is_open { open_high } else { closed_high };
        let width = 100.0 * step.max(1.0);
        let (low, high) = match (low, high) {
            (Some(low), Some(high)) => (low, high),
            (Some(low), None) => (low, low + width),
            (None, Some(high)) if high > step => (0.0, high),
            (None, Some(high)) => (high - width, high),
            (None, None) => (step, width),
        };
        Self { low, high, low_is_open, high_is_open }
    }

    fn contains(&self, value: f64) -> bool {
        let above = if self.low_is_open { value > self.low } else { value >= self.low };
        let below = if self.high_is_open { value < self.high } else { value <= self.high };
        above && below
    }
}

fn empty_range(pointer: &str) -> SchemaRefused {
    refuse(pointer, "no number lies within the bounds; widen them")
}

/// A bound that may be any number.
fn limit(shape: &Shape, key: &str) -> Option<f64> {
    shape.get(key).and_then(Value::as_f64)
}

/// A bound that counts something; JSON may write it as `2.0`.
pub(super) fn bound(shape: &Shape, key: &str) -> Option<u64> {
    limit(shape, key).filter(|number| *number >= 0.0).map(|number| number as u64)
}

fn fits_type(shape: &Shape, value: &Value) -> bool {
    let Some(types) = shape.get("type") else { return true };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    type_names(types).into_iter().any(|name| name == kind || (name == "number" && kind == "integer"))
}

fn known_kind(name: &str) -> Option<&'static str> {
    ["null", "boolean", "integer", "number", "string", "array", "object"].into_iter().find(|kind| *kind == name)
}

/// What a node without a `type` is about. At the top nothing at all means an object, as clients that ask for "JSON" expect.
fn implied_kind(shape: &Shape, depth: u32) -> &'static str {
    let has = |keys: &[&str]| keys.iter().any(|key| shape.contains_key(*key));
    if has(&["properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"]) {
        "object"
    } else if has(&["items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems"]) {
        "array"
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        "number"
    } else if depth == 0 && !has(&["minLength", "maxLength", "pattern", "format"]) {
        "object"
    } else {
        "string"
    }
}

/// How much is behind an alternative, roughly: the plainest comes first where an end is wanted.
fn weight(node: &Value) -> u8 {
    let Some(node) = node.as_object() else { return 0 };
    if node.contains_key("const") || node.contains_key("enum") {
        return 0;
    }
    match node.get("type").and_then(Value::as_str) {
        Some("null") => 0,
        Some("boolean" | "integer" | "number" | "string") => 1,
        Some("array") => 2,
        Some(_) => 3,
        None => 4,
    }
}
