//! The endpoint through its one door: what goes on the wire, byte by byte, and what comes back out of it.
//!
//! Here: requests that are understood. `refusals` has those that are not, `whole` and `stream` the replies, `later` what follows on them.

mod later;
mod refusals;
mod stream;
mod whole;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::{InputTokens, Responses};
use crate::dialect::{Endpoint, Inbound, Manners, Parsed};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, StreamEvent, WholeReply};
use crate::types::request::{Format, Operation, Request, Role, Thinking, ToolChoice};
use crate::types::usage::Usage;

fn head() -> Head {
    head_of(42)
}

fn head_of(id: u64) -> Head {
    Head { id, created_unix_s: 1_790_000_000, model: "gpt-5-mini".into(), fingerprint: 7, usage: Usage::default() }
}

fn parsed(body: &str) -> Result<Parsed, ApiError> {
    Responses.parse(Inbound { body: Bytes::copy_from_slice(body.as_bytes()), ..Inbound::default() })
}

fn parse(body: &str) -> Result<Request, ApiError> {
    Ok(parsed(body)?.request)
}

fn parse_bytes(body: &[u8], manners: Manners) -> Result<Request, ApiError> {
    Ok(Responses.parse(Inbound { body: Bytes::copy_from_slice(body), manners, ..Inbound::default() })?.request)
}

