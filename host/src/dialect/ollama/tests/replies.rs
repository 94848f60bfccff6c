//! What is answered, byte by byte.

use bytes::BytesMut;
use serde_json::Value;

use super::{body_with, parsed};
use crate::dialect::ollama::{Chat, Generate, loaded, pull, show};
use crate::dialect::{Dialect, Endpoint, ModelCard, Voice};
use crate::types::reply::{Finish, Head, StreamEvent, TextKind, WholeReply};
use crate::types::usage::Usage;

const USAGE: Usage = Usage { input: 12, cached_input: 0, output: 3, reasoning: 1 };

fn head() -> Head {
    Head { id: 42, created_unix_s: 1_790_000_000, model: "llama3.2".into(), fingerprint: 7, usage: USAGE }
}

fn voice(endpoint: &dyn Endpoint, fields: &str) -> Box<dyn Voice> {
    let body = match endpoint.name() {
        "ollama/chat" => body_with(fields),
        _ => format!(r#"{{"model":"m","prompt":"Hi"{fields}}}"#),
    };
    parsed(endpoint, &body, true).unwrap().voice
}

fn text(kind: TextKind, text: &str) -> StreamEvent<'_> {
    StreamEvent::Text { choice: 0, kind, text, logprob: Some(1) }
}

/// `pieces` as a whole reply, with its beginning and its end.
fn reply<'a>(pieces: &[StreamEvent<'a>], reason: Finish) -> Vec<StreamEvent<'a>> {
    let mut events = vec![StreamEvent::Start { choice: 0, tool_first: false }];
    events.extend_from_slice(pieces);
    events.extend([StreamEvent::Finish { choice: 0, reason }, StreamEvent::Usage(USAGE), StreamEvent::End]);
    events
}

