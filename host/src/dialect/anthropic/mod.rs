//! Anthropic's API in both of its generations, `2023-06-01` and `2026-10-21`.
//!
//! [`messages`] has the endpoints: a conversation to continue, and how many tokens one has; [`batches`] many of them. Beside it what all answers share: `words` has
//! the vendor's sentences for bad requests, `error` its answers to refusals, `headers` what every answer says of itself, `models` the list
//! of models, `page` the part of a list that is asked for, `ids` the ids.

use bytes::Bytes;
use http::HeaderMap;

use crate::dialect::{Dialect, ErrorReply, HeaderFacts, ModelCard};
use crate::types::api_error::ApiError;

mod batches;
mod error;
mod headers;
mod ids;
mod messages;
mod models;
mod page;
mod words;

pub use batches::MessageBatches;
pub use messages::{CountTokens, Messages};

/// The Anthropic dialect. It keeps nothing: every answer follows from the arguments alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn claims(&self, headers: &HeaderMap, _query: Option<&str>) -> bool {
        headers.contains_key(headers::VERSION)
    }

    fn request_id(&self, id: u64) -> String {
        ids::request_id(id)
    }

    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap) {
        headers::push(facts, out);
    }

    fn render_error(&self, error: &ApiError, request_id: u64) -> ErrorReply {
        error::render(error, request_id)
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        models::list(models.iter(), false)
    }

    fn render_page_of_models(&self, models: &[ModelCard], query: Option<&str>) -> Result<Bytes, ApiError> {
        models::page(models, query)
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        models::one(model)
    }
}
