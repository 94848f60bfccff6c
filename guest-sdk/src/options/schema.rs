//! Builds the JSON Schema of options, as far as they need it.
//!
//! The code that [`options!`](crate::options!) writes adds a field at a time; each [`Field`] contributes the schema of its kind.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::options::field::Field;
use crate::options::reader::{plain, written};

/// A JSON Schema being built: of one field, or of an object with fields.
#[derive(Debug, Default)]
pub struct Schema {
    keywords: Map<String, Value>,
    fields: Vec<(String, Map<String, Value>)>,
}

impl Schema {
    /// A schema of this `type`, or of these types.
    pub(super) fn of_type(kind: impl Into<Value>) -> Self {
        Self::default().with("type", kind)
    }

    /// The same with one more keyword.
    pub(super) fn with(mut self, keyword: &str, value: impl Into<Value>) -> Self {
        self.keywords.insert(keyword.to_owned(), value.into());
        self
    }

    /// Adds a field with the lines of its doc comment.
    pub fn field<T: Field>(&mut self, name: &str, doc: &[&str], default: &T) {
        let Value::Object(mut schema) = T::schema().into_value() else { return };
        let description = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        if !description.is_empty() {
            schema.insert("description".to_owned(), description.trim().into());
        }
        let default = default.write();
        if !default.is_null() {
            schema.insert("default".to_owned(), default);
        }
        self.fields.push((written(name), schema));
    }

    /// Adds bounds to the field that was added last: as numbers if it is one, in words if not.
    pub fn within<T: Field>(&mut self, range: &RangeInclusive<T>) {
        let Some((_, schema)) = self.fields.last_mut() else { return };
        let (low, high) = (range.start().write(), range.end().write());
        if low.is_number() {
            schema.insert("minimum".to_owned(), low);
            schema.insert("maximum".to_owned(), high);
        } else {
            let before = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let words = format!("{before} From {} to {}.", plain(&low), plain(&high));
            schema.insert("description".to_owned(), words.trim().into());
        }
    }

    /// An object of fields by the names that code gives them.
    #[doc(hidden)]
    pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
        Value::Object(fields.into_iter().map(|(name, value)| (written(name), value)).collect())
    }

    /// The schema as JSON. Without a type of its own it is an object that allows no other fields.
    pub(super) fn into_value(mut self) -> Value {
        if !self.keywords.contains_key("type") {
            self.keywords.insert("type".to_owned(), "object".into());
            let properties = self.fields.into_iter().map(|(name, schema)| (name, Value::Object(schema))).collect();
            self.keywords.insert("properties".to_owned(), Value::Object(properties));
            self.keywords.insert("additionalProperties".to_owned(), false.into());
        }
        Value::Object(self.keywords)
    }
}
