//! Embeddings: `POST /v1/embeddings`.
//!
//! `read` checks a request, and `render` writes its vectors; [`crate::stats::embedding`] is what makes them.

use bytes::BytesMut;

use super::{OpenAi, ids};
use crate::dialect::json::id::text_of;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, Voice, is_much_text};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};

mod read;
mod render;

#[cfg(test)]
mod tests;

/// The endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embeddings;

impl Endpoint for Embeddings {
    fn name(&self) -> &'static str {
        "openai/embeddings"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    /// The vendor gives these answers none; so it is the request's own.
    fn reply_id(&self, id: u64) -> String {
        text_of(|out| ids::push_request_id(out, id))
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, vectors) = read::read(inbound)?;
        Ok(Parsed { request, voice: Box::new(vectors) })
    }
}

/// The vectors that are wanted.
#[derive(Debug)]
struct Vectors {
    texts: Vec<Box<str>>,
    dimensions: usize,
    /// Are they written as base64, which is what SDKs ask for?
    base64: bool,
}

impl Voice for Vectors {
    fn takes_long(&self) -> bool {
        is_much_text(self.texts.iter().map(|text| &**text))
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        render::push_reply(out, head, self, &reply.usage);
    }
}
