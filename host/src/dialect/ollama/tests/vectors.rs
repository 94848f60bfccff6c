//! Vectors for texts, in both forms.

use bytes::BytesMut;
use serde_json::Value;

use super::parsed;
use crate::dialect::Endpoint;
use crate::dialect::ollama::{Embed, Embeddings};
use crate::types::reply::{Head, WholeReply};
use crate::types::request::Operation;
use crate::types::usage::Usage;

fn answer(endpoint: &dyn Endpoint, body: &str) -> Value {
    let usage = Usage { input: 9, ..Usage::default() };
    let head = Head { id: 1, created_unix_s: 1_790_000_000, model: "m".into(), fingerprint: 1, usage };
    let reply = WholeReply { usage, first_ns: 1_600, last_ns: 1_600, ..WholeReply::default() };
    let mut out = BytesMut::new();
    parsed(endpoint, body, true).unwrap().voice.whole(&head, &reply, &mut out);
    serde_json::from_slice(&out).unwrap()
}

fn vectors(answer: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(answer["embeddings"].clone()).unwrap()
}

#[test]
fn equal_texts_have_equal_unit_vectors() {
    let answer =
        answer(&Embed, r#"{"model":"m","input":["a cat","a cat","quarterly revenue"],"truncate":true,"keep_alive":"5m"}"#);
    let vectors = vectors(&answer);
    assert!(vectors[0] == vectors[1] && vectors[0] != vectors[2]);
    assert_eq!(vectors[0].len(), 768);
    assert!((vectors[0].iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-5);
    assert_eq!((&answer["model"], &answer["prompt_eval_count"]), (&"m".into(), &9.into()));
    assert_eq!((&answer["total_duration"], &answer["load_duration"]), (&1_600.into(), &100.into()));
}

#[test]
fn dimensions_cut_a_vector_and_never_lengthen_it() {
    let length = |dimensions: &str| {
        vectors(&answer(&Embed, &format!(r#"{{"model":"m","input":"x","dimensions":{dimensions}}}"#)))[0].len()
    };
    assert_eq!([length("64"), length("0"), length("-1"), length("1000")], [64, 768, 768, 768]);
}

#[test]
fn nothing_to_embed_has_no_vectors() {
    for body in [r#"{"model":"m"}"#, r#"{"model":"m","input":""}"#, r#"{"model":"m","input":[]}"#] {
        assert!(vectors(&answer(&Embed, body)).is_empty(), "{body}");
    }
    assert_eq!(answer(&Embeddings, r#"{"model":"m"}"#)["embedding"], serde_json::json!([]));
}

#[test]
fn the_older_form_is_one_vector() {
    let older = answer(&Embeddings, r#"{"model":"m","prompt":"a cat"}"#);
    let newer = answer(&Embed, r#"{"model":"m","input":"a cat"}"#);
    assert_eq!(older["embedding"], newer["embeddings"][0]);
}

#[test]
fn every_text_counts_as_a_prompt() {
    let request = parsed(&Embed, r#"{"model":"m","input":["a","b"]}"#, true).unwrap().request;
    assert_eq!((request.operation, request.messages.len(), request.streams), (Operation::Embedding, 2, false));
}

#[test]
fn an_input_of_another_kind_is_refused() {
    for input in ["1", "[1]", "{}", "[null]"] {
        let error = parsed(&Embed, &format!(r#"{{"model":"m","input":{input}}}"#), true).unwrap_err();
        assert_eq!((error.status, &*error.message), (400, "invalid input type"), "{input}");
    }
}

#[test]
fn many_texts_are_made_elsewhere_and_too_many_are_refused() {
    let asked = |count: usize| parsed(&Embed, &serde_json::json!({"model": "m", "input": vec!["x"; count]}).to_string(), true);
    assert!(!asked(1).unwrap().voice.takes_long() && asked(100).unwrap().voice.takes_long());
    assert!(asked(2_048).is_ok() && asked(2_049).is_err());
}
