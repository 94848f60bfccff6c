//! Every bad request is refused with the vendor's words, and nothing that a client can send panics.
//!
//! A refusal is written as `param | code | message`, with `-` for what is not there.

use proptest::prelude::*;
use serde_json::Value;

use super::{parse, parse_bytes, with};
use crate::dialect::openai::OpenAi;
use crate::dialect::{Dialect, Manners};
use crate::types::api_error::ApiError;

/// `param | code | message` of the refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    let error = result.expect_err("the request should be refused");
    assert_eq!(error.status, 400);
    let body: Value = serde_json::from_slice(&OpenAi.render_error(&error, 1).body).expect("JSON");
    assert_eq!(body["error"]["type"], "invalid_request_error");
    let shown = |name: &str| body["error"][name].as_str().unwrap_or("-").to_owned();
    format!("{} | {} | {}", shown("param"), shown("code"), shown("message"))
}

/// The refusal of a request with this input.
fn input(input: &str) -> String {
    refusal(parse(&format!(r#"{{"model":"m","input":{input}}}"#)))
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let text = refusal(parse("{\"model\":\n  oops}"));
    assert!(text.starts_with("- | - | We could not parse the JSON body") && text.contains("line 2 column 3"), "{text}");
    for body in ["", "[]", "null", "1", "{\"model\":\"m\"", "{\"model\":\"\\ud800\"}", "{\"input\":\"\\ud800\",\"model\":\"m\"}"]
    {
        assert!(refusal(parse(body)).contains("could not parse the JSON body"), "{body}");
    }
    assert_eq!(parse_bytes(b"{\"model\":\"\xff\"}", Manners::default()).unwrap_err().status, 400);
}

#[test]
fn missing_fields_are_named() {
    let missing = |path: &str| format!("{path} | missing_required_parameter | Missing required parameter: '{path}'.");
    assert_eq!(refusal(parse("{}")), missing("model"));
    assert_eq!(refusal(parse(r#"{"model":"m"}"#)), missing("input"));
    for (items, path) in [
        ("[{}]", "input[0].role"),
        (r#"[{"role":"user"}]"#, "input[0].content"),
        (r#"[{"type":"function_call","name":"a","arguments":""}]"#, "input[0].call_id"),
        (r#"[{"type":"function_call","call_id":"a","arguments":""}]"#, "input[0].name"),
        (r#"[{"type":"function_call_output","call_id":"a"}]"#, "input[0].output"),
        (r#"[{"type":"custom_tool_call","call_id":"a","name":"b"}]"#, "input[0].input"),
        (r#"[{"type":"item_reference"}]"#, "input[0].id"),
        (r#"[{"role":"user","content":[{}]}]"#, "input[0].content[0].type"),
        (r#"[{"role":"user","content":[{"type":"input_text"}]}]"#, "input[0].content[0].text"),
        (r#"[{"role":"user","content":[{"type":"input_image"}]}]"#, "input[0].content[0].image_url"),
    ] {
        assert_eq!(input(items), missing(path));
    }
    assert_eq!(refusal(with(r#""tools":[{"type":"function"}]"#)), missing("tools[0].name"));
    assert_eq!(refusal(with(r#""text":{"format":{"type":"json_schema","name":"x"}}"#)), missing("text.format.schema"));
}

#[test]
fn wrong_kinds_are_named() {
    let table = [
        (r#""stream":"yes""#, "stream | invalid_type | Invalid type for 'stream': expected a boolean, but got a string instead."),
        (
            r#""tools":{}"#,
            "tools | invalid_type | Invalid type for 'tools': expected an array of objects, but got an object instead.",
        ),
        (
            r#""tools":[1]"#,
            "tools[0] | invalid_type | Invalid type for 'tools[0]': expected an object, but got an integer instead.",
        ),
        (
            r#""instructions":1"#,
            "instructions | invalid_type | Invalid type for 'instructions': expected a string, but got an integer instead.",
        ),
        (
            r#""tool_choice":1"#,
            "tool_choice | invalid_type | Invalid type for 'tool_choice': expected one of a string or object, but got an integer instead.",
        ),
        (
            r#""metadata":{"a":1}"#,
            "metadata | invalid_type | Invalid type for 'metadata': expected a string, but got an integer instead.",
        ),
        (
            r#""max_output_tokens":1.5"#,
            "max_output_tokens | invalid_type | Invalid type for 'max_output_tokens': expected an integer, but got a decimal instead.",
        ),
    ];
    for (fields, expected) in table {
        assert_eq!(refusal(with(fields)), expected);
    }
    assert_eq!(
        input("{}"),
        "input | invalid_type | Invalid type for 'input': expected one of a string or array of objects, but got an object instead."
    );
    assert_eq!(
        input("[1]"),
        "input[0] | invalid_type | Invalid type for 'input[0]': expected an object, but got an integer instead."
    );
}

#[test]
fn numbers_and_words_that_do_not_fit_are_refused() {
    assert_eq!(
        refusal(with(r#""max_output_tokens":1"#)),
        "max_output_tokens | integer_below_min_value | Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, \
         but got 1 instead."
    );
    assert!(refusal(with(r#""temperature":2.5"#)).starts_with("temperature | decimal_above_max_value"));
    assert!(refusal(with(r#""top_logprobs":21"#)).starts_with("top_logprobs | integer_above_max_value"));
    assert_eq!(
        refusal(with(r#""truncation":"some""#)),
        "truncation | invalid_value | Invalid value: 'some'. Supported values are: 'auto' and 'disabled'."
    );
    assert!(
        refusal(with(r#""reasoning":{"effort":"huge"}"#))
            .starts_with("reasoning.effort | invalid_value | Invalid value: 'huge'.")
    );
    assert!(refusal(with(r#""include":["all"]"#)).starts_with("include[0] | invalid_value"));
    assert!(
        refusal(with(r#""tools":[{"type":"magic"}]"#)).starts_with("tools[0].type | invalid_value | Invalid value: 'magic'.")
    );
    assert!(input(r#"[{"type":"magic"}]"#).starts_with("input[0].type | invalid_value | Invalid value: 'magic'."));
    assert_eq!(
        input(r#"[{"role":"tool","content":""}]"#),
        "input[0].role | invalid_value | Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
    );
    assert_eq!(
        input(r#"[{"role":"user","content":[{"type":"text","text":""}]}]"#),
        "input[0].content[0].type | invalid_value | Invalid value: 'text'. Supported values are: 'input_text', 'input_image', \
         'output_text', 'refusal', 'input_file', 'computer_screenshot', and 'summary_text'."
    );
    assert_eq!(
        input(r#"[{"role":"assistant","content":[{"type":"input_text","text":""}]}]"#),
        "input[0].content[0] | invalid_value | Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'."
    );
}

#[test]
fn a_call_and_its_result_need_each_other() {
    assert_eq!(
        input(r#"[{"type":"function_call_output","call_id":"call_1","output":"x"}]"#),
        "input | - | No tool call found for function call output with call_id call_1."
    );
    assert_eq!(
        input(r#"[{"type":"function_call","call_id":"call_1","name":"a","arguments":"{}"},{"role":"user","content":"x"}]"#),
        "input | - | No tool output found for function call call_1."
    );
}

#[test]
fn what_only_makes_sense_beside_something_else_is_refused_without_it() {
    assert!(refusal(with(r#""tool_choice":"required""#)).contains("must be specified with 'tools' parameter"));
    assert!(refusal(with(r#""tool_choice":{"type":"function","name":"x"}"#)).contains("Tool choice 'x' not found"));
    assert!(refusal(with(r#""stream_options":{}"#)).starts_with("stream_options | - |"));
    assert_eq!(
        refusal(parse(r#"{"model":"m","input":"Hi","text":{"format":{"type":"json_object"}}}"#)),
        "input | - | Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    );
}

#[test]
fn schemas_that_cannot_be_used_are_refused() {
    assert!(
        refusal(with(r#""text":{"format":{"type":"json_schema","name":"x","schema":{"type":"array"}}}"#))
            .starts_with("text.format.schema | invalid_json_schema | Invalid schema for response_format 'x':")
    );
    assert!(
        refusal(with(r#""tools":[{"type":"function","name":"x","parameters":{"type":"array"}}]"#))
            .starts_with("tools[0].parameters | invalid_function_parameters | Invalid schema for function 'x':")
    );
    assert!(refusal(with(r#""tools":[{"type":"function","name":"a b"}]"#)).contains("does not match pattern"));
}

#[test]
fn what_is_not_served_is_refused_in_a_sentence() {
    for field in ["\"conversation\":\"conv_1\"", "\"prompt\":{\"id\":\"pmpt_1\"}", "\"background\":true"] {
        let refusal = refusal(with(field));
        assert!(refusal.contains(" | unsupported_parameter | Unsupported parameter: '"), "{refusal}");
    }
    assert!(with(r#""conversation":null,"prompt":null,"background":false"#).is_ok());
}

#[test]
fn fields_that_nobody_knows_are_refused_where_the_scenario_wants_it() {
    let strict = |body: &str| parse_bytes(body.as_bytes(), Manners { is_strict: true, ..Manners::default() });
    assert!(parse_bytes(br#"{"model":"m","input":"x","oops":1}"#, Manners::default()).is_ok());
    assert_eq!(
        refusal(strict(r#"{"model":"m","input":"x","oops":1}"#)),
        "oops | - | Unrecognized request argument supplied: oops"
    );
    assert_eq!(
        refusal(strict(r#"{"model":"m","input":[{"role":"user","content":"x","oops":1}]}"#)),
        "input[0].oops | unknown_parameter | Unknown parameter: 'input[0].oops'."
    );
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for field in ["input", "tools", "metadata", "text", "tool_choice", "instructions", "oops"] {
        let body = match field {
            "input" => format!(r#"{{"model":"m","input":{deep}}}"#),
            field => format!(r#"{{"model":"m","input":"x","{field}":{deep}}}"#),
        };
        let result = parse(&body);
        assert_eq!(result.is_ok(), field == "oops", "{field}");
    }
}

/// Any JSON of some depth.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(?s).{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["message", "function_call", "function", "user", "json_schema", "item_reference"])
            .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "type",
        "role",
        "content",
        "id",
        "call_id",
        "name",
        "arguments",
        "output",
        "text",
        "format",
        "schema",
        "parameters",
        "effort",
        "x",
    ]);
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(?s).{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(
        value in any_json(),
        field in prop::sample::select(vec![
            "model", "input", "instructions", "previous_response_id", "tools", "tool_choice", "text", "reasoning", "metadata", "include",
            "max_output_tokens", "temperature", "stream_options", "truncation", "store",
        ]),
        strict: bool,
    ) {
        let mut body = serde_json::json!({"model": "m", "input": "x", "stream": true});
        body[field] = value;
        let result = parse_bytes(body.to_string().as_bytes(), Manners { is_strict: strict, ..Manners::default() });
        if let Err(error) = result {
            prop_assert_eq!(error.status, 400);
        }
    }
}
