//! Completions of raw text, the older way to ask: `POST /v1/completions`.
//!
//! In: `read` checks what clients write and makes the neutral request: each prompt is a message, and each has as many choices as the best
//! of them are taken from. Out: `whole` and `stream` render replies, `logprobs` the log probabilities as this endpoint has them.

use std::sync::Arc;

use bytes::BytesMut;

use super::sampling::Streaming;
use super::vocabulary::Vocabulary;
use super::{OpenAi, ids};
use crate::dialect::json::id::text_of;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, StreamRenderer, Voice};
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, Head, WholeReply};

mod logprobs;
mod read;
mod stream;
mod whole;

#[cfg(test)]
mod tests;

/// The endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Completions;

impl Endpoint for Completions {
    fn name(&self) -> &'static str {
        "openai/completions"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    fn reply_id(&self, id: u64) -> String {
        text_of(|out| ids::push_completion_id(out, id))
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read::read(inbound)?;
        Ok(Parsed { request, voice: Box::new(options) })
    }
}

/// What of a request its rendering follows.
#[derive(Debug)]
struct Options {
    /// Choices that are shown of each prompt, and choices that are made.
    shown: usize,
    made: usize,
    /// `Some(n)`: log probabilities with `n` alternatives.
    logprobs: Option<u8>,
    streaming: Streaming,
    /// The prompts, as far as replies show them.
    prompts: Arc<[Shown]>,
    /// Are prompts repeated before their completions?
    echo: bool,
    /// Do replies tell what content filters have found, as Azure's do?
    is_filtered: bool,
}

/// What replies show of a prompt.
#[derive(Debug)]
struct Shown {
    /// Its text; empty unless it is repeated.
    text: Box<str>,
    /// Its length in characters.
    characters: u32,
    /// Its tokens, for log probabilities of what is repeated.
    tokens: Option<(Vocabulary, Box<[u32]>)>,
}

impl Voice for Options {
    /// A prompt that is too long: there are no messages here, and no code.
    fn refusal(&self, error: &ApiError) -> Option<ApiError> {
        let is_too_long = error.code.as_deref() == Some("context_length_exceeded") && error.param.as_deref() == Some("messages");
        is_too_long.then(|| ApiError { param: None, code: None, ..error.clone() })
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        whole::push_reply(out, head, self, reply);
    }

    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(stream::CompletionStream::new(head, self))
    }
}

impl Options {
    /// The prompt of the choice of this number.
    fn prompt(&self, choice: usize) -> Option<&Shown> {
        self.prompts.get(choice / self.made)
    }
}

/// The vendor's word for why a completion ended. There are no tools.
fn word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopText(_) | Finish::ToolCalls => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
    }
}
