//! Writes JSON that fits a JSON Schema, from a seed.
//!
//! `shape` turns a node of a schema with its `$ref` and `allOf` into one flat node; `value` writes an instance of it, with
//! `text` for the strings. What they do not look at (`not`, `if`, `dependentSchemas`, the "exactly one" of `oneOf` …) is
//! left to the judge: every instance is validated before it leaves, another draw is tried if it fails, and a schema that no draw
//! satisfies is refused. Compiled schemas are kept by the hash of their text, since applications send the same few again and again.

use std::sync::Arc;

use jsonschema::Validator;
use moka::sync::Cache;
use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use crate::behavior::writer::{JsonWriter, SchemaRefused};
use crate::builtin::responder::json_schema::shape::Budget;
use crate::random::Key;
use crate::types::limits::{SCHEMA_BYTES_MAX, SCHEMAS_KEPT_BYTES};

mod shape;
mod text;
mod value;

#[cfg(test)]
mod tests;

/// Draws that are tried before a schema is refused: enough for a `oneOf` or an `if` that most draws satisfy.
const ATTEMPTS: u64 = 8;

/// Writes instances of JSON Schemas.
#[derive(Debug, Clone)]
pub struct SchemaWriter {
    kept: Cache<u128, Arc<Kept>>,
}

/// A schema that has been seen: its size in bytes and what came of compiling it.
#[derive(Debug)]
struct Kept {
    bytes: u32,
    compiled: Result<Compiled, SchemaRefused>,
}

#[derive(Debug)]
struct Compiled {
    schema: Value,
    validator: Validator,
}

impl SchemaWriter {
    /// A writer that has seen no schema yet.
    pub fn new() -> Self {
        let weigh = |_: &u128, kept: &Arc<Kept>| kept.bytes;
        Self { kept: Cache::builder().max_capacity(SCHEMAS_KEPT_BYTES).weigher(weigh).build() }
    }
}

impl Default for SchemaWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl JsonWriter for SchemaWriter {
    fn write(&self, schema: &RawValue, seed: u64) -> Result<String, SchemaRefused> {
        let text = schema.get();
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(refuse("", format!("the schema has more than {SCHEMA_BYTES_MAX} bytes; make it smaller")));
        }
        let keep = || Arc::new(Kept { bytes: text.len() as u32, compiled: compile(text) });
        let kept = self.kept.get_with(xxh3_128(text.as_bytes()), keep);
        kept.compiled.as_ref().map_err(Clone::clone)?.instance(seed)
    }
}

fn compile(text: &str) -> Result<Compiled, SchemaRefused> {
    let schema: Value = serde_json::from_str(text).map_err(|error| refuse("", format!("the schema is no JSON: {error}")))?;
    // Formats are judged too: a client that parses a `date` will.
    match jsonschema::options().should_validate_formats(true).build(&schema) {
        Ok(validator) => Ok(Compiled { schema, validator }),
        Err(error) => Err(refuse(error.instance_path().as_str(), format!("the schema is not valid: {error}"))),
    }
}

impl Compiled {
    fn instance(&self, seed: u64) -> Result<String, SchemaRefused> {
        let mut refused = refuse("", "no instance was found; make the schema simpler");
        let mut budget = Budget::new();
        for attempt in 0..ATTEMPTS {
            let stream = Key::of_seed(seed).named("json").with(attempt).stream();
            let instance = match value::write(&self.schema, stream, &mut budget) {
                Ok(instance) => instance,
                Err(error) => {
                    refused = error;
                    continue;
                }
            };
            match self.validator.validate(&instance) {
                Ok(()) => return Ok(instance.to_string()),
                Err(error) => {
                    let message = format!("no instance was found that satisfies this: {error}; make the schema simpler");
                    refused = refuse(error.schema_path().as_str(), message);
                }
            }
        }
        Err(refused)
    }
}

fn refuse(pointer: impl Into<String>, message: impl Into<String>) -> SchemaRefused {
    SchemaRefused { pointer: pointer.into(), message: message.into() }
}
