use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;
use simwright::app::schema::schema;
use simwright::app::starter::STARTERS;
use simwright::scenario::source::Source;
use simwright::scenario::{Draft, read};

use super::support::guests::workspace;
use super::support::readme::{blocks, documents};

fn validator() -> Validator {
    jsonschema::validator_for(&schema().unwrap_or_else(|error| panic!("{error}"))).expect("a schema")
}

fn value(name: &str, text: &str) -> Value {
    Source::parse(name, text).unwrap_or_else(|problem| panic!("{name}: {problem}")).value
}

fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_accepts_the_default_scenario_and_every_one_that_is_shown() {
    let validator = validator();
    let mut texts = vec![("default".to_owned(), read::DEFAULT.to_owned())];
    texts.extend(STARTERS.iter().map(|starter| (starter.name.to_owned(), starter.scenario.to_owned())));
    for folder in std::fs::read_dir(workspace().join("examples")).expect("a folder").flatten() {
        let file = folder.path().join("scenario.yaml");
        if let Ok(text) = std::fs::read_to_string(&file) {
            texts.push((file.display().to_string(), text));
        }
    }
    for (document, text) in documents() {
        let scenarios = blocks(&text).into_iter().filter(|block| block.language == "yaml" && block.text.contains("simwright: 1"));
        texts.extend(scenarios.map(|block| (document.display().to_string(), block.text)));
    }
    assert!(texts.len() > 8, "{}", texts.len());
    for (name, text) in texts {
        assert_eq!(errors(&validator, &value(&name, &text)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_schema_refuses_unknown_fields_and_options_of_native_behaviours_and_of_the_standard_pack() {
    let validator = validator();
    let is_valid =
        |model: &str| validator.is_valid(&value("s.yaml", &format!("simwright: 1\nmodels:\n  - {{ match: a, {model} }}\n")));
    assert!(is_valid("latency: { constant: { first: 1ms } }"));
    assert!(!is_valid("latency: { constant: { frist: 1ms } }"));
    assert!(!is_valid("latnecy: { constant: { first: 1ms } }"));
    assert!(is_valid("latency: { gamma: { first: { mean: 1s, shape: 2 }, between: { p50: 1ms, p99: 4ms } } }"));
    assert!(!is_valid("latency: { gamma: { first: { maen: 1s, shape: 2 }, between: { p50: 1ms, p99: 4ms } } }"));
    assert!(is_valid("latency: { brown-out: { depth: 0.5 } }"));
    assert!(!is_valid("latency: { brown-out: { dept: 0.5 } }"));
    assert!(is_valid("latency: { of-my-own: { anything: 0.5 } }"));
}

/// What the program says is known where `zzzz` is not.
fn known_fields(text: &str) -> Vec<Vec<String>> {
    let problems = read::parse("s.yaml", text, Path::new("")).and_then(Draft::whole).expect_err("unknown fields").problems;
    let hints = problems.iter().filter(|problem| problem.message.contains("zzzz")).filter_map(|problem| problem.hint.as_deref());
    let names = |hint: &str| hint.strip_prefix("known fields: ").map(|names| names.split(", ").map(str::to_owned).collect());
    hints.filter_map(names).collect()
}

#[test]
fn the_schema_knows_every_field_that_the_program_reads() {
    let schema = schema().unwrap_or_else(|error| panic!("{error}"));
    let text = "simwright: 1\nzzzz: 1\ndefaults: { zzzz: 1 }\nplugins: { p: { zzzz: 1 } }\nmodels: [{ match: a, zzzz: 1 }]\n";
    let [whole, rest @ ..] = &known_fields(text)[..] else { panic!("no hint") };
    assert_eq!(rest.len(), 3, "{rest:?}");
    let places = [
        (whole, &schema["properties"]),
        (&rest[0], &schema["properties"]["defaults"]["properties"]),
        (&rest[1], &schema["properties"]["plugins"]["additionalProperties"]["properties"]),
        (&rest[2], &schema["properties"]["models"]["items"]["properties"]),
    ];
    for (fields, properties) in places {
        let missing: Vec<&String> = fields.iter().filter(|field| properties.get(field.as_str()).is_none()).collect();
        assert!(missing.is_empty() && fields.len() > 3, "add {missing:?} to `scenario/schema.rs`; read are {fields:?}");
    }
}

#[test]
fn what_is_served_is_described_for_other_programs() {
    let described = simwright::app::schema::api();
    assert_eq!(described["openapi"], "3.1.0");
    assert!(described["paths"].as_object().is_some_and(|paths| paths.len() > 8), "{described}");
}
