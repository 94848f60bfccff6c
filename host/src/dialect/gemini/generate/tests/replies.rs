//! Replies, byte by byte, as events and as an array.

use bytes::BytesMut;
use serde_json::{Value, json};

use super::{body_with, parsed};
use crate::dialect::gemini::{Generate, StreamGenerate};
use crate::dialect::{Manners, Voice};
use crate::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use crate::types::usage::Usage;

const USAGE: Usage = Usage { input: 9, cached_input: 4, output: 3, reasoning: 1 };
const START: StreamEvent<'_> = StreamEvent::Start { choice: 0, tool_first: false };
const SHOWN: &str = r#","generationConfig":{"thinkingConfig":{"includeThoughts":true}}"#;
const SSE: &str = "gemini-x?alt=sse";
const ARRAY: &str = "gemini-x";

fn head() -> Head {
    Head { id: 42, created_unix_s: 1_790_000_000, model: "gemini-x".into(), fingerprint: 7, usage: USAGE }
}

fn piece(kind: TextKind, text: &str) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind, text, logprob: None }
}

fn finish(reason: Finish) -> StreamEvent<'static> {
    StreamEvent::Finish { choice: 0, reason }
}

fn voice(target: &str, fields: &str) -> Box<dyn Voice> {
    parsed(&StreamGenerate, target, &body_with(fields), Manners::default()).unwrap().voice
}

