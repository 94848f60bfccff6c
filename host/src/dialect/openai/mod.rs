//! OpenAI's chat completions, as its own service and the many that speak like it answer them.
//!
//! In: `body` reads what a client wrote (with `given`, which forgives wrong kinds), `chat` and `tools` check it and make the
//! neutral request, `refuse` words the mistakes. Out: `chat_whole` and `chat_stream` render replies, `error` refusals,
//! `models` the list of models; all of them splice bytes with `splice`, `ids` and `logprobs`. Begin with [`OpenAi`].

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::{Dialect, ErrorReply, HeaderFacts, ModelCard, RenderOptions, StreamRenderer};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};
use crate::types::request::Request;

mod body;
mod chat;
mod chat_stream;
mod chat_whole;
mod error;
mod given;
mod ids;
mod logprobs;
mod models;
mod refuse;
mod splice;
mod tools;

#[cfg(test)]
mod tests;

// Constants, because a name that is made anew is also checked anew.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const VERSION: HeaderName = HeaderName::from_static("openai-version");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// The OpenAI dialect. It keeps nothing: every answer follows from the arguments alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn reply_id(&self, id: u64) -> String {
        text_of(|out| ids::push_reply_id(out, id))
    }

    fn request_id(&self, id: u64) -> String {
        text_of(|out| ids::push_request_id(out, id))
    }

    fn parse_chat(&self, body: Bytes, headers: HeaderMap) -> Result<Request, ApiError> {
        chat::parse(body, headers)
    }

    fn render_whole(&self, head: &Head, options: RenderOptions, reply: &WholeReply, out: &mut BytesMut) {
        chat_whole::push_reply(out, head, options, reply);
    }

    fn stream(&self, head: &Head, options: RenderOptions) -> Box<dyn StreamRenderer> {
        Box::new(chat_stream::ChatStream::new(head, options))
    }

    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap) {
        let mut id = BytesMut::with_capacity(36);
        ids::push_request_id(&mut id, facts.request_id);
        if let Ok(id) = HeaderValue::from_maybe_shared(id.freeze()) {
            out.insert(REQUEST_ID, id);
        }
        out.insert(PROCESSING_MS, HeaderValue::from(facts.processing_ms));
        out.insert(VERSION, HeaderValue::from_static("2020-10-01"));
        out.insert(ORGANIZATION, HeaderValue::from_static("simwright"));
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

/// What `push` appends, which is ASCII.
fn text_of(push: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    push(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}
