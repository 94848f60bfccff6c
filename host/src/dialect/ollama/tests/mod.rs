//! The dialect through its one door: what goes on the wire, byte by byte, and what comes back out of it.
//!
//! Here: requests that are understood. `refusals` has those that are not, `replies` what is answered, `vectors` what is for vectors.

mod refusals;
mod replies;
mod vectors;

use bytes::Bytes;

use super::{Chat, Generate};
use crate::dialect::{Endpoint, Inbound, Manners, Parsed};
use crate::types::api_error::ApiError;
use crate::types::request::{Format, Operation, Request, Role, Thinking};

fn parsed(endpoint: &dyn Endpoint, body: &str, is_strict: bool) -> Result<Parsed, ApiError> {
    let manners = Manners { is_strict, ..Manners::default() };
    endpoint.parse(Inbound { body: Bytes::copy_from_slice(body.as_bytes()), manners, ..Inbound::default() })
}

fn chat(body: &str) -> Result<Request, ApiError> {
    Ok(parsed(&Chat, body, false)?.request)
}

fn generate(body: &str) -> Result<Request, ApiError> {
    Ok(parsed(&Generate, body, false)?.request)
}

/// A chat request whose messages are fine, with `fields` besides.
fn with(fields: &str) -> Result<Request, ApiError> {
    chat(&body_with(fields))
}

fn body_with(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}]{fields}}}"#)
}

#[test]
fn a_full_conversation_is_understood() {
    let request = chat(
        r#"{"model":"llama3.2","stream":true,"keep_alive":"5m","think":"high","logprobs":true,"top_logprobs":2,
            "options":{"num_predict":30.0,"stop":["END",""],"seed":7,"temperature":0.5,"mirostat":1},
            "tools":[{"type":"function","function":{"name":"look","description":"d","parameters":{"type":"object","properties":{}}}}],
            "messages":[
              {"role":"system","content":"Be brief"},
              {"role":"user","content":"What is this?","images":["AAAA"]},
              {"role":"assistant","content":"","thinking":"Hm","tool_calls":[{"function":{"name":"look","arguments":{"at": 1}}}]},
              {"role":"tool","content":"a cat","tool_name":"look"}]}"#,
    )
    .unwrap();
    assert_eq!((&*request.model, request.max_output_tokens, request.streams), ("llama3.2", Some(30), true));
    let spoken: Vec<_> = request.messages.iter().map(|message| (message.role, &*message.text)).collect();
    assert_eq!(spoken, [(Role::System, "Be brief"), (Role::User, "What is this?"), (Role::Assistant, ""), (Role::Tool, "a cat")]);
    assert_eq!(request.messages[1].attachments().len(), 1);
    assert_eq!(request.messages[2].tool_calls(), [("look".into(), "{\"at\": 1}".into())]);
    assert_eq!((request.stop, request.thinking, request.logprobs), (vec!["END".into()], Thinking::On(None), Some(2)));
    assert_eq!(&*request.tools[0].name, "look");
}

#[test]
fn a_prompt_is_a_completion_with_its_system_images_and_context() {
    let request =
        generate(r#"{"model":"m","prompt":"Once","system":"Be brief","images":["AAAA"],"context":[1,2,3],"stream":false}"#)
            .unwrap();
    assert_eq!((request.operation, request.streams), (Operation::Completion, false));
    let spoken: Vec<_> = request.messages.iter().map(|message| (message.role, &*message.text)).collect();
    assert_eq!(spoken, [(Role::System, "Be brief"), (Role::User, "Once")]);
    let tokens: Vec<u32> = request.messages[1].attachments().iter().map(|attachment| attachment.tokens).collect();
    assert_eq!(tokens, [576, 3]);
}

#[test]
fn replies_stream_unless_the_client_says_otherwise() {
    assert!(with("").unwrap().streams && with(r#","stream":null"#).unwrap().streams);
    assert!(!with(r#","stream":false"#).unwrap().streams);
}

#[test]
fn a_form_is_none_any_json_or_a_schema() {
    for none in ["", r#","format":"""#, r#","format":null"#] {
        assert!(matches!(with(none).unwrap().format, Format::Text), "{none}");
    }
    assert!(matches!(with(r#","format":"json""#).unwrap().format, Format::JsonObject));
    let Format::JsonSchema { schema, .. } = with(r#","format":{"type":"array"}"#).unwrap().format else { panic!("no schema") };
    assert_eq!(schema.get(), r#"{"type":"array"}"#);
}

#[test]
fn numbers_below_one_are_no_bound() {
    for none in ["-1", "-2", "0", "null"] {
        assert_eq!(with(&format!(r#","options":{{"num_predict":{none}}}"#)).unwrap().max_output_tokens, None, "{none}");
    }
}

#[test]
fn a_request_with_nothing_to_continue_asks_for_no_words() {
    for request in [chat(r#"{"model":"m"}"#), chat(r#"{"model":"m","messages":[]}"#), generate(r#"{"model":"m"}"#)] {
        let request = request.unwrap();
        assert!(!request.streams && !request.operation.has_words());
    }
}
