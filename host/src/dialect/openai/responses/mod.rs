//! Responses: `POST /v1/responses`, how many tokens its prompt has, `POST /v1/responses/input_tokens`, and what is asked later about a
//! response that is kept.
//!
//! In: `body` is what clients write; `read`, `items` and `tools` check it and make the neutral request. Out: `output` is what a response
//! consists of, `object` the response itself, `stream` its stream. `goes` reads what a response goes on from, and `recall` answers for those
//! that are kept.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::{OpenAi, ids};
use crate::dialect::json::id::text_of;
use crate::dialect::json::splice::push_number;
use crate::dialect::kept::{Exchange, Kept};
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, StreamRenderer, Voice};
use crate::types::api_error::{ApiError, Cause};
use crate::types::reply::{Head, WholeReply};
use crate::types::request::{Operation, Request};

use goes::Goes;
use object::Status;

mod body;
mod goes;
mod items;
mod object;
mod output;
mod read;
mod recall;
mod stream;
mod tools;

#[cfg(test)]
mod tests;

pub use recall::{CancelResponse, DeleteResponse, InputItems, RetrieveResponse};

/// A response to what is put in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Responses;

impl Endpoint for Responses {
    fn name(&self) -> &'static str {
        "openai/responses"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    fn reply_id(&self, id: u64) -> String {
        id_of(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read::read(inbound, Operation::Chat)?;
        Ok(Parsed { request, voice: Box::new(Answer(Arc::new(options))) })
    }
}

/// How many tokens the prompt of a response has.
#[derive(Debug, Clone, Copy, Default)]
pub struct InputTokens;

impl Endpoint for InputTokens {
    fn name(&self) -> &'static str {
        "openai/input_tokens"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    fn reply_id(&self, id: u64) -> String {
        id_of(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read::read(inbound, Operation::Count)?;
        Ok(Parsed { request, voice: Box::new(Count(options)) })
    }
}

/// The id of the response whose number is `reply`.
fn id_of(reply: u64) -> String {
    text_of(|out| ids::push_response_id(out, "resp_", reply, None))
}

/// What of a request its rendering follows.
#[derive(Debug, Clone)]
struct Options {
    echo: Echo,
    /// Names of tools whose input is any text.
    custom: Box<[Box<str>]>,
    /// `Some(n)`: log probabilities with `n` alternatives.
    logprobs: Option<u8>,
    /// Are the events of a stream padded with a random string, so that their lengths give nothing away?
    obfuscation: bool,
    /// Is a summary of the thoughts shown?
    shows_thoughts: bool,
    /// Are thoughts sent in a form that only the vendor reads?
    encrypts: bool,
    /// Is the response kept?
    store: bool,
    /// What was put in, as it was written; once resumed, with the items that it refers to in their place.
    input: Bytes,
    /// What of earlier responses it goes on from.
    goes: Goes,
    /// The conversation before, once resumed.
    before: Vec<Arc<Exchange>>,
    /// Must somebody have spoken of JSON?
    needs_json: bool,
}

/// What a response shows of its request.
#[derive(Debug, Clone)]
struct Echo {
    /// As they were written, or `null`.
    instructions: Bytes,
    max_output_tokens: Option<u32>,
    max_tool_calls: Option<u32>,
    /// The fields between output and usage.
    tail: Bytes,
    /// The fields after usage.
    end: Bytes,
}

impl Options {
    /// What is kept of the response that `head` begins, if it is, and if all of it has been said in `body`.
    fn kept(&self, head: &Head, body: &[u8]) -> Option<Kept> {
        if !self.store {
            return None;
        }
        let id = id_of(head.id);
        let own = Exchange { asked: Bytes::copy_from_slice(&self.input), answered: Bytes::copy_from_slice(body) };
        let exchanges = self.before.iter().cloned().chain([Arc::new(own)]).collect();
        Some(Kept { key: ids::common_end(&id).into(), id: id.into(), exchanges })
    }
}

/// The refusal of a prompt that is too long as this endpoint says it: there are no messages here.
fn too_long(error: &ApiError) -> Option<ApiError> {
    let is_usual = matches!(error.cause.as_deref(), Some(Cause::PromptTooLong { .. }))
        || error.code.as_deref() == Some("context_length_exceeded") && error.param.as_deref() == Some("messages");
    let message = "Your input exceeds the context window of this model. Please adjust your input and try again.";
    is_usual.then(|| ApiError {
        message: message.into(),
        cause: None,
        param: Some("input".into()),
        code: Some("context_length_exceeded".into()),
        ..error.clone()
    })
}

/// Answers with a response.
#[derive(Debug)]
struct Answer(Arc<Options>);

impl Voice for Answer {
    fn goes_on_from(&self) -> &[Box<str>] {
        self.0.goes.keys()
    }

    fn resume(&mut self, found: &[Option<Arc<Kept>>], request: &mut Request) -> Result<(), ApiError> {
        Arc::make_mut(&mut self.0).resume(found, request)
    }

    fn refusal(&self, error: &ApiError) -> Option<ApiError> {
        too_long(error)
    }

    fn kept(&self, head: &Head, body: &[u8]) -> Option<Kept> {
        self.0.kept(head, body)
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        let (finish, items) = output::of_reply(reply, &self.0);
        object::push_response(out, head, &self.0, Status::Over(finish), &items, Some(&reply.usage));
    }

    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(stream::ResponseStream::new(head, Arc::clone(&self.0)))
    }
}

/// Answers with how many tokens the prompt has.
#[derive(Debug)]
struct Count(Options);

impl Voice for Count {
    fn goes_on_from(&self) -> &[Box<str>] {
        self.0.goes.keys()
    }

    fn resume(&mut self, found: &[Option<Arc<Kept>>], request: &mut Request) -> Result<(), ApiError> {
        self.0.resume(found, request)
    }

    fn whole(&self, _head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        out.put_slice(b"{\"object\":\"response.input_tokens\",\"input_tokens\":");
        push_number(out, u64::from(reply.usage.input));
        out.put_u8(b'}');
    }
}
