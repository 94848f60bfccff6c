//! Ollama's API: streams of JSON, one object a line, unless a client asks for the whole.
//!
//! In: `body` is what clients write, `options` and `keep_alive` parts of it that are more than a kind; `read` checks and makes the neutral
//! request. Out: `whole` and `stream` render replies for both endpoints with words, `metrics` what they cost, `context` what a client may go on from; `loaded` answers those that
//! only load a model, `embed` those for vectors. Beside them what all answers share: `words` has the vendor's sentences for bad requests, `models` what is told of models, `names` what they are called.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::dialect::json::id::{push_hex, text_of};
use crate::dialect::json::splice::push_string;
use crate::dialect::{Dialect, Endpoint, ErrorReply, HeaderFacts, Inbound, ModelCard, Parsed};
use crate::random::Stream;
use crate::types::api_error::{ApiError, RetryForm};

mod body;
mod context;
mod embed;
mod keep_alive;
mod loaded;
mod metrics;
mod models;
mod names;
mod options;
mod read;
mod stream;
mod whole;
mod words;

#[cfg(test)]
mod tests;

pub use embed::{Embed, Embeddings};
pub use models::{asked_model, loaded, pull, show};

/// The type of every body in one piece.
const JSON: &str = "application/json; charset=utf-8";
/// What `GET /` answers.
pub const RUNNING: &str = "Ollama is running";
/// What `GET /api/version` answers: a version that has everything that is served here.
pub const VERSION: &str = "{\"version\":\"0.13.0\"}";

/// The Ollama dialect. It keeps nothing: every answer follows from the arguments alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ollama;

impl Dialect for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn claims(&self, headers: &HeaderMap, _query: Option<&str>) -> bool {
        headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"ollama"))
    }

    /// The vendor shows none; the decision log does.
    fn request_id(&self, id: u64) -> String {
        text_of(|out| push_hex(out, &mut Stream::of(id), 16))
    }

    fn headers(&self, _facts: &HeaderFacts, _out: &mut HeaderMap) {}

    fn other_name(&self, name: &str) -> Option<Box<str>> {
        names::other(name)
    }

    fn render_error(&self, error: &ApiError, _request_id: u64) -> ErrorReply {
        let mut body = BytesMut::with_capacity(32 + error.message.len());
        body.put_slice(b"{\"error\":");
        push_string(&mut body, &words::of_error(error));
        body.put_u8(b'}');
        ErrorReply { status: error.status, headers: headers_of(error), body: body.freeze() }
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        models::list(models)
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        show(model)
    }
}

/// The type of the body, as Go writes it, and when to come back: the vendor never says that, but proxies before it do. A date needs a
/// clock, so the door writes it.
fn headers_of(error: &ApiError) -> Vec<(HeaderName, HeaderValue)> {
    let in_seconds = matches!(error.retry_form, RetryForm::Both | RetryForm::Seconds);
    let ms = error.retry_after_ms.filter(|_| in_seconds);
    let hint = ms.map(|ms| (RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1))));
    hint.into_iter().chain([(CONTENT_TYPE, HeaderValue::from_static(JSON))]).collect()
}

/// A conversation to continue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chat;

impl Endpoint for Chat {
    fn name(&self) -> &'static str {
        "ollama/chat"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Ollama
    }

    fn reply_id(&self, id: u64) -> String {
        Ollama.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        read::chat(inbound)
    }
}

/// A prompt to continue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Generate;

impl Endpoint for Generate {
    fn name(&self) -> &'static str {
        "ollama/generate"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Ollama
    }

    fn reply_id(&self, id: u64) -> String {
        Ollama.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        read::generate(inbound)
    }
}

/// Under which key a reply's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In a message, as `content`.
    Chat,
    /// As `response`.
    Generate,
}
