//! Routes of a scenario's own: what they answer, how they fail, and how they are measured.

use std::time::{Duration, Instant};

use serde_json::json;
use simwright::app::replay::{Pick, ReplayOptions, replay};

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;

const SCENARIO: &str = r#"
simwright: 1
defaults: { latency: { constant: { first: 1ms } } }
models:
  - match: retrieval
    latency: { constant: { first: 30ms } }
    reply: { fixed: { text: from the model } }
  - match: route-queue
    reply: { fixed: { text: taken } }
    faults: [{ script: [{ http-error: { status: 429, retry-after: 2s } }] }]
  - match: route-broken
    faults: [{ malformed-chunk: {} }]
  - match: route-ticker
    latency: { constant: { first: 1ms, between: 1ms } }
    reply: { fixed: { text: one two three } }
routes:
  - { path: /search, model: retrieval, json: { hits: [{ id: 7, score: 0.5 }] } }
  - path: "/collections/{name}/search"
    model: retrieval
    content-type: application/json
    template: '{"collection":"{{ path.name }}","limit":{{ query.limit }},"query":"{{ body.q }}"}'
  - { method: GET, path: /plain, model: retrieval }
  - { method: PUT, path: "/jobs/{id}", model: route-queue, status: 202 }
  - { method: DELETE, path: "/jobs/{id}", model: retrieval, status: 204 }
  - { path: /broken, model: route-broken, json: { a: 1 } }
  - { method: GET, path: /events, model: route-ticker, stream: sse }
"#;

fn ask(host: &TestHost, method: &str, path: &str, body: &str) -> Reply {
    client::send(host.api, method, path, &[], body.as_bytes())
}

#[test]
fn a_route_answers_json_a_template_or_what_its_model_replies() {
    let host = TestHost::start(SCENARIO);
    let start = Instant::now();
    let reply = ask(&host, "POST", "/search", r#"{"q":"cats"}"#);
    assert!(start.elapsed() >= Duration::from_millis(30), "the model's latency counts");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.json(), json!({"hits": [{"id": 7, "score": 0.5}]}));
    let reply = ask(&host, "POST", "/collections/my%20docs/search?limit=3", r#"{"q":"cats"}"#);
    assert_eq!(reply.json(), json!({"collection": "my docs", "limit": 3, "query": "cats"}));
    let reply = ask(&host, "GET", "/plain", "");
    assert_eq!((reply.text(), reply.header("content-type")), ("from the model", Some("text/plain; charset=utf-8")));
    assert!(reply.header("x-request-id").is_some());
    // By another door the same model answers as it always does.
    assert_eq!(
        host.chat(&crate::support::host::ask("retrieval", "x")).json()["choices"][0]["message"]["content"],
        "from the model"
    );
}

#[test]
fn faults_statuses_and_metrics_are_those_of_the_model() {
    let host = TestHost::start(SCENARIO);
    let refused = ask(&host, "PUT", "/jobs/7", "{}");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("2")));
    assert_eq!(refused.json()["error"]["status"], 429);
    let taken = ask(&host, "PUT", "/jobs/7", "{}");
    assert_eq!((taken.status, taken.text()), (202, "taken"));
    let gone = ask(&host, "DELETE", "/jobs/7", "");
    assert_eq!((gone.status, gone.text()), (204, ""));
    assert_eq!(ask(&host, "POST", "/broken", "{}").text(), r#"{"a":1]"#);
    assert_eq!(host.metric("simwright_requests_total", &["model=\"route-queue\"", "status=\"429\""]), 1.0);
    assert_eq!(host.metric("simwright_requests_total", &["model=\"route-queue\"", "status=\"200\""]), 1.0);
    assert_eq!(host.metric("simwright_faults_total", &["model=\"route-broken\""]), 1.0);
}

#[test]
fn a_stream_is_an_event_for_each_token() {
    let host = TestHost::start(SCENARIO);
    let reply = ask(&host, "GET", "/events", "");
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.text(), "data: one\n\ndata:  two\n\ndata:  three\n\n");
}

#[test]
fn what_is_no_route_is_not_found_and_another_method_is_not_allowed() {
    let host = TestHost::start(SCENARIO);
    assert_eq!(ask(&host, "GET", "/search", "").status, 405);
    assert_eq!(ask(&host, "POST", "/searches", "{}").status, 404);
    assert_eq!(ask(&host, "POST", "/collections//search", "{}").status, 404);
}

#[test]
fn a_route_that_a_vendor_has_is_a_problem_with_its_place() {
    let scenario = "simwright: 1\nmodels: [{ match: m }]\nroutes:\n  - { path: /v1/chat/completions, model: m }\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let error = simwright::app::check(Some(&file)).expect_err("a problem").to_string();
    assert!(error.contains("served already, for clients of openai") && error.contains(":4:"), "{error}");
}

#[test]
fn what_a_route_decided_is_decided_again_from_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("decisions.jsonl");
    let host = TestHost::start_logged(SCENARIO, &log);
    ask(&host, "POST", "/search", r#"{"q":"cats"}"#);
    ask(&host, "POST", "/collections/docs/search?limit=3", r#"{"q":"cats"}"#);
    ask(&host, "GET", "/events", "");
    let scenario = folder.path().join("scenario.yaml");
    std::fs::copy(host.scenario_file(), &scenario).expect("copied");
    host.into_app().stop(Duration::from_secs(5));
    let replayed = replay(&ReplayOptions { log, pick: Pick::All, scenario: Some(scenario) }).expect("a replay");
    assert_eq!(replayed.count, 3);
    let differences: Vec<_> = replayed.items.iter().flat_map(|item| &item.differences).collect();
    assert!(differences.is_empty(), "{differences:?}");
}
