//! The dialect through its doors: what goes on the wire, byte by byte, and what comes back out of it.
//!
//! Here: requests that are understood. `refusals` has those that are not, `replies` what is answered.

mod refusals;
mod replies;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{CountTokens, Generate, StreamGenerate};
use crate::dialect::{Endpoint, Inbound, Manners, Parsed};
use crate::types::api_error::ApiError;
use crate::types::request::{Format, Request, Role, Thinking, ToolChoice};

fn parsed(endpoint: &dyn Endpoint, target: &str, body: &str, manners: Manners) -> Result<Parsed, ApiError> {
    endpoint.parse(Inbound { target, body: Bytes::copy_from_slice(body.as_bytes()), manners, ..Inbound::default() })
}

fn parse(body: &str) -> Result<Request, ApiError> {
    Ok(parsed(&Generate, "gemini-x", body, Manners::default())?.request)
}

/// A request whose contents are fine, with `fields` besides.
fn with(fields: &str) -> Result<Request, ApiError> {
    parse(&body_with(fields))
}

fn body_with(fields: &str) -> String {
    format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"Hi"}}]}}]{fields}}}"#)
}

/// The same with `fields` in its `generationConfig`.
fn configured(fields: &str) -> Result<Request, ApiError> {
    with(&format!(r#","generationConfig":{{{fields}}}"#))
}

#[test]
fn a_full_request_is_understood() {
    let request = parse(
        r#"{"systemInstruction":{"parts":[{"text":"Be "},{"text":"brief"}]},
            "contents":[
              {"role":"user","parts":[{"text":"What is "},{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"text":"this?"}]},
              {"role":"model","parts":[{"text":"Hm","thought":true},{"functionCall":{"id":"a1","name":"look","args":{"at": 1}},"thoughtSignature":"AAAA"}]},
              {"role":"user","parts":[{"functionResponse":{"id":"a1","name":"look","response":{"is":"a cat"}}},{"text":"So?"}]}],
            "tools":[{"functionDeclarations":[{"name":"look","parameters":{"type":"OBJECT","properties":{}}}]},{"googleSearch":{}}],
            "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["look"]}},
            "generationConfig":{"maxOutputTokens":300,"stopSequences":["END"],"candidateCount":2,"temperature":0.5,"topK":5,"seed":1,
              "thinkingConfig":{"thinkingBudget":64}},
            "safetySettings":[{"category":"HARM_CATEGORY_HATE_SPEECH","threshold":"BLOCK_NONE"}]}"#,
    )
    .unwrap();
    assert_eq!((&*request.model, request.max_output_tokens, request.choices), ("gemini-x", Some(300), 2));
    let spoken: Vec<_> = request.messages.iter().map(|message| (message.role, &*message.text)).collect();
    assert_eq!(
        spoken,
        [
            (Role::System, "Be brief"),
            (Role::User, "What is this?"),
            (Role::Assistant, ""),
            (Role::Tool, r#"{"is":"a cat"}"#),
            (Role::User, "So?")
        ]
    );
    assert_eq!(request.messages[1].attachments().len(), 1);
    assert_eq!(request.messages[2].tool_calls(), [("look".into(), "{\"at\": 1}".into())]);
    assert_eq!((request.tool_choice, request.tools.len()), (ToolChoice::Required, 1));
    assert_eq!(request.tools[0].parameters.as_ref().expect("a schema").get(), r#"{"type":"object","properties":{}}"#);
    assert_eq!((request.stop, request.thinking), (vec!["END".into()], Thinking::On(Some(64))));
}

#[test]
fn log_probabilities_are_wanted_with_or_without_the_best_tokens() {
    let wanted = |fields: &str| configured(fields).unwrap().logprobs;
    assert_eq!(wanted(r#""temperature":1"#), None);
    assert_eq!(wanted(r#""responseLogprobs":false"#), None);
    assert_eq!(wanted(r#""responseLogprobs":true"#), Some(0));
    assert_eq!(wanted(r#""response_logprobs":true,"logprobs":20"#), Some(20));
}

#[test]
fn names_in_snake_case_mean_the_same() {
    let request = parse(
        r#"{"system_instruction":{"parts":[{"text":"s"}]},"contents":[{"parts":[{"inline_data":{"mime_type":"audio/wav","data":"AAAA"}}]}],
            "generation_config":{"max_output_tokens":5,"stop_sequences":["x"],"response_mime_type":"application/json"}}"#,
    )
    .unwrap();
    assert_eq!((request.messages.len(), request.max_output_tokens, request.stop.len()), (2, Some(5), 1));
    assert!(matches!(request.format, Format::JsonObject));
    assert_eq!(request.messages[1].attachments()[0].tokens, 32);
}

#[test]
fn where_the_model_is_and_what_the_query_says_comes_from_the_path() {
    let streamed = parsed(&StreamGenerate, "tuned/gemini-x?alt=sse", &body_with(""), Manners::default()).unwrap();
    assert_eq!((&*streamed.request.model, streamed.request.streams), ("tuned/gemini-x", true));
    assert_eq!(&*streamed.request.target, "tuned/gemini-x?alt=sse");
    assert_eq!(streamed.voice.stream_type(), "text/event-stream");
    let array = parsed(&StreamGenerate, "gemini-x", &body_with(""), Manners::default()).unwrap();
    assert_eq!(array.voice.stream_type(), "application/json; charset=UTF-8");
    assert!(!parse(&body_with("")).unwrap().streams);
}

#[test]
fn thoughts_are_asked_for_in_three_ways() {
    let thinking = |config: &str| configured(&format!(r#""thinkingConfig":{{{config}}}"#)).unwrap().thinking;
    assert_eq!(thinking(r#""thinkingBudget":0"#), Thinking::Off);
    assert_eq!(thinking(r#""thinkingBudget":-1"#), Thinking::On(None));
    assert_eq!(thinking(r#""includeThoughts":true"#), Thinking::On(None));
    assert_eq!(thinking(r#""thinkingLevel":"HIGH""#), Thinking::On(None));
    assert_eq!(with("").unwrap().thinking, Thinking::Unsaid);
}

#[test]
fn a_reply_in_a_form_keeps_its_schema_in_the_usual_way() {
    let schema = |fields: &str| match configured(&format!(r#""responseMimeType":"application/json",{fields}"#)).unwrap().format {
        Format::JsonSchema { schema, .. } => serde_json::from_str::<Value>(schema.get()).unwrap(),
        other => panic!("{other:?}"),
    };
    let wanted = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    assert_eq!(schema(r#""responseSchema":{"type":"OBJECT","properties":{"a":{"type":"INTEGER"}}}"#), wanted);
    assert_eq!(schema(r#""responseJsonSchema":{"type":"object","properties":{"a":{"type":"integer"}}}"#), wanted);
}

#[test]
fn a_choice_among_functions_is_kept() {
    let chosen = |config: &str| {
        let fields = format!(
            r#","tools":[{{"functionDeclarations":[{{"name":"a"}},{{"name":"b"}}]}}],"toolConfig":{{"functionCallingConfig":{{{config}}}}}"#
        );
        let request = with(&fields).unwrap();
        (request.tool_choice, request.tools.into_iter().map(|tool| tool.name.into_string()).collect::<Vec<_>>())
    };
    assert_eq!(chosen(r#""mode":"AUTO""#), (ToolChoice::Auto, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(chosen(r#""mode":"NONE""#).0, ToolChoice::None);
    assert_eq!(chosen(r#""mode":"ANY","allowedFunctionNames":["b"]"#), (ToolChoice::Required, vec!["b".to_owned()]));
}

#[test]
fn a_count_is_of_the_contents_or_of_a_request() {
    let count = |body: &str| parsed(&CountTokens, "gemini-x", body, Manners::default()).unwrap().request;
    let plain = count(&body_with(""));
    assert!(!plain.streams && !plain.operation.has_words());
    let inner = count(&format!(r#"{{"generateContentRequest":{}}}"#, body_with(r#","model":"models/gemini-x""#)));
    assert_eq!((&*inner.model, &*inner.messages[0].text), ("gemini-x", "Hi"));
}
