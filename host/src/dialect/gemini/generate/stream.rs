//! A response as a stream: each chunk is a response of its own with the next piece, the last one has why each candidate ended and what
//! all cost. Server-sent events of bare data, or a JSON array that grows.
//!
//! Arguments of a function come whole here, so they are gathered until the call is complete.

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

use super::logprobs::{self, Sum};
use super::whole::{push_blocked, push_call, push_identity, push_signature, push_usage};
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
    /// The calls that are being gathered, at most one of each candidate.
    calls: SmallVec<[Call; 1]>,
    /// The number that all ids are drawn from.
    id: u64,
    /// Candidates that have thought, and not signed it yet.
    unsigned: SmallVec<[u32; 1]>,
    /// What the log probabilities of each candidate come to, if they are wanted.
    sums: SmallVec<[Sum; 1]>,
    /// Candidates that have ended, and why.
    ended: SmallVec<[(u32, Finish, bool); 1]>,
    /// Candidates that refused.
    refused: SmallVec<[u32; 1]>,
    usage: Usage,
}

/// A call of a function that is not complete.
struct Call {
    choice: u32,
    id: u64,
    name: String,
    arguments: String,
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
            id: head.id,
            unsigned: SmallVec::new(),
            sums: SmallVec::new(),
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

    /// Sends a chunk of `choice` whose one part `part` appends, and what `more` appends beside it.
    fn chunk(&mut self, choice: u32, out: &mut BytesMut, part: impl FnOnce(&mut BytesMut), more: impl FnOnce(&mut BytesMut)) {
        self.begin(out);
        out.put_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
        part(out);
        out.put_slice(b"],\"role\":\"model\"},\"index\":");
        push_number(out, u64::from(choice));
        more(out);
        out.put_u8(b'}');
        out.put_slice(&self.ending);
        self.end(out);
    }

    fn text(&mut self, choice: u32, kind: TextKind, text: &str, logprob: Option<u64>, out: &mut BytesMut) {
        self.has_said = true;
        if kind == TextKind::Reasoning && !self.unsigned.contains(&choice) {
            self.unsigned.push(choice);
        }
        if kind == TextKind::Reasoning && !self.options.shows_thoughts {
            return;
        }
        if kind == TextKind::Refusal && !self.refused.contains(&choice) {
            self.refused.push(choice);
        }
        out.reserve(text.len() + self.ending.len() + 96);
        let part = |out: &mut BytesMut| {
            out.put_slice(b"{\"text\":\"");
            push_escaped(out, text);
            out.put_slice(if kind == TextKind::Reasoning { b"\",\"thought\":true}" } else { b"\"}" });
        };
        match (self.options.logprobs, logprob) {
            (Some(best), Some(seed)) if kind == TextKind::Content => {
                self.sum(choice).add(seed);
                self.chunk(choice, out, part, |out| logprobs::push(out, std::iter::once((text, seed)), best));
            }
            _ => self.chunk(choice, out, part, |_| {}),
        }
    }

    /// What the log probabilities of `choice` come to.
    fn sum(&mut self, choice: u32) -> &mut Sum {
        let index = choice as usize;
        if self.sums.len() <= index {
            self.sums.resize(index + 1, Sum::default());
        }
        &mut self.sums[index]
    }

    /// The signature of what `choice` has thought, if it is still owed.
    fn signature(&mut self, choice: u32) -> Option<(u64, u32)> {
        let place = self.unsigned.iter().position(|thinker| *thinker == choice)?;
        self.unsigned.swap_remove(place);
        Some((self.id, choice))
    }

    /// Sends the call that was gathered of `choice`, if there is one.
    fn settle(&mut self, choice: u32, out: &mut BytesMut) {
        if let Some(at) = self.calls.iter().position(|call| call.choice == choice) {
            let Call { id, name, arguments, .. } = self.calls.swap_remove(at);
            let signed = self.signature(choice);
            self.chunk(choice, out, |out| push_call(out, id, &name, &arguments, signed), |_| {});
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
        for (position, (choice, finish, is_refused)) in std::mem::take(&mut self.ended).into_iter().enumerate() {
            if position > 0 {
                out.put_u8(b',');
            }
            out.put_slice(b"{\"content\":{\"parts\":[{\"text\":\"\"");
            if let Some(signed) = self.signature(choice) {
                push_signature(out, signed);
            }
            out.put_slice(b"}],\"role\":\"model\"},\"finishReason\":\"");
            out.put_slice(word(finish, is_refused).as_bytes());
            out.put_slice(b"\",\"index\":");
            push_number(out, u64::from(choice));
            if let Some(sum) = self.sums.get(choice as usize) {
                sum.push_average(out);
            }
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
            StreamEvent::Text { choice, kind, text, logprob } => {
                self.settle(choice, out);
                self.text(choice, kind, text, logprob, out);
            }
            StreamEvent::ToolStart { choice, id, name, .. } => {
                self.settle(choice, out);
                self.has_said = true;
                self.calls.push(Call { choice, id, name: name.to_owned(), arguments: String::new() });
            }
            StreamEvent::ToolArguments { choice, fragment, .. } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.choice == choice) {
                    call.arguments.push_str(fragment);
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
