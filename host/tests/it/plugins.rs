use super::support::host::{TestHost, ask, ask_streamed};
use super::support::stream::{chunks, content};

const SCENARIO: &str = "
simwright: 1
models:
  - match: scripted
    latency: { brown-out: { first: 1ms, between: 0ms } }
    faults: [{ retry-storm: {} }]
    reply: { support-desk: { attentive: false, tokens: 20 } }
";

#[test]
fn faults_replies_and_latency_are_decided_by_components() {
    let host = TestHost::start(SCENARIO);
    let calls = |plugin: &str| host.metric("simwright_plugin_calls_total", &[&format!("plugin=\"{plugin}\"")]);
    let before: Vec<f64> = ["brown-out", "retry-storm", "support-desk"].map(calls).into();
    let whole = host.chat(&ask("scripted", "hello"));
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert_eq!(whole.json()["usage"]["completion_tokens"], 20);
    let streamed = host.chat(&ask_streamed("scripted", "hello"));
    assert_eq!(whole.json()["choices"][0]["message"]["content"], content(&chunks(streamed.text()), 0));
    let after: Vec<f64> = ["brown-out", "retry-storm", "support-desk"].map(calls).into();
    // Once a behaviour a request: never once a token.
    assert!(before.iter().zip(&after).all(|(before, after)| after - before == 2.0), "{before:?} → {after:?}");
}

#[test]
fn a_mistake_in_a_plugins_options_has_a_line_and_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    std::fs::write(&file, SCENARIO.replace("first: 1ms", "frist: 1ms")).expect("written");
    let refusal = simwright::app::check(Some(&file)).expect_err("a misspelt option").to_string();
    assert!(refusal.contains("s.yaml:5:") && refusal.contains("frist"), "{refusal}");
}

#[test]
fn an_unknown_behaviour_is_named_with_what_may_be_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.yaml");
    std::fs::write(&file, SCENARIO.replace("brown-out", "brown-uot")).expect("written");
    let refusal = simwright::app::check(Some(&file)).expect_err("a misspelt plugin").to_string();
    assert!(refusal.contains("`brown-uot`") && refusal.contains("did you mean `brown-out`"), "{refusal}");
}
