use std::path::Path;

use simwright::app;
use simwright::scenario::read;
use simwright::workload::read::schema;
use simwright::workload::{Answer, Traffic};

use super::support::guests::workspace;
use super::support::readme::blocks;

fn document() -> String {
    std::fs::read_to_string(workspace().join("docs/workload.md")).expect("the document")
}

/// A folder with `scenario` in it and the recordings that are there for benches.
fn folder_with(scenario: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("scenario.yaml"), scenario).expect("written");
    let data = workspace().join("benches/data");
    for name in ["azure_llm_2023_conv.csv", "mooncake_synthetic_trace.jsonl"] {
        std::fs::copy(data.join(name), folder.path().join(name)).expect("copied");
    }
    folder
}

fn scenario_in(folder: &Path) -> simwright::scenario::Scenario {
    let file = folder.join("scenario.yaml");
    app::check(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    read::read(&file).and_then(|draft| draft.whole()).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[test]
fn every_workload_in_the_document_is_played() {
    let blocks: Vec<_> = blocks(&document()).into_iter().filter(|block| block.language == "yaml").collect();
    assert!(blocks.len() >= 4);
    for block in blocks {
        let folder = folder_with(&block.text);
        let scenario = scenario_in(folder.path());
        let mut workload = (**scenario.workload.as_ref().expect("a workload")).clone();
        workload.count_prompts(|text| text.len() as u32);
        let mut traffic = Traffic::begin(&workload, 42).unwrap_or_else(|problems| panic!("{problems:?}"));
        let mut asks = 0;
        while let Some(at) = traffic.next_at().filter(|_| asks < 1_000) {
            let ask = traffic.next(at).expect("one that is due");
            traffic.ended(at + 1_000_000, &ask, Answer::Whole, || true);
            asks += 1;
        }
        assert_eq!(asks, 1_000, "line {}", block.line);
    }
}

#[test]
fn every_field_of_the_section_is_explained() {
    let document = document();
    let mut missing = Vec::new();
    visit(&schema::section(), &mut |name| {
        let explained = ["`", " ", "{ ", "("]
            .iter()
            .any(|before| [":", "`", ",", " }", "}"].iter().any(|after| document.contains(&format!("{before}{name}{after}"))));
        if !explained {
            missing.push(name.to_owned());
        }
    });
    // Laws have a page of their own.
    let laws = std::fs::read_to_string(workspace().join("docs/behaviours.md")).expect("the document");
    missing.retain(|name| !laws.contains(name.as_str()));
    assert!(missing.is_empty(), "docs/workload.md does not say {missing:?}");
}

fn visit(schema: &serde_json::Value, each: &mut impl FnMut(&str)) {
    match schema {
        serde_json::Value::Object(map) => {
            for (name, _) in map.get("properties").and_then(|fields| fields.as_object()).into_iter().flatten() {
                each(name);
            }
            map.values().for_each(|value| visit(value, each));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| visit(item, each)),
        _ => {}
    }
}

#[test]
fn mistakes_of_a_recording_and_of_its_scenario_are_told_together() {
    let scenario = "simwright: 1
models:
  - match: gpt-4o
workload:
  arrivals: { trace: { file: bad.csv, sped: 2 } }
  classes:
    - { model: gpt-4o, output: [] }
";
    let folder = folder_with(scenario);
    let rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6,374,44\n2023-11-16 18:15:45.6,374,44\n2023-11-16 18:15:47.6,374\n";
    std::fs::write(folder.path().join("bad.csv"), rows).expect("written");
    let said = app::check(Some(&folder.path().join("scenario.yaml"))).expect_err("mistakes").to_string();
    for part in [
        "bad.csv:3:1: this request is earlier than the first one",
        "bad.csv:4:1: expected 3 columns, found 2",
        "scenario.yaml:5:39: unknown field `sped`",
        "scenario.yaml:7:32: expected a number of tokens, found a list",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
}
