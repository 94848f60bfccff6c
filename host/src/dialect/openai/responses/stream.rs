//! A response as a stream of named server-sent events: it begins, each item begins, grows in parts and ends, the response ends.
//!
//! Tokens of one kind in a row are one part. What has been said is said again whole when a part, its item and the response end, so it is
//! gathered here; a token itself is spliced between what all tokens of its part share.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::Options;
use super::object::{Status, push_response};
use super::output::{Item, Part, is_custom, push_summary};
use crate::dialect::StreamRenderer;
use crate::dialect::json::id::push_alphanumeric;
use crate::dialect::json::splice::{push_escaped, push_nullable, push_number, push_string};
use crate::dialect::kept::Kept;
use crate::dialect::openai::logprobs;
use crate::random::Key;
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};
use crate::types::usage::Usage;

/// Events are padded to multiples of this many bytes of text and padding.
const PADDED_BYTES: usize = 16;
/// Room for an event of one token besides its text.
const EVENT_BYTES: usize = 288;

/// Renders one stream.
pub(super) struct ResponseStream {
    options: Arc<Options>,
    head: Head,
    /// How many events there have been.
    sequence: u64,
    /// Items that are complete.
    items: Vec<Item>,
    /// The item that grows.
    open: Option<Item>,
    /// `,"item_id": … "delta":"`, which all events of the open part share.
    middle: BytesMut,
    finish: Finish,
    usage: Usage,
    /// The response at its end, if it is to be kept.
    body: Option<Bytes>,
}

impl ResponseStream {
    /// A renderer for the response that `head` begins.
    pub(super) fn new(head: &Head, options: Arc<Options>) -> Self {
        Self {
            options,
            head: head.clone(),
            sequence: 0,
            items: Vec::new(),
            open: None,
            middle: BytesMut::new(),
            finish: Finish::Stop,
            usage: Usage::default(),
            body: None,
        }
    }

