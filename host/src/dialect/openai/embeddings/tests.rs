//! Embeddings through their one door: what is understood, what is refused, and what goes on the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Embeddings;
use crate::dialect::openai::OpenAi;
use crate::dialect::{Dialect, Endpoint, Inbound, Manners, Parsed};
use crate::stats::embedding::embed;
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};
use crate::types::request::Operation;
use crate::types::usage::Usage;

fn parse(body: &str) -> Result<Parsed, ApiError> {
    Embeddings.parse(Inbound { body: body.to_owned().into(), ..Inbound::default() })
}

fn answer(body: &str) -> String {
    let Parsed { request, voice } = parse(body).expect("a good request");
    let usage = Usage { input: 5, ..Usage::default() };
    let head = Head { id: 42, created_unix_s: 1_790_000_000, model: request.model, fingerprint: 7, usage };
    let mut out = BytesMut::new();
    voice.whole(&head, &WholeReply { usage, ..WholeReply::default() }, &mut out);
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

/// The vectors of an answer.
fn vectors(answer: &str) -> Vec<Vec<f32>> {
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let data = answer["data"].as_array().expect("a list");
    let vector = |entry: &Value| match &entry["embedding"] {
        Value::String(text) => {
            let bytes = STANDARD.decode(text).expect("base64");
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four"))).collect()
        }
        numbers => numbers.as_array().expect("numbers").iter().map(|value| value.as_f64().expect("a number") as f32).collect(),
    };
    data.iter().map(vector).collect()
}

#[test]
fn an_answer_has_all_the_vendors_fields() {
    insta::assert_snapshot!(answer(r#"{"model":"m","input":"hello","dimensions":3}"#), @r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.19127159,-0.15297395,-0.96954328]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}"#);
    insta::assert_snapshot!(answer(r#"{"model":"m","input":["hello","bye"],"dimensions":3,"encoding_format":"base64"}"#), @r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"s9xDPjSlHL79M3i/"},{"object":"embedding","index":1,"embedding":"LqZ9Psu5Zr+f/rW+"}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}"#);
}

#[test]
fn floats_and_base64_are_the_same_numbers() {
    let ask = |format: &str| {
        vectors(&answer(&format!(r#"{{"model":"m","input":["one text","another"],"encoding_format":"{format}"}}"#)))
    };
    assert_eq!(ask("float"), ask("base64"));
    assert_eq!(ask("float")[0], embed("one text", 1_536));
}

#[test]
fn tokens_give_the_vector_of_their_text() {
    // "hello world" in the vocabulary of the vendor's embeddings.
    let of_text = vectors(&answer(r#"{"model":"m","input":"hello world"}"#));
    assert_eq!(vectors(&answer(r#"{"model":"m","input":[15339,1917]}"#)), of_text);
    assert_eq!(vectors(&answer(r#"{"model":"m","input":[[15339,1917],[15339]]}"#)).len(), 2);
    let request = parse(r#"{"model":"m","input":[[15339,1917],[15339]]}"#).expect("a good request").request;
    assert_eq!(request.operation, Operation::Embedding);
    let tokens: Vec<u32> = request.messages.iter().map(|message| message.attachments()[0].tokens).collect();
    assert_eq!(tokens, [2, 1]);
}

#[test]
fn each_model_has_its_own_length() {
    let length = |model: &str| vectors(&answer(&json!({"model": model, "input": "x"}).to_string()))[0].len();
    assert_eq!((length("text-embedding-3-large"), length("text-embedding-3-small"), length("other")), (3_072, 1_536, 1_536));
}

/// `param | code | message` of the refusal.
fn refusal(body: &str) -> String {
    let error = parse(body).expect_err(body);
    assert_eq!(error.status, 400);
    let body: Value = serde_json::from_slice(&OpenAi.render_error(&error, 1).body).expect("JSON");
    let shown = |name: &str| body["error"][name].as_str().unwrap_or("-").to_owned();
    format!("{} | {} | {}", shown("param"), shown("code"), shown("message"))
}

#[test]
fn bad_requests_are_refused_in_the_vendors_words() {
    insta::assert_snapshot!(refusal("{}"), @"- | - | you must provide a model parameter");
    insta::assert_snapshot!(refusal(r#"{"model":"m"}"#), @"input | missing_required_parameter | Missing required parameter: 'input'.");
    for input in ["null", "5", "[]", r#""""#, r#"["a",""]"#, r#"["a",1]"#, "[[]]", "[[1],[-1]]", "{}"] {
        let refused = refusal(&format!(r#"{{"model":"m","input":{input}}}"#));
        assert_eq!(
            refused,
            "- | - | '$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
            "{input}"
        );
    }
    insta::assert_snapshot!(refusal(r#"{"model":"m","input":"x","encoding_format":"hex"}"#), @"encoding_format | invalid_value | Invalid value: 'hex'. Supported values are: 'float' and 'base64'.");
    insta::assert_snapshot!(refusal(r#"{"model":"m","input":"x","dimensions":0}"#), @"dimensions | integer_below_min_value | Invalid 'dimensions': integer below minimum value. Expected a value >= 1, but got 0 instead.");
    insta::assert_snapshot!(refusal(r#"{"model":"text-embedding-3-small","input":"x","dimensions":1537}"#), @"dimensions | integer_above_max_value | Invalid 'dimensions': integer above maximum value. Expected a value <= 1536, but got 1537 instead.");
    insta::assert_snapshot!(refusal(r#"{"model":"text-embedding-ada-002","input":"x","dimensions":512}"#), @"- | - | This model does not support specifying dimensions.");
    let strict = Inbound {
        body: r#"{"model":"m","input":"x","usr":"me"}"#.into(),
        manners: Manners { is_strict: true, ..Manners::default() },
        ..Inbound::default()
    };
    assert_eq!(Embeddings.parse(strict).expect_err("an unknown field").param.as_deref(), Some("usr"));
}

proptest! {
    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(field in "model|input|dimensions|encoding_format|x", value in "null|true|-?[0-9]{1,20}|1e400|\"[a-z]{0,3}\"|\\[[0-9,]{0,6}\\]|\\[\"a\",\\[\\]\\]|\\{\"a\":\\[\\]\\}") {
        let _ = parse(&format!(r#"{{"model":"m","input":"x","{field}":{value}}}"#));
    }
}