fn streamed(voice: &dyn Voice, events: &[StreamEvent<'_>]) -> String {
    let (mut out, mut renderer) = (BytesMut::new(), voice.stream(&head()));
    for (index, event) in events.iter().enumerate() {
        if matches!(event, StreamEvent::Text { .. } | StreamEvent::ToolStart { .. } | StreamEvent::ToolArguments { .. }) {
            renderer.due(1_000_000 * index as u64);
        }
        renderer.event(event, &mut out);
    }
    String::from_utf8(out.to_vec()).unwrap()
}

fn whole(voice: &dyn Voice, events: &[StreamEvent<'_>]) -> String {
    let mut reply = WholeReply { first_ns: 1_000_000, last_ns: 3_000_000, ..WholeReply::default() };
    events.iter().for_each(|event| reply.gather(event));
    let mut out = BytesMut::new();
    voice.whole(&head(), &reply, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_stream_is_a_line_for_each_token_and_one_for_the_end() {
    let said = [text(TextKind::Reasoning, "Hm"), text(TextKind::Content, "Hel\"lo"), text(TextKind::Content, "\n!")];
    insta::assert_snapshot!(streamed(&*voice(&Chat, ""), &reply(&said, Finish::Stop)), @r#"
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.001000000Z","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.002000000Z","message":{"role":"assistant","content":"Hel\"lo"},"done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","message":{"role":"assistant","content":"\n!"},"done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":3000000,"load_duration":62500,"prompt_eval_count":12,"prompt_eval_duration":937500,"eval_count":3,"eval_duration":2000000}
    "#);
    insta::assert_snapshot!(streamed(&*voice(&Generate, ""), &reply(&said, Finish::Length)), @r#"
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.001000000Z","response":"","thinking":"Hm","done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.002000000Z","response":"Hel\"lo","done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","response":"\n!","done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","response":"","done":true,"done_reason":"length","context":[60926,80744,61044,103484,87536,1966,49124,56949,17307,117481,114261,26183,65889,15507,83880],"total_duration":3000000,"load_duration":62500,"prompt_eval_count":12,"prompt_eval_duration":937500,"eval_count":3,"eval_duration":2000000}
    "#);
}

#[test]
fn a_call_comes_whole_once_its_arguments_are_there() {
    let pieces = [
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "look" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"at\"" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: ":1}" },
        StreamEvent::ToolStart { choice: 0, index: 1, id: 6, name: "wait" },
        StreamEvent::ToolArguments { choice: 0, index: 1, fragment: "{}" },
    ];
    insta::assert_snapshot!(streamed(&*voice(&Chat, ""), &reply(&pieces, Finish::ToolCalls)), @r#"
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.004000000Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_a53c983a","function":{"index":0,"name":"look","arguments":{"at":1}}}]},"done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.005000000Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_000efeda","function":{"index":1,"name":"wait","arguments":{}}}]},"done":false}
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.005000000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5000000,"load_duration":62500,"prompt_eval_count":12,"prompt_eval_duration":937500,"eval_count":3,"eval_duration":4000000}
    "#);
    insta::assert_snapshot!(whole(&*voice(&Chat, ""), &reply(&pieces, Finish::ToolCalls)), @r#"{"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_a53c983a","function":{"index":0,"name":"look","arguments":{"at":1}}},{"id":"call_000efeda","function":{"index":1,"name":"wait","arguments":{}}}]},"done":true,"done_reason":"stop","total_duration":3000000,"load_duration":62500,"prompt_eval_count":12,"prompt_eval_duration":937500,"eval_count":3,"eval_duration":2000000}"#);
}

#[test]
fn a_call_that_is_no_json_stays_a_text() {
    let pieces = [
        StreamEvent::ToolStart { choice: 0, index: 0, id: 5, name: "look" },
        StreamEvent::ToolArguments { choice: 0, index: 0, fragment: "{\"at\":" },
    ];
    insta::assert_snapshot!(whole(&*voice(&Chat, ""), &reply(&pieces, Finish::ToolCalls)), @r#"{"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","message":{"role":"assistant","content":"{\"at\":"},"done":true,"done_reason":"stop","total_duration":3000000,"load_duration":62500,"prompt_eval_count":12,"prompt_eval_duration":937500,"eval_count":3,"eval_duration":2000000}"#);
    assert!(streamed(&*voice(&Chat, ""), &reply(&pieces, Finish::ToolCalls)).contains(r#""content":"{\"at\":"},"done":false"#));
}

#[test]
fn a_whole_reply_has_text_thoughts_and_costs() {
    let said = [text(TextKind::Reasoning, "Hm"), text(TextKind::Content, "Hello"), text(TextKind::Refusal, "No")];
    insta::assert_snapshot!(whole(&*voice(&Chat, ""), &reply(&said, Finish::StopText(0))), @r#"{"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","message":{"role":"assistant","content":"HelloNo","thinking":"Hm"},"done":true,"done_reason":"stop","total_duration":3000000,"load_duration":62500,"prompt_eval_count":12,"prompt_eval_duration":937500,"eval_count":3,"eval_duration":2000000}"#);
    insta::assert_snapshot!(whole(&*voice(&Generate, ""), &reply(&said, Finish::ContentFilter)), @r#"{"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","response":"HelloNo","thinking":"Hm","done":true,"done_reason":"stop","context":[60926,80744,61044,103484,87536,1966,49124,56949,17307,117481,114261,26183,65889,15507,83880],"total_duration":3000000,"load_duration":62500,"prompt_eval_count":12,"prompt_eval_duration":937500,"eval_count":3,"eval_duration":2000000}"#);
}

#[test]
fn probabilities_come_with_their_tokens() {
    let voice = voice(&Chat, r#","logprobs":true,"top_logprobs":1"#);
    let said = reply(&[text(TextKind::Content, "Hi")], Finish::Stop);
    insta::assert_snapshot!(streamed(&*voice, &said).lines().next().unwrap(), @r#"{"model":"llama3.2","created_at":"2026-09-21T14:13:20.001000000Z","message":{"role":"assistant","content":"Hi"},"done":false,"logprobs":[{"token":"Hi","logprob":-0.145974,"bytes":[72,105],"top_logprobs":[{"token":"Hi","logprob":-0.145974,"bytes":[72,105]}]}]}"#);
    let whole: Value = serde_json::from_str(&whole(&*voice, &said)).unwrap();
    assert_eq!(whole["logprobs"][0]["token"], "Hi");
}

#[test]
fn an_error_inside_a_stream_is_a_line_of_its_own() {
    let events = [text(TextKind::Content, "Hel"), StreamEvent::Error { message: "lost \"it\"", code: Some("x") }];
    insta::assert_snapshot!(streamed(&*voice(&Chat, ""), &events), @r#"
    {"model":"llama3.2","created_at":"2026-09-21T14:13:20.000000000Z","message":{"role":"assistant","content":"Hel"},"done":false}
    {"error":"lost \"it\""}
    "#);
}

#[test]
fn a_model_is_loaded_or_unloaded() {
    let empty =
        |endpoint: &dyn Endpoint, body: &str| whole(&*parsed(endpoint, body, true).unwrap().voice, &reply(&[], Finish::Stop));
    insta::assert_snapshot!(empty(&Chat, r#"{"model":"m"}"#), @r#"{"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}"#);
    insta::assert_snapshot!(empty(&Generate, r#"{"model":"m","keep_alive":0}"#), @r#"{"model":"llama3.2","created_at":"2026-09-21T14:13:20.003000000Z","response":"","done":true,"done_reason":"unload"}"#);
}

#[test]
fn models_are_listed_and_shown() {
    let card = |id: &str| ModelCard {
        id: id.into(),
        created_unix_s: 1_790_000_000,
        owned_by: "simwright".into(),
        context_window: 8_192,
        max_output_tokens: 1_024,
    };
    let text = |bytes: bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    insta::assert_snapshot!(text(super::super::Ollama.render_models(&[card("a"), card("b:8b")])), @r#"{"models":[{"name":"a:latest","model":"a:latest","size":4920753328,"digest":"0430d4f578e1cabdafe48e529af7d8e95ad3d14014e59630d5450064d19a0656","details":{"parent_model":"","format":"gguf","family":"simwright","families":["simwright"],"parameter_size":"8.0B","quantization_level":"Q4_K_M"},"modified_at":"2026-09-21T14:13:20Z"},{"name":"b:8b","model":"b:8b","size":4920753328,"digest":"a24519e73cd29b78c1af1ce3d4e268210c1b8ec814e4b87a93e971e0f4f6b916","details":{"parent_model":"","format":"gguf","family":"simwright","families":["simwright"],"parameter_size":"8.0B","quantization_level":"Q4_K_M"},"modified_at":"2026-09-21T14:13:20Z"}]}"#);
    insta::assert_snapshot!(text(loaded(&[card("a")], 1_790_000_000)), @r#"{"models":[{"name":"a:latest","model":"a:latest","size":4920753328,"digest":"0430d4f578e1cabdafe48e529af7d8e95ad3d14014e59630d5450064d19a0656","details":{"parent_model":"","format":"gguf","family":"simwright","families":["simwright"],"parameter_size":"8.0B","quantization_level":"Q4_K_M"},"expires_at":"2026-09-21T14:18:20Z","size_vram":4920753328,"context_length":8192}]}"#);
    insta::assert_snapshot!(text(show(&card("a"))), @r##"{"modelfile":"# Modelfile generated by \"ollama show\"\nFROM a\nTEMPLATE {{ .Prompt }}\n","template":"{{ .Prompt }}","details":{"parent_model":"","format":"gguf","family":"simwright","families":["simwright"],"parameter_size":"8.0B","quantization_level":"Q4_K_M"},"model_info":{"general.architecture":"simwright","general.parameter_count":8000000000,"simwright.context_length":8192},"capabilities":["completion","tools","insert","vision","thinking"],"modified_at":"2026-09-21T14:13:20Z"}"##);
    insta::assert_snapshot!(text(pull(&card("a"))), @r#"{"status":"success"}"#);
}
