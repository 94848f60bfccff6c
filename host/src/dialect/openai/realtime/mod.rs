//! Realtime sessions over a WebSocket, `GET /v1/realtime`, in text.
//!
//! `session` is one client's session: it is told what the client says and writes what the server says to it, with nothing played. A
//! `response.create` becomes a document of its own, the settings and the whole conversation with it; `read` makes the neutral request
//! of that, as the other endpoints do of a body, so that it is planned, logged and replayed like any other. `stream` renders the
//! events of a response. `body` is what clients write, `items` the items of conversations, `settings` what a session is told about
//! itself, `events` what all of them write. Events are JSON, a line each; the door sends each line as a message of its own.

use bytes::BytesMut;

use super::OpenAi;
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, StreamRenderer, Voice};
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, StreamEvent, TextKind, WholeReply};
use crate::types::request::Request;

mod body;
mod events;
mod ids;
mod items;
mod read;
mod session;
mod settings;
mod stream;

#[cfg(test)]
mod tests;

pub use read::Options;
pub use session::{Ask, Heard, Session};
pub use stream::{ResponseEnd, ResponseStream};

/// The endpoint: what a session asks for with `response.create`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Realtime;

impl Endpoint for Realtime {
    fn name(&self) -> &'static str {
        "openai/realtime"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &OpenAi
    }

    fn reply_id(&self, id: u64) -> String {
        ids::id("resp_", id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let (request, options) = read(inbound)?;
        Ok(Parsed { request, voice: Box::new(options) })
    }
}

/// Reads what a session asks for, and how the response is rendered.
pub fn read(inbound: Inbound<'_>) -> Result<(Request, Options), ApiError> {
    read::read(inbound)
}

/// Is a request whose plan ends with `error` taken up, so that it is its response that fails? What a client did wrong is refused by an
/// `error` event; limits and the server's own trouble end a response that has begun, as recordings of clients show (issue 2502 of
/// `openai-python`, pull request 2967 of `livekit/agents`).
pub fn fails(error: &ApiError) -> bool {
    error.status == 429 || error.status >= 500
}

impl Voice for Options {
    fn stream_type(&self) -> &'static str {
        "application/json"
    }

    fn keep_alive(&self) -> Option<&'static [u8]> {
        None
    }

    /// The events of a response whose texts come in one piece: for whoever asks for one without a session.
    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        let mut stream = ResponseStream::new(head, self.clone());
        for choice in &reply.choices {
            stream.event(&StreamEvent::Start { choice: 0, tool_first: false }, out);
            for (kind, text) in [(TextKind::Content, &choice.content), (TextKind::Refusal, &choice.refusal)] {
                if !text.is_empty() {
                    stream.event(&StreamEvent::Text { choice: 0, kind, text, logprob: None }, out);
                }
            }
            for (index, call) in (0..).zip(&choice.tool_calls) {
                stream.event(&StreamEvent::ToolStart { choice: 0, index, id: call.id, name: &call.name }, out);
                stream.event(&StreamEvent::ToolArguments { choice: 0, index, fragment: &call.arguments }, out);
            }
            stream.event(&StreamEvent::Finish { choice: 0, reason: choice.finish }, out);
        }
        stream.event(&StreamEvent::Usage(reply.usage), out);
        stream.event(&StreamEvent::End, out);
    }

    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(ResponseStream::new(head, self.clone()))
    }
}