    /// Begins an event, up to and with its number.
    fn event_of(&mut self, kind: &str, out: &mut BytesMut) {
        out.put_slice(b"event: response.");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\ndata: {\"type\":\"response.");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\",\"sequence_number\":");
        push_number(out, self.sequence);
        self.sequence += 1;
    }

    /// Begins the response, unless it has begun.
    fn begin(&mut self, out: &mut BytesMut) {
        if self.sequence > 0 {
            return;
        }
        for kind in ["created", "in_progress"] {
            self.event_of(kind, out);
            out.put_slice(b",\"response\":");
            push_response(out, &self.head, &self.options, Status::InProgress, &[], None);
            out.put_slice(b"}\n\n");
        }
    }

    /// Appends where in the response `item` is, the open one.
    fn push_place(&self, item: &Item, out: &mut BytesMut) {
        out.put_slice(b",\"item_id\":\"");
        item.push_id(out, self.head.id, self.items.len());
        out.put_slice(b"\",\"output_index\":");
        push_number(out, self.items.len() as u64);
    }

    /// Begins an item after the end of the one before.
    fn open(&mut self, item: Item, out: &mut BytesMut) {
        self.begin(out);
        self.close("completed", out);
        self.event_of("output_item.added", out);
        out.put_slice(b",\"output_index\":");
        push_number(out, self.items.len() as u64);
        out.put_slice(b",\"item\":");
        item.push(out, &self.options, self.head.id, self.items.len(), "in_progress");
        out.put_slice(b"}\n\n");
        let mut middle = std::mem::take(&mut self.middle);
        middle.clear();
        self.push_place(&item, &mut middle);
        match &item {
            Item::Thoughts(_) => {
                middle.put_slice(b",\"summary_index\":0,\"delta\":\"");
                if self.options.shows_thoughts {
                    self.event_of("reasoning_summary_part.added", out);
                    self.push_place(&item, out);
                    out.put_slice(b",\"summary_index\":0,\"part\":");
                    push_summary(out, "");
                    out.put_slice(b"}\n\n");
                }
            }
            Item::Message(_) => {}
            Item::Call { .. } => middle.put_slice(b",\"delta\":\""),
        }
        self.middle = middle;
        self.open = Some(item);
    }

    /// Begins a part of the message that is open, and opens one if none is.
    fn open_part(&mut self, is_refusal: bool, out: &mut BytesMut) {
        if !matches!(self.open, Some(Item::Message(_))) {
            self.open(Item::Message(Vec::new()), out);
        }
        let Some(Item::Message(mut parts)) = self.open.take() else { return };
        self.close_part(&parts, out);
        let part = Part { is_refusal, ..Part::default() };
        let mut middle = std::mem::take(&mut self.middle);
        middle.clear();
        let item = Item::Message(Vec::new());
        self.push_place(&item, &mut middle);
        middle.put_slice(b",\"content_index\":");
        push_number(&mut middle, parts.len() as u64);
        self.event_of("content_part.added", out);
        out.put_slice(&middle);
        out.put_slice(b",\"part\":");
        part.push(out, &self.options);
        out.put_slice(b"}\n\n");
        middle.put_slice(b",\"delta\":\"");
        self.middle = middle;
        parts.push(part);
        self.open = Some(Item::Message(parts));
    }

    /// Ends the last of `parts`, which are the open message's.
    fn close_part(&mut self, parts: &[Part], out: &mut BytesMut) {
        let Some(part) = parts.last() else { return };
        let item = Item::Message(Vec::new());
        let place = |stream: &Self, out: &mut BytesMut| {
            stream.push_place(&item, out);
            out.put_slice(b",\"content_index\":");
            push_number(out, parts.len() as u64 - 1);
        };
        if part.is_refusal {
            self.event_of("refusal.done", out);
            place(self, out);
            out.put_slice(b",\"refusal\":");
            push_string(out, &part.text);
        } else {
            self.event_of("output_text.done", out);
            place(self, out);
            out.put_slice(b",\"text\":");
            push_string(out, &part.text);
            out.put_slice(b",\"logprobs\":");
            part.push_logprobs(out, &self.options, logprobs::push_bare_entry);
        }
        out.put_slice(b"}\n\n");
        self.event_of("content_part.done", out);
        place(self, out);
        out.put_slice(b",\"part\":");
        part.push(out, &self.options);
        out.put_slice(b"}\n\n");
    }

    /// Ends the item that is open, if there is one, with the word for how far it has come.
    fn close(&mut self, status: &str, out: &mut BytesMut) {
        let Some(item) = self.open.take() else { return };
        match &item {
            Item::Thoughts(text) => self.close_thoughts(&item, text, out),
            Item::Message(parts) => self.close_part(parts, out),
            Item::Call { name, input, is_custom, .. } => {
                self.event_of(if *is_custom { "custom_tool_call_input.done" } else { "function_call_arguments.done" }, out);
                self.push_place(&item, out);
                out.put_slice(if *is_custom { b",\"input\":" } else { b",\"arguments\":" });
                push_string(out, input);
                if !is_custom {
                    out.put_slice(b",\"name\":");
                    push_string(out, name);
                }
                out.put_slice(b"}\n\n");
            }
        }
        self.event_of("output_item.done", out);
        out.put_slice(b",\"output_index\":");
        push_number(out, self.items.len() as u64);
        out.put_slice(b",\"item\":");
        item.push(out, &self.options, self.head.id, self.items.len(), status);
        out.put_slice(b"}\n\n");
        self.items.push(item);
    }

    fn close_thoughts(&mut self, item: &Item, text: &str, out: &mut BytesMut) {
        if !self.options.shows_thoughts {
            return;
        }
        self.event_of("reasoning_summary_text.done", out);
        self.push_place(item, out);
        out.put_slice(b",\"summary_index\":0,\"text\":");
        push_string(out, text);
        out.put_slice(b"}\n\n");
        self.event_of("reasoning_summary_part.done", out);
        self.push_place(item, out);
        out.put_slice(b",\"summary_index\":0,\"part\":");
        push_summary(out, text);
        out.put_slice(b"}\n\n");
    }

    /// Appends an event that adds `text` to the open part; `logprob` as far as the kind has them. Events have no `bytes`, objects have.
    fn delta(&mut self, kind: &str, text: &str, logprob: Option<Option<u64>>, out: &mut BytesMut) {
        out.reserve(EVENT_BYTES + text.len());
        self.event_of(kind, out);
        out.put_slice(&self.middle);
        push_escaped(out, text);
        out.put_u8(b'"');
        match (logprob, self.options.logprobs) {
            (Some(Some(seed)), Some(alternatives)) => {
                out.put_slice(b",\"logprobs\":[");
                logprobs::push_bare_entry(out, text, seed, alternatives);
                out.put_u8(b']');
            }
            (Some(_), _) => out.put_slice(b",\"logprobs\":[]"),
            (None, _) => {}
        }
        if self.options.obfuscation {
            out.put_slice(b",\"obfuscation\":\"");
            let mut stream = Key::of_seed(self.head.id).named("obfuscation").with(self.sequence).stream();
            push_alphanumeric(out, &mut stream, PADDED_BYTES - text.len() % PADDED_BYTES);
            out.put_u8(b'"');
        }
        out.put_slice(b"}\n\n");
    }

    fn text(&mut self, kind: TextKind, text: &str, logprob: Option<u64>, out: &mut BytesMut) {
        if kind == TextKind::Reasoning {
            return self.thought(text, out);
        }
        let is_refusal = kind == TextKind::Refusal;
        let goes_on = match &self.open {
            Some(Item::Message(parts)) => parts.last().is_some_and(|part| part.is_refusal == is_refusal),
            _ => false,
        };
        if !goes_on {
            self.open_part(is_refusal, out);
        }
        let keeps_logprobs = self.options.logprobs.is_some();
        if let Some(Item::Message(parts)) = &mut self.open
            && let Some(part) = parts.last_mut()
        {
            part.text.push_str(text);
            if let Some(seed) = logprob.filter(|_| keeps_logprobs && !is_refusal) {
                part.logprobs.push((part.text.len(), seed));
            }
        }
        if is_refusal {
            self.delta("refusal.delta", text, None, out);
        } else {
            self.delta("output_text.delta", text, Some(logprob), out);
        }
    }

    /// Thoughts are seen only where a summary is wanted.
    fn thought(&mut self, text: &str, out: &mut BytesMut) {
        if !matches!(self.open, Some(Item::Thoughts(_))) {
            self.open(Item::Thoughts(String::new()), out);
        }
        if self.options.shows_thoughts {
            if let Some(Item::Thoughts(thoughts)) = &mut self.open {
                thoughts.push_str(text);
            }
            self.delta("reasoning_summary_text.delta", text, None, out);
        }
    }

    fn arguments(&mut self, fragment: &str, out: &mut BytesMut) {
        let Some(Item::Call { input, is_custom, .. }) = &mut self.open else { return };
        input.push_str(fragment);
        let kind = if *is_custom { "custom_tool_call_input.delta" } else { "function_call_arguments.delta" };
        self.delta(kind, fragment, None, out);
    }

    fn finish(&mut self, reason: Finish, out: &mut BytesMut) {
        self.finish = reason;
        // A reply of nothing is an empty text.
        if self.open.is_none() && self.items.is_empty() {
            self.open_part(false, out);
        }
        self.close(Status::Over(reason).word(), out);
    }

    fn end(&mut self, out: &mut BytesMut) {
        let status = Status::Over(self.finish);
        self.event_of(status.word(), out);
        out.put_slice(b",\"response\":");
        let start = out.len();
        push_response(out, &self.head, &self.options, status, &self.items, Some(&self.usage));
        if self.options.store {
            self.body = Some(Bytes::copy_from_slice(&out[start..]));
        }
        out.put_slice(b"}\n\n");
    }

    /// The two events with which the service itself fails. The documentation of the first has the inner object's fields on the outside.
    fn error(&mut self, message: &str, code: Option<&str>, out: &mut BytesMut) {
        self.begin(out);
        out.put_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"code\":");
        push_nullable(out, code);
        out.put_slice(b",\"message\":");
        push_string(out, message);
        out.put_slice(b",\"param\":null},\"sequence_number\":");
        push_number(out, self.sequence);
        out.put_slice(b"}\n\n");
        self.sequence += 1;
        let status = Status::Failed(code.unwrap_or("server_error"), message);
        self.event_of(status.word(), out);
        out.put_slice(b",\"response\":");
        push_response(out, &self.head, &self.options, status, &self.items, None);
        out.put_slice(b"}\n\n");
    }
}

impl StreamRenderer for ResponseStream {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Start { .. } => self.begin(out),
            StreamEvent::Text { kind, text, logprob, .. } => self.text(kind, text, logprob, out),
            StreamEvent::ToolStart { id, name, .. } => {
                let is_custom = is_custom(&self.options, name);
                self.open(Item::Call { id, name: name.into(), input: String::new(), is_custom }, out);
            }
            StreamEvent::ToolArguments { fragment, .. } => self.arguments(fragment, out),
            StreamEvent::Finish { reason, .. } => self.finish(reason, out),
            StreamEvent::Usage(usage) => self.usage = usage,
            StreamEvent::Error { message, code } => self.error(message, code, out),
            StreamEvent::End => self.end(out),
        }
    }

    fn kept(&mut self) -> Option<Kept> {
        let body = self.body.take()?;
        self.options.kept(&self.head, &body)
    }
}
