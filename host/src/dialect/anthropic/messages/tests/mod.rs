//! The dialect through its one door: what goes on the wire, byte by byte, and what comes back out of it.
//!
//! Here: requests that are understood. `refusals` has those that are not, `replies` what is answered.

mod refusals;
mod replies;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::{CountTokens, Messages};
use crate::dialect::anthropic::headers::VERSION;
use crate::dialect::{Endpoint, Inbound, Manners, Parsed};
use crate::types::api_error::ApiError;
use crate::types::request::{Format, Request, Role, Thinking, ToolChoice};

fn parsed(body: &str, version: &'static str, manners: Manners) -> Result<Parsed, ApiError> {
    let headers = HeaderMap::from_iter([(VERSION, HeaderValue::from_static(version))]);
    Messages.parse(Inbound { headers, body: Bytes::copy_from_slice(body.as_bytes()), manners, ..Inbound::default() })
}

fn parse(body: &str) -> Result<Request, ApiError> {
    Ok(parsed(body, "2023-06-01", Manners::default())?.request)
}

/// A request whose messages are fine, with `fields` besides.
fn with(fields: &str) -> Result<Request, ApiError> {
    parse(&body_with(fields))
}

fn body_with(fields: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":2000,"messages":[{{"role":"user","content":"Hi"}}]{fields}}}"#)
}

#[test]
fn a_full_request_is_understood() {
    let request = parse(
        r#"{"model":"claude-x","max_tokens":300,"stream":true,"temperature":0.5,"top_k":5,"stop_sequences":["END"],
            "system":[{"type":"text","text":"Be brief","cache_control":{"type":"ephemeral"}}],
            "tools":[{"name":"look","description":"d","input_schema":{"type":"object","properties":{}}}],
            "tool_choice":{"type":"tool","name":"look","disable_parallel_tool_use":true},
            "messages":[
              {"role":"user","content":[{"type":"text","text":"What is "},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},{"type":"text","text":"this?"}]},
              {"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"s"},{"type":"tool_use","id":"toolu_1","name":"look","input":{"at": 1}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"a cat"}]},{"type":"text","text":"So?"}]}]}"#,
    )
    .unwrap();
    assert_eq!((&*request.model, request.max_output_tokens, request.streams), ("claude-x", Some(300), true));
    let spoken: Vec<_> = request.messages.iter().map(|message| (message.role, &*message.text)).collect();
    assert_eq!(
        spoken,
        [
            (Role::System, "Be brief"),
            (Role::User, "What is this?"),
            (Role::Assistant, ""),
            (Role::Tool, "a cat"),
            (Role::User, "So?")
        ]
    );
    assert_eq!(request.messages[1].attachments().len(), 1);
    assert_eq!(request.messages[2].tool_calls(), [("look".into(), "{\"at\": 1}".into())]);
    assert_eq!((request.tool_choice, request.parallel_tool_calls), (ToolChoice::Named("look".into()), false));
    assert_eq!((request.stop, request.thinking), (vec!["END".into()], Thinking::Off));
}

#[test]
fn a_conversation_that_ends_with_a_result_ends_with_a_tool_message() {
    let request = parse(
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"14 degrees"}]}]}"#,
    )
    .unwrap();
    assert_eq!(request.tool_result().as_deref(), Some("14 degrees"));
}

#[test]
fn thoughts_are_asked_for_with_a_budget_or_without() {
    let thinking = |fields| with(fields).unwrap().thinking;
    assert_eq!(thinking(r#","thinking":{"type":"enabled","budget_tokens":1024}"#), Thinking::On(Some(1_024)));
    assert_eq!(thinking(r#","thinking":{"type":"adaptive"}"#), Thinking::On(None));
    assert_eq!(thinking(r#","thinking":{"type":"between_tools"}"#), Thinking::On(None));
    assert_eq!(thinking(""), Thinking::Off);
}

#[test]
fn instructions_may_come_between_turns_and_servers_blocks_come_back_as_they_were() {
    let request = parse(
        r#"{"model":"m","max_tokens":0,"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"f"},{"type":"text","text":"Hi"}]},
            {"role":"system","content":"Now in French"},
            {"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]}]}]}"#,
    )
    .unwrap();
    let spoken: Vec<_> = request.messages.iter().map(|message| (message.role, &*message.text)).collect();
    assert_eq!(spoken, [(Role::User, "Hi"), (Role::System, "Now in French"), (Role::Assistant, "")]);
    assert_eq!(request.max_output_tokens, Some(0));
}

#[test]
fn a_reply_in_a_form_keeps_its_schema() {
    for fields in [
        r#","output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}"#,
        r#","output_format":{"type":"json_schema","schema":{"type":"object"}}"#,
    ] {
        let Format::JsonSchema { schema, .. } = with(fields).unwrap().format else { panic!("no schema: {fields}") };
        assert_eq!(schema.get(), r#"{"type":"object"}"#);
    }
}

#[test]
fn a_count_needs_no_bound_and_never_streams() {
    let headers = HeaderMap::from_iter([(VERSION, HeaderValue::from_static("2026-10-21"))]);
    let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}"#);
    let request = CountTokens.parse(Inbound { headers, body, ..Inbound::default() }).unwrap().request;
    assert!(!request.streams && !request.operation.has_words());
}