/// A request whose input is fine, with `fields` besides.
fn with(fields: &str) -> Result<Parsed, ApiError> {
    parsed(&format!(r#"{{"model":"gpt-5-mini","input":"Write json"{}{fields}}}"#, if fields.is_empty() { "" } else { "," }))
}

/// The stream of `events`, in answer to a request with `fields`.
fn stream_text(fields: &str, events: &[StreamEvent<'_>]) -> String {
    let mut renderer = with(fields).unwrap().voice.stream(&head());
    let mut out = BytesMut::new();
    for event in events {
        renderer.event(event, &mut out);
    }
    String::from_utf8(out.to_vec()).unwrap()
}

/// The body of a whole reply that is gathered from `events`.
fn whole_text(fields: &str, events: &[StreamEvent<'_>]) -> String {
    let mut reply = WholeReply::default();
    for event in events {
        reply.gather(event);
    }
    let mut out = BytesMut::new();
    with(fields).unwrap().voice.whole(&head(), &reply, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_full_request_is_understood() {
    let request = parse(
        r#"{"model":"org/m","instructions":"Be brief","input":[
            {"role":"user","content":[{"type":"input_text","text":"What is "},{"type":"input_image","image_url":"data:,","detail":"auto"},{"type":"input_text","text":"this\u003f"}]},
            {"type":"reasoning","id":"rs_1","summary":[]},
            {"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Let me see.","annotations":[]}]},
            {"type":"function_call","call_id":"call_1","name":"look","arguments":"{}"},
            {"type":"custom_tool_call","call_id":"call_2","name":"sql","input":"select 1"},
            {"type":"function_call_output","call_id":"call_1","output":"a cat"},
            {"type":"custom_tool_call_output","call_id":"call_2","output":[{"type":"input_text","text":"1"}]},
            {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"x"}},
            {"role":"developer","content":"Be kind"}],
           "tools":[{"type":"function","name":"look","parameters":{"type":"object","properties":{}},"strict":false},
            {"type":"custom","name":"sql","description":"runs SQL"},{"type":"web_search"},{"type":"mcp","server_label":"x","server_url":"http://x"}],
           "tool_choice":{"type":"function","name":"look"},"parallel_tool_calls":false,"max_output_tokens":20,
           "include":["message.output_text.logprobs","reasoning.encrypted_content"],"top_logprobs":3,"reasoning":{"effort":"low","summary":"auto"},
           "stream":true,"stream_options":{"include_obfuscation":false},"truncation":"auto","metadata":{"a":"b"},"temperature":0.5,
           "service_tier":"auto","user":"u","safety_identifier":"s","prompt_cache_key":"k","text":{"verbosity":"low"}}"#,
    )
    .unwrap();
    assert_eq!((&*request.model, request.max_output_tokens, request.choices), ("org/m", Some(20), 1));
    let roles: Vec<_> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::Tool, Role::System]);
    assert_eq!((&*request.messages[1].text, request.messages[1].attachments().len()), ("What is this?", 1));
    // Thoughts, text and calls of one turn are one message.
    assert_eq!(&*request.messages[2].text, "Let me see.");
    assert_eq!(request.messages[2].tool_calls(), [("look".into(), "{}".into()), ("sql".into(), "select 1".into())]);
    assert_eq!((&*request.messages[3].text, &*request.messages[4].text), ("a cat", "1"));
    let tools: Vec<_> = request.tools.iter().map(|tool| (&*tool.name, tool.is_free, tool.parameters.is_some())).collect();
    assert_eq!(tools, [("look", false, true), ("sql", true, false)]);
    assert_eq!(request.tool_choice, ToolChoice::Named("look".into()));
    assert_eq!((request.parallel_tool_calls, request.logprobs, request.thinking), (false, Some(3), Thinking::On(None)));
    assert!(request.streams && request.shows_usage);
    assert!(request.body.starts_with(br#"{"model":"org/m""#));
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let request =
        with(r#""stream":null,"tools":null,"text":null,"reasoning":null,"store":null,"metadata":null"#).unwrap().request;
    assert_eq!((request.max_output_tokens, request.logprobs, request.streams), (None, None, false));
    assert_eq!((request.messages.len(), request.last_user_text()), (1, "Write json"));
    assert!(matches!(request.format, Format::Text));
    assert_eq!((request.tool_choice, request.parallel_tool_calls, request.thinking), (ToolChoice::Auto, true, Thinking::Unsaid));
}

#[test]
fn no_effort_is_no_thinking() {
    assert_eq!(with(r#""reasoning":{"effort":"none"}"#).unwrap().request.thinking, Thinking::Off);
}

#[test]
fn a_form_of_the_text_is_kept_as_written() {
    let fields = r#""text":{"format":{"type":"json_schema","name":"x","schema":{ "type": "object" },"strict":true}}"#;
    let Format::JsonSchema { name, schema } = with(fields).unwrap().request.format else { panic!("no schema") };
    assert_eq!((&*name, schema.get()), ("x", r#"{ "type": "object" }"#));
    assert!(matches!(with(r#""text":{"format":{"type":"json_object"}}"#).unwrap().request.format, Format::JsonObject));
}

#[test]
fn allowed_tools_drop_the_others_and_tools_of_the_vendor_are_not_called() {
    let request = with(
        r#""tools":[{"type":"function","name":"a"},{"type":"function","name":"b"},{"type":"file_search","vector_store_ids":[]}],
           "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"b"},{"type":"file_search"}]}"#,
    )
    .unwrap()
    .request;
    assert_eq!((request.tool_choice, request.tools.len(), &*request.tools[0].name), (ToolChoice::Required, 1, "b"));
    let own = with(r#""tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}"#).unwrap().request;
    assert_eq!((own.tool_choice, own.tools.len()), (ToolChoice::Auto, 0));
}

#[test]
fn every_documented_kind_of_part_is_counted() {
    let request = parse(
        r#"{"model":"m","input":[{"role":"user","content":[
            {"type":"input_file","file_id":"f"},{"type":"input_file","filename":"a.pdf","file_data":"data:,"},{"type":"input_file","file_url":"http://x"},
            {"type":"input_image","file_id":"f","detail":"low"},{"type":"input_text","text":"Compare"}]}]}"#,
    )
    .unwrap();
    assert_eq!((request.messages[0].attachments().len(), request.last_user_text()), (4, "Compare"));
}

#[test]
fn a_count_is_asked_like_a_response() {
    let body = r#"{"model":"m","input":"Hi","instructions":"Be brief","tools":[{"type":"function","name":"a"}]}"#;
    let parsed = InputTokens.parse(Inbound { body: body.into(), ..Inbound::default() }).unwrap();
    assert_eq!((parsed.request.operation, parsed.request.messages.len(), parsed.request.streams), (Operation::Count, 2, false));
    let reply = WholeReply { usage: Usage { input: 17, ..Usage::default() }, ..WholeReply::default() };
    let mut out = BytesMut::new();
    parsed.voice.whole(&head(), &reply, &mut out);
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap(), @r#"{"object":"response.input_tokens","input_tokens":17}"#);
    assert!(parsed.voice.kept(&head(), &out).is_none(), "a count is nothing to come back to");
}
