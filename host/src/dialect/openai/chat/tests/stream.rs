//! Streams, byte by byte; and a strict reader that gets back exactly what was planned.
//!
//! The snapshots leave out trailing blank lines, so the reader is what checks the end of a stream.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Options;
use super::{head, options_with, stream_text};
use crate::dialect::openai::sampling::Streaming;
use crate::types::reply::{Finish, StreamEvent, TextKind};
use crate::types::usage::Usage;

const START: StreamEvent<'_> = StreamEvent::Start { choice: 0, tool_first: false };
const STOP: StreamEvent<'_> = StreamEvent::Finish { choice: 0, reason: Finish::Stop };

fn options(include_usage: bool, obfuscation: bool, logprobs: Option<u8>) -> Options {
    Options {
        logprobs,
        streaming: Streaming { wanted: true, include_usage, continuous_usage: false, obfuscation },
        is_filtered: false,
        is_filtered_later: false,
    }
}

fn content(choice: u32, text: &str) -> StreamEvent<'_> {
    StreamEvent::Text { choice, kind: TextKind::Content, text, logprob: None }
}

/// Reads a stream as the strictest client would: one `data: ` line and one blank line an event, `[DONE]` last.
fn read(stream: &str) -> Vec<Value> {
    let body = stream.strip_suffix("data: [DONE]\n\n").expect("the stream should end with its terminator");
    let events = body.split_terminator("\n\n");
    events.map(|event| serde_json::from_str(event.strip_prefix("data: ").expect("a data line")).unwrap()).collect()
}

#[test]
fn a_text_stream_has_a_role_pieces_a_finish_and_its_terminator() {
    let events =
        [START, content(0, "Hi"), content(0, " \"you\"\n"), STOP, StreamEvent::Usage(Usage::default()), StreamEvent::End];
    insta::assert_snapshot!(stream_text(Options::default(), &events), @r#"
    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"content":" \"you\"\n"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}

    data: [DONE]
    "#);
}

#[test]
fn usage_comes_in_a_chunk_of_its_own_and_is_null_before() {
    let usage = Usage { input: 9, cached_input: 4, output: 3, reasoning: 1 };
    insta::assert_snapshot!(stream_text(options(true, false, None), &[START, STOP, StreamEvent::Usage(usage), StreamEvent::End]), @r#"
    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":1,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}

    data: [DONE]
    "#);
}

#[test]
fn load_tools_see_in_every_chunk_what_its_choice_has_cost_so_far() {
    let options = options_with(r#""stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}"#);
    let tool = StreamEvent::ToolStart { choice: 1, index: 0, id: 5, name: "wait" };
    let last = Usage { input: 9, cached_input: 0, output: 3, reasoning: 0 };
    let events = [START, content(0, "a"), content(0, "b"), tool, STOP, StreamEvent::Usage(last), StreamEvent::End];
    let chunks = read(&stream_text(options, &events));
    let so_far: Vec<_> = chunks.iter().map(|chunk| chunk["usage"]["completion_tokens"].as_u64().unwrap()).collect();
    assert_eq!(so_far, [0, 1, 2, 1, 2, 3]);
    assert!(chunks.iter().all(|chunk| chunk["usage"]["prompt_tokens"] == 9));
    // Without the counts at the end there are none on the way, as in vLLM.
    let alone = options_with(r#""stream":true,"stream_options":{"continuous_usage_stats":true}"#);
    assert!(read(&stream_text(alone, &[START, STOP, StreamEvent::End])).iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn a_tool_call_that_comes_first_carries_the_role() {
    let events = [
        StreamEvent::Start { choice: 0, tool_first: true },
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "get_weather" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"" },
        StreamEvent::ToolStart { choice: 0, index: 1, id: 6, name: "wait" },
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
        StreamEvent::End,
    ];
    insta::assert_snapshot!(stream_text(Options::default(), &events), @r#"
    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_X8tolSPiun1zO7GnOahGy9CO","type":"function","function":{"name":"get_weather","arguments":""}}],"refusal":null},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\""}}]},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_t11GwgaDbpnDe46bDekFnFqj","type":"function","function":{"name":"wait","arguments":""}}]},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}]}

    data: [DONE]
    "#);
}

#[test]
fn reasoning_and_refusals_stream_in_fields_of_their_own() {
    let text = |kind, text| StreamEvent::Text { choice: 0, kind, text, logprob: None };
    let events = [START, text(TextKind::Reasoning, "Hm"), text(TextKind::Refusal, "No"), STOP, StreamEvent::End];
    let deltas: Vec<Value> =
        read(&stream_text(Options::default(), &events)).iter().map(|c| c["choices"][0]["delta"].clone()).collect();
    assert_eq!(deltas[1..], [json!({"reasoning_content": "Hm"}), json!({"refusal": "No"}), json!({})]);
}

#[test]
fn log_probabilities_stream_with_their_token() {
    let event = StreamEvent::Text { choice: 0, kind: TextKind::Content, text: "Hi", logprob: Some(1) };
    insta::assert_snapshot!(stream_text(options(false, false, Some(1)), &[event]), @r#"data: {"id":"chatcmpl-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","object":"chat.completion.chunk","created":1790000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_7dd023954e","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi","logprob":-0.145974,"bytes":[72,105],"top_logprobs":[{"token":"Hi","logprob":-0.145974,"bytes":[72,105]}]}],"refusal":null},"finish_reason":null}]}"#);
}

#[test]
fn a_role_that_waits_for_a_call_is_sent_when_something_else_comes() {
    let events = [StreamEvent::Start { choice: 3, tool_first: true }, content(3, "x"), StreamEvent::End];
    let chunks = read(&stream_text(Options::default(), &events));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"content": "x"}));
}

