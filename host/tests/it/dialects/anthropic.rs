//! Anthropic's API.

use serde_json::{Value, json};

use crate::support::client::{self, Reply};
use crate::support::host::{TestHost, ask};

/// Ten tokens.
const TOKENS: [&str; 10] = ["one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"];
const OLDER: &[(&str, &str)] = &[("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
const NEWER: &[(&str, &str)] = &[("authorization", "Bearer k"), ("anthropic-version", "2026-10-21")];
const SCENARIO: &str = "
simwright: 1
tokens: exact
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: one two three four five six seven eight nine ten } } }
models:
  - { match: [claude-x, vendor/claude-y], created: 2026-01-02, rate-limits: { requests-per-minute: 60, tokens-per-minute: 6000 } }
  - { match: narrow, rate-limits: { requests-per-minute: 1 } }
";

fn request(model: &str, streamed: bool) -> Value {
    let mut request = ask(model, "Please tell me");
    request["max_tokens"] = 100.into();
    request["stream"] = streamed.into();
    request
}

fn send(host: &TestHost, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    client::send(host.api, "POST", path, headers, body.to_string().as_bytes())
}

/// One event: its name and its data, whose type is the name.
fn event(text: &str) -> Option<Value> {
    let (name, data) = text.split_once('\n').expect("two lines");
    let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).ok()?;
    assert_eq!(data["type"], name.strip_prefix("event: ").expect("a name"));
    Some(data)
}

fn events(body: &str) -> Vec<Value> {
    assert!(body.ends_with("\n\n"), "{body:?}");
    body.split_terminator("\n\n").map(|text| event(text).expect("JSON")).collect()
}

/// All tokens of a prompt: the cache's, and those that are new.
fn input_of(usage: &Value) -> u64 {
    ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
        .iter()
        .filter_map(|name| usage[name].as_u64())
        .sum()
}

#[test]
fn both_generations_are_answered_whole_and_as_a_stream() {
    let host = TestHost::start(SCENARIO);
    for headers in [OLDER, NEWER] {
        for path in ["/v1/messages", "/v1/messages?beta=true", "/messages", "/anthropic/v1/messages"] {
            let whole = send(&host, path, headers, &request("claude-x", false)).json();
            assert_eq!(whole["content"], json!([{"type": "text", "text": TOKENS.concat(), "citations": null}]), "{path}");
            let events = events(send(&host, path, headers, &request("claude-x", true)).text());
            let texts: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
            assert_eq!(texts, TOKENS.concat(), "{path}");
            let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
            assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
            assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
        }
    }
}

#[test]
fn answers_and_refusals_say_whose_they_are_and_what_is_left() {
    let host = TestHost::start(SCENARIO);
    let unknown = request("claude-unheard-of", false);
    for (body, status) in [(request("claude-x", false), 200), (request("claude-x", true), 200), (unknown, 404)] {
        let reply = send(&host, "/v1/messages", NEWER, &body);
        assert_eq!(reply.status, status);
        assert!(reply.header("request-id").is_some_and(|id| id.starts_with("req_01")), "{reply:?}");
        assert!(reply.header("anthropic-organization-id").is_some());
        let others = reply.headers.iter().any(|(name, _)| name.starts_with("openai-") || name.starts_with("x-ratelimit"));
        assert!(!others, "{:?}", reply.headers);
    }
    let reply = send(&host, "/v1/messages", NEWER, &request("claude-x", false));
    for (budget, limit) in [("requests", "60"), ("tokens", "6000")] {
        let header = |what: &str| reply.header(&format!("anthropic-ratelimit-{budget}-{what}")).expect("a header").to_owned();
        assert_eq!(header("limit"), limit);
        assert!(header("remaining").parse::<u32>().is_ok_and(|left| left < limit.parse().expect("a number")));
        let reset = humantime::parse_rfc3339(&header("reset")).expect("a moment");
        assert!(reset + std::time::Duration::from_secs(1) >= std::time::SystemTime::now(), "{reset:?}");
    }
}

