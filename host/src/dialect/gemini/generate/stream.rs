//! A response as a stream: each chunk is a response of its own with the next piece, the last one has why each candidate ended and what
//! all cost. Server-sent events of bare data, or a JSON array that grows.
//!
//! Arguments of a function come whole here, so they are gathered until the call is complete.

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

use super::whole::{push_blocked, push_call, push_identity, push_usage};
use super::{Options, word};
use crate::dialect::StreamRenderer;
use crate::dialect::gemini::error;
use crate::dialect::json::splice::{push_escaped, push_number};
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};
use crate::types::usage::Usage;

/// Renders one stream.
pub(super) struct ResponseStream {
    /// What ends each chunk but the last: the counts so far, model and id.
    ending: Box<[u8]>,
    identity: Box<[u8]>,
    options: Options,
    /// Has a chunk been sent?
    has_begun: bool,
    /// Has the model said anything, be it to itself?
    has_said: bool,
    /// The calls that are being gathered, at most one of each candidate: candidate, name and arguments.
    calls: SmallVec<[(u32, String, String); 1]>,
    /// Candidates that have ended, and why.
    ended: SmallVec<[(u32, Finish, bool); 1]>,
    /// Candidates that refused.
    refused: SmallVec<[u32; 1]>,
    usage: Usage,
}

impl ResponseStream {
    /// A renderer for the reply that `head` begins.
    pub(super) fn new(head: &Head, options: Options) -> Self {
        let mut out = BytesMut::with_capacity(192);
        push_identity(&mut out, head);
        let identity: Box<[u8]> = out[..].into();
        out.clear();
        out.put_slice(b"],\"usageMetadata\":{\"promptTokenCount\":");
        push_number(&mut out, u64::from(head.usage.input));
        out.put_slice(b",\"totalTokenCount\":");
        push_number(&mut out, u64::from(head.usage.input));
        out.put_slice(b"},");
        out.put_slice(&identity);
        out.put_u8(b'}');
        Self {
            ending: out[..].into(),
            identity,
            options,
            has_begun: false,
            has_said: false,
            calls: SmallVec::new(),
            ended: SmallVec::new(),
            refused: SmallVec::new(),
            usage: head.usage,
        }
    }

    /// What comes before a chunk.
    fn begin(&mut self, out: &mut BytesMut) {
        out.put_slice(match (self.options.is_sse, std::mem::replace(&mut self.has_begun, true)) {
            (true, _) => b"data: ",
            (false, false) => b"[",
            (false, true) => b",\r\n",
        });
    }

    /// What comes after a chunk.
    fn end(&self, out: &mut BytesMut) {
        if self.options.is_sse {
            out.put_slice(b"\r\n\r\n");
        }
    }

    /// Sends a chunk of `choice` whose one part `part` appends.
    fn chunk(&mut self, choice: u32, out: &mut BytesMut, part: impl FnOnce(&mut BytesMut)) {
        self.begin(out);
        out.put_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
        part(out);
        out.put_slice(b"],\"role\":\"model\"},\"index\":");
        push_number(out, u64::from(choice));
        out.put_u8(b'}');
        out.put_slice(&self.ending);
        self.end(out);
    }

    fn text(&mut self, choice: u32, kind: TextKind, text: &str, out: &mut BytesMut) {
        self.has_said = true;
        if kind == TextKind::Reasoning && !self.options.shows_thoughts {
            return;
        }
        if kind == TextKind::Refusal && !self.refused.contains(&choice) {
            self.refused.push(choice);
        }
        out.reserve(text.len() + self.ending.len() + 96);
        self.chunk(choice, out, |out| {
            out.put_slice(b"{\"text\":\"");
            push_escaped(out, text);
            out.put_slice(if kind == TextKind::Reasoning { b"\",\"thought\":true}" } else { b"\"}" });
        });
    }

    /// Sends the call that was gathered of `choice`, if there is one.
    fn settle(&mut self, choice: u32, out: &mut BytesMut) {
        if let Some(at) = self.calls.iter().position(|(of, ..)| *of == choice) {
            let (choice, name, arguments) = self.calls.swap_remove(at);
            self.chunk(choice, out, |out| push_call(out, &name, &arguments));
        }
    }

    /// The end of the stream, after its last chunk.
    fn conclude(&self, out: &mut BytesMut) {
        if !self.options.is_sse {
            out.put_u8(b']');
        }
    }

    /// The last chunk.
    fn close(&mut self, out: &mut BytesMut) {
        let is_blocked = !self.has_said && self.ended.iter().all(|(_, finish, _)| *finish == Finish::ContentFilter);
        self.begin(out);
        if is_blocked && !self.ended.is_empty() {
            push_blocked(out, &self.usage);
            out.put_slice(&self.identity);
            out.put_u8(b'}');
            return self.end(out);
        }
        out.put_slice(b"{\"candidates\":[");
        for (position, (choice, finish, is_refused)) in self.ended.iter().enumerate() {
            if position > 0 {
                out.put_u8(b',');
            }
            out.put_slice(b"{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"finishReason\":\"");
            out.put_slice(word(*finish, *is_refused).as_bytes());
            out.put_slice(b"\",\"index\":");
            push_number(out, u64::from(*choice));
            out.put_u8(b'}');
        }
        out.put_slice(b"],");
        push_usage(out, &self.usage);
        out.put_u8(b',');
        out.put_slice(&self.identity);
        out.put_u8(b'}');
        self.end(out);
    }
}

impl StreamRenderer for ResponseStream {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Start { .. } => {}
            StreamEvent::Text { choice, kind, text, .. } => {
                self.settle(choice, out);
                self.text(choice, kind, text, out);
            }
            StreamEvent::ToolStart { choice, name, .. } => {
                self.settle(choice, out);
                self.has_said = true;
                self.calls.push((choice, name.to_owned(), String::new()));
            }
            StreamEvent::ToolArguments { choice, fragment, .. } => {
                if let Some((_, _, arguments)) = self.calls.iter_mut().find(|(of, ..)| *of == choice) {
                    arguments.push_str(fragment);
                }
            }
            StreamEvent::Finish { choice, reason } => {
                self.settle(choice, out);
                self.ended.push((choice, reason, self.refused.contains(&choice)));
            }
            StreamEvent::Usage(usage) => self.usage = usage,
            StreamEvent::Error { message, .. } => {
                self.begin(out);
                error::push(out, 503, message, None, None);
                self.end(out);
                self.conclude(out);
            }
            StreamEvent::End => {
                self.close(out);
                self.conclude(out);
            }
        }
    }
}
