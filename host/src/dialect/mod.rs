//! Vendors' wire formats: pure functions between JSON and the neutral [`crate::types`]. No server, no clock, no randomness.
//!
//! A dialect is a folder; the [`Dialect`] trait is all that the doors know of it. Streams are rendered one event at a time by
//! splicing bytes around the one text that differs: nothing is serialised per token. [`spoil`] breaks what they render, for all alike.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::types::allowance::Allowance;
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, StreamEvent, WholeReply};
use crate::types::request::{Request, StreamOptions};

pub mod openai;
pub mod spoil;

/// One vendor's wire format for conversations.
pub trait Dialect: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// The id that a reply drawn from `id` shows in its body.
    fn reply_id(&self, id: u64) -> String;

    /// The id that every answer drawn from `id` shows in its headers.
    fn request_id(&self, id: u64) -> String;

    /// Reads a chat request. The error names the field and is ready to be rendered.
    fn parse_chat(&self, body: Bytes, headers: HeaderMap) -> Result<Request, ApiError>;

    /// Appends the body of a whole reply.
    fn render_whole(&self, head: &Head, options: RenderOptions, reply: &WholeReply, out: &mut BytesMut);

    /// A renderer for one stream.
    fn stream(&self, head: &Head, options: RenderOptions) -> Box<dyn StreamRenderer>;

    /// Headers that the vendor sends with every answer, errors included.
    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap);

    /// The vendor's answer to a refusal.
    fn render_error(&self, error: &ApiError) -> ErrorReply;

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

/// The dialect called `name`, as logs name it.
pub fn named(name: &str) -> Option<&'static dyn Dialect> {
    const ALL: [&dyn Dialect; 1] = [&openai::OpenAi];
    ALL.into_iter().find(|dialect| dialect.name() == name)
}

/// Renders one stream event by event.
pub trait StreamRenderer: Send {
    /// Appends the bytes of `event`; some events have none.
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut);
}

/// What of a request still matters once its reply is planned.
#[derive(Debug, Clone, Copy, Default)]
pub struct RenderOptions {
    /// `Some(n)`: log probabilities with `n` alternatives.
    pub logprobs: Option<u8>,
    /// How to stream.
    pub stream: StreamOptions,
}

impl RenderOptions {
    /// What `request` asks of the rendering.
    pub fn of(request: &Request) -> Self {
        Self { logprobs: request.logprobs, stream: request.stream.unwrap_or_default() }
    }
}

/// What headers tell.
#[derive(Debug, Clone, Copy)]
pub struct HeaderFacts {
    /// Number that the request's id is drawn from.
    pub request_id: u64,
    /// Time from the request to its first byte, in milliseconds.
    pub processing_ms: u32,
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
}
