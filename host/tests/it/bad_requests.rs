//! Requests that cannot be understood, over the wire: each is refused in the form of the vendor that was asked, and the server goes on.
//! What parsers make of any bytes is asked by `host/fuzz`, whose seeds are asked here, too.

use std::io::Write;

use serde_json::Value;

use super::support::client;
use super::support::guests::workspace;
use super::support::host::{TestHost, ask};

#[path = "../../fuzz/src/lib.rs"]
mod fuzzed;

const SCENARIO: &str = "
simwright: 1
models: [{ match: '*', latency: { constant: {} }, reply: { fixed: { text: fine } } }]
";

/// Where something can be asked, with the header that says whose client asks.
const DOORS: [(&str, (&str, &str)); 6] = [
    ("/v1/chat/completions", ("authorization", "Bearer x")),
    ("/v1/messages", ("anthropic-version", "2026-10-21")),
    ("/v1/messages/count_tokens", ("anthropic-version", "2023-06-01")),
    ("/v1beta/models/m:generateContent", ("x-goog-api-key", "x")),
    ("/v1/models/m:streamGenerateContent?alt=sse", ("x-goog-api-key", "x")),
    ("/v1beta/models/m:countTokens", ("x-goog-api-key", "x")),
];

/// Bodies that are no request of any vendor, by name.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| format!("{{\"messages\":{}{}}}", open.repeat(10_000), close.repeat(10_000)).into_bytes();
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"{key}\":0")).collect();
    vec![
        ("nothing", Vec::new()),
        ("no JSON", b"hello".to_vec()),
        ("cut off", b"{\"model\":\"m\",\"messages\":[{\"role\":\"us".to_vec()),
        ("no UTF-8", b"{\"model\":\"\xff\xfe\"}".to_vec()),
        ("half a character", b"{\"model\":\"\\ud800\"}".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("no field", b"{}".to_vec()),
        ("wrong kinds", br#"{"model":{},"messages":7,"contents":7,"max_tokens":[],"input":{},"prompt":{}}"#.to_vec()),
        ("deep lists", deep("[", "]")),
        ("deep objects", deep("{\"a\":", "}")),
        ("a million keys", format!("{{{}}}", keys.join(",")).into_bytes()),
        ("two values", b"{} {}".to_vec()),
    ]
}

/// The message of a refusal, in whatever form its vendor has.
fn message(body: &Value) -> &str {
    body["error"].as_str().or_else(|| body["error"]["message"].as_str()).unwrap_or_default()
}

#[test]
fn whatever_cannot_be_understood_is_refused_in_the_vendors_form() {
    let host = TestHost::start(SCENARIO);
    for (path, header) in DOORS {
        for (name, body) in bodies() {
            let reply = client::send(host.api, "POST", path, &[header], &body);
            assert_eq!(reply.status, 400, "{path}, {name}: {}", reply.text());
            assert_eq!(reply.header("content-type"), Some("application/json"), "{path}, {name}");
            assert!(!message(&reply.json()).is_empty(), "{path}, {name}: {}", reply.text());
        }
    }
    assert_eq!(host.chat(&ask("m", "x")).status, 200);
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_has_come() {
    let host = TestHost::start(SCENARIO);
    for (path, (name, value)) in DOORS {
        let mut socket = client::open(host.api);
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{name}: {value}\r\ncontent-length: 40000000\r\n\r\n");
        socket.write_all(head.as_bytes()).expect("taken");
        let reply = client::parse(&client::read_out(&mut socket).0);
        assert_eq!(reply.status, 413, "{path}");
        assert!(!message(&reply.json()).is_empty(), "{path}: {}", reply.text());
    }
}

#[test]
fn content_types_decide_nothing() {
    let host = TestHost::start(SCENARIO);
    for media in ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin1"] {
        let body = ask("m", "x").to_string();
        let reply = client::send(host.api, "POST", "/v1/chat/completions", &[("content-type", media)], body.as_bytes());
        assert_eq!(reply.status, 200, "{media}");
    }
}

#[test]
fn every_seed_of_the_fuzzers_is_understood_or_refused() {
    let mut seeds = 0;
    for vendor in std::fs::read_dir(workspace().join("host/fuzz/corpus")).expect("the corpus") {
        let vendor = vendor.expect("a folder").path();
        for seed in std::fs::read_dir(&vendor).expect("a folder") {
            let body = std::fs::read(seed.expect("a seed").path()).expect("read");
            fuzzed::ask(vendor.file_name().and_then(|name| name.to_str()).expect("a name"), &body);
            seeds += 1;
        }
    }
    assert!(seeds >= 20, "{seeds} seeds");
}