fn streamed(target: &str, fields: &str, events: &[StreamEvent<'_>]) -> String {
    let mut renderer = voice(target, fields).stream(&head());
    let mut out = BytesMut::new();
    events.iter().for_each(|event| renderer.event(event, &mut out));
    String::from_utf8(out.to_vec()).unwrap()
}

fn whole(fields: &str, events: &[StreamEvent<'_>]) -> String {
    let mut reply = WholeReply::default();
    events.iter().for_each(|event| reply.gather(event));
    let mut out = BytesMut::new();
    parsed(&Generate, "gemini-x", &body_with(fields), Manners::default()).unwrap().voice.whole(&head(), &reply, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// Reads a stream as the vendor's SDKs do: lines of `data: ` and JSON, each with a blank line after it, and nothing else.
fn read(stream: &str) -> Vec<Value> {
    assert!(stream.ends_with("\r\n\r\n"), "{stream:?}");
    let chunk = |event: &str| serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON");
    stream.split_terminator("\r\n\r\n").map(chunk).collect()
}

const THOUGHTFUL: [StreamEvent<'_>; 7] = [
    START,
    StreamEvent::Text { choice: 0, kind: TextKind::Reasoning, text: "Hm.", logprob: None },
    StreamEvent::Text { choice: 0, kind: TextKind::Content, text: "Hi", logprob: None },
    StreamEvent::Text { choice: 0, kind: TextKind::Content, text: " \"you\"\n", logprob: None },
    StreamEvent::Finish { choice: 0, reason: Finish::Stop },
    StreamEvent::Usage(USAGE),
    StreamEvent::End,
];

#[test]
fn a_stream_is_responses_with_a_piece_each() {
    insta::assert_snapshot!(streamed(SSE, SHOWN, &THOUGHTFUL).replace('\r', ""), @r#"
    data: {"candidates":[{"content":{"parts":[{"text":"Hm.","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}

    data: {"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}

    data: {"candidates":[{"content":{"parts":[{"text":" \"you\"\n"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}

    data: {"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"yOHkYbT93R9Csn2tugvyZJrAgMBp8jPXZxKOCDH2xpk5b7T8pucfoNdZavC8Mz8Zh4rmuDayiVHPUqm4Ai5WkslySlJ7LIKjUVuC8UWHGqbJlw1vN60wsSCeSm2Qaccn"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":1,"cachedContentTokenCount":4,"totalTokenCount":12,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}
    "#);
}

#[test]
fn without_events_a_stream_is_an_array_that_grows() {
    let array = streamed(ARRAY, "", &THOUGHTFUL);
    let chunks: Vec<Value> = serde_json::from_str(&array).expect("one JSON array");
    assert_eq!(chunks, read(&streamed(SSE, "", &THOUGHTFUL)));
    assert!(array.starts_with("[{\"candidates\"") && array.contains("},\r\n{") && array.ends_with("}]"), "{array}");
    let broken =
        streamed(ARRAY, "", &[START, piece(TextKind::Content, "Hi"), StreamEvent::Error { message: "Lost", code: None }]);
    let chunks: Vec<Value> = serde_json::from_str(&broken).expect("one JSON array");
    assert_eq!((chunks.len(), &chunks[1]["error"]["code"]), (2, &json!(503)));
}

#[test]
fn a_whole_response_has_all_the_vendors_fields() {
    insta::assert_snapshot!(whole(SHOWN, &THOUGHTFUL), @r#"{"candidates":[{"content":{"parts":[{"text":"Hm.","thought":true},{"text":"Hi \"you\"\n","thoughtSignature":"yOHkYbT93R9Csn2tugvyZJrAgMBp8jPXZxKOCDH2xpk5b7T8pucfoNdZavC8Mz8Zh4rmuDayiVHPUqm4Ai5WkslySlJ7LIKjUVuC8UWHGqbJlw1vN60wsSCeSm2Qaccn"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":1,"cachedContentTokenCount":4,"totalTokenCount":12,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}"#);
}

#[test]
fn thoughts_are_shown_to_who_asks_and_counted_for_all() {
    let parts = |fields| -> Value {
        serde_json::from_str::<Value>(&whole(fields, &THOUGHTFUL)).unwrap()["candidates"][0]["content"]["parts"].take()
    };
    let hidden = parts("");
    assert_eq!((hidden.as_array().unwrap().len(), &hidden[0]["text"]), (1, &json!("Hi \"you\"\n")));
    assert_eq!(parts(SHOWN)[0], json!({"text": "Hm.", "thought": true}));
    let hidden = read(&streamed(SSE, "", &THOUGHTFUL));
    assert!(hidden.iter().all(|chunk| chunk["candidates"][0]["content"]["parts"][0].get("thought").is_none()));
    assert_eq!(hidden.last().unwrap()["usageMetadata"]["thoughtsTokenCount"], 1);
}

#[test]
fn a_function_is_called_in_one_piece() {
    let events = [
        START,
        piece(TextKind::Content, "Well"),
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "look" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"at\":" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "1}" },
        StreamEvent::ToolStart { choice: 0, index: 1, id: 6, name: "wait" },
        finish(Finish::ToolCalls),
        StreamEvent::Usage(USAGE),
        StreamEvent::End,
    ];
    insta::assert_snapshot!(streamed(SSE, "", &events).replace('\r', ""), @r#"
    data: {"candidates":[{"content":{"parts":[{"text":"Well"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}

    data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"a53c983a","name":"look","args":{"at":1}}}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}

    data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"000efeda","name":"wait","args":{}}}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}

    data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":1,"cachedContentTokenCount":4,"totalTokenCount":12,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]},"modelVersion":"gemini-x","responseId":"t8jpyfDsJ4rHrFtyRQ6b4c"}
    "#);
    let candidate: Value = serde_json::from_str::<Value>(&whole("", &events)).unwrap()["candidates"][0].take();
    let sent: Vec<Value> =
        read(&streamed(SSE, "", &events)).iter().map(|chunk| chunk["candidates"][0]["content"]["parts"][0].clone()).collect();
    assert_eq!(candidate["content"]["parts"], json!(sent[..3]), "the same calls with the same ids");
    assert_eq!(candidate["finishReason"], "STOP");
}

#[test]
fn what_was_thought_is_signed_once_with_the_first_call_or_at_the_end() {
    let call = |index| StreamEvent::ToolStart { choice: 0, index, id: 5 + u64::from(index), name: "look" };
    let thought = piece(TextKind::Reasoning, "Hm.");
    let end = [finish(Finish::ToolCalls), StreamEvent::Usage(USAGE), StreamEvent::End];
    let signed = |said: &[StreamEvent<'_>]| {
        let events = [&[START], said, &end[..]].concat();
        let whole: Value = serde_json::from_str(&whole("", &events)).unwrap();
        let chunks = read(&streamed(SSE, "", &events));
        let parts = |responses: &[Value]| -> Vec<Value> {
            responses.iter().flat_map(|one| one["candidates"][0]["content"]["parts"].as_array().unwrap().clone()).collect()
        };
        let signatures = |parts: &[Value]| -> Vec<(usize, String)> {
            let signature = |part: &Value| Some(part.get("thoughtSignature")?.as_str().unwrap().to_owned());
            parts.iter().enumerate().filter_map(|(index, part)| Some((index, signature(part)?))).collect()
        };
        let (whole, streamed) = (signatures(&parts(&[whole])), signatures(&parts(&chunks)));
        assert_eq!(
            whole.iter().map(|(_, text)| text).collect::<Vec<_>>(),
            streamed.iter().map(|(_, text)| text).collect::<Vec<_>>()
        );
        assert!(streamed.iter().all(|(_, text)| text.len() % 4 == 0 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        let places = |signed: Vec<(usize, String)>| signed.into_iter().map(|(index, _)| index).collect::<Vec<_>>();
        (places(whole), places(streamed))
    };
    let text = piece(TextKind::Content, "Hi");
    assert_eq!(signed(&[text]), (vec![], vec![]));
    assert_eq!(signed(&[thought, text]), (vec![0], vec![1]), "the last chunk has it");
    assert_eq!(signed(&[thought]), (vec![0], vec![0]));
    assert_eq!(signed(&[thought, text, call(0), call(1)]), (vec![1], vec![1]));
}

#[test]
fn log_probabilities_are_told_of_each_token_and_of_all() {
    let token = |text, seed| StreamEvent::Text { choice: 0, kind: TextKind::Content, text, logprob: Some(seed) };
    let events = [START, token("Hi", 1), token(" é", 2), finish(Finish::Stop), StreamEvent::Usage(USAGE), StreamEvent::End];
    let fields = r#","generationConfig":{"responseLogprobs":true,"logprobs":2}"#;
    let response: Value = serde_json::from_str(&whole(fields, &events)).unwrap();
    let candidate = &response["candidates"][0];
    insta::assert_snapshot!(candidate, @r#"{"content":{"parts":[{"text":"Hi é"}],"role":"model"},"finishReason":"STOP","index":0,"avgLogprobs":-0.145989,"logprobsResult":{"topCandidates":[{"candidates":[{"token":"Hi","tokenId":245248,"logProbability":-0.145974},{"token":" can","tokenId":191853,"logProbability":-2.82224}]},{"candidates":[{"token":" é","tokenId":161701,"logProbability":-0.146004},{"token":" as","tokenId":220713,"logProbability":-2.886452}]}],"chosenCandidates":[{"token":"Hi","tokenId":245248,"logProbability":-0.145974},{"token":" é","tokenId":161701,"logProbability":-0.146004}],"logProbabilitySum":-0.291978}}"#);
    let chunks = read(&streamed(SSE, fields, &events));
    let of_chunk = |index: usize| &chunks[index]["candidates"][0]["logprobsResult"];
    for key in ["chosenCandidates", "topCandidates"] {
        let pieces = [0, 1].map(|index| of_chunk(index)[key][0].clone());
        assert_eq!(candidate["logprobsResult"][key], json!(pieces), "{key}");
    }
    assert_eq!(chunks[2]["candidates"][0]["avgLogprobs"], candidate["avgLogprobs"]);
    let own = |index: usize| of_chunk(index)["chosenCandidates"][0]["logProbability"].as_f64().unwrap();
    assert!((candidate["logprobsResult"]["logProbabilitySum"].as_f64().unwrap() - own(0) - own(1)).abs() < 1e-9);
    let plain: Value = serde_json::from_str(&whole(r#","generationConfig":{"responseLogprobs":true}"#, &events)).unwrap();
    assert_eq!(plain["candidates"][0]["logprobsResult"].get("topCandidates"), None);
}

#[test]
fn candidates_interleave_and_end_together() {
    let event = |choice, text| StreamEvent::Text { choice, kind: TextKind::Content, text, logprob: None };
    let ends = |choice, reason| StreamEvent::Finish { choice, reason };
    let events = [
        START,
        StreamEvent::Start { choice: 1, tool_first: false },
        event(0, "a"),
        event(1, "x"),
        event(0, "b"),
        ends(0, Finish::Stop),
        event(1, "y"),
        ends(1, Finish::Length),
        StreamEvent::Usage(USAGE),
        StreamEvent::End,
    ];
    let chunks = read(&streamed(SSE, "", &events));
    let text = |index: u64| -> String {
        let candidates = chunks.iter().flat_map(|chunk| chunk["candidates"].as_array().unwrap());
        candidates
            .filter(|candidate| candidate["index"] == index)
            .map(|candidate| candidate["content"]["parts"][0]["text"].as_str().unwrap())
            .collect()
    };
    assert_eq!((text(0).as_str(), text(1).as_str()), ("ab", "xy"));
    let reasons = |response: &Value| -> Vec<Value> {
        response["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|candidate| json!([candidate["index"], candidate["finishReason"]]))
            .collect()
    };
    let wanted = [json!([0, "STOP"]), json!([1, "MAX_TOKENS"])];
    assert_eq!(reasons(chunks.last().unwrap()), wanted);
    let whole: Value = serde_json::from_str(&whole("", &events)).unwrap();
    assert_eq!(reasons(&whole), wanted);
}

#[test]
fn why_a_reply_ended_is_told() {
    let reason = |kind, end| {
        let events = [START, piece(kind, "Hi"), finish(end), StreamEvent::Usage(USAGE), StreamEvent::End];
        let whole: Value = serde_json::from_str(&whole("", &events)).unwrap();
        let chunks = read(&streamed(SSE, "", &events));
        assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], whole["candidates"][0]["finishReason"]);
        assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
        whole["candidates"][0]["finishReason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(TextKind::Content, Finish::StopText(0)), "STOP");
    assert_eq!(reason(TextKind::Content, Finish::Length), "MAX_TOKENS");
    assert_eq!(reason(TextKind::Content, Finish::ContentFilter), "SAFETY");
    assert_eq!(reason(TextKind::Refusal, Finish::Stop), "SAFETY");
}

#[test]
fn a_filter_that_lets_nothing_through_blocks_the_prompt() {
    let usage = Usage { input: 9, ..Usage::default() };
    let events = [START, finish(Finish::ContentFilter), StreamEvent::Usage(usage), StreamEvent::End];
    let response: Value = serde_json::from_str(&whole("", &events)).unwrap();
    assert_eq!((&response["promptFeedback"], response.get("candidates")), (&json!({"blockReason": "SAFETY"}), None));
    assert_eq!(response["usageMetadata"], json!({"promptTokenCount": 9, "totalTokenCount": 9}));
    let chunks = read(&streamed(SSE, "", &events));
    assert_eq!(chunks, [response]);
    // Who has thought of an answer has read the prompt.
    let events =
        [START, piece(TextKind::Reasoning, "Hm."), finish(Finish::ContentFilter), StreamEvent::Usage(usage), StreamEvent::End];
    let response: Value = serde_json::from_str(&whole("", &events)).unwrap();
    let last = read(&streamed(SSE, "", &events)).pop().unwrap();
    assert!([response, last].iter().all(|response| response["candidates"][0]["finishReason"] == "SAFETY"));
}

#[test]
fn an_error_inside_a_stream_is_a_chunk() {
    let chunks = read(&streamed(SSE, "", &[START, StreamEvent::Error { message: "Lost", code: None }]));
    assert_eq!(chunks, [json!({"error": {"code": 503, "message": "Lost", "status": "UNAVAILABLE"}})]);
}
