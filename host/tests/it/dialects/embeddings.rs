use std::io::Write;

use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;

const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults: { latency: { constant: { first: 1ms, between: 1ms } } }
models:
  - { match: text-embedding-3-small, context-window: 100 }
  - { match: counted }
  - { match: many }
  - { match: slow, latency: { constant: { first: 60ms, between: 1ms } } }
  - { match: busy, faults: [{ http-error: { status: 429, retry-after: 20ms } }] }
  - { match: broken, faults: [malformed-chunk] }
  - { match: cut, faults: [{ cut: { at: 50%, how: close } }] }
";

fn embed(host: &TestHost, model: &str, input: &Value) -> Reply {
    let body = json!({"model": model, "input": input, "dimensions": 4}).to_string();
    client::send(host.api, "POST", "/v1/embeddings", &[], body.as_bytes())
}

#[test]
fn texts_and_tokens_are_embedded_and_counted() {
    let host = TestHost::start(SCENARIO);
    let reply = embed(&host, "counted", &json!(["hello world", "bye"]));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert!(reply.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    let texts = reply.json();
    assert_eq!(texts["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    let tokens = embed(&host, "counted", &json!([15339, 1917])).json();
    assert_eq!(tokens["data"][0]["embedding"], texts["data"][0]["embedding"], "these are the tokens of \"hello world\"");
    assert_eq!(tokens["usage"]["prompt_tokens"], 2);
    let model = "model=\"counted\"";
    assert_eq!(host.metric("simwright_requests_total", &[model, "status=\"200\""]), 2.0);
    assert_eq!(host.metric("simwright_tokens_total", &[model, "direction=\"input\""]), 5.0);
    assert_eq!(host.metric("simwright_tokens_total", &[model, "direction=\"output\""]), 0.0);
}

#[test]
fn each_text_must_fit_the_window_and_not_all_of_them() {
    let host = TestHost::start(SCENARIO);
    let many: Vec<String> = (0..200).map(|number| format!("text {number}")).collect();
    let reply = embed(&host, "text-embedding-3-small", &json!(many));
    assert_eq!((reply.status, reply.json()["data"].as_array().map(Vec::len)), (200, Some(200)));
    let long = embed(&host, "text-embedding-3-small", &json!(["short", "word ".repeat(150)]));
    assert_eq!(long.status, 400);
    let message = long.json()["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.starts_with("This model's maximum context length is 100 tokens, however you requested 15"), "{message}");
}

#[test]
fn all_texts_together_have_a_bound_of_their_own() {
    let host = TestHost::start(SCENARIO);
    let prompts = |count: usize| json!(vec![vec![1; 3_000]; count]);
    let fits = embed(&host, "many", &prompts(100));
    assert_eq!((fits.status, &fits.json()["usage"]["prompt_tokens"]), (200, &json!(300_000)));
    let reply = embed(&host, "many", &prompts(101));
    let error = json!({
        "message": "Requested 303000 tokens, max 300000 tokens per request",
        "type": "max_tokens_per_request",
        "param": null,
        "code": "max_tokens_per_request",
    });
    assert_eq!((reply.status, &reply.json()["error"]), (400, &error));
}

#[test]
fn latency_and_faults_are_those_of_the_model() {
    let host = TestHost::start(SCENARIO);
    let start = std::time::Instant::now();
    assert_eq!(embed(&host, "slow", &json!("x")).status, 200);
    assert!(start.elapsed() >= std::time::Duration::from_millis(60), "{:?}", start.elapsed());
    let busy = embed(&host, "busy", &json!("x"));
    assert_eq!((busy.status, busy.header("retry-after-ms")), (429, Some("20")));
    let broken = embed(&host, "broken", &json!("x"));
    assert!(broken.status == 200 && serde_json::from_slice::<Value>(&broken.body).is_err());
    // Half of one step is before the first byte.
    let mut socket = client::open(host.api);
    let request = client::request("POST", "/v1/embeddings", &[], br#"{"model":"cut","input":"x"}"#);
    socket.write_all(&request).expect("taken");
    assert!(client::read_out(&mut socket).0.is_empty());
    assert_eq!(embed(&host, "unheard-of", &json!("x")).status, 404);
}

#[test]
fn bad_bodies_are_bad_requests_and_never_more() {
    let host = TestHost::start(SCENARIO);
    let deep = format!("{{\"model\":\"slow\",\"input\":{}", "[".repeat(10_000));
    let numbers = format!("{{\"model\":\"slow\",\"input\":[{}\"x\"]}}", "1,".repeat(100_000));
    let many = format!("{{\"model\":\"slow\",\"input\":[{}\"x\"]}}", "\"x\",".repeat(2_048));
    for path in ["/v1/embeddings", "/v1/completions", "/v1/moderations", "/tokenize", "/detokenize"] {
        for body in ["", "{", "null", "[]", "\u{1}", "{}", deep.as_str()] {
            let reply = client::send(host.api, "POST", path, &[], body.as_bytes());
            assert_eq!(reply.status, 400, "{path} {body:.60} → {}", reply.text());
            let keys: Vec<_> = reply.json()["error"].as_object().expect("an error object").keys().cloned().collect();
            assert_eq!(keys, ["message", "type", "param", "code"], "{path} {body:.60}");
        }
    }
    for body in [numbers, many] {
        assert_eq!(client::send(host.api, "POST", "/v1/embeddings", &[], body.as_bytes()).status, 400);
    }
}
