//! Every bad request is refused with the vendor's words, and nothing that a client can send panics.

use http::HeaderMap;
use proptest::prelude::*;
use serde_json::Value;

use super::{body_with, parse, parsed, with};
use crate::dialect::anthropic::{Anthropic, Messages};
use crate::dialect::{Dialect, Endpoint, Inbound, Manners};
use crate::types::api_error::ApiError;

fn refusal<T>(result: Result<T, ApiError>) -> String {
    let error = result.err().expect("the request should be refused");
    assert_eq!(error.status, 400);
    let body: Value = serde_json::from_slice(&Anthropic.render_error(&error, 1).body).expect("JSON");
    assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"invalid_request_error".into()));
    assert!(body["request_id"].as_str().is_some_and(|id| id.starts_with("req_01")));
    body["error"]["message"].as_str().expect("a message").to_owned()
}

#[test]
fn mistakes_are_told_with_their_path() {
    let table = [
        (r#"{"max_tokens":1,"messages":[]}"#, "model: Field required"),
        (r#"{"model":"m","messages":[]}"#, "max_tokens: Field required"),
        (r#"{"model":"m","max_tokens":1}"#, "messages: Field required"),
        (r#"{"model":"m","max_tokens":1,"messages":[]}"#, "messages: at least one message is required"),
        (r#"{"model":"m","max_tokens":-1,"messages":[]}"#, "max_tokens: Input should be greater than or equal to 0"),
        (r#"{"model":"m","max_tokens":"1","messages":[]}"#, "max_tokens: Input should be a valid integer"),
        (r#"{"model":"m","max_tokens":1,"messages":[{"content":"x"}]}"#, "messages.0.role: Field required"),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"king","content":"x"}]}"#,
            "messages.0.role: Input 'king' does not match any of the expected values: 'user', 'assistant', 'system'",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "messages.0.content.0.text: Field required",
        ),
    ];
    for (body, expected) in table {
        assert_eq!(refusal(parse(body)), expected, "{body}");
    }
    assert!(refusal(parse("{oops")).starts_with("The request body is not valid JSON: "));
    let image = r#"{"model":"m","max_tokens":1,"messages":[{"role":"system","content":[{"type":"image"}]}]}"#;
    assert!(refusal(parse(image)).starts_with("messages.0.content.0.type: Input 'image' does not match"));
}

#[test]
fn wrong_tools_and_thoughts_are_refused() {
    let table = [
        (r#","tools":[{"name":"a b","input_schema":{}}]"#, "tools.0.name: String should match pattern '^[a-zA-Z0-9_-]+$'"),
        (r#","tools":[{"name":"a"}]"#, "tools.0.input_schema: Field required"),
        (r#","tool_choice":{"type":"tool","name":"b"}"#, "Tool 'b' not found in provided tools"),
        (r#","tool_choice":{"type":"any"}"#, "tool_choice: may only be specified while providing tools"),
        (
            r#","thinking":{"type":"enabled","budget_tokens":10}"#,
            "thinking.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (r#","thinking":{"type":"enabled","budget_tokens":2000}"#, "`max_tokens` must be greater than `thinking.budget_tokens`."),
        (r#","stop_sequences":[" "]"#, "stop_sequences: each stop sequence must contain non-whitespace"),
    ];
    for (fields, expected) in table {
        assert_eq!(refusal(with(fields)), expected, "{fields}");
    }
}

#[test]
fn a_version_must_be_named_and_known() {
    let without = Messages.parse(Inbound { body: body_with("").into(), headers: HeaderMap::new(), ..Inbound::default() });
    assert_eq!(refusal(without), "anthropic-version: header is required");
    assert!(refusal(parsed(&body_with(""), "2020-01-01", Manners::default())).contains("\"2020-01-01\" is not a valid version"));
}

#[test]
fn the_newer_generation_does_without_sampling_and_some_blocks() {
    let newer = |body: &str| parsed(body, "2026-10-21", Manners::default());
    for (field, name) in [(r#","temperature":1.0"#, "temperature"), (r#","top_p":1"#, "top_p"), (r#","top_k":0"#, "top_k")] {
        assert!(with(field).is_ok());
        assert!(refusal(newer(&body_with(field))).starts_with(name), "{field}");
    }
    let document = r#"{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"document","source":{"type":"text","data":"x"}}]}]}"#;
    assert!(parse(document).is_ok());
    assert!(refusal(newer(document)).contains("document blocks are not allowed"));
    let cited =
        r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"x","citations":[{}]}]}]}"#;
    assert!(parse(cited).is_ok());
    assert!(refusal(newer(cited)).contains("citations"));
}

#[test]
fn fields_that_nobody_knows_are_refused_where_the_scenario_wants_that() {
    let strict = |fields: &str| parsed(&body_with(fields), "2023-06-01", Manners { is_strict: true, ..Manners::default() });
    assert!(strict(r#","metadata":{"user_id":"u"}"#).is_ok());
    assert_eq!(refusal(strict(r#","n":1"#)), "n: Extra inputs are not permitted");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(body in ".*") {
        let _ = parse(&body);
    }

    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(
        field in prop::sample::select(vec!["model", "messages", "max_tokens", "system", "stop_sequences", "tools", "tool_choice", "thinking",
            "output_config", "stream", "temperature"]),
        value in prop::sample::select(vec!["null", "1", "-1", "1e400", "99999999999999999999", "\"\"", "[]", "{}", "[null]", "[{}]",
            "[[]]", "{\"type\":null}", "{\"type\":\"tool\"}", "{\"format\":{\"type\":\"json_schema\"}}", "true",
            "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{}}]}]"]),
    ) {
        if let Err(error) = with(&format!(",\"{field}\":{value}")) {
            prop_assert_eq!(error.status, 400);
        }
    }
}
