//! Options for every native behaviour that there is, so that a new one is measured without anybody's doing.
//!
//! They come from where the behaviour is used in `examples/` or in the built-in scenario, else from a short table, else from the
//! schema of its options. The first that the behaviour accepts are taken.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Map, Value, json};
use simwright::behavior::catalog::{Catalog, Makers, Setting};
use simwright::scenario::read;

/// One behaviour in a scenario of its own.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The scenario's field that names it: `latency`, `faults` or `reply`.
    pub field: &'static str,
    /// Its name.
    pub name: String,
    /// A scenario whose model `bench` uses it and is plain otherwise; `None` if no options for it are known.
    pub scenario: Option<String>,
}

/// Every native behaviour of `catalog`. `root` is the folder of the repository.
pub fn samples(catalog: &Catalog, root: &Path) -> Result<Vec<Sample>> {
    let used = uses(&root.join("examples"))?;
    let mut samples = of_kind(&catalog.fault, "faults", &used);
    samples.extend(of_kind(&catalog.responder, "reply", &used));
    samples.extend(of_kind(&catalog.latency, "latency", &used));
    Ok(samples)
}

fn of_kind<B: ?Sized>(makers: &Makers<B>, field: &'static str, used: &[(String, Value)]) -> Vec<Sample> {
    let sample = |(name, maker): (&String, &Arc<dyn simwright::behavior::catalog::Maker<B>>)| {
        let seen = used.iter().filter(|(known, _)| known == name).map(|(_, options)| options.clone());
        let mut tried = seen.chain(known(name)).chain([example(&maker.schema()), json!({})]);
        let options = tried.find(|options| maker.make(options, &Setting::default()).is_ok());
        Sample { field, name: name.clone(), scenario: options.map(|options| scenario(field, name, options)) }
    };
    makers.iter().map(sample).collect()
}

fn scenario(field: &str, name: &str, options: Value) -> String {
    let mut model = json!({ "match": "bench", "latency": { "constant": {} }, "reply": { "fixed": { "text": "one two three" } } });
    let behaviour = Value::Object(Map::from_iter([(name.to_owned(), options)]));
    model[field] = if field == "faults" { json!([behaviour]) } else { behaviour };
    // JSON is YAML.
    json!({ "simwright": 1, "models": [model] }).to_string()
}

/// Options of behaviours that no example shows.
fn known(name: &str) -> Option<Value> {
    Some(match name {
        "http-error" => json!({ "rate": "1%", "status": 500 }),
        "hang" => json!({ "for": "1s", "rate": "1%" }),
        "stall" => json!({ "for": "1s", "at": "50%", "rate": "50%" }),
        "cut" => json!({ "at": "50%", "rate": "50%" }),
        "error-event" => json!({ "at": "50%", "rate": "50%" }),
        "log-normal" => json!({ "first": { "p50": "300ms", "p99": "1s" }, "between": { "p50": "10ms", "p99": "40ms" } }),
        "empirical" => of_both(json!({ "values": ["10ms", "12ms", "400ms"] })),
        "exponential" => of_both(json!({ "mean": "20ms" })),
        "gamma" | "weibull" | "pareto" => of_both(json!({ "p50": "20ms", "p99": "90ms" })),
        "uniform" => of_both(json!({ "min": "10ms", "max": "30ms" })),
        "mixture" => of_both(
            json!([{ "share": "90%", "uniform": { "min": "10ms", "max": "30ms" } }, { "share": "10%", "exponential": { "mean": "1s" } }]),
        ),
        "delays" => {
            json!({ "first": { "gamma": { "mean": "300ms", "shape": 3 } }, "per-prompt-token": "80us", "between": "10ms", "pauses": [{ "rate": "1%", "for": "300ms" }] })
        }
        "fixed" => json!({ "text": "one two three" }),
        "fixtures" => {
            json!({ "entries": [{ "match": { "user": { "contains": "no" } }, "reply": "one" }], "otherwise": { "fixed": { "text": "two" } } })
        }
        "template" => json!({ "text": "You said {{ last_user_text }}" }),
        "conversation" => json!({ "steps": [{ "fixed": { "text": "one" } }] }),
        _ => return None,
    })
}

/// Options with one law for the first token and for all others.
fn of_both(law: Value) -> Value {
    json!({ "first": law, "between": law })
}

/// A small value that fits `schema`, as far as the words go that `types/schema.rs` writes.
fn example(schema: &Value) -> Value {
    let first = |word: &str| schema[word].get(0).cloned();
    if let Some(value) = first("examples").or_else(|| first("enum")).or_else(|| schema.get("default").cloned()) {
        return value;
    }
    if let Some(value) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(|schemas| schemas.get(0)) {
        return example(value);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.map(|name| (name.to_owned(), example(&schema["properties"][name]))).collect::<Map<_, _>>().into()
        }
        Some("array") => json!([example(&schema["items"])]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        _ => json!("one"),
    }
}

/// Names and options of all behaviours that the scenarios below `folder` and the built-in one use.
fn uses(folder: &Path) -> Result<Vec<(String, Value)>> {
    let mut drafts = vec![read::built_in()?];
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path().join("scenario.yaml");
        if file.is_file() {
            drafts.push(read::read(&file)?);
        }
    }
    let used = drafts.iter().flat_map(|draft| draft.scenario.behaviours());
    Ok(used.map(|used| (used.name.clone(), used.options.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_options_for_every_native_behaviour() {
        let mut catalog = Catalog::default();
        simwright::builtin::register(&mut catalog);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let samples = samples(&catalog, root).unwrap();
        assert!(samples.len() >= 11);
        for sample in samples {
            let text = sample.scenario.unwrap_or_else(|| panic!("`{}` has no sample; add one to `known`", sample.name));
            read::parse("bench.yaml", &text, root).unwrap().whole().unwrap_or_else(|refusal| panic!("{refusal}"));
        }
    }

    #[test]
    fn an_example_has_what_is_required_and_no_more() {
        use simwright::types::schema::{duration, integer, list, object, word};
        let schema = object([
            ("at!", duration("When.")),
            ("count", integer("How many.", 1..=9)),
            ("how!", word("How.", &["well"])),
            ("of!", list("What.", integer("Which.", 3..=5))),
        ]);
        assert_eq!(example(&schema), json!({ "at": "350ms", "how": "well", "of": [3] }));
    }
}
