//! Moderations: `POST /v1/moderations`.
//!
//! `read` checks a request, `judge` finds what is wrong with a text, `render` writes it down.

use bytes::BytesMut;

use super::{OpenAi, ids};
use crate::dialect::json::id::text_of;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, Voice, is_much_text};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};

mod judge;
mod read;
mod render;

#[cfg(test)]
mod tests;

/// The endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moderations;

impl Endpoint for Moderations {
    fn name(&self) -> &'static str {
        "openai/moderations"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    fn reply_id(&self, id: u64) -> String {
        text_of(|out| ids::push_moderation_id(out, id))
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, inputs) = read::read(inbound)?;
        Ok(Parsed { request, voice: Box::new(inputs) })
    }
}

/// What is to be judged, one result each.
#[derive(Debug)]
struct Inputs(Vec<Input>);

/// Texts and images that are judged together.
#[derive(Debug, Default)]
struct Input {
    /// All texts, joined.
    text: String,
    /// Where all images are, joined.
    images: String,
    has_text: bool,
    has_images: bool,
}

impl Voice for Inputs {
    fn takes_long(&self) -> bool {
        is_much_text(self.0.iter().map(|input| &*input.text))
    }

    fn whole(&self, head: &Head, _reply: &WholeReply, out: &mut BytesMut) {
        render::push_reply(out, head, &self.0);
    }
}
