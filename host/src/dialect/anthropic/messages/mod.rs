//! Messages: `POST /v1/messages`, and how many tokens one has: `POST /v1/messages/count_tokens`.
//!
//! In: `body` is what clients write, `read` and `blocks` check it and make the neutral request. Out: `whole` and `stream` render replies
//! by splicing bytes; `count` the number.

use bytes::BytesMut;

use super::{Anthropic, ids};
use crate::dialect::json::id::text_of;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, StreamRenderer, Voice};
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, Head, WholeReply};
use crate::types::request::Operation;

mod blocks;
mod body;
mod count;
mod read;
mod stream;
mod whole;

#[cfg(test)]
mod tests;

/// A conversation to continue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Messages;

impl Endpoint for Messages {
    fn name(&self) -> &'static str {
        "anthropic/messages"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Anthropic
    }

    fn reply_id(&self, id: u64) -> String {
        text_of(|out| ids::push_message_id(out, id))
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read::read(inbound, Operation::Chat)?;
        Ok(Parsed { request, voice: Box::new(options) })
    }
}

/// How many tokens a conversation has.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountTokens;

impl Endpoint for CountTokens {
    fn name(&self) -> &'static str {
        "anthropic/count_tokens"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Anthropic
    }

    fn reply_id(&self, id: u64) -> String {
        Messages.reply_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, _) = read::read(inbound, Operation::Count)?;
        Ok(Parsed { request, voice: Box::new(count::Count) })
    }
}

/// What of a request its rendering follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    /// The texts at which the reply ends.
    stop: Box<[Box<str>]>,
    /// Is a part of the prompt to be cached? Then what the cache does not know is written to it.
    writes_cache: bool,
    /// Are thoughts signed and not shown? They count either way.
    hides_thoughts: bool,
}

impl Voice for Options {
    fn keep_alive(&self) -> Option<&'static [u8]> {
        Some(stream::PING)
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        whole::push_message(out, head, self, reply);
    }

    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(stream::MessageStream::new(head, self.clone()))
    }
}

/// Why a reply ended: the vendor's word, and the text that ended it.
struct StopReason<'a> {
    word: &'static str,
    text: Option<&'a str>,
}

impl Options {
    /// Why a reply ended with `finish`; `is_refused` if it was a refusal.
    fn reason(&self, finish: Finish, is_refused: bool) -> StopReason<'_> {
        let (word, text) = match finish {
            _ if is_refused => ("refusal", None),
            Finish::Stop => ("end_turn", None),
            Finish::StopText(number) => ("stop_sequence", self.stop.get(usize::from(number)).map(|text| &**text)),
            Finish::Length => ("max_tokens", None),
            Finish::ToolCalls => ("tool_use", None),
            Finish::ContentFilter => ("refusal", None),
        };
        StopReason { word, text }
    }
}
