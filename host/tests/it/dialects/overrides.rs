//! Headers in which a request says how it is answered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simwright::app::replay::{Pick, ReplayOptions, replay};

use crate::support::client::{self, Reply};
use crate::support::host::{TestHost, ask};

const SCENARIO: &str = "
simwright: 1
seed: 3
api: { overrides: true }
models:
  - match: overridden
    latency: { constant: {} }
    reply: { text: { tokens: 5 } }
";

fn chat(host: &TestHost, headers: &[(&str, &str)]) -> Reply {
    host.chat_with(&ask("overridden", "Hi"), headers)
}

fn text(reply: &Reply) -> String {
    reply.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
}

#[test]
fn a_request_says_how_long_its_reply_is_and_when_it_comes() {
    let host = TestHost::start(SCENARIO);
    let start = Instant::now();
    let reply =
        chat(&host, &[("x-simwright-first-ms", "40"), ("x-simwright-between-ms", "5.5"), ("x-simwright-output-tokens", "9")]);
    assert!(start.elapsed() >= Duration::from_millis(84), "{:?}", start.elapsed());
    assert_eq!(reply.json()["usage"]["completion_tokens"], 9);
    assert_eq!(chat(&host, &[]).json()["usage"]["completion_tokens"], 5);
}

#[test]
fn a_request_brings_its_own_fault() {
    let host = TestHost::start(SCENARIO);
    let written = "{ http-error: { status: 503, retry-after: 1s } }";
    for fault in [written, r#"{"http-error":{"status":503,"retry-after":"1s"}}"#] {
        let reply = chat(&host, &[("x-simwright-fault", fault)]);
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{fault}");
    }
    assert_eq!(host.metric("simwright_faults_total", &["model=\"overridden\""]), 2.0);
    let truncated = chat(&host, &[("x-simwright-fault", "length: { at: token 2 }")]);
    assert_eq!(truncated.json()["choices"][0]["finish_reason"], "length");
    let body = json!({"model": "overridden", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let headers = [("anthropic-version", "2023-06-01"), ("x-simwright-fault", "http-error: { status: 529 }")];
    let reply = client::send(host.api, "POST", "/v1/messages", &headers, body.as_bytes());
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (529, &"overloaded_error".into()));
}

#[test]
fn another_seed_draws_another_text_and_the_same_seed_the_same() {
    let host = TestHost::start(SCENARIO);
    let of = |seed: &str| text(&chat(&host, &[("x-simwright-seed", seed)]));
    assert_eq!(of("1"), of("1"));
    assert_ne!(of("1"), of("2"));
    assert_eq!(of("7"), text(&chat(&host, &[])), "7 is the seed of this run");
}

#[test]
fn bad_values_are_refused_in_the_vendors_form() {
    let host = TestHost::start(SCENARIO);
    for (name, value) in [
        ("x-simwright-first-ms", "soon"),
        ("x-simwright-output-tokens", "-1"),
        ("x-simwright-seed", "x"),
        ("x-simwright-fault", "explode"),
        ("x-simwright-fault", "http-error: { status: 200 }"),
        ("x-simwright-fault", "{ http-error"),
        ("x-simwright-fault", "{ reset: {}, when: { attempt: 1 } }"),
    ] {
        let reply = chat(&host, &[(name, value)]);
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["param"], &error["type"]),
            (400, &name.into(), &"invalid_request_error".into()),
            "{value}"
        );
    }
    let reply = client::send(
        host.api,
        "POST",
        "/api/chat",
        &[("x-simwright-first-ms", "soon")],
        json!({"model": "overridden", "messages": [{"role": "user", "content": "Hi"}]}).to_string().as_bytes(),
    );
    assert_eq!(reply.status, 400);
    assert!(reply.json()["error"].as_str().is_some_and(|message| message.contains("x-simwright-first-ms")));
}

#[test]
fn without_leave_the_headers_are_ignored() {
    let host = TestHost::start(&SCENARIO.replace("api: { overrides: true }", ""));
    let reply = chat(&host, &[("x-simwright-output-tokens", "9"), ("x-simwright-fault", "nonsense")]);
    assert_eq!((reply.status, &reply.json()["usage"]["completion_tokens"]), (200, &5.into()));
}

#[test]
fn overrides_are_logged_and_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("decisions.jsonl");
    let host = TestHost::start_logged(SCENARIO, &log);
    chat(&host, &[("x-simwright-output-tokens", "9"), ("x-simwright-seed", "5"), ("x-simwright-first-ms", "3")]);
    chat(&host, &[("x-simwright-fault", "http-error: { status: 500 }")]);
    let scenario = folder.path().join("scenario.yaml");
    std::fs::copy(host.scenario_file(), &scenario).expect("copied");
    host.into_app().stop(Duration::from_secs(5));
    let text = std::fs::read_to_string(&log).expect("a log");
    let first: Value = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|line: &Value| line["decision"].is_object())
        .expect("a decision");
    assert_eq!(first["request"]["overrides"]["x-simwright-output-tokens"], "9");
    let replayed = replay(&ReplayOptions { log, pick: Pick::All, scenario: Some(scenario) }).expect("a replay");
    let differences: Vec<_> = replayed.items.iter().flat_map(|item| &item.differences).collect();
    assert!(replayed.count == 2 && differences.is_empty(), "{differences:?}");
}
