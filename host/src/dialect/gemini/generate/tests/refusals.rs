//! Every bad request is refused with the vendor's words, and nothing that a client can send panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{body_with, configured, parse, parsed, with};
use crate::dialect::gemini::{CountTokens, Gemini, Generate, StreamGenerate};
use crate::dialect::{Dialect, Endpoint, Manners};
use crate::types::api_error::ApiError;

/// The error's body, without what is the same for all of them.
fn refusal<T>(result: Result<T, ApiError>) -> Value {
    let error = result.err().expect("the request should be refused");
    let mut body: Value = serde_json::from_slice(&Gemini.render_error(&error, 1).body).expect("JSON");
    let error = body["error"].as_object_mut().expect("an error");
    assert_eq!((error.remove("code"), error.remove("status")), (Some(json!(400)), Some(json!("INVALID_ARGUMENT"))));
    body["error"].take()
}

fn sentence<T>(result: Result<T, ApiError>) -> String {
    refusal(result)["message"].as_str().expect("a message").to_owned()
}

#[test]
fn what_cannot_be_read_is_told_with_its_field() {
    let violation = |field: &str, message: &str| {
        json!({"message": message, "details": [{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": message}],
        }]})
    };
    let table = [
        (r#"{"contents":"Hi"}"#, "contents", "Invalid value at 'contents' (TYPE_MESSAGE), a string"),
        (
            r#"{"contents":[{"parts":[{"text":1}]}]}"#,
            "contents[0].parts[0].text",
            "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), a number",
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{"name":"a","id":7}}]}]}"#,
            "contents[0].parts[0].function_call.id",
            "Invalid value at 'contents[0].parts[0].function_call.id' (TYPE_STRING), a number",
        ),
        (
            r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":"many"}}"#,
            "generation_config.max_output_tokens",
            "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), a string",
        ),
    ];
    for (body, field, message) in table {
        assert_eq!(refusal(parse(body)), violation(field, message), "{body}");
    }
    let word = refusal(with(
        r#","tools":[{"functionDeclarations":[{"name":"a"}]}],"toolConfig":{"functionCallingConfig":{"mode":"OFTEN"}}"#,
    ));
    assert_eq!(word["details"][0]["fieldViolations"][0]["field"], "tool_config.function_calling_config.mode");
}

#[test]
fn what_would_stream_as_an_array_is_refused_in_one() {
    let refused = |query| {
        let error = ApiError::unknown_model("x");
        String::from_utf8(StreamGenerate.speaker(query).render_error(&error, 1).body.to_vec()).unwrap()
    };
    let object = refused(Some("alt=sse&key=k"));
    assert!(object.starts_with("{\"error\":{\"code\":404,"), "{object}");
    for query in [None, Some("key=k"), Some("alt=json")] {
        assert_eq!(refused(query), format!("[{object}]"));
    }
    assert_eq!(Generate.speaker(None).name(), "gemini");
    assert!(Generate.speaker(None).render_error(&ApiError::unknown_model("x"), 1).body.starts_with(b"{"));
}

#[test]
fn what_makes_no_sense_is_told_in_a_sentence() {
    let table = [
        ("{}", "* GenerateContentRequest.contents: contents is not specified\n"),
        (r#"{"contents":[]}"#, "* GenerateContentRequest.contents: contents is not specified\n"),
        (r#"{"contents":[{"parts":[]}]}"#, "* GenerateContentRequest.contents[0].parts: parts is not specified\n"),
        (r#"{"contents":[{"role":"king","parts":[{"text":"x"}]}]}"#, "Please use a valid role: user, model."),
    ];
    for (body, message) in table {
        assert_eq!(refusal(parse(body)), json!({"message": message}), "{body}");
    }
    let table = [
        (
            r#""temperature":3"#,
            "* GenerateContentRequest.generation_config.temperature: temperature must be at most 2, but it is 3\n",
        ),
        (
            r#""candidateCount":0"#,
            "* GenerateContentRequest.generation_config.candidate_count: candidate_count must be at least 1, but it is 0\n",
        ),
        (
            r#""responseLogprobs":true,"logprobs":21"#,
            "* GenerateContentRequest.generation_config.logprobs: logprobs must be at most 20, but it is 21\n",
        ),
        (r#""logprobs":1"#, "Logprobs can only be requested with response_logprobs enabled."),
        (r#""responseSchema":{"type":"OBJECT"}"#, "Response schema is only supported with response mime type application/json."),
    ];
    for (fields, message) in table {
        assert_eq!(sentence(configured(fields)), message, "{fields}");
    }
    assert!(sentence(parse("{oops")).starts_with("Invalid JSON payload received. "));
    let choice = r#","toolConfig":{"functionCallingConfig":{"mode":"ANY"}}"#;
    assert_eq!(sentence(with(choice)), "Function calling config is set without function_declarations.");
}

#[test]
fn fields_that_nobody_knows_are_refused_where_the_scenario_wants_that() {
    let strict = |fields: &str| parsed(&Generate, "m", &body_with(fields), Manners { is_strict: true, ..Manners::default() });
    assert!(strict(r#","safetySettings":[],"generationConfig":{"topK":1}"#).is_ok());
    let inner = refusal(strict(r#","generationConfig":{"topQ":1}"#));
    assert_eq!(
        inner["message"],
        "Invalid JSON payload received. Unknown name \"topQ\" at 'generation_config': Cannot find field."
    );
    assert_eq!(inner["details"][0]["fieldViolations"][0]["field"], "generation_config");
    let outer = refusal(strict(r#","topQ":1"#));
    assert_eq!(outer["message"], "Invalid JSON payload received. Unknown name \"topQ\": Cannot find field.");
    assert_eq!(outer["details"][0]["fieldViolations"][0].get("field"), None);
}

#[test]
fn a_schema_without_end_is_refused() {
    let deep = "{\"items\":".repeat(10_000) + "{}" + &"}".repeat(10_000);
    assert!(
        sentence(configured(&format!(r#""responseMimeType":"application/json","responseSchema":{deep}"#)))
            .contains("nested deeper")
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(body in ".*", target in ".*") {
        for endpoint in [&Generate as &dyn Endpoint, &StreamGenerate, &CountTokens] {
            let _ = parsed(endpoint, &target, &body, Manners::default());
        }
    }

    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(
        field in prop::sample::select(vec!["contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings",
            "generateContentRequest"]),
        inner in prop::sample::select(vec!["parts", "thinkingConfig", "stopSequences", "functionDeclarations", "functionCallingConfig",
            "responseSchema", "candidateCount", "role"]),
        value in prop::sample::select(vec!["null", "1", "-1", "1e400", "99999999999999999999", "\"\"", "[]", "{}", "[null]", "[{}]",
            "[[]]", "true", "{\"mode\":1}", "[{\"functionCall\":{}}]", "[{\"inlineData\":{\"mimeType\":\"audio\",\"data\":\"\"}}]"]),
        is_list: bool,
    ) {
        let object = format!("{{\"{inner}\":{value}}}");
        let nested = if is_list { format!("[{object}]") } else { object };
        for given in [value.to_owned(), nested] {
            for endpoint in [&Generate as &dyn Endpoint, &CountTokens] {
                if let Err(error) = parsed(endpoint, "m", &body_with(&format!(",\"{field}\":{given}")), Manners { is_strict: true, ..Manners::default() }) {
                    prop_assert_eq!(error.status, 400);
                }
            }
        }
    }
}
