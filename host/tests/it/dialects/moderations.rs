use serde_json::json;

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;

const SCENARIO: &str = "
simwright: 1
defaults: { latency: { constant: { first: 1ms, between: 1ms } } }
models:
  - { match: omni-moderation-latest }
  - { match: text-moderation-stable, faults: [{ http-error: { status: 500 } }] }
";

fn moderate(host: &TestHost, body: &serde_json::Value) -> Reply {
    client::send(host.api, "POST", "/v1/moderations", &[], body.to_string().as_bytes())
}

#[test]
fn a_text_is_judged_by_the_usual_model() {
    let host = TestHost::start(SCENARIO);
    let reply = moderate(&host, &json!({"input": ["hello", "I will kill you"]}));
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert!(answer["id"].as_str().is_some_and(|id| id.starts_with("modr-")));
    assert_eq!((&answer["model"], &answer["results"][0]["flagged"]), (&json!("omni-moderation-latest"), &json!(false)));
    assert_eq!((&answer["results"][1]["flagged"], &answer["results"][1]["categories"]["violence"]), (&json!(true), &json!(true)));
    let again = moderate(&host, &json!({"input": ["hello", "I will kill you"]})).json();
    assert_eq!(again["results"], answer["results"]);
}

#[test]
fn faults_strike_here_too() {
    let host = TestHost::start(SCENARIO);
    let reply = moderate(&host, &json!({"input": "hello", "model": "text-moderation-stable"}));
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (500, &json!("server_error")));
}
