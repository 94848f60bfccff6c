//! Reads one object field by field and collects mistakes instead of stopping at the first.
//!
//! The code that [`options!`](crate::options!) writes calls it; messages have the voice in which the host speaks of scenarios.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::options::field::{Field, kind_of};
use crate::plugin::Problem;

/// One object being read.
#[derive(Debug)]
pub struct Reader<'a> {
    map: Option<&'a Map<String, Value>>,
    path: &'a str,
    asked: Vec<String>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Begins to read `value`, which lies at `path`. `null` reads as an empty object.
    pub(super) fn of(value: &'a Value, path: &'a str, problems: &'a mut Vec<Problem>) -> Self {
        let map = value.as_object();
        if map.is_none() && !value.is_null() {
            problems.push(Problem::at(path, format!("expected a map of fields, found {}", kind_of(value))));
        }
        Self { map, path, asked: Vec::new(), problems }
    }

    /// The field `name`, or its default if it is not there or wrong.
    pub fn field<T: Field>(&mut self, name: &str, default: impl FnOnce() -> T) -> T {
        let name = written(name);
        let found = self.map.and_then(|map| map.get(&name)).filter(|value| !value.is_null());
        let path = format!("{}/{name}", self.path);
        self.asked.push(name);
        found.and_then(|value| T::read(value, &path, self.problems)).unwrap_or_else(default)
    }

    /// Notes a mistake if a field lies outside its bounds.
    pub fn within<T: Field + PartialOrd>(&mut self, name: &str, value: &T, range: &RangeInclusive<T>) {
        if !range.contains(value) {
            let [low, high, found] = [range.start(), range.end(), value].map(|bound| plain(&bound.write()));
            let message = format!("expected {low} to {high}, found `{found}`");
            self.problems.push(Problem::at(format!("{}/{}", self.path, written(name)), message));
        }
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(self) {
        for name in self.map.into_iter().flat_map(Map::keys) {
            if !self.asked.contains(name) {
                let step = name.replace('~', "~0").replace('/', "~1");
                let problem = Problem::at(format!("{}/{step}", self.path), format!("unknown field `{name}`"));
                self.problems.push(problem.hint(match self.asked.is_empty() {
                    true => "there are no fields here".to_owned(),
                    false => format!("known fields: {}", self.asked.join(", ")),
                }));
            }
        }
    }
}

/// A field's name as scenarios write it: `retry_after` is `retry-after`.
pub(super) fn written(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "-")
}

/// A value without the quotes of JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
