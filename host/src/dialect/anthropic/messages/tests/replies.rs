//! Replies, byte by byte.

use bytes::BytesMut;
use serde_json::{Value, json};

use super::body_with;
use crate::dialect::{Manners, Voice};
use crate::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use crate::types::usage::Usage;

const USAGE: Usage = Usage { input: 9, cached_input: 4, output: 3, reasoning: 1 };
const START: StreamEvent<'_> = StreamEvent::Start { choice: 0, tool_first: false };

fn head() -> Head {
    Head { id: 42, created_unix_s: 1_790_000_000, model: "claude-x".into(), fingerprint: 7, usage: USAGE }
}

fn voice(fields: &str) -> Box<dyn Voice> {
    super::parsed(&body_with(fields), "2023-06-01", Manners::default()).unwrap().voice
}

fn piece(kind: TextKind, text: &str) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind, text, logprob: None }
}

fn finish(reason: Finish) -> StreamEvent<'static> {
    StreamEvent::Finish { choice: 0, reason }
}

fn streamed(fields: &str, events: &[StreamEvent<'_>]) -> String {
    let mut renderer = voice(fields).stream(&head());
    let mut out = BytesMut::new();
    events.iter().for_each(|event| renderer.event(event, &mut out));
    String::from_utf8(out.to_vec()).unwrap()
}

fn whole(fields: &str, events: &[StreamEvent<'_>]) -> String {
    let mut reply = WholeReply::default();
    events.iter().for_each(|event| reply.gather(event));
    let mut out = BytesMut::new();
    voice(fields).whole(&head(), &reply, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// Reads a stream as the vendor's SDKs do: a name, one line of data whose type is the name, a blank line.
fn read(stream: &str) -> Vec<Value> {
    let events = stream.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        assert_eq!(data["type"], name.strip_prefix("event: ").expect("a name"));
        data
    });
    events.collect()
}

#[test]
fn a_stream_thinks_speaks_and_ends_with_what_it_cost() {
    let events = [
        START,
        piece(TextKind::Reasoning, "Hm."),
        piece(TextKind::Content, "Hi"),
        piece(TextKind::Content, " \"you\"\n"),
        finish(Finish::Stop),
        StreamEvent::Usage(USAGE),
        StreamEvent::End,
    ];
    insta::assert_snapshot!(streamed("", &events), @r#"
    event: message_start
    data: {"type":"message_start","message":{"id":"msg_01t8jpyfDsJ4rHrFtyRQ6b4c","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard","inference_geo":"not_available"}}}

    event: content_block_start
    data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

    event: ping
    data: {"type":"ping"}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ltd3JpZ2h0LXNpZ25lZC10aGlua2luZw=="}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":0}

    event: content_block_start
    data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":" \"you\"\n"}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":1}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3,"output_tokens_details":{"thinking_tokens":1}}}

    event: message_stop
    data: {"type":"message_stop"}
    "#);
}

#[test]
fn thoughts_that_are_omitted_are_signed_and_counted() {
    let omitted = r#","thinking":{"type":"enabled","budget_tokens":1024,"display":"omitted"}"#;
    let events = [
        START,
        piece(TextKind::Reasoning, "Hm."),
        piece(TextKind::Content, "Hi"),
        finish(Finish::Stop),
        StreamEvent::Usage(USAGE),
    ];
    let message: Value = serde_json::from_str(&whole(omitted, &events)).unwrap();
    assert_eq!((&message["content"][0]["thinking"], message["content"][0]["signature"].is_string()), (&json!(""), true));
    assert_eq!(message["usage"]["output_tokens_details"]["thinking_tokens"], 1);
    let events = read(&streamed(omitted, &events));
    let deltas: Vec<&Value> = events.iter().map(|event| &event["delta"]["type"]).filter(|kind| kind.is_string()).collect();
    assert_eq!(deltas, ["signature_delta", "text_delta"]);
}

#[test]
fn a_tool_is_used_in_a_block_of_its_own() {
    let events = [
        START,
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "look" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"at\":" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "1}" },
        finish(Finish::ToolCalls),
        StreamEvent::Usage(USAGE),
        StreamEvent::End,
    ];
    insta::assert_snapshot!(streamed("", &events), @r#"
    event: message_start
    data: {"type":"message_start","message":{"id":"msg_01t8jpyfDsJ4rHrFtyRQ6b4c","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard","inference_geo":"not_available"}}}

    event: content_block_start
    data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_01X8tolSPiun1zO7GnOahGy9","name":"look","input":{},"caller":{"type":"direct"}}}

    event: ping
    data: {"type":"ping"}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"at\":"}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":0}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3,"output_tokens_details":{"thinking_tokens":1}}}

    event: message_stop
    data: {"type":"message_stop"}
    "#);
    let message: Value = serde_json::from_str(&whole("", &events)).unwrap();
    assert_eq!((&message["stop_reason"], &message["content"][0]["input"]), (&json!("tool_use"), &json!({"at": 1})));
}

#[test]
fn a_whole_message_has_all_the_vendors_fields() {
    let events =
        [piece(TextKind::Reasoning, "Hm."), piece(TextKind::Content, "Hi"), finish(Finish::Stop), StreamEvent::Usage(USAGE)];
    insta::assert_snapshot!(whole("", &events), @r#"{"id":"msg_01t8jpyfDsJ4rHrFtyRQ6b4c","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ltd3JpZ2h0LXNpZ25lZC10aGlua2luZw=="},{"type":"text","text":"Hi","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":3,"output_tokens_details":{"thinking_tokens":1},"service_tier":"standard","inference_geo":"not_available"}}"#);
}

#[test]
fn why_a_reply_ended_is_told_with_the_text_that_ended_it() {
    let reason = |end| {
        let events = [piece(TextKind::Content, "Hi"), finish(end), StreamEvent::Usage(USAGE)];
        let message: Value = serde_json::from_str(&whole(r#","stop_sequences":["a","END"]"#, &events)).unwrap();
        (message["stop_reason"].clone(), message["stop_sequence"].clone())
    };
    assert_eq!(reason(Finish::StopText(1)), (json!("stop_sequence"), json!("END")));
    assert_eq!(reason(Finish::Length), (json!("max_tokens"), Value::Null));
    assert_eq!(reason(Finish::ContentFilter), (json!("refusal"), Value::Null));
    let refused = whole("", &[piece(TextKind::Refusal, "No."), finish(Finish::Stop)]);
    assert!(
        refused.contains(r#""stop_reason":"refusal""#) && refused.contains(r#""stop_details":{"type":"refusal""#),
        "{refused}"
    );
}

#[test]
fn what_is_marked_for_the_cache_is_written_to_it() {
    let cached = r#","system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]"#;
    let usage = |fields| -> Value {
        let message: Value = serde_json::from_str(&whole(fields, &[StreamEvent::Usage(USAGE)])).unwrap();
        json!([
            message["usage"]["input_tokens"],
            message["usage"]["cache_creation_input_tokens"],
            message["usage"]["cache_read_input_tokens"]
        ])
    };
    assert_eq!((usage(""), usage(cached)), (json!([5, 0, 4]), json!([0, 5, 4])));
}

#[test]
fn an_error_inside_a_stream_is_an_event() {
    let error = StreamEvent::Error { message: "Overloaded", code: None };
    let events = read(&streamed("", &[START, error]));
    assert_eq!(events[1], json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}));
}
