//! A behaviour as a scenario writes it: `name`, or `{ name: options }` with a `fallback` and a `when` beside it. In a list of faults
//! also a `script`, which is only another way to write faults with a `when` each.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::scenario::BehaviorUse;
use crate::scenario::check::when::when;
use crate::scenario::when::{Condition, Ranges, When};
use crate::types::fields::{escape, kind_of};
use crate::types::limits::SCENARIO_FAULTS_MAX;
use crate::types::problem::{Problem, did_you_mean};

const FORM: &str = "write `name`, or `name:` with its options below";

/// Shares of a script's own `when` are numbered from here on; those of its steps from 0.
const SCRIPT_SHARES: u64 = 1 << 32;

/// Words that stand beside a behaviour, so that nothing can be called so.
pub(super) const WORDS: [&str; 5] = ["fallback", "when", "script", "then", "pass"];

/// Reads the behaviour `value`, which lies at `pointer`; mistakes go to `problems`.
pub(super) fn behavior(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<BehaviorUse> {
    match value {
        Value::String(name) if !name.is_empty() => Some(BehaviorUse {
            name: name.clone(),
            options: Value::Object(Map::new()),
            when: None,
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

/// Reads a list of faults.
pub(super) fn faults(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Vec<BehaviorUse> {
    let Value::Array(items) = value else {
        let message = format!("expected a list of faults, found {}", kind_of(value));
        problems.push(Problem::new(pointer, message).hint("write one fault a line, each after `- `; `[]` for none"));
        return Vec::new();
    };
    let mut list = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match item {
            Value::Object(map) if map.contains_key("script") => list.extend(script(map, &pointer, problems)),
            other => list.extend(behavior(other, &pointer, problems)),
        }
    }
    if list.len() > SCENARIO_FAULTS_MAX {
        let message = format!("there are {} faults, and a list may have {SCENARIO_FAULTS_MAX}", list.len());
        problems.push(Problem::new(pointer, message));
    }
    list
}

/// Reads a behaviour or a list of behaviours, of which the first counts whose `when` holds. If it is `whole`, one of them must hold
/// for every request, so the last has no `when`.
pub(super) fn rules(value: &Value, pointer: &str, whole: bool, problems: &mut Vec<Problem>) -> Vec<BehaviorUse> {
    let items: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (format!("{pointer}/{index}"), item)).collect(),
        single => vec![(pointer.to_owned(), single)],
    };
    if items.is_empty() {
        problems.push(Problem::new(pointer, "expected a behaviour, found an empty list").hint(FORM));
    }
    let mut list: Vec<BehaviorUse> = Vec::new();
    let count = items.len();
    let mut always = false;
    for (index, (pointer, item)) in items.into_iter().enumerate() {
        let conditional = item.get("when").is_some_and(|when| !when.is_null());
        if always {
            let message = "this never counts: the one above it has no `when`, so it holds for every request";
            problems.push(Problem::new(pointer.clone(), message).hint("put what has no `when` last"));
            always = false;
        } else if whole && conditional && index + 1 == count {
            let message = "the last one has a `when`, so there would be requests for which none counts";
            problems
                .push(Problem::new(format!("{pointer}/when"), message).at_key().hint("end the list with one that has no `when`"));
        }
        always |= !conditional && index + 1 < count;
        list.extend(behavior(item, &pointer, problems));
    }
    list
}

fn from_map(map: &Map<String, Value>, pointer: &str, problems: &mut Vec<Problem>) -> Option<BehaviorUse> {
    let mut names = map.iter().filter(|(key, _)| !matches!(key.as_str(), "fallback" | "when"));
    let (Some((name, options)), extra) = (names.next(), names.next()) else {
        problems.push(Problem::new(pointer, "expected the name of a behaviour").hint(FORM));
        return None;
    };
    if let Some((extra, _)) = extra {
        let problem =
            Problem::new(format!("{pointer}/{}", escape(extra)), format!("`{extra}` is a second behaviour beside `{name}`"));
        problems.push(problem.at_key().hint(match did_you_mean(extra, ["fallback", "when"]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("options of `{name}` stand one level deeper; only `fallback` and `when` may stand beside it"),
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
        Some(value) => {
            let pointer = format!("{pointer}/fallback");
            if value.get("when").is_some() {
                let message = "a fallback has no `when`: it takes over whenever the other fails";
                problems.push(Problem::new(format!("{pointer}/when"), message).at_key());
            }
            behavior(value, &pointer, problems).map(Box::new)
        }
    };
    let when = conditions(map, pointer, 0, problems);
    Some(BehaviorUse { name: name.clone(), options: options?, when, fallback, pointer: options_pointer })
}

fn conditions(map: &Map<String, Value>, pointer: &str, first_share: u64, problems: &mut Vec<Problem>) -> Option<Arc<When>> {
    let value = map.get("when").filter(|value| !value.is_null())?;
    when(value, &format!("{pointer}/when"), first_share, problems)
}

/// Reads `script: [ … ]`: the first step is for the first attempt, the second for the second, and so on.
fn script(map: &Map<String, Value>, pointer: &str, problems: &mut Vec<Problem>) -> Vec<BehaviorUse> {
    for key in map.keys().filter(|key| !matches!(key.as_str(), "script" | "then" | "when")) {
        let problem = Problem::new(format!("{pointer}/{}", escape(key)), format!("`{key}` cannot stand beside a script"));
        problems.push(problem.at_key().hint("only `then` and `when` can; faults of the script stand in its list"));
    }
    let repeats = match map.get("then") {
        None | Some(Value::Null) => false,
        Some(Value::String(word)) if word == "pass" => false,
        Some(Value::String(word)) if word == "repeat" => true,
        Some(_) => {
            problems.push(Problem::new(format!("{pointer}/then"), "expected `pass` or `repeat`"));
            false
        }
    };
    let every = conditions(map, pointer, SCRIPT_SHARES, problems);
    let pointer = format!("{pointer}/script");
    let Some(steps) = map["script"].as_array().filter(|steps| !steps.is_empty()) else {
        let message = "expected a list of faults, one for each attempt";
        problems.push(Problem::new(pointer, message).hint("`pass` stands for an attempt that does not fail"));
        return Vec::new();
    };
    let of = steps.len() as u32;
    let mut faults = Vec::new();
    for (step, number) in steps.iter().zip(1..=of) {
        if step == "pass" {
            continue;
        }
        let Some(mut fault) = behavior(step, &format!("{pointer}/{}", number - 1), problems) else { continue };
        let attempt = match repeats {
            true => Condition::AttemptOf { number, of },
            false => Condition::Attempt(Ranges::of(vec![(number.into(), number.into())])),
        };
        let mut when = When::all(vec![attempt]);
        for more in every.iter().chain(&fault.when) {
            when = when.and(more);
        }
        fault.when = Some(Arc::new(when));
        faults.push(fault);
    }
    faults
}
