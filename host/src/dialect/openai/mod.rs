//! OpenAI's API, as its own service and the many that speak like it answer it.
//!
//! A folder for each endpoint: [`chat`], [`completions`], [`embeddings`], [`moderations`], [`responses`], [`realtime`]; [`batches`] and [`files`]
//! for many requests at once. Beside them what they share: `prompts`, `sampling` and `attached` read what several of them take, `choice`
//! the choice among tools, `words` has the vendor's sentences for bad requests, `error` its answers to refusals, `headers` what every
//! answer says of itself, `models` the list of models, `ids`, `logprobs` and `usage` what replies are made of, `filters` what Azure adds
//! to them, `vocabulary` the vendor's tokens. `tokenize` is vLLM's addition.

use bytes::Bytes;
use http::HeaderMap;

use crate::dialect::json::id::text_of;
use crate::dialect::{Dialect, Endpoint, ErrorReply, HeaderFacts, Inbound, ModelCard};
use crate::types::api_error::ApiError;
use crate::types::request::Request;

mod attached;
mod batches;
mod chat;
mod choice;
mod completions;
mod embeddings;
pub(super) mod error;
pub mod files;
mod filters;
mod headers;
mod ids;
pub(super) mod logprobs;
pub(super) mod models;
mod moderations;
mod prompts;
pub mod realtime;
mod responses;
mod sampling;
mod tokenize;
mod usage;
mod vocabulary;
mod words;

pub use batches::Batches;
pub use chat::Chat;
pub use completions::Completions;
pub use embeddings::Embeddings;
pub use moderations::Moderations;
pub use realtime::Realtime;
pub use responses::{CancelResponse, DeleteResponse, InputItems, InputTokens, Responses, RetrieveResponse};
pub use tokenize::{TokenQuestion, detokenize, tokenize};

/// The OpenAI dialect. It keeps nothing: every answer follows from the arguments alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn request_id(&self, id: u64) -> String {
        text_of(|out| ids::push_request_id(out, id))
    }

    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap) {
        headers::push(facts, out);
    }

    fn render_error(&self, error: &ApiError, _request_id: u64) -> ErrorReply {
        error::render(error)
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        models::list(models)
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        models::one(model)
    }
}

/// The chat request that `body` is, for those who ask without a door.
pub fn chat_request(body: Bytes, headers: HeaderMap) -> Result<Request, ApiError> {
    Ok(Chat.parse(Inbound { headers, body, ..Inbound::default() })?.request)
}
