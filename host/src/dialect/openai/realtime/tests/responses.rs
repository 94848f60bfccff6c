//! Golden bytes of responses.

use bytes::BytesMut;

use super::super::*;
use super::lines;
use crate::types::reply::Finish;
use crate::types::usage::Usage;

const USAGE: Usage = Usage { input: 9, cached_input: 4, output: 3, reasoning: 0 };

fn head() -> Head {
    Head { id: 42, created_unix_s: 1_700_000_000, model: "gpt-realtime".into(), fingerprint: 1, usage: USAGE }
}

fn stream() -> ResponseStream {
    let options = Options {
        conversation_id: Some("conv_1".into()),
        previous_item_id: Some("item_0".into()),
        max_output_tokens: None,
        metadata: None,
    };
    ResponseStream::new(&head(), options)
}

fn text(text: &str) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind: TextKind::Content, text, logprob: None }
}

fn rendered(events: &[StreamEvent<'_>]) -> BytesMut {
    let (mut stream, mut out) = (stream(), BytesMut::new());
    events.iter().for_each(|event| stream.event(event, &mut out));
    out
}

/// The types of all events of `out`.
fn types(out: &BytesMut) -> Vec<String> {
    lines(out).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

const START: StreamEvent<'static> = StreamEvent::Start { choice: 0, tool_first: false };

fn finish(reason: Finish) -> StreamEvent<'static> {
    StreamEvent::Finish { choice: 0, reason }
}

#[test]
fn a_text_leaves_in_the_vendors_order() {
    let events = [START, text("Hel\""), text("lo\n"), finish(Finish::Stop), StreamEvent::Usage(USAGE), StreamEvent::End];
    insta::assert_snapshot!(std::str::from_utf8(&rendered(&events)).unwrap(), @r#"
    {"type":"response.created","event_id":"event_9AmMX9beCc37rAhsapxiv","response":{"object":"realtime.response","id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","status":"in_progress","status_details":null,"output":[],"conversation_id":"conv_1","output_modalities":["text"],"max_output_tokens":"inf","audio":{"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin"}},"usage":null,"metadata":null}}
    {"type":"response.output_item.added","event_id":"event_iwUf1Wi01krwl3odPNRYq","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","output_index":0,"item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"message","status":"in_progress","role":"assistant","content":[]}}
    {"type":"conversation.item.added","event_id":"event_DxbUottNzqIi0MQ7UQlOm","previous_item_id":"item_0","item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"message","status":"in_progress","role":"assistant","content":[]}}
    {"type":"response.content_part.added","event_id":"event_MhIMmlqUnj0jpeZIzLCvm","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"content_index":0,"part":{"type":"text","text":""}}
    {"type":"response.output_text.delta","event_id":"event_TRphHuhPEmVCi0XDg5jwe","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"content_index":0,"delta":"Hel\""}
    {"type":"response.output_text.delta","event_id":"event_HCO5lIATy02YQduWIt0gU","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"content_index":0,"delta":"lo\n"}
    {"type":"response.output_text.done","event_id":"event_3BbUfnSp7d6wkKEZOW3N1","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"content_index":0,"text":"Hel\"lo\n"}
    {"type":"response.content_part.done","event_id":"event_uSQcNLlzpVWYoW8yTDtyB","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"content_index":0,"part":{"type":"text","text":"Hel\"lo\n"}}
    {"type":"conversation.item.done","event_id":"event_XuwNjxOGE0YGQRcronT4o","previous_item_id":"item_0","item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hel\"lo\n"}]}}
    {"type":"response.output_item.done","event_id":"event_7ORktAK7ZyMiYw0QRQP5F","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","output_index":0,"item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hel\"lo\n"}]}}
    {"type":"response.done","event_id":"event_rnwERtunR3ChKa5fxGEiL","response":{"object":"realtime.response","id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","status":"completed","status_details":null,"output":[{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hel\"lo\n"}]}],"conversation_id":"conv_1","output_modalities":["text"],"max_output_tokens":"inf","audio":{"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin"}},"usage":{"total_tokens":12,"input_tokens":9,"output_tokens":3,"input_token_details":{"text_tokens":9,"audio_tokens":0,"image_tokens":0,"cached_tokens":4,"cached_tokens_details":{"text_tokens":4,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":3,"audio_tokens":0}},"metadata":null}}
    "#);
}

#[test]
fn a_call_leaves_as_json_text_with_its_name_at_both_ends() {
    let call = StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "add" };
    let arguments = |fragment| StreamEvent::ToolArguments { choice: 0, index: 0, fragment };
    let events = [
        START,
        call,
        arguments("{\"a\":"),
        arguments("1}"),
        finish(Finish::ToolCalls),
        StreamEvent::Usage(USAGE),
        StreamEvent::End,
    ];
    insta::assert_snapshot!(std::str::from_utf8(&rendered(&events)).unwrap(), @r#"
    {"type":"response.created","event_id":"event_9AmMX9beCc37rAhsapxiv","response":{"object":"realtime.response","id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","status":"in_progress","status_details":null,"output":[],"conversation_id":"conv_1","output_modalities":["text"],"max_output_tokens":"inf","audio":{"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin"}},"usage":null,"metadata":null}}
    {"type":"response.output_item.added","event_id":"event_iwUf1Wi01krwl3odPNRYq","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","output_index":0,"item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"function_call","status":"in_progress","name":"add","call_id":"call_X8tolSPiun1zO7GnOahGy","arguments":""}}
    {"type":"conversation.item.added","event_id":"event_DxbUottNzqIi0MQ7UQlOm","previous_item_id":"item_0","item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"function_call","status":"in_progress","name":"add","call_id":"call_X8tolSPiun1zO7GnOahGy","arguments":""}}
    {"type":"response.function_call_arguments.delta","event_id":"event_MhIMmlqUnj0jpeZIzLCvm","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"call_id":"call_X8tolSPiun1zO7GnOahGy","delta":"{\"a\":"}
    {"type":"response.function_call_arguments.delta","event_id":"event_TRphHuhPEmVCi0XDg5jwe","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"call_id":"call_X8tolSPiun1zO7GnOahGy","delta":"1}"}
    {"type":"response.function_call_arguments.done","event_id":"event_HCO5lIATy02YQduWIt0gU","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","item_id":"item_3b4Mi7yR0r9ywHAhsh6Md","output_index":0,"call_id":"call_X8tolSPiun1zO7GnOahGy","name":"add","arguments":"{\"a\":1}"}
    {"type":"conversation.item.done","event_id":"event_3BbUfnSp7d6wkKEZOW3N1","previous_item_id":"item_0","item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"function_call","status":"completed","name":"add","call_id":"call_X8tolSPiun1zO7GnOahGy","arguments":"{\"a\":1}"}}
    {"type":"response.output_item.done","event_id":"event_uSQcNLlzpVWYoW8yTDtyB","response_id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","output_index":0,"item":{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"function_call","status":"completed","name":"add","call_id":"call_X8tolSPiun1zO7GnOahGy","arguments":"{\"a\":1}"}}
    {"type":"response.done","event_id":"event_XuwNjxOGE0YGQRcronT4o","response":{"object":"realtime.response","id":"resp_t8jpyfDsJ4rHrFtyRQ6b4","status":"completed","status_details":null,"output":[{"id":"item_3b4Mi7yR0r9ywHAhsh6Md","object":"realtime.item","type":"function_call","status":"completed","name":"add","call_id":"call_X8tolSPiun1zO7GnOahGy","arguments":"{\"a\":1}"}],"conversation_id":"conv_1","output_modalities":["text"],"max_output_tokens":"inf","audio":{"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"marin"}},"usage":{"total_tokens":12,"input_tokens":9,"output_tokens":3,"input_token_details":{"text_tokens":9,"audio_tokens":0,"image_tokens":0,"cached_tokens":4,"cached_tokens_details":{"text_tokens":4,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":3,"audio_tokens":0}},"metadata":null}}
    "#);
}

#[test]
fn a_text_before_calls_is_an_item_of_its_own() {
    let call = |index, id| StreamEvent::ToolStart { choice: 0, index, id, name: "add" };
    let events =
        [START, text("Well."), call(0, 5), call(1, 6), finish(Finish::ToolCalls), StreamEvent::Usage(USAGE), StreamEvent::End];
    let out = rendered(&events);
    let all = lines(&out);
    let done = all.last().unwrap();
    let kinds: Vec<&str> =
        done["response"]["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "function_call", "function_call"]);
    let added: Vec<_> = all.iter().filter(|event| event["type"] == "response.output_item.added").collect();
    assert_eq!(added.iter().map(|event| event["output_index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    let items: Vec<_> = all.iter().filter(|event| event["type"] == "conversation.item.added").collect();
    assert_eq!(items[0]["previous_item_id"], "item_0");
    assert_eq!(items[1]["previous_item_id"], items[0]["item"]["id"]);
    let ids: std::collections::HashSet<_> = all.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "ids of events repeat");
}

#[test]
fn an_early_end_says_why() {
    for (reason, word) in [(Finish::Length, "max_output_tokens"), (Finish::ContentFilter, "content_filter")] {
        let out = rendered(&[START, text("a"), finish(reason), StreamEvent::Usage(USAGE), StreamEvent::End]);
        let done = &lines(&out).pop().unwrap()["response"];
        assert_eq!((&done["status"], &done["status_details"]["reason"]), (&"incomplete".into(), &word.into()));
        assert_eq!(done["output"][0]["status"], "incomplete");
    }
}

#[test]
fn an_error_is_an_event_of_its_own_and_the_response_fails() {
    let out = rendered(&[START, text("a"), StreamEvent::Error { message: "it broke", code: None }]);
    let all = lines(&out);
    let error = all.iter().find(|event| event["type"] == "error").unwrap();
    assert_eq!((&error["error"]["type"], &error["error"]["message"]), (&"server_error".into(), &"it broke".into()));
    let done = &all.last().unwrap()["response"];
    assert_eq!((&done["status"], &done["status_details"]["error"]["type"]), (&"failed".into(), &"server_error".into()));
}

#[test]
fn a_cancelled_response_ends_its_item() {
    let (mut stream, mut out) = (stream(), BytesMut::new());
    stream.event(&START, &mut out);
    stream.event(&text("half"), &mut out);
    stream.end(ResponseEnd::Cancelled, USAGE, &mut out);
    let done = &lines(&out).pop().unwrap()["response"];
    assert_eq!((&done["status"], &done["status_details"]["reason"]), (&"cancelled".into(), &"client_cancelled".into()));
    assert_eq!(done["output"][0]["content"][0]["text"], "half");
    assert_eq!(stream.into_output().len(), 1);
}

#[test]
fn thinking_is_not_said_and_a_refusal_is_text() {
    let piece = |kind, text| StreamEvent::Text { choice: 0, kind, text, logprob: None };
    let events =
        [START, piece(TextKind::Reasoning, "hm"), piece(TextKind::Refusal, "No."), finish(Finish::Stop), StreamEvent::End];
    let out = rendered(&events);
    assert_eq!(types(&out).iter().filter(|kind| *kind == "response.output_text.delta").count(), 1);
    assert!(!std::str::from_utf8(&out).unwrap().contains("hm"));
}

#[test]
fn a_response_apart_shows_nothing_to_the_conversation() {
    let (mut stream, mut out) = (ResponseStream::new(&head(), Options::default()), BytesMut::new());
    for event in [START, text("a"), finish(Finish::Stop), StreamEvent::End] {
        stream.event(&event, &mut out);
    }
    assert!(types(&out).iter().all(|kind| kind.starts_with("response.")));
    assert_eq!(lines(&out)[0]["response"]["conversation_id"], serde_json::Value::Null);
    assert!(stream.into_output().is_empty());
}
