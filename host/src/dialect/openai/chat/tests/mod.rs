//! The dialect through its one door: what goes on the wire, byte by byte, and what comes back out of it.
//!
//! Here: requests that are understood. `refusals` has those that are not, `whole` and `stream` the replies.

mod refusals;
mod stream;
mod whole;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::{Chat, Options};
use crate::dialect::openai::OpenAi;
use crate::dialect::{Dialect, Endpoint, HeaderFacts, Inbound, Manners, Voice};
use crate::types::api_error::ApiError;
use crate::types::manners::Padding;
use crate::types::reply::{Head, StreamEvent, WholeReply};
use crate::types::request::{Format, Request, Role, Thinking, ToolChoice};
use crate::types::usage::Usage;

#[test]
fn padding_is_the_clients_wish_or_the_scenarios() {
    let padded = |padding, fields: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"stream":true{fields}}}"#);
        let manners = Manners { padding, ..Manners::default() };
        super::read::read(Inbound { body: body.into(), manners, ..Inbound::default() }).unwrap().1.streaming.obfuscation
    };
    let wishes = ["", r#","stream_options":{"include_obfuscation":true}"#, r#","stream_options":{"include_obfuscation":false}"#];
    let of = |padding| wishes.map(|fields| padded(padding, fields));
    assert_eq!(of(Padding::Asked), [false, true, false]);
    assert_eq!(of(Padding::Usual), [true, true, false]);
    assert_eq!(of(Padding::Always), [true, true, true]);
    assert_eq!(of(Padding::Never), [false, false, false]);
}

fn head() -> Head {
    Head {
        id: 42,
        created_unix_s: 1_790_000_000,
        model: "gpt-5-mini".into(),
        fingerprint: 7,
        usage: Usage { input: 9, ..Usage::default() },
    }
}

fn parse(body: &str) -> Result<Request, ApiError> {
    parse_bytes(body.as_bytes(), Manners::default())
}

fn parse_bytes(body: &[u8], manners: Manners) -> Result<Request, ApiError> {
    Ok(Chat.parse(Inbound { body: Bytes::copy_from_slice(body), manners, ..Inbound::default() })?.request)
}

/// How a request with `fields` is rendered.
fn options_with(fields: &str) -> Options {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{fields}}}"#);
    super::read::read(Inbound { body: body.into(), ..Inbound::default() }).unwrap().1
}

