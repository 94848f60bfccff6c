//! Google's Gemini API, in `/v1` and `/v1beta`.
//!
//! [`generate`] has the endpoints of conversations, [`embed`] those of vectors. Beside them what all answers share: `words` has the vendor's sentences for bad requests,
//! `error` its answers to refusals, `models` the list of models, `schema` its own way to write schemas. `listed` is OpenAI's API as Google
//! serves it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::json::id::{push_alphanumeric, text_of};
use crate::dialect::{Dialect, ErrorReply, HeaderFacts, ModelCard};
use crate::random::Stream;
use crate::types::api_error::ApiError;

mod embed;
mod error;
mod generate;
mod listed;
mod models;
mod schema;
mod words;

pub use embed::{BatchEmbed, Embed};
pub use generate::{CountTokens, Generate, StreamGenerate};
pub use listed::{CHAT, EMBEDDINGS, Listed};

/// The header that names a caller.
const KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The Gemini dialect. It keeps nothing: every answer follows from the arguments alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemini;

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn claims(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        headers.contains_key(KEY) || pairs.any(|(name, _)| name == "key")
    }

    fn request_id(&self, id: u64) -> String {
        text_of(|out| push_alphanumeric(out, &mut Stream::of(id), 22))
    }

    fn headers(&self, _facts: &HeaderFacts, out: &mut HeaderMap) {
        out.insert(http::header::VARY, HeaderValue::from_static("Origin, X-Origin, Referer"));
        out.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    }

    fn render_error(&self, error: &ApiError, _request_id: u64) -> ErrorReply {
        error::render(error)
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        models::list(models, None)
    }

    fn render_page_of_models(&self, models: &[ModelCard], query: Option<&str>) -> Result<Bytes, ApiError> {
        models::page(models, query)
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        models::one(model)
    }
}
