use serde_json::{Value, json};

use super::support::client;
use super::support::host::{TestHost, ask, ask_streamed};
use super::support::stream::{chunks, content, events};

const SCENARIO: &str = "
simwright: 1
seed: 1
tokens: exact
defaults:
  latency: { constant: { first: 0, between: 0 } }
models:
  - match: [wire, vendor/wire]
    list: [wire, vendor/wire]
    reply: { text: { tokens: 12 } }
  - match: failing
    faults: [{ http-error: { rate: 100%, status: 429, retry-after: 1500ms } }]
";

#[test]
fn a_stream_is_role_pieces_finish_usage_done() {
    let host = TestHost::start(SCENARIO);
    let mut request = ask_streamed("wire", "hello");
    request["stream_options"] = json!({"include_usage": true});
    let reply = host.chat(&request);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    let chunks = chunks(reply.text());
    assert_eq!(chunks.len(), 12 + 3);
    let first = &chunks[0]["choices"][0];
    assert_eq!(first["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!((&first["logprobs"], &first["finish_reason"]), (&Value::Null, &Value::Null));
    let finish = &chunks[13];
    assert_eq!((&finish["choices"][0]["delta"], &finish["choices"][0]["finish_reason"]), (&json!({}), &json!("stop")));
    assert_eq!(chunks[14]["choices"], json!([]));
    assert_eq!(chunks[14]["usage"]["completion_tokens"], 12);
    assert!(chunks[..14].iter().all(|chunk| chunk.as_object().unwrap().contains_key("usage") && chunk["usage"].is_null()));
    for key in ["id", "created", "model", "object", "system_fingerprint"] {
        assert!(chunks.iter().all(|chunk| chunk[key] == chunks[0][key]), "{key} changes");
    }
}

#[test]
fn a_stream_and_a_whole_reply_have_one_text() {
    let host = TestHost::start(SCENARIO);
    let whole = host.chat(&ask("wire", "hello")).json();
    let streamed = host.chat(&ask_streamed("wire", "hello"));
    assert_eq!(whole["choices"][0]["message"]["content"], content(&chunks(streamed.text()), 0));
}

#[test]
fn two_servers_give_the_same_request_the_same_text() {
    let texts: Vec<Value> = (0..2)
        .map(|_| TestHost::start(SCENARIO).chat(&ask("wire", "the same")).json()["choices"][0]["message"]["content"].clone())
        .collect();
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn paths_are_served_with_and_without_the_version() {
    let host = TestHost::start(SCENARIO);
    let body = ask("wire", "x").to_string();
    for path in ["/v1/chat/completions", "/chat/completions"] {
        assert_eq!(client::send(host.api, "POST", path, &[], body.as_bytes()).status, 200, "{path}");
    }
    for path in ["/v1/models", "/models", "/v1/models/wire", "/v1/models/vendor/wire"] {
        assert_eq!(client::send(host.api, "GET", path, &[], b"").status, 200, "{path}");
    }
}

#[test]
fn what_does_not_exist_is_refused_in_the_vendors_shape() {
    let host = TestHost::start(SCENARIO);
    let cases = [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/models/unheard-of", 404),
        ("POST", "/v1/models", 405),
    ];
    for (method, path, status) in cases {
        let reply = client::send(host.api, method, path, &[], b"");
        assert_eq!(reply.status, status, "{method} {path}");
        let keys: Vec<_> = reply.json()["error"].as_object().expect("an error object").keys().cloned().collect();
        assert_eq!(keys, ["message", "type", "param", "code"], "{method} {path}");
    }
}

#[test]
fn bad_bodies_are_bad_requests_and_never_more() {
    let host = TestHost::start(SCENARIO);
    let deep = format!("{{\"model\":\"wire\",\"messages\":{}", "[".repeat(10_000));
    let keys = format!("{{{}\"a\":1}}", (0..100_000).map(|n| format!("\"k{n}\":1,")).collect::<String>());
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe{}",
        b"{\"model\":1}",
        b"{\"model\":\"wire\",\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}",
        deep.as_bytes(),
        keys.as_bytes(),
    ];
    for body in bodies {
        let reply = client::send(host.api, "POST", "/v1/chat/completions", &[], body);
        assert_eq!(reply.status, 400, "{:?} → {}", String::from_utf8_lossy(&body[..body.len().min(60)]), reply.text());
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(host.chat(&ask("wire", "still there?")).status, 200);
}

#[test]
fn a_retry_hint_is_given_in_seconds_and_milliseconds() {
    let reply = TestHost::start(SCENARIO).chat(&ask("failing", "x"));
    assert_eq!(reply.status, 429);
    assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), (Some("2"), Some("1500")));
}

#[test]
fn a_body_above_the_limit_is_refused_before_it_is_read() {
    let host = TestHost::start(SCENARIO);
    let mut socket = client::open(host.api);
    use std::io::{Read, Write};
    socket
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 40000000\r\n\r\n")
        .expect("taken");
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    assert_eq!(client::parse(&bytes).status, 413);
}

#[test]
fn a_cut_stream_still_reads_as_events() {
    let host = TestHost::start(SCENARIO);
    let reply = host.chat(&ask_streamed("wire", "x"));
    assert_eq!(events(reply.text()).len(), 12 + 3);
    assert!(reply.complete);
}