/// A request whose messages are fine, with `fields` besides.
fn with(fields: &str) -> Result<Request, ApiError> {
    parse(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Write json"}}],{fields}}}"#))
}

fn stream_text(options: Options, events: &[StreamEvent<'_>]) -> String {
    let mut renderer = options.stream(&head());
    let mut out = BytesMut::new();
    for event in events {
        renderer.event(event, &mut out);
    }
    String::from_utf8(out.to_vec()).unwrap()
}

fn whole_text(options: Options, events: &[StreamEvent<'_>]) -> String {
    let mut reply = WholeReply::default();
    for event in events {
        reply.gather(event);
    }
    let mut out = BytesMut::new();
    options.whole(&head(), &reply, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_full_request_is_understood() {
    let request = parse(
        r#"{"model":"org/m","messages":[
            {"role":"developer","content":"Be brief"},
            {"role":"user","content":[{"type":"text","text":"What is "},{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"this\u003f"}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"call_1","content":"a cat"}],
           "tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{}}}},{"type":"function","function":{"name":"wait"}}],
           "tool_choice":{"type":"function","function":{"name":"look"}},"parallel_tool_calls":false,
           "n":2,"max_tokens":10,"max_completion_tokens":20,"stop":["a","b"],"logprobs":true,"top_logprobs":3,
           "stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"ignore_eos":true,"user":"u","seed":1}"#,
    )
    .unwrap();
    assert_eq!((&*request.model, request.choices, request.max_output_tokens), ("org/m", 2, Some(20)));
    let roles: Vec<_> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    assert_eq!((&*request.messages[1].text, request.messages[1].attachments().len()), ("What is this?", 1));
    assert_eq!(request.messages[2].tool_calls(), [("look".into(), "{}".into())]);
    assert_eq!(request.tools[0].parameters.as_ref().unwrap().get(), r#"{"type":"object","properties":{}}"#);
    assert!(request.tools[1].parameters.is_none());
    assert_eq!(request.tool_choice, ToolChoice::Named("look".into()));
    assert_eq!((request.parallel_tool_calls, request.logprobs), (false, Some(3)));
    assert_eq!(request.stop, ["a".into(), "b".into()]);
    assert!(request.streams && request.shows_usage && request.ignores_end);
    assert!(request.body.starts_with(br#"{"model":"org/m""#));
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let request = with(r#""stream":null,"stop":null,"tools":null"#).unwrap();
    assert_eq!((request.choices, request.max_output_tokens, request.logprobs, request.streams), (1, None, None, false));
    assert_eq!((request.tool_choice, request.parallel_tool_calls), (ToolChoice::Auto, true));
    assert!(matches!(request.format, Format::Text));
}

#[test]
fn padding_is_off_until_the_client_asks_for_it() {
    let padded = |fields| options_with(fields).streaming.obfuscation;
    assert!(!padded(r#""stream":true"#));
    assert!(padded(r#""stream":true,"stream_options":{"include_obfuscation":true}"#));
}

#[test]
fn allowed_tools_drop_the_others() {
    let request = with(
        r#""tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}],
           "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"b"}}]}}"#,
    )
    .unwrap();
    assert_eq!((request.tool_choice, request.tools.len(), &*request.tools[0].name), (ToolChoice::Required, 1, "b"));
}

#[test]
fn every_documented_kind_of_part_is_counted() {
    let request = parse(
        r#"{"model":"m","messages":[{"role":"user","content":[
            {"type":"input_audio","input_audio":{"data":"","format":"wav"}},{"type":"file","file":{"file_id":"f"}},
            {"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}},{"type":"text","text":"Compare"}]}]}"#,
    )
    .unwrap();
    assert_eq!((request.messages[0].attachments().len(), request.last_user_text()), (3, "Compare"));
}

#[test]
fn files_are_told_apart_and_sound_is_counted_by_its_length() {
    let attached = |part: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        parse(&body).unwrap().messages[0].attachments()[0]
    };
    let file = |data: &str| attached(&format!(r#"{{"type":"file","file":{{"filename":"a.pdf","file_data":"{data}"}}}}"#));
    assert_ne!(file("data:application/pdf;base64,QQ==").digest, file("data:application/pdf;base64,Qg==").digest);
    let sound = "A".repeat(64_000);
    let sound = attached(&format!(r#"{{"type":"input_audio","input_audio":{{"format":"wav","data":"{sound}"}}}}"#));
    assert_eq!(sound.tokens, 10);
}

#[test]
fn an_effort_says_whether_to_think() {
    let thinking = |effort: &str| with(&format!(r#""reasoning_effort":"{effort}""#)).map(|request| request.thinking);
    assert_eq!(thinking("none").unwrap(), Thinking::Off);
    assert_eq!(thinking("low").unwrap(), Thinking::On(None));
    assert!(thinking("huge").is_err());
}

#[test]
fn a_schema_is_kept_as_written() {
    let request =
        with(r#""response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{ "type": "object" }}}"#).unwrap();
    let Format::JsonSchema { name, schema } = request.format else { panic!("no schema") };
    assert_eq!((&*name, schema.get()), ("x", r#"{ "type": "object" }"#));
}

#[test]
fn headers_name_the_request() {
    let mut headers = HeaderMap::new();
    OpenAi.headers(&HeaderFacts { request_id: 3, processing_ms: 12, now_unix_ms: 0, allowance: None }, &mut headers);
    let id = headers["x-request-id"].to_str().unwrap();
    assert!(id.len() == 36 && id.starts_with("req_"), "{id}");
    assert_eq!(
        (&headers["openai-processing-ms"], &headers["openai-version"]),
        (&"12".parse().unwrap(), &"2020-10-01".parse().unwrap())
    );
}
