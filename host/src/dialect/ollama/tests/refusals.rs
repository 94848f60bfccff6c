//! Every bad request is refused with the vendor's words, and nothing that a client can send panics.

use proptest::prelude::*;
use serde_json::Value;

use super::{body_with, chat, generate, parsed, with};
use crate::dialect::ollama::{Chat, Generate, Ollama, asked_model};
use crate::dialect::{Dialect, Endpoint};
use crate::types::api_error::{ApiError, Cause};
use crate::types::request::Operation;

fn refusal<T>(result: Result<T, ApiError>) -> String {
    let error = result.err().expect("the request should be refused");
    assert_eq!(error.status, 400);
    said(&error)
}

fn said(error: &ApiError) -> String {
    let body: Value = serde_json::from_slice(&Ollama.render_error(error, 1).body).expect("JSON");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1));
    body["error"].as_str().expect("a message").to_owned()
}

#[test]
fn mistakes_are_told_in_the_vendors_words() {
    let table = [
        ("", "missing request body"),
        ("{}", "model is required"),
        (r#"{"model":""}"#, "model is required"),
        (r#"{"model":3}"#, "json: cannot unmarshal number into Go struct field model of type string"),
        (r#"{"model":"m","messages":"x"}"#, "json: cannot unmarshal string into Go struct field messages of type slice"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[]}]}"#,
            "json: cannot unmarshal array into Go struct field messages[0].content of type string",
        ),
        (r#"{"model":"m","messages":[{"role":"user","images":["?"]}]}"#, "illegal base64 data in messages[0].images[0]"),
        (r#"{"model":"m","messages":[{"tool_calls":[{}]}]}"#, "messages[0].tool_calls[0].function is required"),
    ];
    for (body, expected) in table {
        assert_eq!(refusal(chat(body)), expected, "{body}");
    }
    assert!(refusal(chat("{oops")).starts_with("invalid JSON: "));
}

#[test]
fn wrong_options_are_named() {
    let table = [
        (r#","options":{"num_predict":"many"}"#, "option \"num_predict\" must be of type integer"),
        (r#","options":{"temperature":"hot"}"#, "option \"temperature\" must be of type float32"),
        (r#","options":{"stop":"END"}"#, "option \"stop\" must be of type array"),
        (r#","options":{"stop":[1]}"#, "option \"stop\" must be of type an array of strings"),
        (r#","think":"hard""#, "invalid think value: \"hard\" (must be \"high\", \"medium\", \"low\", true, or false)"),
        (r#","format":"xml""#, "invalid format: \"xml\"; expected \"json\" or a valid JSON Schema object"),
        (r#","keep_alive":"long""#, "time: invalid duration \"long\""),
        (r#","top_logprobs":21"#, "top_logprobs must be between 0 and 20"),
        (r#","tools":[{"function":{}}]"#, "tools[0].function.name is required"),
    ];
    for (fields, expected) in table {
        assert_eq!(refusal(with(fields)), expected, "{fields}");
    }
    assert_eq!(
        refusal(generate(r#"{"model":"m","prompt":"x","raw":true,"system":"y"}"#)),
        "raw mode does not support template, system, or context"
    );
}

#[test]
fn a_field_that_nobody_knows_is_a_mistake_only_where_the_scenario_says_so() {
    let body = body_with(r#","flavour":1,"options":{"flavour":1}"#);
    assert!(parsed(&Chat, &body, false).is_ok());
    assert_eq!(refusal(parsed(&Chat, &body, true)), "json: unknown field \"flavour\"");
    assert!(parsed(&Chat, &body_with(r#","options":{"flavour":1}"#), true).is_ok());
}

#[test]
fn refusals_of_the_planner_have_the_vendors_words() {
    assert_eq!(said(&ApiError::unknown_model("nope")), "model 'nope' not found");
    let full = ApiError::because(Cause::Overloaded, 503, "full");
    assert_eq!(said(&full), "server busy, please try again.  maximum pending requests exceeded");
    let long = ApiError::because(Cause::PromptTooLong { tokens: 9, window: 4, operation: Operation::Chat }, 400, "long");
    assert_eq!(said(&long), "the input length exceeds the context length");
    assert_eq!(said(&ApiError::of_status(500, "it \"broke\"")), "it \"broke\"");
}

#[test]
fn a_question_about_a_model_names_it() {
    assert_eq!(asked_model(br#"{"model":"a"}"#).as_deref(), Ok("a"));
    assert_eq!(asked_model(br#"{"name":"b","verbose":true}"#).as_deref(), Ok("b"));
    assert_eq!(refusal(asked_model(b"{}")), "model is required");
    assert_eq!(refusal(asked_model(b"")), "missing request body");
}

/// Any JSON, a few levels deep.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,8}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 21] = [
    "model",
    "messages",
    "tools",
    "stream",
    "format",
    "think",
    "options",
    "keep_alive",
    "logprobs",
    "top_logprobs",
    "prompt",
    "suffix",
    "system",
    "template",
    "context",
    "raw",
    "images",
    "role",
    "content",
    "function",
    "tool_calls",
];

proptest! {
    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(field in prop::sample::select(&FIELDS[..]), value in json(), deep: bool) {
        let mut body: Value = serde_json::from_str(&body_with("")).unwrap();
        if deep {
            body["messages"][0][field] = value;
        } else {
            body[field] = value;
        }
        for endpoint in [&Chat as &dyn Endpoint, &Generate] {
            if let Err(error) = parsed(endpoint, &body.to_string(), true) {
                prop_assert_eq!(error.status, 400);
                said(&error);
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        for endpoint in [&Chat as &dyn Endpoint, &Generate] {
            let _ = parsed(endpoint, &text, false);
        }
    }
}
