//! OpenAI's chat completions, as its own service and the many that speak like it answer them.
//!
//! In: `body` reads what a client wrote (with `given`, which forgives wrong kinds), `chat` and `tools` check it and make the
//! neutral request, `refuse` words the mistakes. Out: `chat_whole` and `chat_stream` render replies, `error` refusals,
//! `models` the list of models, `headers` what every answer says of itself; all of them splice bytes with `splice`, `ids` and `logprobs`. Begin with [`OpenAi`].

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

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
mod headers;
mod ids;
mod logprobs;
mod models;
mod refuse;
mod splice;
mod tools;

#[cfg(test)]
mod tests;

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
        headers::push(facts, out);
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
