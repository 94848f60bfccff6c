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

use crate::baseline::{Runtime, serve};

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

/// Serves the bytes of the file `reply`.
pub fn run(reply: &Path, runtime: Runtime) -> Result<()> {
    let reply: Bytes = std::fs::read(reply).with_context(|| format!("cannot read `{}`", reply.display()))?.into();
    let answer = move |body: Bytes| async move { answer(&body, reply) };
    serve(Router::new().route("/v1/chat/completions", post(answer)), runtime)
}

fn answer(body: &[u8], reply: Bytes) -> Response {
    match parse(body) {
        Ok(_) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(reply)).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// Parses a request; the result is handed out whole so that no field's work can be left out by the compiler.
pub fn parse(body: &[u8]) -> serde_json::Result<ChatRequest> {
    serde_json::from_slice(body).map(std::hint::black_box)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::request::Chat;

    #[test]
    fn the_generators_request_is_understood() {
        let chat = Chat { model: "bench".to_owned(), stream: true, max_tokens: 32 };
        let request = parse(&chat.body(1)).unwrap();
        assert_eq!((request.model.as_str(), request.messages.len(), request.stream), ("bench", 2, true));
        assert_eq!((request.max_tokens, request.temperature), (Some(32), Some(0.7)));
    }

    #[test]
    fn another_body_is_refused() {
        assert_eq!(answer(b"{}", Bytes::new()).status(), StatusCode::BAD_REQUEST);
    }
}
