//! Ollama's API on the wire: lines, faults, models.

use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::TestHost;

const SCENARIO: &str = "
simwright: 1
defaults:
  latency: { constant: { first: 4ms, between: 1ms } }
  reply: { fixed: { text: one two three four five six } }
models:
  - match: plain
  - match: event
    faults: [{ error-event: { at: token 4, message: Lost } }]
  - match: unended
    faults: [missing-end]
  - match: malformed
    faults: [{ malformed-chunk: { at: token 4 } }]
  - match: cut
    faults: [{ cut: { how: close, at: token 4 } }]
  - match: refused
    faults: [{ http-error: { status: 503, retry-after: 1500ms } }]
  - match: tool
    reply: { tool-calls: { call: look } }
";

fn ask(host: &TestHost, path: &str, body: &Value) -> Reply {
    client::send(host.api, "POST", path, &[], body.to_string().as_bytes())
}

fn chat(host: &TestHost, model: &str, more: Value) -> Reply {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().expect("a map").extend(more.as_object().cloned().unwrap_or_default());
    ask(host, "/api/chat", &body)
}

/// The lines of a stream, each of which is JSON.
fn lines(reply: &Reply) -> Vec<Value> {
    reply.text().lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
}

#[test]
fn a_reply_streams_lines_unless_it_is_asked_for_whole() {
    let host = TestHost::start(SCENARIO);
    let reply = chat(&host, "plain", json!({}));
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    let lines = lines(&reply);
    assert_eq!(lines.len(), 7);
    let text: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert_eq!(text, "one two three four five six");
    let last = lines.last().expect("a line");
    assert_eq!((&last["done"], &last["done_reason"], &last["total_duration"]), (&true.into(), &"stop".into(), &9_000_000.into()));

    let reply = chat(&host, "plain", json!({"stream": false}));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    let whole = reply.json();
    assert_eq!(whole["message"]["content"], text);
    for field in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "eval_count", "prompt_eval_count"] {
        assert_eq!(whole[field], last[field], "{field}");
    }
}

#[test]
fn generate_answers_with_a_response() {
    let host = TestHost::start(SCENARIO);
    let reply = ask(&host, "/api/generate", &json!({"model": "plain", "prompt": "Hi"}));
    let text: String = lines(&reply).iter().filter_map(|line| line["response"].as_str()).collect();
    assert_eq!(text, "one two three four five six");
}

#[test]
fn faults_have_the_vendors_shape() {
    let host = TestHost::start(SCENARIO);
    let of_event = lines(&chat(&host, "event", json!({})));
    assert_eq!((of_event.len(), of_event.last()), (5, Some(&json!({"error": "Lost"}))));
    let whole = chat(&host, "event", json!({"stream": false}));
    assert_eq!((whole.status, whole.json()), (500, json!({"error": "Lost"})));
    assert!(lines(&chat(&host, "unended", json!({}))).iter().all(|line| line["done"] == false));
    let malformed = lines(&chat(&host, "malformed", json!({})));
    assert_eq!(malformed.iter().position(Value::is_null), Some(4));
    let refused = chat(&host, "refused", json!({}));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    assert_eq!(refused.json().as_object().map(|body| body.keys().cloned().collect::<Vec<_>>()), Some(vec!["error".to_owned()]));
}

#[test]
fn a_cut_stream_ends_inside_its_body() {
    use std::io::Write;
    let host = TestHost::start(SCENARIO);
    let body = json!({"model": "cut", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let mut socket = client::open(host.api);
    socket.write_all(&client::request("POST", "/api/chat", &[], body.as_bytes())).expect("taken");
    let reply = client::parse(&client::read_out(&mut socket).0);
    assert!(!reply.complete);
}

#[test]
fn a_call_of_a_tool_is_one_line() {
    let host = TestHost::start(SCENARIO);
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]}}});
    let lines = lines(&chat(&host, "tool", json!({"tools": [tool]})));
    let calls: Vec<&Value> = lines.iter().filter(|line| line["message"]["tool_calls"].is_array()).collect();
    assert_eq!(calls.len(), 1);
    assert!(calls[0]["message"]["tool_calls"][0]["function"]["arguments"]["at"].is_i64());
}

#[test]
fn vectors_are_unit_and_equal_for_equal_texts() {
    let host = TestHost::start(SCENARIO);
    let reply = ask(&host, "/api/embed", &json!({"model": "plain", "input": ["a cat", "a cat"], "dimensions": 32})).json();
    assert_eq!(reply["embeddings"][0], reply["embeddings"][1]);
    assert_eq!(reply["embeddings"][0].as_array().map(Vec::len), Some(32));
    assert_eq!((&reply["model"], &reply["total_duration"]), (&"plain".into(), &4_000_000.into()));
    let one = ask(&host, "/api/embeddings", &json!({"model": "plain", "prompt": "a cat"})).json();
    assert_eq!(one["embedding"].as_array().map(Vec::len), Some(768));
}

