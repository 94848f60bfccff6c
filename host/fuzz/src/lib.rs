//! What every target asks: any bytes are a request that is understood or one that is refused, and both answers are the vendor's JSON.
//!
//! `cargo fuzz run openai` from this folder's parent; seeds are in `corpus/`. A test of the host asks every seed, too.
#![allow(missing_docs, reason = "nobody but the targets and one test uses it")]

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use simwright::dialect::{ENDPOINTS, Endpoint, Inbound, Parsed};
use simwright::types::manners::Manners;
use simwright::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use simwright::types::usage::Usage;

/// Asks every endpoint of `vendor` for what `body` says, with every kind of headers and manners that changes how it is read.
///
/// # Panics
///
/// If anything else comes of it than an answer or a refusal in the vendor's form.
pub fn ask(vendor: &str, body: &[u8]) {
    let endpoints = ENDPOINTS.into_iter().filter(|endpoint| endpoint.dialect().name() == vendor);
    for endpoint in endpoints {
        for version in ["2023-06-01", "2026-10-21"] {
            for is_strict in [false, true] {
                ask_one(endpoint, body, version, Manners { is_strict, ..Manners::default() });
            }
        }
    }
}

fn ask_one(endpoint: &dyn Endpoint, body: &[u8], version: &'static str, manners: Manners) {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static(version));
    let deployment = (endpoint.dialect().name() == "azure").then_some("some-deployment");
    let target = "some-model?alt=sse&api-version=2024-10-21";
    let inbound = Inbound { target, deployment, headers, body: Bytes::copy_from_slice(body), manners, ..Inbound::default() };
    match endpoint.parse(inbound) {
        Err(error) => {
            assert!((400..500).contains(&error.status), "a {} for what a client sent", error.status);
            let reply = endpoint.dialect().render_error(&error, 7);
            let refusal: Value = serde_json::from_slice(&reply.body).expect("a refusal is JSON");
            assert!(!refusal["error"].is_null(), "{refusal}");
        }
        Ok(parsed) => answer(&parsed),
    }
}

/// Renders a reply of every kind of event, whole and as a stream.
fn answer(parsed: &Parsed) {
    let head = Head { id: 1, created_unix_s: 1, model: parsed.request.model.clone(), fingerprint: 1, usage: Usage::default() };
    let text = |kind, text| StreamEvent::Text { choice: 0, kind, text, logprob: parsed.request.logprobs.map(|_| 9) };
    let events = [
        StreamEvent::Start { choice: 0, tool_first: false },
        text(TextKind::Reasoning, "well \"\u{1}"),
        text(TextKind::Content, "so\n"),
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "tool" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"a\":" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "1}" },
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
        StreamEvent::Usage(Usage::default()),
        StreamEvent::End,
    ];
    let mut whole = WholeReply::default();
    let (mut renderer, mut out) = (parsed.voice.stream(&head), BytesMut::new());
    for event in &events {
        whole.gather(event);
        renderer.event(event, &mut out);
    }
    assert!(std::str::from_utf8(&out).is_ok(), "a stream is text");
    let mut out = BytesMut::new();
    parsed.voice.whole(&head, &whole, &mut out);
    let reply: Result<Value, _> = serde_json::from_slice(&out);
    assert!(reply.is_ok(), "a whole reply is JSON: {}", String::from_utf8_lossy(&out));
}
