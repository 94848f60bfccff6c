//! A reply as a stream of lines, each a JSON object, spliced: the same beginning for all lines, the time, the text, one of few endings.
//!
//! Calls of tools come whole, so their arguments are gathered until the next call or the end. Why the reply ended and what it took are in
//! the last line, which therefore waits for the end.

use bytes::{BufMut, BytesMut};

use super::Form;
use super::metrics::{Took, push_metrics, push_time};
use super::whole::{Answer, push_call, word};
use crate::clock::Nanos;
use crate::dialect::StreamRenderer;
use crate::dialect::json::splice::is_object;
use crate::dialect::json::splice::{push_escaped, push_string};
use crate::dialect::openai::logprobs;
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};
use crate::types::usage::Usage;

/// Room for a line besides its beginning and its text.
const LINE_BYTES: usize = 128;

/// Renders one stream.
pub(super) struct LineStream {
    /// `{"model": … "created_at":"`
    beginning: Box<[u8]>,
    answer: Answer,
    created_unix_s: u64,
    /// When the first token was due, once there is one.
    first: Option<Nanos>,
    /// When the newest one was.
    newest: Nanos,
    call: Option<Call>,
    finish: Finish,
    usage: Usage,
}

/// A call of a tool that is not complete.
struct Call {
    index: u32,
    id: u64,
    name: Box<str>,
    arguments: String,
}

impl LineStream {
    /// A renderer for the reply that `head` begins.
    pub(super) fn new(head: &Head, answer: Answer) -> Self {
        let mut out = BytesMut::with_capacity(48 + head.model.len());
        out.put_slice(b"{\"model\":");
        push_string(&mut out, &head.model);
        out.put_slice(b",\"created_at\":\"");
        Self {
            beginning: out[..].into(),
            answer,
            created_unix_s: head.created_unix_s,
            first: None,
            newest: 0,
            call: None,
            finish: Finish::Stop,
            usage: Usage::default(),
        }
    }

    /// Begins a line, up to and with the quote that ends its time.
    fn open(&self, text_bytes: usize, out: &mut BytesMut) {
        out.reserve(self.beginning.len() + text_bytes + LINE_BYTES);
        out.put_slice(&self.beginning);
        push_time(out, self.created_unix_s, self.newest);
    }

    fn text(&self, kind: TextKind, text: &str, logprob: Option<u64>, out: &mut BytesMut) {
        self.open(text.len(), out);
        let is_thought = kind == TextKind::Reasoning;
        out.put_slice(match (self.answer.form, is_thought) {
            (Form::Chat, false) => b"\",\"message\":{\"role\":\"assistant\",\"content\":\"",
            (Form::Chat, true) => b"\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"",
            (Form::Generate, false) => b"\",\"response\":\"",
            (Form::Generate, true) => b"\",\"response\":\"\",\"thinking\":\"",
        });
        push_escaped(out, text);
        out.put_slice(match self.answer.form {
            Form::Chat => b"\"},\"done\":false",
            Form::Generate => b"\",\"done\":false",
        });
        if let (Some(seed), Some(alternatives), false) = (logprob, self.answer.logprobs, is_thought) {
            out.put_slice(b",\"logprobs\":[");
            logprobs::push_entry(out, text, seed, alternatives);
            out.put_u8(b']');
        }
        out.put_slice(b"}\n");
    }

    /// Sends the call that is gathered, if there is one. One that is no JSON is not understood as a call, and is sent as the text that it is.
    fn settle(&mut self, out: &mut BytesMut) {
        let Some(call) = self.call.take() else { return };
        if self.answer.form == Form::Generate || !is_object(&call.arguments) {
            return self.text(TextKind::Content, &call.arguments, None, out);
        }
        self.open(call.arguments.len() + call.name.len(), out);
        out.put_slice(b"\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[");
        push_call(out, call.index, call.id, &call.name, &call.arguments);
        out.put_slice(b"]},\"done\":false}\n");
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.open(256, out);
        out.put_slice(match self.answer.form {
            Form::Chat => b"\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"",
            Form::Generate => b"\",\"response\":\"\",\"done\":true,\"done_reason\":\"",
        });
        out.put_slice(word(self.finish).as_bytes());
        out.put_u8(b'"');
        if let Some(context) = &self.answer.context {
            context.push(out, &self.usage);
        }
        push_metrics(out, Took { first_ns: self.first.unwrap_or(0), last_ns: self.newest }, &self.usage);
        out.put_slice(b"}\n");
    }
}

impl StreamRenderer for LineStream {
    fn due(&mut self, after: Nanos) {
        self.first.get_or_insert(after);
        self.newest = after;
    }

    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Start { .. } => {}
            StreamEvent::Text { kind, text, logprob, .. } => {
                self.settle(out);
                self.text(kind, text, logprob, out);
            }
            StreamEvent::ToolStart { index, id, name, .. } => {
                self.settle(out);
                self.call = Some(Call { index, id, name: name.into(), arguments: String::new() });
            }
            StreamEvent::ToolArguments { fragment, .. } => {
                if let Some(call) = &mut self.call {
                    call.arguments.push_str(fragment);
                }
            }
            StreamEvent::Finish { reason, .. } => {
                self.settle(out);
                self.finish = reason;
            }
            StreamEvent::Usage(usage) => self.usage = usage,
            StreamEvent::Error { message, .. } => {
                out.put_slice(b"{\"error\":");
                push_string(out, message);
                out.put_slice(b"}\n");
            }
            StreamEvent::End => self.end(out),
        }
    }
}
