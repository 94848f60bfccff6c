//! Vendors' wire formats: pure functions between JSON and the neutral [`crate::types`]. No server, no clock, no randomness.
//!
//! A dialect is a folder. A [`Dialect`] is what all answers of a vendor share; an [`Endpoint`] is one thing that can be asked of it: it
//! reads a request and says in which [`Voice`] that one is answered. These three are all that the doors know of a vendor. Streams are
//! rendered one event at a time by splicing bytes around the one text that differs: nothing is serialised per token. `json` reads and
//! writes for all of them, and [`spoil`] breaks what they render, for all alike.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::types::allowance::Allowance;
use crate::types::api_error::ApiError;
use crate::types::manners::Manners;
use crate::types::reply::{Head, StreamEvent, WholeReply};
use crate::types::request::Request;

pub mod anthropic;
pub mod gemini;
mod json;
pub mod openai;
pub mod spoil;

/// One vendor: what all of its answers share.
pub trait Dialect: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// Do `headers` and `query` say that a client of this vendor asks? Decides where vendors have a path in common.
    fn claims(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        let _ = (headers, query);
        false
    }

    /// The id that every answer drawn from `id` shows in its headers.
    fn request_id(&self, id: u64) -> String;

    /// Headers that the vendor sends with every answer, errors included.
    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap);

    /// The vendor's answer to a refusal of the request whose id is drawn from `request_id`.
    fn render_error(&self, error: &ApiError, request_id: u64) -> ErrorReply;

    /// The answer to a request for the list of models.
    fn render_models(&self, models: &[ModelCard]) -> Bytes;

    /// The answer to a request for one model.
    fn render_model(&self, model: &ModelCard) -> Bytes;
}

impl fmt::Debug for dyn Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that can be asked of a vendor, which is planned and played.
pub trait Endpoint: Send + Sync {
    /// Its name in logs: the dialect's, a slash, and what is asked for.
    fn name(&self) -> &'static str;

    /// Whose it is.
    fn dialect(&self) -> &'static dyn Dialect;

    /// The id that a reply drawn from `id` shows in its body.
    fn reply_id(&self, id: u64) -> String;

    /// Reads a request. The error names the field and is ready to be rendered.
    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError>;
}

impl fmt::Debug for dyn Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All vendors.
pub const DIALECTS: [&dyn Dialect; 3] = [&openai::OpenAi, &anthropic::Anthropic, &gemini::Gemini];

/// Everything that can be asked, of all vendors.
pub const ENDPOINTS: [&dyn Endpoint; 7] = [
    &openai::Chat,
    &openai::Realtime,
    &anthropic::Messages,
    &anthropic::CountTokens,
    &gemini::Generate,
    &gemini::StreamGenerate,
    &gemini::CountTokens,
];

/// The endpoint called `name`, as logs name it.
pub fn named(name: &str) -> Option<&'static dyn Endpoint> {
    ENDPOINTS.into_iter().find(|endpoint| endpoint.name() == name)
}

/// A request as it came in.
#[derive(Debug, Clone, Default)]
pub struct Inbound<'a> {
    /// What of path and query the endpoint leaves open, `REST?QUERY`: a model's name, a version; empty for most.
    pub target: &'a str,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What the scenario says of its doors.
    pub manners: Manners,
}

/// A request that was understood.
pub struct Parsed {
    /// What is asked, in no vendor's words.
    pub request: Request,
    /// How it is answered.
    pub voice: Box<dyn Voice>,
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}

/// How one request is answered: it keeps what of the request still matters once the reply is planned.
pub trait Voice: Send + Sync {
    /// The content type of a stream.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// What keeps the connection of a silent stream open: a comment, unless the vendor's clients know something else. `None` if they
    /// know nothing and would stumble.
    fn keep_alive(&self) -> Option<&'static [u8]> {
        Some(b": keep-alive\n\n")
    }

    /// Appends the body of a whole reply, which is JSON.
    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut);

    /// A renderer for the stream that `head` begins.
    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer>;
}

/// Renders one stream event by event.
pub trait StreamRenderer: Send {
    /// Appends the bytes of `event`; some events have none.
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut);
}

/// What headers tell.
#[derive(Debug, Clone, Copy)]
pub struct HeaderFacts {
    /// Number that the request's id is drawn from.
    pub request_id: u64,
    /// Time from the request to its first byte, in milliseconds.
    pub processing_ms: u32,
    /// Unix time in milliseconds.
    pub now_unix_ms: u64,
    /// What the caller may still ask for; `None` for what counts against no budget.
    pub allowance: Option<Allowance>,
}

/// A refusal in the vendor's form.
#[derive(Debug)]
pub struct ErrorReply {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides those of every answer: retry hints.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, JSON.
    pub body: Bytes,
}

/// A model as the list of models shows it.
#[derive(Debug, Clone)]
pub struct ModelCard {
    /// The name to ask for.
    pub id: Box<str>,
    /// Unix time in seconds.
    pub created_unix_s: u64,
    /// Who owns it.
    pub owned_by: Box<str>,
    /// Tokens of prompt and reply together.
    pub context_window: u32,
    /// Tokens of the longest reply.
    pub max_output_tokens: u32,
}
