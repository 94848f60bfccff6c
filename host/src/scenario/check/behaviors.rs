//! A behaviour as a scenario writes it: `name`, or `{ name: options }` with a `fallback` beside it.

use serde_json::{Map, Value};

use crate::scenario::BehaviorUse;
use crate::types::fields::{escape, kind_of};
use crate::types::problem::{Problem, did_you_mean};

const FORM: &str = "write `name`, or `name:` with its options below";

/// Reads the behaviour `value`, which lies at `pointer`; mistakes go to `problems`.
pub(super) fn behavior(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<BehaviorUse> {
    match value {
        Value::String(name) if !name.is_empty() => Some(BehaviorUse {
            name: name.clone(),
            options: Value::Object(Map::new()),
            fallback: None,
            pointer: pointer.to_owned(),
        }),
        Value::Object(map) => from_map(map, pointer, problems),
        other => {
            let message = format!("expected a behaviour, found {}", if other == "" { "an empty text" } else { kind_of(other) });
            problems.push(Problem::new(pointer, message).hint(FORM));
            None
        }
    }
}

/// Reads a list of behaviours.
pub(super) fn list(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Vec<BehaviorUse> {
    match value {
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.filter_map(|(index, item)| behavior(item, &format!("{pointer}/{index}"), problems)).collect()
        }
        other => {
            let message = format!("expected a list of faults, found {}", kind_of(other));
            problems.push(Problem::new(pointer, message).hint("write one fault a line, each after `- `; `[]` for none"));
            Vec::new()
        }
    }
}

fn from_map(map: &Map<String, Value>, pointer: &str, problems: &mut Vec<Problem>) -> Option<BehaviorUse> {
    let mut names = map.iter().filter(|(key, _)| *key != "fallback");
    let (Some((name, options)), extra) = (names.next(), names.next()) else {
        problems.push(Problem::new(pointer, "expected the name of a behaviour").hint(FORM));
        return None;
    };
    if let Some((extra, _)) = extra {
        let problem =
            Problem::new(format!("{pointer}/{}", escape(extra)), format!("`{extra}` is a second behaviour beside `{name}`"));
        problems.push(problem.at_key().hint(match did_you_mean(extra, ["fallback"]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("options of `{name}` stand one level deeper; only `fallback` may stand beside it"),
        }));
    }
    let options_pointer = format!("{pointer}/{}", escape(name));
    let options = match options {
        Value::Null => Some(Value::Object(Map::new())),
        Value::Object(_) => Some(options.clone()),
        other => {
            let message = format!("expected the options of `{name}`, found {}", kind_of(other));
            problems.push(Problem::new(options_pointer.clone(), message).hint("options are a map of fields, such as `rate: 5%`"));
            None
        }
    };
    let fallback = match map.get("fallback") {
        None | Some(Value::Null) => None,
        Some(value) => behavior(value, &format!("{pointer}/fallback"), problems).map(Box::new),
    };
    Some(BehaviorUse { name: name.clone(), options: options?, fallback, pointer: options_pointer })
}
