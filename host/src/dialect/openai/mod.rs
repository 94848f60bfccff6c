//! OpenAI's wire format: chat completions and models.
//!
//! [`parse`] reads requests (with [`shape`] for what serde sees, [`diagnose`] for what is wrong when it fails, [`bounds`] for values
//! out of range). [`whole`] and [`stream`] render replies, [`logprobs`] and [`text`] the parts they share; [`error`] renders refusals and
//! [`models`] the list of models. Exact to the recorded transcripts of the live service: order of keys, nulls that are present, chunks.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};

use crate::dialect::{Dialect, ErrorReply, HeaderFacts, ModelCard, RenderOptions, StreamRenderer};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};
use crate::types::request::Request;

mod error;
mod logprobs;
mod models;
mod parse;
mod stream;
mod text;
mod whole;

/// OpenAI's dialect.
#[derive(Debug, Clone, Copy)]
pub struct OpenAi;

impl Dialect for OpenAi {
    fn parse_chat(&self, body: Bytes, headers: HeaderMap) -> Result<Request, ApiError> {
        parse::chat(body, headers)
    }

    fn render_whole(&self, head: &Head, options: RenderOptions, reply: &WholeReply, out: &mut BytesMut) {
        whole::render(head, options, reply, out);
    }

    fn stream(&self, head: &Head, options: RenderOptions) -> Box<dyn StreamRenderer> {
        Box::new(stream::ChatStream::new(head, options))
    }

    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap) {
        let mut id = BytesMut::with_capacity(36);
        text::id(&mut id, b"req_", facts.request_id, 32);
        // It consists of letters and digits.
        if let Ok(id) = HeaderValue::from_maybe_shared(id.freeze()) {
            out.insert("x-request-id", id);
        }
        out.insert("openai-processing-ms", HeaderValue::from(facts.processing_ms));
        out.insert("openai-version", HeaderValue::from_static("2020-10-01"));
        out.insert("openai-organization", HeaderValue::from_static("simwright"));
    }

    fn render_error(&self, error: &ApiError) -> ErrorReply {
        error::render(error)
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        models::list(models)
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        models::one(model)
    }
}
