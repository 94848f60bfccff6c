//! Vendors' wire formats: pure functions between JSON and the neutral [`crate::types`]. No server, no clock, no randomness.
//!
//! A dialect is a folder. A [`Dialect`] is what all answers of a vendor share; an [`Endpoint`] is one thing that can be asked of it: it
//! reads a request and says in which [`Voice`] that one is answered. These three are all that planned requests need of a vendor. Beside them,
//! a [`kept::Recall`] asks about a reply that is kept, [`bulk`] is many requests at once, and a realtime session is [`openai::realtime`]'s.
//! Streams are rendered one event at a time by splicing bytes around the one text that differs: nothing is serialised per token. `json`
//! reads and writes for all of them, and [`spoil`] breaks what they render, for all alike.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Nanos;
use crate::dialect::kept::Kept;
use crate::scenario::routes::RouteEntry;
use crate::types::allowance::Allowance;
use crate::types::api_error::ApiError;
use crate::types::manners::Manners;
use crate::types::reply::{Head, StreamEvent, WholeReply};
use crate::types::request::Request;

pub mod anthropic;
pub mod azure;
pub mod bulk;
pub mod gemini;
pub mod generic;
mod json;
pub mod kept;
mod multipart;
pub mod ollama;
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

    /// Another name of the model `name`, where the vendor has two for one.
    fn other_name(&self, name: &str) -> Option<Box<str>> {
        let _ = name;
        None
    }

    /// The answer to a request for the list of models.
    fn render_models(&self, models: &[ModelCard]) -> Bytes;

    /// The answer to a request for the list of models that comes with `query`: the part that it asks for, where the vendor has pages.
    fn render_page_of_models(&self, models: &[ModelCard], query: Option<&str>) -> Result<Bytes, ApiError> {
        let _ = query;
        Ok(self.render_models(models))
    }

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

    /// Who answers what comes with `query`: whose it is, unless the query asks for answers of another form.
    fn speaker(&self, query: Option<&str>) -> &'static dyn Dialect {
        let _ = query;
        self.dialect()
    }

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
pub const DIALECTS: [&dyn Dialect; 5] = [&openai::OpenAi, &anthropic::Anthropic, &gemini::Gemini, &ollama::Ollama, &azure::Azure];

/// Everything that can be asked, of all vendors.
pub const ENDPOINTS: [&dyn Endpoint; 24] = [
    &openai::Chat,
    &openai::Completions,
    &openai::Embeddings,
    &openai::Moderations,
    &openai::Responses,
    &openai::InputTokens,
    &openai::Realtime,
    &anthropic::Messages,
    &anthropic::CountTokens,
    &gemini::Generate,
    &gemini::StreamGenerate,
    &gemini::CountTokens,
    &gemini::Embed,
    &gemini::BatchEmbed,
    &gemini::CHAT,
    &gemini::EMBEDDINGS,
    &ollama::Chat,
    &ollama::Generate,
    &ollama::Embed,
    &ollama::Embeddings,
    &azure::CHAT,
    &azure::COMPLETIONS,
    &azure::EMBEDDINGS,
    &generic::Route,
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
    /// The deployment that Azure's paths name: it is the model, whatever the body says, and replies tell what content filters have found.
    pub deployment: Option<&'a str>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What the scenario says of its doors.
    pub manners: Manners,
    /// The scenario's own routes.
    pub routes: &'a [RouteEntry],
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
    /// Keys of earlier replies that the request goes on from. Whoever has them calls [`Voice::resume`] before the request is planned.
    fn goes_on_from(&self) -> &[Box<str>] {
        &[]
    }

    /// Puts what was said earlier into `request`; `found` has what is kept under each of [`Voice::goes_on_from`]. The error names what
    /// is not there any more.
    fn resume(&mut self, found: &[Option<Arc<Kept>>], request: &mut Request) -> Result<(), ApiError> {
        let _ = (found, request);
        Ok(())
    }

    /// `error` as this endpoint says it, where it has words of its own.
    fn refusal(&self, error: &ApiError) -> Option<ApiError> {
        let _ = error;
        None
    }

    /// What is to be kept of the reply whose whole body is `body`; a stream's renderer says it of a stream.
    fn kept(&self, head: &Head, body: &[u8]) -> Option<Kept> {
        let _ = (head, body);
        None
    }

    /// The content type of a stream.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// The status of a reply that is no refusal.
    fn status(&self) -> u16 {
        200
    }

    /// What keeps the connection of a silent stream open: a comment, unless the vendor's clients know something else. `None` if they
    /// know nothing and would stumble.
    fn keep_alive(&self) -> Option<&'static [u8]> {
        Some(b": keep-alive\n\n")
    }

    /// The content type of a whole reply.
    fn whole_type(&self) -> &'static str {
        "application/json"
    }

    /// Is a whole reply so much work that other requests should not wait for it?
    fn takes_long(&self) -> bool {
        false
    }

    /// Appends the body of a whole reply.
    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut);

    /// A renderer for the stream that `head` begins; says nothing for what is never streamed.
    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        let _ = head;
        Box::new(Silent)
    }
}

/// Texts, or bytes of them, that are looked through or made vectors of while streams beside them wait.
const TEXTS_AT_ONCE: usize = 8;
const BYTES_AT_ONCE: usize = 32 * 1024;

/// Is it so much work to look through all of `texts` that other requests should not wait for it?
fn is_much_text<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let (texts, bytes) = texts.fold((0, 0), |(texts, bytes), text| (texts + 1, bytes + text.len()));
    texts > TEXTS_AT_ONCE || bytes > BYTES_AT_ONCE
}

/// Says nothing: the stream of what is never streamed, and what stands in a voice's place while it works elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Voice for Silent {
    fn whole(&self, _head: &Head, _reply: &WholeReply, _out: &mut BytesMut) {}
}

impl StreamRenderer for Silent {
    fn event(&mut self, _event: &StreamEvent<'_>, _out: &mut BytesMut) {}
}

/// Renders one stream event by event.
pub trait StreamRenderer: Send {
    /// The events up to the next call are due so many nanoseconds after the request came. Few vendors say so in their streams.
    fn due(&mut self, _after: Nanos) {}

    /// Appends the bytes of `event`; some events have none.
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut);

    /// What is to be kept of the reply, once it is complete.
    fn kept(&mut self) -> Option<Kept> {
        None
    }
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
