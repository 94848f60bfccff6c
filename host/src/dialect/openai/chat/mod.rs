//! Chat completions: `POST /v1/chat/completions`.
//!
//! In: `body` is what clients write, `read` and `tools` check it and make the neutral request. Out: `whole` and `stream` render replies by
//! splicing bytes; `annotated` adds what filters find in streams later.

use bytes::BytesMut;

use super::sampling::Streaming;
use super::{OpenAi, ids};
use crate::dialect::json::id::text_of;
use crate::dialect::json::path::Path;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, StreamRenderer, Voice};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};
use crate::types::request::Message;

mod annotated;
mod body;
mod read;
mod stream;
mod tools;
mod whole;

pub(super) use body::Messages;

#[cfg(test)]
mod tests;

/// The conversation that `given` at `path` is.
pub(super) fn messages(given: Messages<'_>, path: Path<'_>) -> Result<Vec<Message>, ApiError> {
    read::messages(given.0, path)
}

/// The endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chat;

impl Endpoint for Chat {
    fn name(&self) -> &'static str {
        "openai/chat"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    fn reply_id(&self, id: u64) -> String {
        text_of(|out| ids::push_reply_id(out, id))
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read::read(inbound)?;
        Ok(Parsed { request, voice: Box::new(options) })
    }
}

/// What of a request its rendering follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Options {
    /// `Some(n)`: log probabilities with `n` alternatives.
    logprobs: Option<u8>,
    /// How it is streamed.
    streaming: Streaming,
    /// Do replies tell what content filters have found, as Azure's do?
    is_filtered: bool,
    /// Do streams tell it later, of what they have already sent?
    is_filtered_later: bool,
}

impl Voice for Options {
    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        whole::push_reply(out, head, *self, reply);
    }

    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        let stream = stream::ChatStream::new(head, *self);
        if self.is_filtered_later { Box::new(annotated::Annotated::of(stream)) } else { Box::new(stream) }
    }
}