#[test]
fn a_name_without_a_tag_is_the_latest_in_every_endpoint() {
    let scenario = "
simwright: 1
tokens: exact
models:
  - { match: bare, list: bare, reply: { text: { tokens: 9 } }, latency: { constant: { first: 1ms } } }
  - { match: 'tagged:latest', list: 'tagged:latest', reply: { text: { tokens: 9 } }, latency: { constant: { first: 1ms } } }
  - { match: 'tagged:1b', list: 'tagged:1b', reply: { fixed: { text: small } }, latency: { constant: { first: 1ms } } }
";
    let host = TestHost::start(scenario);
    for name in ["bare", "tagged"] {
        let full = format!("{name}:latest");
        let mut said = Vec::new();
        for model in [name, &full] {
            let reply = chat(&host, model, json!({"stream": false})).json();
            assert_eq!(reply["model"], model, "as it was asked");
            said.push(reply["message"]["content"].clone());
            assert_eq!(ask(&host, "/api/generate", &json!({"model": model, "prompt": "Hi"})).status, 200);
            assert_eq!(ask(&host, "/api/embed", &json!({"model": model, "input": "Hi"})).status, 200);
            assert_eq!(ask(&host, "/api/embeddings", &json!({"model": model, "prompt": "Hi"})).status, 200);
            assert!(ask(&host, "/api/show", &json!({"model": model})).json()["details"].is_object());
            assert_eq!(ask(&host, "/api/pull", &json!({"model": model})).status, 200);
        }
        assert_eq!(said[0], said[1], "it is the same model");
        assert_eq!(chat(&host, &format!("{name}:2b"), json!({})).status, 404);
    }
    assert_eq!(chat(&host, "tagged:1b", json!({"stream": false})).json()["message"]["content"], "small");
    let tags = client::send(host.api, "GET", "/api/tags", &[], b"").json();
    let names: Vec<&str> = tags["models"].as_array().expect("models").iter().filter_map(|model| model["name"].as_str()).collect();
    assert_eq!(names, ["bare:latest", "tagged:latest", "tagged:1b"]);
}

#[test]
fn a_prompt_goes_on_from_the_context_of_the_one_before() {
    let host = TestHost::start(SCENARIO);
    let generate = |more: Value| {
        let mut body = json!({"model": "plain", "prompt": "Hi"});
        body.as_object_mut().expect("a map").extend(more.as_object().cloned().unwrap_or_default());
        lines(&ask(&host, "/api/generate", &body)).pop().expect("a line")
    };
    let first = generate(json!({}));
    let count = |line: &Value| line["prompt_eval_count"].as_u64().expect("a number");
    let context = first["context"].as_array().expect("numbers").len() as u64;
    assert_eq!(context, count(&first) + first["eval_count"].as_u64().expect("a number"));
    let second = generate(json!({"context": first["context"]}));
    assert_eq!(count(&second), count(&first) + context);
    assert_eq!(
        second["context"].as_array().expect("numbers")[..context as usize],
        first["context"].as_array().expect("numbers")[..]
    );
    assert_eq!(generate(json!({"stream": false}))["context"], first["context"]);
    assert_eq!(generate(json!({"raw": true})).get("context"), None);
}

#[test]
fn openais_api_is_there_for_the_key_that_ollama_names() {
    let host = TestHost::start(SCENARIO);
    let key: &[(&str, &str)] = &[("authorization", "Bearer ollama")];
    let body = json!({"model": "plain", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let reply = client::send(host.api, "POST", "/v1/chat/completions", key, body.as_bytes()).json();
    assert_eq!(
        (&reply["object"], &reply["choices"][0]["message"]["content"]),
        (&json!("chat.completion"), &json!("one two three four five six"))
    );
    assert_eq!(client::send(host.api, "GET", "/v1/models", key, b"").json()["object"], "list");
}

#[test]
fn models_are_told_and_unknown_ones_are_not_found() {
    let host = TestHost::start(SCENARIO);
    let get = |path: &str| client::send(host.api, "GET", path, &[], b"");
    assert_eq!(get("/api/tags").json()["models"].as_array().map(Vec::len), Some(7));
    assert_eq!(get("/api/ps").json()["models"][0]["name"], "plain:latest");
    assert!(get("/api/version").json()["version"].is_string());
    assert_eq!((get("/").text(), get("/").header("content-type")), ("Ollama is running", Some("text/plain; charset=utf-8")));
    assert!(ask(&host, "/api/show", &json!({"model": "plain"})).json()["model_info"].is_object());
    assert_eq!(ask(&host, "/api/pull", &json!({"model": "plain"})).json(), json!({"status": "success"}));
    for (path, body) in [
        ("/api/show", json!({"model": "nope"})),
        ("/api/chat", json!({"model": "nope", "messages": [{"role": "user", "content": "x"}]})),
        ("/api/generate", json!({"model": "nope", "prompt": "x"})),
        ("/api/embed", json!({"model": "nope", "input": "x"})),
    ] {
        let reply = ask(&host, path, &body);
        assert_eq!((reply.status, reply.json()), (404, json!({"error": "model 'nope' not found"})), "{path}");
    }
    assert_eq!(ask(&host, "/api/show", &json!({})).json(), json!({"error": "model is required"}));
}

#[test]
fn a_client_of_ollama_that_goes_astray_is_answered_by_ollama() {
    let host = TestHost::start(SCENARIO);
    let reply = client::send(host.api, "GET", "/api/nowhere", &[("user-agent", "ollama-python/0.6.3")], b"");
    assert_eq!(reply.status, 404);
    assert!(reply.json()["error"].is_string());
}
