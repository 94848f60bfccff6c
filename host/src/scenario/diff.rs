//! What differs between two scenarios in meaning: models by their names, defaults resolved, `1s` equal to `1000ms`.
//!
//! Both are compared as written, each model with what it takes from `defaults`, so that sections and options need no line here.
//! Files whose text differs only in comments, order of fields or short forms are the same.

use serde_json::{Map, Value, json};

use crate::scenario::Scenario;
use crate::scenario::check::built_in_defaults;
use crate::types::quantity::{parse_bytes, parse_duration_us, parse_share};

/// One thing that differs. At least one of `old` and `new` is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where: the section, then the model's or incident's name, then fields; entries of lists are counted from 1.
    pub path: Vec<String>,
    /// What it was; `None` if it was not there.
    pub old: Option<Value>,
    /// What it is; `None` if it is gone.
    pub new: Option<Value>,
}

/// Everything that differs between `old` and `new`, models in the order of `old`.
pub fn diff(old: &Scenario, new: &Scenario) -> Vec<Change> {
    let (old, new) = (meaning(&old.source.value), meaning(&new.source.value));
    let mut changes = Vec::new();
    let order = |value: &Value| -> Vec<String> { value["models"].as_object().into_iter().flat_map(Map::keys).cloned().collect() };
    let (mut before, mut after) = (order(&old), order(&new));
    before.retain(|name| new["models"].get(name).is_some());
    after.retain(|name| old["models"].get(name).is_some());
    compare(&mut Vec::new(), &old, &new, &mut changes);
    if before != after {
        changes.push(Change { path: vec!["order of models".to_owned()], old: Some(json!(before)), new: Some(json!(after)) });
    }
    changes
}

/// `changes` in a few words: `2 models changed, 1 added; seed changed`. Without changes, `nothing changed`.
pub fn summary(changes: &[Change]) -> String {
    let mut sections: Vec<&str> = changes.iter().map(|change| change.path[0].as_str()).filter(|name| *name != "models").collect();
    sections.dedup();
    let whole = |change: &&Change| change.path[0] == "models" && change.path.len() == 2;
    let added = changes.iter().filter(whole).filter(|change| change.old.is_none()).count();
    let removed = changes.iter().filter(whole).filter(|change| change.new.is_none()).count();
    let mut names: Vec<&str> = changes
        .iter()
        .filter(|change| change.path[0] == "models" && change.path.len() > 2)
        .map(|change| &*change.path[1])
        .collect();
    names.dedup();
    let counted = [(names.len(), "changed"), (added, "added"), (removed, "removed")];
    let mut models: Vec<String> =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if let Some(first) = models.first_mut() {
        *first = first.replacen(' ', if first.starts_with("1 ") { " model " } else { " models " }, 1);
    }
    let mut parts: Vec<String> = Vec::new();
    parts.extend((!models.is_empty()).then(|| models.join(", ")));
    parts.extend((!sections.is_empty()).then(|| format!("{} changed", sections.join(", "))));
    if parts.is_empty() { "nothing changed".to_owned() } else { parts.join("; ") }
}

/// `value`, a scenario as written, with every short form written out and the defaults in each model.
fn meaning(value: &Value) -> Value {
    let mut whole = Map::new();
    for (section, written) in value.as_object().into_iter().flatten() {
        let meant = match section.as_str() {
            // The format is the same for both, and the defaults are in the models.
            "simwright" | "defaults" => continue,
            "models" => models(written, &value["defaults"]),
            "incidents" => {
                let each = written.as_object().into_iter().flatten();
                Value::Object(each.map(|(name, incident)| (name.clone(), behaving(incident))).collect())
            }
            _ => plain(section, written),
        };
        whole.insert(section.clone(), meant);
    }
    whole.entry("tokens").or_insert_with(|| json!("estimate"));
    Value::Object(whole)
}

