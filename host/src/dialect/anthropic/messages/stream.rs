//! A message as a stream of named server-sent events: the message begins, each block begins, grows and ends, the message ends.
//!
//! Tokens of one kind in a row are one block. Why the reply ended and what it cost come together, so the reason waits for the counts.

use bytes::{BufMut, BytesMut};

use super::Options;
use super::whole::{CALLER, SIGNATURE, push_beginning, push_details, push_output, push_prompt, push_written};
use crate::dialect::StreamRenderer;
use crate::dialect::anthropic::ids::push_tool_id;
use crate::dialect::json::splice::{push_escaped, push_nullable, push_number, push_string};
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};
use crate::types::usage::Usage;

/// Keeps a connection open, and comes once after the first block has begun.
pub(super) const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Renders one stream.
pub(super) struct MessageStream {
    /// The first event, until it is sent.
    beginning: Option<Box<[u8]>>,
    options: Options,
    /// The block that is open.
    open: Option<Block>,
    /// How many blocks there have been.
    blocks: u32,
    is_refused: bool,
    finish: Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
    Tool,
}

impl MessageStream {
    /// A renderer for the reply that `head` begins.
    pub(super) fn new(head: &Head, options: Options) -> Self {
        let mut out = BytesMut::with_capacity(512);
        out.put_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        push_beginning(&mut out, head);
        out.put_slice(b"\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null,\"usage\":{");
        push_prompt(&mut out, &head.usage, options.writes_cache);
        push_written(&mut out, &head.usage, options.writes_cache);
        out.put_slice(b",\"output_tokens\":1,\"service_tier\":\"standard\",\"inference_geo\":\"not_available\"}}}\n\n");
        Self { beginning: Some(out[..].into()), options, open: None, blocks: 0, is_refused: false, finish: Finish::Stop }
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if let Some(beginning) = self.beginning.take() {
            out.put_slice(&beginning);
        }
    }

    /// Begins a block with what `inside` appends, after the end of the one before.
    fn open(&mut self, block: Block, out: &mut BytesMut, inside: impl FnOnce(&mut BytesMut)) {
        self.begin(out);
        self.close(out);
        out.put_slice(b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
        push_number(out, u64::from(self.blocks));
        out.put_slice(b",\"content_block\":{");
        inside(out);
        out.put_slice(b"}}\n\n");
        if self.blocks == 0 {
            out.put_slice(PING);
        }
        self.open = Some(block);
        self.blocks += 1;
    }

    /// Ends the block that is open, if there is one.
    fn close(&mut self, out: &mut BytesMut) {
        let Some(block) = self.open.take() else { return };
        if block == Block::Thinking {
            self.delta(b"signature_delta\",\"signature\":\"", SIGNATURE, out);
        }
        out.put_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
        push_number(out, u64::from(self.blocks - 1));
        out.put_slice(b"}\n\n");
    }

    /// Appends a piece of the open block; `kind` is what comes between the delta's type and its text.
    fn delta(&self, kind: &[u8], text: &str, out: &mut BytesMut) {
        out.reserve(text.len() + 128);
        out.put_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        push_number(out, u64::from(self.blocks.saturating_sub(1)));
        out.put_slice(b",\"delta\":{\"type\":\"");
        out.put_slice(kind);
        push_escaped(out, text);
        out.put_slice(b"\"}}\n\n");
    }

    fn text(&mut self, kind: TextKind, text: &str, out: &mut BytesMut) {
        self.is_refused |= kind == TextKind::Refusal;
        if kind == TextKind::Reasoning {
            if self.open != Some(Block::Thinking) {
                self.open(Block::Thinking, out, |out| {
                    out.put_slice(b"\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"");
                });
            }
            if !self.options.hides_thoughts {
                self.delta(b"thinking_delta\",\"thinking\":\"", text, out);
            }
            return;
        }
        if self.open != Some(Block::Text) {
            self.open(Block::Text, out, |out| out.put_slice(b"\"type\":\"text\",\"text\":\"\""));
        }
        self.delta(b"text_delta\",\"text\":\"", text, out);
    }

    fn tool(&mut self, id: u64, name: &str, out: &mut BytesMut) {
        self.open(Block::Tool, out, |out| {
            out.put_slice(b"\"type\":\"tool_use\",\"id\":\"");
            push_tool_id(out, id);
            out.put_slice(b"\",\"name\":");
            push_string(out, name);
            out.put_slice(b",\"input\":{}");
            out.put_slice(CALLER);
        });
        self.delta(b"input_json_delta\",\"partial_json\":\"", "", out);
    }

    fn end(&mut self, usage: &Usage, out: &mut BytesMut) {
        self.begin(out);
        self.close(out);
        let reason = self.options.reason(self.finish, self.is_refused);
        out.put_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"");
        out.put_slice(reason.word.as_bytes());
        out.put_slice(b"\",\"stop_sequence\":");
        push_nullable(out, reason.text);
        push_details(out, reason.word);
        out.put_slice(b"},\"usage\":{");
        push_prompt(out, usage, self.options.writes_cache);
        push_output(out, usage);
        out.put_slice(b"}}\n\n");
    }
}

impl StreamRenderer for MessageStream {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Start { .. } => self.begin(out),
            StreamEvent::Text { kind, text, .. } => self.text(kind, text, out),
            StreamEvent::ToolStart { id, name, .. } => self.tool(id, name, out),
            StreamEvent::ToolArguments { fragment, .. } => {
                self.delta(b"input_json_delta\",\"partial_json\":\"", fragment, out);
            }
            StreamEvent::Finish { reason, .. } => self.finish = reason,
            StreamEvent::Usage(usage) => self.end(&usage, out),
            StreamEvent::Error { message, code } => {
                let kind = code.filter(|code| code.ends_with("_error")).unwrap_or("overloaded_error");
                out.put_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":");
                push_string(out, kind);
                out.put_slice(b",\"message\":");
                push_string(out, message);
                out.put_slice(b"}}\n\n");
            }
            StreamEvent::End => out.put_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        }
    }
}
