//! Walks through a schema, and puts what stands in it several times under a name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Finds parts of a schema that are there several times and puts them under names, since a law of delays alone fills pages.
#[derive(Default)]
pub(super) struct Sharing {
    seen: BTreeMap<String, usize>,
    names: BTreeMap<String, String>,
    pub(super) definitions: BTreeMap<String, Value>,
}

impl Sharing {
    /// Text below which a reference would be no shorter.
    const WORTH_BYTES: usize = 400;

    pub(super) fn count(&mut self, schema: &Value) {
        let mut copy = schema.clone();
        visit(&mut copy, &mut |part| *self.seen.entry(part.to_string()).or_default() += 1);
    }

    pub(super) fn replace(&mut self, schema: &mut Value, is_root: bool) {
        let text = schema.to_string();
        if !is_root && text.len() > Self::WORTH_BYTES && self.seen.get(&text).is_some_and(|times| *times > 1) {
            let name = match self.names.get(&text) {
                Some(name) => name.clone(),
                None => {
                    let name = format!("shared-{}", self.names.len() + 1);
                    self.names.insert(text, name.clone());
                    let mut definition = schema.take();
                    children(&mut definition, &mut |part| self.replace(part, false));
                    self.definitions.insert(name.clone(), definition);
                    name
                }
            };
            *schema = json!({ "$ref": format!("#/$defs/{name}") });
            return;
        }
        children(schema, &mut |part| self.replace(part, false));
    }
}

/// Calls `look` with every schema that is a part of `schema`, itself last.
pub(super) fn visit(schema: &mut Value, look: &mut dyn FnMut(&mut Value)) {
    children(schema, &mut |part| visit(part, look));
    look(schema);
}

/// Calls `look` with the schemas right below `schema`.
fn children(schema: &mut Value, look: &mut dyn FnMut(&mut Value)) {
    let Some(fields) = schema.as_object_mut() else { return };
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("properties" | "patternProperties" | "$defs", Value::Object(map)) => map.values_mut().for_each(&mut *look),
            ("items" | "additionalProperties" | "not", value @ Value::Object(_)) => look(value),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(items)) => items.iter_mut().for_each(&mut *look),
            _ => {}
        }
    }
}
