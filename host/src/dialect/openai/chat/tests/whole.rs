//! Whole replies, byte by byte.
//!
//! Each reply is gathered from the events that a stream would have, so that both ways of answering are fed alike.

use super::super::Options;
use super::{stream_text, whole_text};
use crate::types::reply::{Finish, StreamEvent, TextKind};
use crate::types::usage::Usage;

fn text(kind: TextKind, text: &str, logprob: Option<u64>) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind, text, logprob }
}

const STOP: StreamEvent<'_> = StreamEvent::Finish { choice: 0, reason: Finish::Stop };

#[test]
fn a_text_reply_has_all_the_vendors_fields() {
    let usage = Usage { input: 9, cached_input: 4, output: 2, reasoning: 0 };
    let events =
        [text(TextKind::Content, "Hello", None), text(TextKind::Content, " \"you\"\n", None), STOP, StreamEvent::Usage(usage)];
    insta::assert_snapshot!(whole_text(Options::default(), &events), @r#"{"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion","created":1790000000,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello \"you\"\n","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_7dd023954e"}"#);
}

#[test]
fn a_tool_call_takes_the_place_of_the_text() {
    let events = [
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "get_weather" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"city\":" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "\"Oslo\"}" },
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
    ];
    insta::assert_snapshot!(whole_text(Options::default(), &events), @r#"{"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion","created":1790000000,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_X8tolSPiun1zO7GnOahGy9CO","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}],"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_7dd023954e"}"#);
}

#[test]
fn a_custom_tool_is_called_with_a_text() {
    let options = Options { custom: Some(["sql".into()].into()), ..Options::default() };
    let events = [
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "sql" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "select \"a\"" },
        StreamEvent::ToolStart { choice: 0, index: 1, id: 6, name: "look" },
        StreamEvent::ToolArguments { choice: 0, index: 1, fragment: "{}" },
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
    ];
    let whole = whole_text(options.clone(), &events);
    let calls = &serde_json::from_str::<serde_json::Value>(&whole).unwrap()["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[0]["type"], "custom");
    assert_eq!(calls[0]["custom"], serde_json::json!({"name": "sql", "input": "select \"a\""}));
    assert_eq!(calls[1]["function"], serde_json::json!({"name": "look", "arguments": "{}"}));
    let stream = stream_text(options, &events);
    let deltas: Vec<&str> = stream
        .lines()
        .filter_map(|line| line.split_once("\"tool_calls\":[")?.1.split_once("]},\"logprobs"))
        .map(|cut| cut.0)
        .collect();
    insta::assert_snapshot!(deltas.join("\n"), @r#"
    {"index":0,"id":"call_X8tolSPiun1zO7GnOahGy9CO","type":"custom","custom":{"name":"sql","input":""}}
    {"index":0,"custom":{"input":"select \"a\""}}
    {"index":1,"id":"call_t11GwgaDbpnDe46bDekFnFqj","type":"function","function":{"name":"look","arguments":""}}
    {"index":1,"function":{"arguments":"{}"}}
    "#);
}

#[test]
fn a_refusal_and_reasoning_have_fields_of_their_own() {
    let events = [text(TextKind::Reasoning, "Hm.", None), text(TextKind::Refusal, "I can't.", None), STOP];
    insta::assert_snapshot!(whole_text(Options::default(), &events), @r#"{"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion","created":1790000000,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"Hm.","refusal":"I can't.","annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_7dd023954e"}"#);
}

#[test]
fn log_probabilities_come_one_a_token() {
    let options = Options { logprobs: Some(1), ..Options::default() };
    let events = [text(TextKind::Content, "Hi", Some(1)), text(TextKind::Content, "é", Some(2)), STOP];
    insta::assert_snapshot!(whole_text(options, &events), @r#"{"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion","created":1790000000,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hié","refusal":null,"annotations":[]},"logprobs":{"content":[{"token":"Hi","logprob":-0.145974,"bytes":[72,105],"top_logprobs":[{"token":"Hi","logprob":-0.145974,"bytes":[72,105]}]},{"token":"é","logprob":-0.146004,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.146004,"bytes":[195,169]}]}],"refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_7dd023954e"}"#);
}
