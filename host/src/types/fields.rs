//! Reads an object that a person wrote, field by field, and collects every mistake instead of stopping at the first.
//!
//! Scenario sections and the options of native behaviours are read with this, so they speak of mistakes in one voice.

use serde_json::{Map, Value};

use crate::types::problem::{Problem, did_you_mean};
use crate::types::quantity::{parse_bytes, parse_duration_us, parse_share};

/// One object being read. Call [`Fields::finish`] last: it reports what nobody asked for.
pub struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    pointer: String,
    asked: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Begins to read `value`, which lies at `pointer`. `null` reads as an empty object.
    pub fn of(value: &'a Value, pointer: impl Into<String>) -> Self {
        let mut fields = Self { map: None, pointer: pointer.into(), asked: Vec::new(), problems: Vec::new() };
        match value {
            Value::Object(map) => fields.map = Some(map),
            Value::Null => {}
            other => {
                let message = format!("expected a map of fields, found {}", kind_of(other));
                fields.problems.push(Problem::new(fields.pointer.clone(), message));
            }
        }
        fields
    }

    /// The JSON pointer of the field `name`.
    pub fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, escape(name))
    }

    /// The field as it stands, or `None` if it is not there.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.map.and_then(|map| map.get(name)).filter(|value| !value.is_null())
    }

    /// Notes a mistake about the field `name`.
    pub fn problem(&mut self, name: &str, message: impl Into<String>) {
        let pointer = self.pointer(name);
        self.problems.push(Problem::new(pointer, message));
    }

    /// Notes mistakes found elsewhere; their pointers are already whole.
    pub fn extend(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    /// Says that a field must be there if it is not.
    pub fn require(&mut self, name: &'static str) {
        if self.map.is_none_or(|map| map.get(name).is_none_or(Value::is_null)) {
            let message = format!("the field `{name}` is missing");
            self.problems.push(Problem::new(self.pointer.clone(), message));
        }
    }

    /// A text.
    pub fn text(&mut self, name: &'static str) -> Option<&'a str> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            other => {
                self.problem(name, format!("expected a text, found {}", kind_of(other)));
                None
            }
        }
    }

    /// One of the words `known`.
    pub fn word<'w>(&mut self, name: &'static str, known: &[&'w str]) -> Option<&'w str> {
        let given = self.text(name)?;
        let found = known.iter().copied().find(|word| *word == given);
        if found.is_none() {
            let hint = match did_you_mean(given, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of: {}", known.join(", ")),
            };
            let problem = Problem::new(self.pointer(name), format!("`{given}` is no value of `{name}`")).hint(hint);
            self.problems.push(problem);
        }
        found
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                self.problem(name, format!("expected `true` or `false`, found {}", kind_of(other)));
                None
            }
        }
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, name: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let found = found(value);
                self.problem(name, format!("expected a whole number from {} to {}, found {found}", range.start(), range.end()));
                None
            }
        }
    }

    /// A number within `range`.
    pub fn number(&mut self, name: &'static str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let value = self.value(name)?;
        match value.as_f64().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let found = found(value);
                self.problem(name, format!("expected a number from {} to {}, found {found}", range.start(), range.end()));
                None
            }
        }
    }

    /// A share from 0 to 1, written `5%` or `0.05`.
    pub fn share(&mut self, name: &'static str) -> Option<f64> {
        self.quantity(name, "a share such as `5%`", parse_share)
    }

    /// A duration in microseconds, written `350ms`; `0` alone is allowed.
    pub fn duration_us(&mut self, name: &'static str) -> Option<u64> {
        let value = self.value(name)?;
        if value.as_u64() == Some(0) {
            return Some(0);
        }
        self.quantity(name, "a duration such as `350ms`", parse_duration_us)
    }

    /// A size in bytes, written `16MiB`.
    pub fn bytes(&mut self, name: &'static str) -> Option<u64> {
        self.quantity(name, "a size such as `16MiB`", parse_bytes)
    }

    /// A list; an absent field reads as an empty one.
    pub fn list(&mut self, name: &'static str) -> &'a [Value] {
        match self.value(name) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.problem(name, format!("expected a list, found {}", kind_of(other)));
                &[]
            }
        }
    }

    /// A list of texts; one text alone reads as a list of one.
    pub fn texts(&mut self, name: &'static str) -> Vec<&'a str> {
        if let Some(Value::String(text)) = self.map.and_then(|map| map.get(name)) {
            self.asked.push(name);
            return vec![text];
        }
        let mut texts = Vec::new();
        for (index, item) in self.list(name).iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.as_str()),
                other => {
                    let pointer = format!("{}/{index}", self.pointer(name));
                    self.problems.push(Problem::new(pointer, format!("expected a text, found {}", kind_of(other))));
                }
            }
        }
        texts
    }

    /// Notes every field that was never asked for, and gives all mistakes found.
    pub fn finish(mut self) -> Vec<Problem> {
        for name in self.map.into_iter().flat_map(Map::keys) {
            if !self.asked.contains(&name.as_str()) {
                let problem = Problem::new(self.pointer(name), format!("unknown field `{name}`")).at_key();
                let hint = match did_you_mean(name, self.asked.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if self.asked.is_empty() => "there are no fields here".to_owned(),
                    None => format!("known fields: {}", self.asked.join(", ")),
                };
                self.problems.push(problem.hint(hint));
            }
        }
        self.problems
    }

    fn quantity<T>(&mut self, name: &'static str, what: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.value(name)?;
        let parsed = match value {
            Value::String(text) => parse(text),
            // Without an exponent, which is no part of how people write quantities.
            Value::Number(number) => {
                parse(&number.as_f64().filter(|_| number.is_f64()).map_or_else(|| number.to_string(), |small| small.to_string()))
            }
            other => Err(format!("expected {what}, found {}", kind_of(other))),
        };
        parsed.map_err(|message| self.problem(name, message)).ok()
    }
}

/// A word for the kind of `value`, as a person would say it.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// One step of a JSON pointer, with `~` and `/` escaped (RFC 6901).
pub fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

fn found(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("`{number}`"),
        other => kind_of(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_share_is_read_as_a_number() {
        let value = serde_json::json!({"rate": 0.00005, "other": "5e-05"});
        let mut fields = Fields::of(&value, "");
        assert_eq!((fields.share("rate"), fields.share("other")), (Some(0.00005), None));
    }

    #[test]
    fn every_mistake_is_reported_with_its_pointer() {
        let value = serde_json::json!({"first": "fast", "rate": "200%", "tokns": 3, "kind": "slo"});
        let mut fields = Fields::of(&value, "/latency");
        assert_eq!(fields.duration_us("first"), None);
        assert_eq!(fields.share("rate"), None);
        assert_eq!(fields.integer("tokens", 0..=10), None);
        assert_eq!(fields.word("kind", &["fast", "slow"]), None);
        fields.require("name");
        let problems = fields.finish();
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/latency/first", "/latency/rate", "/latency/kind", "/latency", "/latency/tokns"]);
        assert_eq!(problems[2].hint.as_deref(), Some("did you mean `slow`?"));
        assert_eq!(problems[4].hint.as_deref(), Some("did you mean `tokens`?"));
    }
}