fn models(written: &Value, defaults: &Value) -> Value {
    let mut models = Map::new();
    for entry in written.as_array().into_iter().flatten() {
        let mut fields = entry.as_object().cloned().unwrap_or_default();
        for left_open in [defaults, built_in_defaults()] {
            for (name, value) in left_open.as_object().into_iter().flatten() {
                if fields.get(name).is_none_or(Value::is_null) {
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        // The short form of a pipeline with one stage.
        if let Some(through) = fields.remove("through") {
            fields.insert("pipeline".to_owned(), json!([{ "model": { "through": through } }]));
        }
        let mut meant = behaving(&Value::Object(fields));
        let matches = meant["match"].clone();
        let name = match meant["name"].take() {
            Value::String(name) => name,
            _ => matches[0].as_str().unwrap_or_default().to_owned(),
        };
        if let Some(fields) = meant.as_object_mut() {
            fields.remove("name");
            let is_name = |text: &&Value| text.as_str().is_some_and(|text| !text.contains('*'));
            let listed: Vec<&Value> = matches.as_array().into_iter().flatten().filter(is_name).collect();
            fields.entry("list").or_insert_with(|| json!(listed));
            fields.entry("owned-by").or_insert_with(|| json!("simwright"));
        }
        models.insert(name, meant);
    }
    Value::Object(models)
}

/// A map of fields, some of them behaviours.
fn behaving(written: &Value) -> Value {
    let field = |(name, value): (&String, &Value)| {
        let meant = match (name.as_str(), value) {
            ("faults", Value::Array(items)) => items.iter().map(behaviour).collect(),
            ("latency" | "reply", Value::Array(items)) if items.len() == 1 => behaviour(&items[0]),
            ("latency" | "reply", Value::Array(items)) => items.iter().map(behaviour).collect(),
            ("latency" | "reply", one) => behaviour(one),
            ("pipeline", stages) => self::stages(stages),
            (name, value) => plain(name, value),
        };
        (name.clone(), meant)
    };
    Value::Object(written.as_object().into_iter().flatten().map(field).collect())
}

/// A list of stages, or one that stands for a list, with every stage a map.
fn stages(written: &Value) -> Value {
    match written {
        Value::Array(items) => items.iter().map(stage).collect(),
        one => json!([stage(one)]),
    }
}

fn stage(written: &Value) -> Value {
    let Value::Object(map) = written else { return json!({ written.as_str().unwrap_or_default(): {} }) };
    let ways = |ways: &Value| -> Value { ways.as_array().into_iter().flatten().map(stages).collect() };
    let field = |(name, value): (&String, &Value)| {
        let mut meant = value.clone();
        match name.as_str() {
            "first-of" => meant = ways(value),
            "fork" => {
                meant["branches"] = ways(&value["branches"]);
                if meant["need"].is_null() {
                    meant["need"] = json!("all");
                }
            }
            "route" => {
                let open = meant.as_array_mut().into_iter().flatten();
                open.for_each(|way| way["stages"] = stages(&way["stages"]));
            }
            _ if value.is_null() => meant = json!({}),
            _ => {}
        }
        (name.clone(), meant)
    };
    Value::Object(map.iter().map(field).collect())
}

/// A behaviour with its options, of which there may be none.
fn behaviour(written: &Value) -> Value {
    match written {
        Value::String(name) => json!({ (name): {} }),
        Value::Object(map) => {
            let field = |(name, value): (&String, &Value)| {
                let meant = match (name.as_str(), value) {
                    ("fallback", value) => behaviour(value),
                    ("script", Value::Array(steps)) => steps.iter().map(behaviour).collect(),
                    ("when", value) => value.clone(),
                    (_, Value::Null) => json!({}),
                    (_, options) => options.clone(),
                };
                (name.clone(), meant)
            };
            Value::Object(map.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

/// A field that may be a list or its only entry.
fn plain(name: &str, value: &Value) -> Value {
    const LISTS: [&str; 6] = ["match", "list", "models", "include", "active", "incidents"];
    if LISTS.contains(&name) && value.is_string() { json!([value]) } else { value.clone() }
}

fn compare(path: &mut Vec<String>, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    if same(old, new) {
        return;
    }
    match (old, new) {
        // Two maps that share no field are two different things, such as two behaviours, unless they hold things by name.
        (Value::Object(before), Value::Object(after)) if path.len() < 2 || before.keys().any(|key| after.contains_key(key)) => {
            let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
            for name in names {
                path.push(name.clone());
                either(path, before.get(name), after.get(name), changes);
                path.pop();
            }
        }
        (Value::Array(before), Value::Array(after)) if before.iter().chain(after).any(Value::is_object) => {
            // What is alike at both ends stays out, so that an entry which is put in does not change all after it.
            let start = before.iter().zip(after).take_while(|(a, b)| same(a, b)).count();
            let rest = before.len().min(after.len()) - start;
            let end = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| same(a, b)).count();
            let (before, after) = (&before[start..before.len() - end], &after[start..after.len() - end]);
            for index in 0..before.len().max(after.len()) {
                path.push((start + index + 1).to_string());
                either(path, before.get(index), after.get(index), changes);
                path.pop();
            }
        }
        _ => changes.push(Change { path: path.clone(), old: Some(old.clone()), new: Some(new.clone()) }),
    }
}

fn either(path: &mut Vec<String>, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    match (old, new) {
        (Some(old), Some(new)) => compare(path, old, new, changes),
        (old, new) => changes.push(Change { path: path.clone(), old: old.cloned(), new: new.cloned() }),
    }
}

fn same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            before.len() == after.len()
                && before.iter().all(|(name, value)| after.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(a, b)| same(a, b))
        }
        _ => old == new || same_quantity(old, new),
    }
}

/// Are both the same duration, share or size, however written?
fn same_quantity(old: &Value, new: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let (Some(old), Some(new)) = (text(old), text(new)) else { return false };
    let duration = |text: &str| if text == "0" { Ok(0) } else { parse_duration_us(text) };
    let size = |text: &str| if text.ends_with('B') { parse_bytes(text) } else { Err(String::new()) };
    let equal = |a: Result<u64, String>, b: Result<u64, String>| a.is_ok() && a == b;
    let shares = (parse_share(&old), parse_share(&new));
    equal(duration(&old), duration(&new)) || equal(size(&old), size(&new)) || (shares.0.is_ok() && shares.0 == shares.1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::read::parse;

    /// The differences, each as `path: old → new`.
    fn changes(old: &str, new: &str) -> Vec<String> {
        let read = |text: &str| parse("s.yaml", text, Path::new("")).expect("readable").scenario;
        let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string).replace('"', "");
        let line = |change: &Change| format!("{}: {} → {}", change.path.join("."), shown(&change.old), shown(&change.new));
        diff(&read(old), &read(new)).iter().map(line).collect()
    }

    fn of_models(old: &str, new: &str) -> Vec<String> {
        let file = |models: &str| format!("simwright: 1\nmodels:\n{models}");
        changes(&file(old), &file(new))
    }

    #[test]
    fn what_is_only_written_otherwise_is_the_same() {
        let old = "
simwright: 1
defaults: { latency: { constant: { first: 1s } }, faults: [{ http-error: { rate: 5%, status: 500 } }] }
models: [{ match: a, reply: echo }, { match: [b] }]
";
        let new = "
simwright: 1
tokens: estimate
models:
  - { name: a, reply: { echo: {} }, match: [a], list: [a], latency: { constant: { first: 1000ms } }, faults: [{ http-error: { status: 500, rate: 0.05 } }] }
  - { match: b, latency: [{ constant: { first: 1s } }], faults: [{ http-error: { rate: 5%, status: 500 } }], context-window: 128000 }
";
        assert_eq!(changes(old, new), Vec::<String>::new());
        assert_eq!(summary(&[]), "nothing changed");
    }

    #[test]
    fn models_are_found_by_name_and_told_as_added_removed_or_changed() {
        let old = "  - { match: a, latency: { constant: { first: 1s } } }\n  - { match: gone, list: [] }\n";
        let new = "  - { match: new, name: fresh }\n  - { match: a, latency: { constant: { first: 2s, between: 1ms } } }\n";
        let found = of_models(old, new);
        assert_eq!(found[..2], ["models.a.latency.constant.first: 1s → 2s", "models.a.latency.constant.between: nothing → 1ms"]);
        assert!(found[2].starts_with("models.gone: {match:[gone],"), "{found:?}");
        assert!(found[3].starts_with("models.fresh: nothing → {match:[new],") && found.len() == 4, "{found:?}");
    }

    #[test]
    fn another_behaviour_is_one_change_and_a_fault_put_in_changes_no_other() {
        assert_eq!(
            of_models("  - { match: a, reply: echo }", "  - { match: a, reply: { fixed: { text: hi } } }"),
            ["models.a.reply: {echo:{}} → {fixed:{text:hi}}"]
        );
        let (one, two) = ("{ http-error: { status: 500 } }", "{ hang: { for: 1s } }");
        assert_eq!(
            of_models(&format!("  - {{ match: a, faults: [{one}] }}"), &format!("  - {{ match: a, faults: [{two}, {one}] }}")),
            ["models.a.faults.1: nothing → {hang:{for:1s}}"]
        );
    }

    #[test]
    fn order_and_sections_count_too() {
        let old = "simwright: 1\nseed: 1\nmodels: [{ match: a }, { match: b }]\n";
        let new = "simwright: 1\nseed: 2\nplugins: { p: { file: ./p.wasm } }\nmodels: [{ match: b }, { match: a }]\n";
        let expected = ["seed: 1 → 2", "plugins: nothing → {p:{file:./p.wasm}}", "order of models: [a,b] → [b,a]"];
        assert_eq!(changes(old, new), expected);
    }

    #[test]
    fn stations_and_stages_are_compared_by_what_they_mean() {
        let file =
            |stations: &str, entry: &str| format!("simwright: 1\nstations: {stations}\nmodels: [{{ match: a, {entry} }}]\n");
        let pool = "{ db: { pool: { size: 2, wait: 1s } } }";
        let long = "pipeline: [{ fork: { need: all, branches: [[{ x: {} }], [y]] } }, { model: { through: db } }]";
        let short = "pipeline: [{ fork: { branches: [x, { y: null }] } }, { model: { through: db } }]";
        assert_eq!(changes(&file(pool, long), &file("{ db: { pool: { wait: 1000ms, size: 2 } } }", short)), Vec::<String>::new());
        let one = "pipeline: [{ model: { through: db } }]";
        assert_eq!(changes(&file(pool, "through: db"), &file(pool, one)), Vec::<String>::new());
        assert_eq!(
            changes(
                &file(pool, one),
                &file("{ db: { pool: { size: 3, wait: 1s } } }", "pipeline: [{ model: { through: db, within: 1s } }]")
            ),
            ["stations.db.pool.size: 2 → 3", "models.a.pipeline.1.model.within: nothing → 1s"]
        );
    }

    #[test]
    fn a_summary_counts() {
        let change = |path: &[&str], old: bool, new: bool| Change {
            path: path.iter().map(ToString::to_string).collect(),
            old: old.then_some(Value::Null),
            new: new.then_some(Value::Null),
        };
        let changes = [
            change(&["seed"], true, true),
            change(&["models", "a", "latency"], true, true),
            change(&["models", "a", "reply"], true, true),
            change(&["models", "b", "reply"], true, true),
            change(&["models", "c"], true, false),
        ];
        assert_eq!(summary(&changes), "2 models changed, 1 removed; seed changed");
        assert_eq!(summary(&changes[4..]), "1 model removed");
    }
}
