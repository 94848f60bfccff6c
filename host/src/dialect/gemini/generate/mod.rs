//! Conversations: `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and `:countTokens`.
//!
//! In: `body` is what clients write, `read` and `parts` check it and make the neutral request. Out: `whole` and `stream` render replies by
//! splicing bytes, `logprobs` the log probabilities in them; `count` the number.

use bytes::BytesMut;

use super::{Gemini, Listed};
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, StreamRenderer, Voice};
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, Head, WholeReply};
use crate::types::request::Operation;

pub(super) mod body;
mod count;
mod logprobs;
pub(super) mod parts;
mod read;
mod stream;
mod whole;

#[cfg(test)]
mod tests;

/// A conversation to continue, answered in one piece.
#[derive(Debug, Clone, Copy, Default)]
pub struct Generate;

/// A conversation to continue, answered as a stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamGenerate;

/// How many tokens a conversation has.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountTokens;

impl Endpoint for Generate {
    fn name(&self) -> &'static str {
        "gemini/generate"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Gemini
    }

    fn reply_id(&self, id: u64) -> String {
        Gemini.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read::read(inbound, Operation::Chat, false)?;
        Ok(Parsed { request, voice: Box::new(options) })
    }
}

impl Endpoint for StreamGenerate {
    fn name(&self) -> &'static str {
        "gemini/stream"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Gemini
    }

    /// What would stream as a JSON array is refused in one.
    fn speaker(&self, query: Option<&str>) -> &'static dyn Dialect {
        if wants_events(query.unwrap_or_default()) { &Gemini } else { &Listed }
    }

    fn reply_id(&self, id: u64) -> String {
        Gemini.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read::read(inbound, Operation::Chat, true)?;
        Ok(Parsed { request, voice: Box::new(options) })
    }
}

impl Endpoint for CountTokens {
    fn name(&self) -> &'static str {
        "gemini/count_tokens"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Gemini
    }

    fn reply_id(&self, id: u64) -> String {
        Gemini.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, _) = read::read(inbound, Operation::Count, false)?;
        Ok(Parsed { request, voice: Box::new(count::Count) })
    }
}

/// Does a stream that comes with `query` consist of server-sent events?
fn wants_events(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "alt" && value == "sse")
}

/// What of a request its rendering follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Options {
    /// Are thoughts shown? They count either way.
    shows_thoughts: bool,
    /// Is a stream server-sent events? Without that it is a JSON array that grows.
    is_sse: bool,
    /// `Some(n)`: log probabilities, with the `n` best tokens.
    logprobs: Option<u8>,
}

impl Voice for Options {
    fn stream_type(&self) -> &'static str {
        if self.is_sse { "text/event-stream" } else { "application/json; charset=UTF-8" }
    }

    fn keep_alive(&self) -> Option<&'static [u8]> {
        // Its SDKs take a comment for an answer that they do not know.
        None
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        whole::push_response(out, head, *self, reply);
    }

    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(stream::ResponseStream::new(head, *self))
    }
}

/// The vendor's word for why a candidate ended; `is_refused` if it was a refusal.
fn word(finish: Finish, is_refused: bool) -> &'static str {
    match finish {
        _ if is_refused => "SAFETY",
        Finish::Stop | Finish::StopText(_) | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}
