//! Every bad request is refused with the vendor's words, and nothing that a client can send panics.
//!
//! A refusal is written as `param | code | message`, with `-` for what is not there.

use proptest::prelude::*;

use serde_json::Value;

use super::{parse, parse_bytes, with};
use crate::dialect::openai::OpenAi;
use crate::dialect::{Dialect, Manners};
use crate::types::api_error::ApiError;
use crate::types::request::Request;

/// `param | code | message` of the refusal.
fn refusal(result: Result<Request, ApiError>) -> String {
    let error = result.expect_err("the request should be refused");
    assert_eq!(error.status, 400);
    let body: Value = serde_json::from_slice(&OpenAi.render_error(&error, 1).body).expect("JSON");
    let shown = |name: &str| body["error"][name].as_str().unwrap_or("-").to_owned();
    format!("{} | {} | {}", shown("param"), shown("code"), shown("message"))
}

/// The refusal of a request with these messages.
fn messages(messages: &str) -> String {
    refusal(parse(&format!(r#"{{"model":"m","messages":{messages}}}"#)))
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let text = refusal(parse("{\"model\":\n  oops}"));
    assert!(
        text.starts_with("- | - | We could not parse the JSON body of your request.") && text.contains("line 2 column 3"),
        "{text}"
    );
    for body in ["", "[]", "null", "1", "\"x\"", "{\"model\":\"m\"", "{} x", "{\"model\":\"\\ud800\"}"] {
        assert!(refusal(parse(body)).contains("could not parse the JSON body"), "{body}");
    }
}

#[test]
fn bodies_that_are_no_text_are_refused() {
    let error = parse_bytes(b"{\"model\":\"\xff\"}", Manners::default()).unwrap_err();
    assert_eq!(error.status, 400);
}

#[test]
fn missing_fields_are_named() {
    assert_eq!(refusal(parse("{}")), "- | - | you must provide a model parameter");
    assert_eq!(
        refusal(parse(r#"{"model":"m"}"#)),
        "messages | missing_required_parameter | Missing required parameter: 'messages'."
    );
    assert_eq!(
        messages("[{}]"),
        "messages[0].role | missing_required_parameter | Missing required parameter: 'messages[0].role'."
    );
    assert_eq!(
        messages(r#"[{"role":"user"}]"#),
        "messages.[0].content | - | Invalid value for 'content': expected a string, got null."
    );
    assert_eq!(
        messages(r#"[{"role":"tool","content":"x"}]"#),
        "messages.[0].tool_call_id | - | Missing parameter 'tool_call_id': messages with role 'tool' must have a 'tool_call_id'."
    );
    assert!(
        with(r#""tools":[{"type":"function","function":{}}]"#)
            .is_err_and(|e| e.param.as_deref() == Some("tools[0].function.name"))
    );
}

#[test]
fn wrong_kinds_are_named() {
    let table = [
        (
            r#""messages":"x""#,
            "messages | invalid_type | Invalid type for 'messages': expected an array of objects, but got a string instead.",
        ),
        (r#""stream":"yes""#, "stream | invalid_type | Invalid type for 'stream': expected a boolean, but got a string instead."),
        (r#""n":1.5"#, "n | invalid_type | Invalid type for 'n': expected an integer, but got a decimal instead."),
        (
            r#""temperature":"hot""#,
            "temperature | invalid_type | Invalid type for 'temperature': expected a decimal, but got a string instead.",
        ),
        (r#""model":1"#, "model | invalid_type | Invalid type for 'model': expected a string, but got an integer instead."),
    ];
    for (field, expected) in table {
        assert_eq!(refusal(with(field)), expected, "{field}");
    }
    assert_eq!(
        messages(r#"[{"role":"user","content":5}]"#),
        "messages[0].content | invalid_type | Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead."
    );
    assert_eq!(
        messages("[7]"),
        "messages[0] | invalid_type | Invalid type for 'messages[0]': expected an object, but got an integer instead."
    );
}

#[test]
fn wrong_messages_are_refused() {
    insta::assert_snapshot!(messages("[]"), @"messages | empty_array | Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.");
    insta::assert_snapshot!(messages(r#"[{"role":"king","content":"x"}]"#), @"messages[0].role | invalid_value | Invalid value: 'king'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.");
    insta::assert_snapshot!(messages(r#"[{"role":"user","content":[{"type":"smell"}]}]"#), @"messages[0].content[0].type | invalid_value | Invalid value: 'smell'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'.");
    insta::assert_snapshot!(messages(r#"[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]"#), @"messages[0].content[0].image_url.url | missing_required_parameter | Missing required parameter: 'messages[0].content[0].image_url.url'.");
}

#[test]
fn numbers_outside_their_range_are_refused() {
    let table = [
        (r#""n":0"#, "n", "integer_below_min_value"),
        (r#""n":129"#, "n", "integer_above_max_value"),
        (r#""temperature":2.1"#, "temperature", "decimal_above_max_value"),
        (r#""top_p":-0.1"#, "top_p", "decimal_below_min_value"),
        (r#""presence_penalty":3"#, "presence_penalty", "decimal_above_max_value"),
        (r#""frequency_penalty":-3"#, "frequency_penalty", "decimal_below_min_value"),
        (r#""logprobs":true,"top_logprobs":21"#, "top_logprobs", "integer_above_max_value"),
        (r#""max_tokens":0"#, "max_tokens", "integer_below_min_value"),
        (r#""max_completion_tokens":-1"#, "max_completion_tokens", "integer_below_min_value"),
        (r#""stop":["a","b","c","d","e"]"#, "stop", "array_above_max_length"),
        (r#""tools":[]"#, "tools", "empty_array"),
        (
            r#""tools":[{"type":"function","function":{"name":"a"}}],
               "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}"#,
            "tool_choice.allowed_tools.tools",
            "empty_array",
        ),
        (r#""stop":["a",1]"#, "stop[1]", "invalid_type"),
    ];
    for (field, param, code) in table {
        let refusal = refusal(with(field));
        assert!(refusal.starts_with(&format!("{param} | {code} | ")), "{field}: {refusal}");
    }
}

#[test]
fn fields_that_need_another_one_are_refused_alone() {
    insta::assert_snapshot!(refusal(with(r#""top_logprobs":2"#)), @"top_logprobs | - | The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
    insta::assert_snapshot!(refusal(with(r#""stream_options":{}"#)), @"stream_options | - | The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    insta::assert_snapshot!(refusal(with(r#""tool_choice":"auto""#)), @"tool_choice | - | Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.");
    insta::assert_snapshot!(refusal(with(r#""functions":[]"#)), @"functions | unsupported_parameter | Unsupported parameter: 'functions' is not supported by this server. Use 'tools' instead.");
}

#[test]
fn wrong_tools_and_formats_are_refused() {
    let tools = |rest: &str| refusal(with(&format!(r#""tools":[{{"type":"function","function":{{"name":"a"}}}}],{rest}"#)));
    insta::assert_snapshot!(tools(r#""tool_choice":{"type":"function","function":{"name":"b"}}"#), @"tool_choice | - | Tool choice 'b' not found in 'tools' parameter.");
    insta::assert_snapshot!(tools(r#""tool_choice":"always""#), @"tool_choice | invalid_value | Invalid value: 'always'. Supported values are: 'none', 'auto', and 'required'.");
    insta::assert_snapshot!(refusal(with(r#""tools":[{"type":"function","function":{"name":"a b"}}]"#)), @"tools[0].function.name | invalid_value | Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.");
    insta::assert_snapshot!(refusal(with(r#""tools":[{"type":"function","function":{"name":"a","parameters":{"type":"array"}}}]"#)), @r#"tools[0].function.parameters | invalid_function_parameters | Invalid schema for function 'a': schema must be a JSON Schema of 'type: "object"', got 'type: "array"'."#);
    insta::assert_snapshot!(refusal(with(r#""response_format":{"type":"xml"}"#)), @"response_format.type | invalid_value | Invalid value: 'xml'. Supported values are: 'json_object', 'json_schema', and 'text'.");
    insta::assert_snapshot!(refusal(with(r#""response_format":{"type":"json_schema"}"#)), @"response_format.json_schema | missing_required_parameter | Missing required parameter: 'response_format.json_schema'.");
    insta::assert_snapshot!(refusal(parse(r#"{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}}"#)), @"messages | - | 'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.");
}

#[test]
fn a_reply_schema_that_is_no_object_is_refused() {
    let text = refusal(with(r#""response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"string"}}}"#));
    insta::assert_snapshot!(text, @r#"response_format | - | Invalid schema for response_format 'x': schema must be a JSON Schema of 'type: "object"', got 'type: "string"'."#);
}

#[test]
fn fields_that_nobody_knows_are_refused_where_the_scenario_wants_that() {
    let strict = |messages: &str, fields: &str| {
        let body = format!(r#"{{"model":"m","messages":[{messages}],"seed":1,"user":"u"{fields}}}"#);
        parse_bytes(body.as_bytes(), Manners { is_strict: true, ..Manners::default() })
    };
    let hello = r#"{"role":"user","content":"x"}"#;
    assert!(strict(hello, "").is_ok());
    // A reply is handed back as it came.
    let echo = r#"{"role":"assistant","content":"x","refusal":null,"annotations":[],"reasoning_content":"y"}"#;
    assert!(strict(echo, "").is_ok());
    insta::assert_snapshot!(refusal(strict(hello, r#","top_k":3"#)), @"top_k | - | Unrecognized request argument supplied: top_k");
    let odd = r#"{"role":"user","content":"x","mood":"good"}"#;
    insta::assert_snapshot!(refusal(strict(odd, "")), @"messages[0].mood | unknown_parameter | Unknown parameter: 'messages[0].mood'.");
}

#[test]
fn endless_nesting_is_refused_or_skipped_without_a_panic() {
    let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    assert!(with(&format!(r#""unknown":{}"#, deep(100_000))).is_ok());
    let schema = format!(r#""tools":[{{"type":"function","function":{{"name":"a","parameters":{{"x":{}}}}}}}]"#, deep(100_000));
    assert!(refusal(with(&schema)).contains("nested deeper than 128 levels"));
    assert!(messages(&deep(100_000)).starts_with("messages[0] | invalid_type"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(body in ".*") {
        let _ = parse(&body);
    }

    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(
        field in prop::sample::select(vec!["model", "messages", "stream", "stop", "n", "tools", "tool_choice", "response_format",
            "top_logprobs", "logprobs", "max_tokens", "temperature", "stream_options", "functions"]),
        value in prop::sample::select(vec!["null", "1", "-1", "1e400", "99999999999999999999", "\"\"", "[]", "{}", "[null]", "[{}]",
            "[[]]", "{\"type\":null}", "{\"type\":\"function\"}", "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"\"}}", "true"]),
    ) {
        if let Err(error) = with(&format!("\"{field}\":{value}")) {
            prop_assert_eq!(error.status, 400);
        }
    }
}