#[test]
fn an_error_inside_a_stream_is_an_event_with_all_four_keys() {
    let text = stream_text(Options::default(), &[StreamEvent::Error { message: "lost \"it\"", code: None }]);
    assert!(text.ends_with("}\n\n"), "the last event would be lost without its blank line");
    insta::assert_snapshot!(text, @r#"data: {"error":{"message":"lost \"it\"","type":"server_error","param":null,"code":null}}"#);
}

#[test]
fn padding_hides_the_length_of_the_text() {
    let text = stream_text(options(false, true, None), &[content(0, "a"), content(0, "abcdefgh"), StreamEvent::End]);
    let lengths: Vec<usize> = text.split("\n\n").take(2).map(str::len).collect();
    assert_eq!(lengths[0], lengths[1]);
    assert!(read(&text).iter().all(|chunk| chunk["obfuscation"].is_string()));
}

/// One planned piece: choice, what it is, its text.
fn piece() -> impl Strategy<Value = (u32, u8, String)> {
    (0_u32..3, 0_u8..4, "(?s).{0,12}")
}

proptest! {
    #[test]
    fn a_strict_client_reads_back_what_was_planned(pieces in prop::collection::vec(piece(), 0..40), usage: bool, padding: bool) {
        let mut events: Vec<StreamEvent<'_>> = (0..3).map(|choice| StreamEvent::Start { choice, tool_first: choice == 2 }).collect();
        let mut planned: BTreeMap<(u64, &str), String> = BTreeMap::new();
        for (choice, kind, text) in &pieces {
            let (choice, field) = (*choice, ["content", "reasoning_content", "refusal", "arguments"][usize::from(*kind)]);
            planned.entry((u64::from(choice), field)).or_default().push_str(text);
            events.push(match kind {
                0 => StreamEvent::Text { choice, kind: TextKind::Content, text, logprob: None },
                1 => StreamEvent::Text { choice, kind: TextKind::Reasoning, text, logprob: None },
                2 => StreamEvent::Text { choice, kind: TextKind::Refusal, text, logprob: None },
                _ => StreamEvent::ToolArguments { choice, index: 0, fragment: text },
            });
        }
        events.extend((0..3).map(|choice| StreamEvent::Finish { choice, reason: Finish::Length }));
        events.push(StreamEvent::Usage(Usage { input: 1, cached_input: 0, output: 2, reasoning: 0 }));
        events.push(StreamEvent::End);
        let chunks = read(&stream_text(options(usage, padding, None), &events));

        let mut found: BTreeMap<(u64, &str), String> = BTreeMap::new();
        let (mut roles, mut finishes) = (0, 0);
        for chunk in &chunks {
            prop_assert_eq!(&chunk["model"], &*head().model);
            prop_assert_eq!(&chunk["id"], &chunks[0]["id"]);
            let Some(choice) = chunk["choices"].get(0) else { continue };
            let index = choice["index"].as_u64().unwrap();
            let delta = &choice["delta"];
            if delta.get("role").is_some() {
                roles += 1;
                continue;
            }
            finishes += usize::from(choice["finish_reason"] == "length");
            for field in ["content", "reasoning_content", "refusal"] {
                if let Some(text) = delta[field].as_str() {
                    found.entry((index, field)).or_default().push_str(text);
                }
            }
            if let Some(text) = delta["tool_calls"][0]["function"]["arguments"].as_str() {
                found.entry((index, "arguments")).or_default().push_str(text);
            }
        }
        prop_assert_eq!(found, planned);
        prop_assert_eq!((roles, finishes), (3, 3));
        let with_usage = chunks.iter().filter(|chunk| chunk["usage"].is_object()).count();
        prop_assert_eq!(with_usage, usize::from(usage));
        prop_assert!(chunks.iter().all(|chunk| chunk.get("usage").is_some() == usage));
    }
}
