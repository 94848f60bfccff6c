//! A stream that is silent sends what its vendor's clients know to keep the connection open, if the scenario asks for it.

use std::io::Write;

use super::support::client;
use super::support::host::TestHost;
use super::support::speakers::{Anthropic, Gemini, OpenAi, Speaker, Wanted};

const MODELS: &str = "
models:
  - match: m
    latency: { constant: { first: 1ms, between: 1ms } }
    reply: { fixed: { text: one two three four five six } }
    faults: [{ stall: { at: token 3, for: 300ms } }]
";

/// The body of a stream that is silent for a while.
fn silent(host: &TestHost, speaker: &dyn Speaker) -> String {
    let asked = speaker.ask("m", Wanted::Text, true);
    let mut socket = client::open(host.api);
    let request = client::request("POST", &asked.path, &asked.headers, asked.body.to_string().as_bytes());
    socket.write_all(&request).expect("taken");
    let (bytes, _) = client::read_out(&mut socket);
    String::from_utf8(client::parse(&bytes).body).expect("text")
}

#[test]
fn each_vendor_keeps_a_silent_stream_open_in_its_own_way() {
    let host = TestHost::start(&format!("simwright: 1\napi: {{ keep-alive: 20ms }}\n{MODELS}"));
    let openai = silent(&host, &OpenAi);
    assert!(openai.matches("\n\n: keep-alive\n\n").count() >= 2, "{openai}");
    assert!(openai.ends_with("data: [DONE]\n\n"), "{openai}");
    let anthropic = silent(&host, &Anthropic);
    assert!(anthropic.matches("event: ping\ndata: {\"type\":\"ping\"}\n\n").count() >= 3, "{anthropic}");
    // Its clients stumble over comments.
    let gemini = silent(&host, &Gemini { is_array: false });
    assert!(gemini.split_terminator("\r\n\r\n").all(|event| event.starts_with("data: {")), "{gemini}");
}

#[test]
fn nothing_is_sent_that_the_scenario_does_not_ask_for() {
    let host = TestHost::start(&format!("simwright: 1\n{MODELS}"));
    assert!(!silent(&host, &OpenAi).contains("keep-alive"));
    assert_eq!(silent(&host, &Anthropic).matches("event: ping").count(), 1, "the one after the first block has begun");
}
