//! Moderations through their one door.

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Moderations;
use crate::dialect::openai::OpenAi;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};
use crate::types::request::Operation;
use crate::types::usage::Usage;

fn parse(body: &str) -> Result<Parsed, ApiError> {
    Moderations.parse(Inbound { body: body.to_owned().into(), ..Inbound::default() })
}

fn answer(body: &str) -> String {
    let Parsed { request, voice } = parse(body).expect("a good request");
    let head = Head { id: 42, created_unix_s: 0, model: request.model, fingerprint: 7, usage: Usage::default() };
    let mut out = BytesMut::new();
    voice.whole(&head, &WholeReply::default(), &mut out);
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

fn results(input: &Value) -> Vec<Value> {
    let answer: Value = serde_json::from_str(&answer(&json!({"model": "m", "input": input}).to_string())).expect("JSON");
    answer["results"].as_array().expect("a list").clone()
}

#[test]
fn an_answer_has_all_the_vendors_fields() {
    insta::assert_snapshot!(answer(r#"{"input":"I will kill you"}"#), @r#"{"id":"modr-t8jpyfDsJ4rHrFtyRQ6b4cciVVERp","model":"omni-moderation-latest","results":[{"flagged":true,"categories":{"harassment":false,"harassment/threatening":true,"sexual":false,"hate":false,"hate/threatening":false,"illicit":false,"illicit/violent":false,"self-harm/intent":false,"self-harm/instructions":false,"self-harm":false,"sexual/minors":false,"violence":true,"violence/graphic":false},"category_scores":{"harassment":0.000575,"harassment/threatening":0.896373,"sexual":0.000492,"hate":0.000175,"hate/threatening":0.000066,"illicit":0.000248,"illicit/violent":0.000678,"self-harm/intent":0.000184,"self-harm/instructions":0.000127,"self-harm":0.000352,"sexual/minors":0.000579,"violence":0.892937,"violence/graphic":0.000740},"category_applied_input_types":{"harassment":["text"],"harassment/threatening":["text"],"sexual":["text"],"hate":["text"],"hate/threatening":["text"],"illicit":["text"],"illicit/violent":["text"],"self-harm/intent":["text"],"self-harm/instructions":["text"],"self-harm":["text"],"sexual/minors":["text"],"violence":["text"],"violence/graphic":["text"]}}]}"#);
}

#[test]
fn texts_are_judged_one_by_one_and_parts_together() {
    let flags = |input: Value| -> Vec<Value> { results(&input).into_iter().map(|result| result["flagged"].clone()).collect() };
    assert_eq!(flags(json!(["hello", "you idiot", ""])), [false, true, false]);
    assert_eq!(flags(json!([{"type": "text", "text": "hello"}, {"type": "text", "text": "idiot"}])), [true]);
}

#[test]
fn an_image_is_judged_by_its_address() {
    let image = |url: &str| json!([{"type": "image_url", "image_url": {"url": url}}]);
    let result = results(&image("https://example.com/gore.png")).remove(0);
    assert_eq!((&result["flagged"], &result["categories"]["violence/graphic"]), (&json!(true), &json!(true)));
    let applied = &result["category_applied_input_types"];
    assert_eq!((&applied["violence"], &applied["hate"]), (&json!(["image"]), &json!([])));
    assert_eq!(results(&image("data:image/png;base64,kill/gore"))[0]["flagged"], false);
    let both =
        json!([{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]);
    assert_eq!(results(&both)[0]["category_applied_input_types"]["sexual"], json!(["text", "image"]));
}

#[test]
fn without_a_model_the_vendors_newest_is_asked() {
    let request = parse(r#"{"input":["a","b"]}"#).expect("a good request").request;
    assert_eq!(
        (request.operation, &*request.model, request.messages.len()),
        (Operation::Moderation, "omni-moderation-latest", 2)
    );
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
fn bad_requests_are_refused_with_their_place() {
    let table = [
        ("{}", "input | missing_required_parameter"),
        (r#"{"input":5}"#, "input | invalid_type"),
        (r#"{"input":[]}"#, "input | empty_array"),
        (r#"{"input":["a",1]}"#, "input[1] | invalid_type"),
        (r#"{"input":["a",{"type":"text","text":"b"}]}"#, "input[1] | invalid_type"),
        (r#"{"input":[{"type":"text","text":"b"},"a"]}"#, "input[1] | invalid_type"),
        (r#"{"input":[{"text":"b"}]}"#, "input[0].type | missing_required_parameter"),
        (r#"{"input":[{"type":"text"}]}"#, "input[0].text | missing_required_parameter"),
        (r#"{"input":[{"type":"image_url","image_url":{}}]}"#, "input[0].image_url.url | missing_required_parameter"),
        (r#"{"input":[{"type":"smell"}]}"#, "input[0].type | invalid_value"),
    ];
    for (body, expected) in table {
        let refused = refusal(body);
        assert!(refused.starts_with(expected), "{body}: {refused}");
    }
}

proptest! {
    #[test]
    fn no_value_in_any_field_makes_the_parser_panic(field in "model|input|x", value in "null|true|-?[0-9]{1,20}|\"[a-z]{0,3}\"|\\[[0-9,]{0,6}\\]|\\[\"a\",\\{\\}\\]|\\[\\{\"type\":(\"text\"|5)\\}\\]") {
        let _ = parse(&format!(r#"{{"input":"x","{field}":{value}}}"#));
    }
}
