use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use simwright::app;
use simwright::app::explain::{ExplainOptions, explain};

use super::support::guests::adversary;
use super::support::host::{TestHost, ask, eventually};

const SCENARIO: &str = "
simwright: 1
models:
  - match: traced
    latency:
      delays:
        first: { empirical: { file: traces/ttft.csv, column: ttft_ms } }
        between: { gamma: { mean: 2ms, shape: 3 } }
    reply: { text: { tokens: 5 } }
  - match: paused
    latency:
      delays:
        first: 10ms
        per-prompt-token: 1ms
        between: 1ms
        pauses: [{ after: 2, for: 100ms }]
    reply: { text: { tokens: 5 } }
";

fn with_trace(trace: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("traces")).expect("made");
    std::fs::write(folder.path().join("traces/ttft.csv"), trace).expect("written");
    std::fs::write(folder.path().join("scenario.yaml"), SCENARIO).expect("written");
    folder
}

/// When the tokens of a request to `model` would leave, in milliseconds; and the tokens of its prompt.
fn planned(scenario: &Path, model: &str) -> (Vec<f64>, f64) {
    let request = ask(model, "x").to_string().into_bytes();
    let options = ExplainOptions { scenario: Some(scenario.to_owned()), request, seed: Some(1), ..ExplainOptions::default() };
    let explained = explain(&options).unwrap_or_else(|error| panic!("{error}")).json();
    let at = |step: &Value| step["at_ms"].as_f64().expect("a time");
    let prompt = explained["usage"]["input"].as_f64().unwrap_or_else(|| panic!("{explained}"));
    (explained["steps"].as_array().expect("steps").iter().map(at).collect(), prompt)
}

#[test]
fn delays_come_from_a_file_beside_the_scenario_and_follow_its_changes() {
    let host = TestHost::start_beside(with_trace("id,ttft_ms\n1,25\n"), None);
    assert_eq!(host.chat(&ask("traced", "x")).status, 200);
    assert_eq!(planned(&host.scenario_file(), "traced").0[0], 25.0);

    let trace = host.scenario_file().with_file_name("traces").join("ttft.csv");
    std::fs::write(&trace, "id,ttft_ms\n1,35\n2,35\n").expect("written");
    eventually("the new file answers", || host.app().generation() > 1);
    assert_eq!(planned(&host.scenario_file(), "traced").0[0], 35.0);

    std::fs::write(&trace, "id,ttft_ms\n1,slow\n").expect("written");
    let refusal = host.app().reload().expect_err("no number").to_string();
    assert!(refusal.contains("scenario.yaml:7:") && refusal.contains("traces/ttft.csv:2: `slow` is no number"), "{refusal}");
    assert_eq!(host.chat(&ask("traced", "x")).status, 200);
}

#[test]
fn a_file_of_delays_that_is_not_there_is_a_mistake_with_a_place() {
    let folder = with_trace("");
    std::fs::remove_file(folder.path().join("traces/ttft.csv")).expect("removed");
    let refusal = app::check(Some(&folder.path().join("scenario.yaml"))).expect_err("no file").to_string();
    assert!(refusal.contains("scenario.yaml:7:") && refusal.contains("there is no file"), "{refusal}");
}

#[test]
fn prompts_and_pauses_move_the_tokens() {
    let folder = with_trace("ttft_ms\n1\n");
    let (at, prompt) = planned(&folder.path().join("scenario.yaml"), "paused");
    let first = 10.0 + prompt;
    assert_eq!(at, [first, first + 1.0, first + 102.0, first + 103.0, first + 104.0]);
}

#[test]
fn a_plugin_names_a_law_of_the_host_and_is_told_what_is_wrong_with_it() {
    let scenario = format!(
        "simwright: 1\nplugins: {{ adversary: {{ file: {} }} }}\n\
         models: [{{ match: m, latency: adversary, reply: {{ fixed: {{ text: hi }} }} }}]\n",
        adversary().display()
    );
    let host = TestHost::start(&scenario);
    let asked = |deed| host.chat_with(&ask("m", "x"), &[("x-adversary", deed)]);
    assert_eq!(asked("126").status, 200, "{}", asked("126").text());
    for (deed, said) in [("127", "delay of kind `gamma`: the field `shape` is missing"), ("128", "delay of kind `zipf`: unknown")]
    {
        let reply = asked(deed);
        assert!(reply.status == 500 && reply.text().contains(said), "{deed}: {}", reply.text());
    }
}

#[test]
fn a_plugin_says_what_the_steps_of_a_replica_take() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = folder.path().join("scenario.yaml");
    let text = format!(
        "simwright: 1\nplugins: {{ adversary: {{ file: {} }} }}\nstations: {{ gpu: {{ replicas: {{ preset: llama-3.1-8b-h100 }} }} }}\n\
         models: [{{ match: m, through: gpu, latency: adversary, reply: {{ text: {{ tokens: 5 }} }} }}]\n",
        adversary().display()
    );
    std::fs::write(&scenario, text).expect("written");
    let request = ask("m", "x").to_string().into_bytes();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-adversary"), HeaderValue::from_static("129"))]);
    let options = ExplainOptions { scenario: Some(scenario), request, headers, ..ExplainOptions::default() };
    let explained = explain(&options).unwrap_or_else(|error| panic!("{error}")).json();
    let at: Vec<f64> = explained["steps"].as_array().expect("steps").iter().filter_map(|step| step["at_ms"].as_f64()).collect();
    assert_eq!(at, [2.0, 4.0, 6.0, 8.0, 10.0], "{explained}");
}