#[test]
fn a_limit_that_is_reached_is_told_with_when_to_come_back() {
    let host = TestHost::start(SCENARIO);
    assert_eq!(send(&host, "/v1/messages", NEWER, &request("narrow", false)).status, 200);
    let refused = send(&host, "/v1/messages", NEWER, &request("narrow", false));
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    assert!(refused.header("retry-after").is_some_and(|seconds| (1..=60).contains(&seconds.parse::<u32>().expect("seconds"))));
    assert_eq!(refused.header("anthropic-ratelimit-requests-remaining"), Some("0"));
}

#[test]
fn who_shares_a_path_is_known_by_the_headers() {
    let host = TestHost::start(SCENARIO);
    let get = |path: &str, headers: &[(&str, &str)]| client::send(host.api, "GET", path, headers, b"");
    let list = get("/v1/models", NEWER).json();
    assert_eq!(
        (&list["data"][0]["type"], &list["first_id"], &list["has_more"]),
        (&json!("model"), &json!("claude-x"), &json!(false))
    );
    assert_eq!(list["data"][0]["created_at"], "2026-01-02T00:00:00Z");
    let page = get("/v1/models?limit=1", NEWER).json();
    assert_eq!(
        (&page["data"][0]["id"], &page["has_more"], &page["last_id"]),
        (&json!("claude-x"), &json!(true), &json!("claude-x"))
    );
    let page = get("/v1/models?limit=1&after_id=claude-x", NEWER).json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&json!("vendor/claude-y"), &json!(true)));
    assert_eq!(get("/v1/models?limit=0", OLDER).json()["error"]["type"], "invalid_request_error");
    assert_eq!(get("/v1/models?limit=0", &[]).status, 200, "that is no page of OpenAI's");
    assert_eq!(get("/v1/models", &[]).json()["object"], "list");
    assert_eq!(get("/v1/models", &[("x-goog-api-key", "k")]).json()["models"][0]["name"], "models/claude-x");
    assert_eq!(get("/v1/models?key=k", &[]).json()["models"][0]["name"], "models/claude-x");
    for path in ["/v1/models/vendor/claude-y", "/v1/models/vendor%2Fclaude-y"] {
        assert_eq!(get(path, OLDER).json()["id"], "vendor/claude-y");
        assert_eq!(get(path, &[]).json()["object"], "model");
    }
    for path in ["/v1/models/unheard-of", "/v1/unheard/of"] {
        let reply = get(path, NEWER);
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (404, &json!("not_found_error")), "{path}");
    }
    assert_eq!(get("/v1/messages", NEWER).json()["type"], "error");
}

#[test]
fn a_count_is_what_a_message_would_count() {
    let host = TestHost::start(SCENARIO);
    let count = send(&host, "/v1/messages/count_tokens", NEWER, &ask("claude-x", "Please tell me"));
    assert_eq!(count.json(), json!({"input_tokens": 10}));
    let message = send(&host, "/v1/messages", NEWER, &request("claude-x", false)).json();
    assert_eq!(input_of(&message["usage"]), 10);
}

#[test]
fn bad_bodies_are_refused_in_the_vendors_shape() {
    let host = TestHost::start(SCENARIO);
    let deep = format!("{{\"messages\":{}", "[".repeat(10_000));
    for body in [&b"{"[..], b"[]", b"\xff\xfe", b"null", b"{\"model\":1}", deep.as_bytes()] {
        let reply = client::send(host.api, "POST", "/v1/messages", NEWER, body);
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    }
    let without = client::send(host.api, "POST", "/v1/messages", &[], request("claude-x", false).to_string().as_bytes());
    assert_eq!((without.status, &without.json()["error"]["message"]), (400, &json!("anthropic-version: header is required")));
}

#[test]
fn of_many_stop_sequences_the_one_that_was_met_is_named() {
    let host = TestHost::start(
        "simwright: 1\nmodels: [{ match: m, latency: { constant: { first: 0ms } }, reply: { fixed: { text: one two three } } }]\n",
    );
    let mut body = request("m", false);
    body["stop_sequences"] = (0..300).map(|number| format!("never {number}")).chain([" three".to_owned()]).collect();
    let reply: Value = serde_json::from_str(send(&host, "/v1/messages", OLDER, &body).text()).expect("JSON");
    assert_eq!((&reply["stop_reason"], &reply["stop_sequence"]), (&json!("stop_sequence"), &json!(" three")));
}
