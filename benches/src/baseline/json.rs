//! Whole replies: the request is parsed into typed fields, the answer is a prepared body of the right size.
//!
//! Preparing the body favours the baseline: a real handler would build it.

use std::path::Path;

use anyhow::{Context, Result};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, body::Body};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::baseline::{Runtime, serve};
use crate::load::dialect::Dialect;

/// The fields of a chat completion request that a simulator cannot do without.
#[derive(Debug, Deserialize)]
pub struct ChatRequest {
    /// The model's name.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Streamed or whole?
    #[serde(default)]
    pub stream: bool,
    /// The most tokens of the reply.
    pub max_tokens: Option<u32>,
    /// How freely tokens are picked.
    pub temperature: Option<f32>,
}

/// One message of the conversation.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// The same fields of Anthropic's messages.
#[derive(Debug, Deserialize)]
pub struct MessagesRequest {
    /// The model's name.
    pub model: String,
    /// What the system is told.
    pub system: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Streamed or whole?
    #[serde(default)]
    pub stream: bool,
    /// The most tokens of the reply.
    pub max_tokens: u32,
    /// How freely tokens are picked.
    pub temperature: Option<f32>,
}

/// The same fields of Gemini's requests, whose path says the rest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateRequest {
    /// What the system is told.
    pub system_instruction: Content,
    /// The conversation.
    pub contents: Vec<Content>,
    /// How the reply is made.
    pub generation_config: GenerationConfig,
}

/// One message of Gemini's conversation.
#[derive(Debug, Deserialize)]
pub struct Content {
    /// Who speaks.
    pub role: Option<String>,
    /// What is said.
    pub parts: Vec<Part>,
}

/// A part of it.
#[derive(Debug, Deserialize)]
pub struct Part {
    /// The words.
    pub text: String,
}

/// How Gemini's reply is made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationConfig {
    /// The most tokens of the reply.
    pub max_output_tokens: Option<u32>,
    /// How freely tokens are picked.
    pub temperature: Option<f32>,
}

/// Serves the bytes of the file `reply` to whoever asks as clients of `dialect` do.
pub fn run(reply: &Path, dialect: Dialect, runtime: Runtime) -> Result<()> {
    let reply: Bytes = std::fs::read(reply).with_context(|| format!("cannot read `{}`", reply.display()))?.into();
    let answer = move |body: Bytes| async move { answer(dialect, &body, reply) };
    serve(Router::new().route(dialect.route(), post(answer)), runtime)
}

fn answer(dialect: Dialect, body: &[u8], reply: Bytes) -> Response {
    match parse(dialect, body) {
        Ok(()) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(reply)).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// Parses a request into typed fields.
pub fn parse(dialect: Dialect, body: &[u8]) -> serde_json::Result<()> {
    match dialect {
        Dialect::Openai => parsed::<ChatRequest>(body),
        Dialect::Anthropic => parsed::<MessagesRequest>(body),
        Dialect::Gemini => parsed::<GenerateRequest>(body),
    }
}

/// The compiler is told that somebody looks at the result, so that it leaves out no field's work.
fn parsed<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<T>(body).map(|request| drop(std::hint::black_box(request)))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::load::request::Chat;

    fn body(dialect: Dialect) -> Vec<u8> {
        Chat { model: "bench".to_owned(), stream: true, max_tokens: 32, dialect }.body(1)
    }

    #[test]
    fn the_generators_request_is_understood() {
        let request: ChatRequest = serde_json::from_slice(&body(Dialect::Openai)).unwrap();
        assert_eq!((request.model.as_str(), request.messages.len(), request.stream), ("bench", 2, true));
        assert_eq!((request.max_tokens, request.temperature), (Some(32), Some(0.7)));
    }

    #[test]
    fn each_vendors_request_is_understood_as_that_vendors() {
        for dialect in Dialect::value_variants() {
            for asked in Dialect::value_variants() {
                // Anthropic's says all that OpenAI's must say.
                let understood = dialect == asked || (*dialect, *asked) == (Dialect::Openai, Dialect::Anthropic);
                assert_eq!(parse(*dialect, &body(*asked)).is_ok(), understood, "{dialect:?} {asked:?}");
            }
        }
    }

    #[test]
    fn another_body_is_refused() {
        assert_eq!(answer(Dialect::Openai, b"{}", Bytes::new()).status(), StatusCode::BAD_REQUEST);
    }
}
