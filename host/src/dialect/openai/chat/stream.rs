//! A chat reply as a stream of server-sent events, spliced: the same beginning for all chunks, the text, one of few endings.
//!
//! The beginning is rendered once a stream, up to the choice's index, so that a stream that asks for 128 choices keeps no more
//! than one that asks for one. A chunk costs five appends and no allocation of its own.

use bytes::{BufMut, BytesMut};

use super::Options;
use super::whole::{push_usage, word};
use crate::dialect::StreamRenderer;
use crate::dialect::json::id::push_alphanumeric;
use crate::dialect::json::splice::{push_escaped, push_nullable, push_number, push_string};
use crate::dialect::openai::filters;
use crate::dialect::openai::ids::{push_call_id, push_fingerprint, push_reply_id};
use crate::dialect::openai::logprobs;
use crate::dialect::openai::usage::ChunkUsage;
use crate::random::Key;
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};
use crate::types::usage::Usage;

/// Chunks are padded to multiples of this many bytes of text and padding.
const PADDED_BYTES: usize = 16;
/// Room for a chunk besides its beginning and its text: keys, logprobs left out, padding.
const CHUNK_BYTES: usize = 160;

/// Renders one stream.
pub(super) struct ChatStream {
    /// `data: {"id": … "choices":[`
    beginning: Box<[u8]>,
    options: Options,
    usage: ChunkUsage,
    /// Where the padding is drawn from.
    padding: Key,
    chunks: u64,
    /// Choices whose role goes with their first tool call, one bit each: the vendor joins the two.
    role_due: u128,
    /// Has the first event left?
    has_begun: bool,
}

impl ChatStream {
    /// A renderer for the reply that `head` begins.
    pub(super) fn new(head: &Head, options: Options) -> Self {
        let mut out = BytesMut::with_capacity(224 + head.model.len());
        out.put_slice(b"data: {\"id\":\"");
        push_reply_id(&mut out, head.id);
        out.put_slice(b"\",\"object\":\"chat.completion.chunk\",\"created\":");
        push_number(&mut out, head.created_unix_s);
        out.put_slice(b",\"model\":");
        push_string(&mut out, &head.model);
        // Azure has no tiers of its answers.
        if !options.is_filtered {
            out.put_slice(b",\"service_tier\":\"default\"");
        }
        out.put_slice(b",\"system_fingerprint\":\"");
        push_fingerprint(&mut out, head.fingerprint);
        out.put_slice(b"\",\"choices\":[");
        let padding = Key::of_seed(head.id).named("obfuscation");
        let usage = ChunkUsage::of(head, options.streaming);
        Self { beginning: out[..].into(), options, usage, padding, chunks: 0, role_due: 0, has_begun: false }
    }

    /// Begins a chunk of `choice`, up to and without the inside of its delta.
    fn open(&self, choice: u32, text_bytes: usize, out: &mut BytesMut) {
        out.reserve(self.beginning.len() + text_bytes + CHUNK_BYTES);
        out.put_slice(&self.beginning);
        out.put_slice(b"{\"index\":");
        push_number(out, u64::from(choice));
        out.put_u8(b',');
        if self.options.is_filtered && !self.options.is_filtered_later {
            out.put_slice(filters::of_chunk(text_bytes));
        }
        out.put_slice(b"\"delta\":{");
    }

    /// Begins and ends the last chunk of `choice`.
    fn finish(&mut self, choice: u32, reason: Finish, out: &mut BytesMut) {
        out.reserve(self.beginning.len() + CHUNK_BYTES);
        out.put_slice(&self.beginning);
        out.put_slice(b"{\"index\":");
        push_number(out, u64::from(choice));
        out.put_u8(b',');
        if self.options.is_filtered && !self.options.is_filtered_later {
            out.put_slice(filters::of_end(reason, true));
        }
        out.put_slice(b"\"delta\":{},\"logprobs\":null,\"finish_reason\":\"");
        out.put_slice(word(reason).as_bytes());
        out.put_slice(b"\"}]");
        self.usage.push(choice, out);
        self.end(0, out);
    }

    /// Sends what filters have found in the prompt, once.
    fn prompt(&mut self, out: &mut BytesMut) {
        if self.options.is_filtered && !std::mem::replace(&mut self.has_begun, true) {
            filters::push_prompt_chunk(out, 1);
        }
    }

    /// Ends a chunk of `choice` after its delta.
    fn close(&mut self, choice: u32, text_bytes: usize, out: &mut BytesMut) {
        out.put_slice(b"},\"logprobs\":null,\"finish_reason\":null}]");
        self.usage.push(choice, out);
        self.end(text_bytes, out);
    }

    /// Ends a chunk after its usage: with padding, if it is wanted.
    fn end(&mut self, text_bytes: usize, out: &mut BytesMut) {
        if self.options.streaming.obfuscation {
            out.put_slice(b",\"obfuscation\":\"");
            let mut stream = self.padding.with(self.chunks).stream();
            push_alphanumeric(out, &mut stream, PADDED_BYTES - text_bytes % PADDED_BYTES);
            out.put_u8(b'"');
        }
        self.chunks += 1;
        out.put_slice(b"}\n\n");
    }

    fn role(&mut self, choice: u32, out: &mut BytesMut) {
        self.open(choice, 0, out);
        out.put_slice(b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
        self.close(choice, 0, out);
    }

    /// Sends the role now if it still waits for a tool call that does not come first after all.
    fn settle(&mut self, choice: u32, out: &mut BytesMut) {
        if self.take_due(choice) {
            self.role(choice, out);
        }
    }

    fn take_due(&mut self, choice: u32) -> bool {
        let bit = bit(choice);
        let due = self.role_due & bit != 0;
        self.role_due &= !bit;
        due
    }

    fn text(&mut self, choice: u32, kind: TextKind, text: &str, logprob: Option<u64>, out: &mut BytesMut) {
        self.open(choice, text.len(), out);
        out.put_slice(match kind {
            TextKind::Content => b"\"content\":\"",
            TextKind::Reasoning => b"\"reasoning_content\":\"",
            TextKind::Refusal => b"\"refusal\":\"",
        });
        push_escaped(out, text);
        out.put_u8(b'"');
        match (logprob, self.options.logprobs) {
            (Some(seed), Some(alternatives)) if kind != TextKind::Reasoning => {
                let refused = kind == TextKind::Refusal;
                out.put_slice(if refused {
                    b"},\"logprobs\":{\"content\":null,\"refusal\":["
                } else {
                    b"},\"logprobs\":{\"content\":["
                });
                logprobs::push_entry(out, text, seed, alternatives);
                out.put_slice(if refused {
                    b"]},\"finish_reason\":null}]"
                } else {
                    b"],\"refusal\":null},\"finish_reason\":null}]"
                });
                self.usage.push(choice, out);
                self.end(text.len(), out);
            }
            _ => self.close(choice, text.len(), out),
        }
    }

    fn tool_start(&mut self, choice: u32, index: u32, id: u64, name: &str, out: &mut BytesMut) {
        let with_role = self.take_due(choice);
        self.open(choice, name.len() + 100, out);
        if with_role {
            out.put_slice(b"\"role\":\"assistant\",\"content\":null,");
        }
        out.put_slice(b"\"tool_calls\":[{\"index\":");
        push_number(out, u64::from(index));
        out.put_slice(b",\"id\":\"");
        push_call_id(out, id);
        out.put_slice(b"\",\"type\":\"function\",\"function\":{\"name\":");
        push_string(out, name);
        out.put_slice(b",\"arguments\":\"\"}}]");
        if with_role {
            out.put_slice(b",\"refusal\":null");
        }
        self.close(choice, name.len(), out);
    }

    fn tool_arguments(&mut self, choice: u32, index: u32, fragment: &str, out: &mut BytesMut) {
        self.open(choice, fragment.len(), out);
        out.put_slice(b"\"tool_calls\":[{\"index\":");
        push_number(out, u64::from(index));
        out.put_slice(b",\"function\":{\"arguments\":\"");
        push_escaped(out, fragment);
        out.put_slice(b"\"}}]");
        self.close(choice, fragment.len(), out);
    }

    fn usage(&mut self, usage: &Usage, out: &mut BytesMut) {
        if !self.usage.is_shown() {
            return;
        }
        out.put_slice(&self.beginning);
        out.put_slice(b"],\"usage\":");
        push_usage(out, usage);
        self.end(0, out);
    }
}

impl StreamRenderer for ChatStream {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        self.prompt(out);
        self.usage.count(event);
        match *event {
            StreamEvent::Start { choice, tool_first: true } if bit(choice) != 0 => self.role_due |= bit(choice),
            StreamEvent::Start { choice, .. } => self.role(choice, out),
            StreamEvent::Text { choice, kind, text, logprob } => {
                self.settle(choice, out);
                self.text(choice, kind, text, logprob, out);
            }
            StreamEvent::ToolStart { choice, index, id, name } => self.tool_start(choice, index, id, name, out),
            StreamEvent::ToolArguments { choice, index, fragment } => {
                self.settle(choice, out);
                self.tool_arguments(choice, index, fragment, out);
            }
            StreamEvent::Finish { choice, reason } => {
                self.settle(choice, out);
                self.finish(choice, reason, out);
            }
            StreamEvent::Usage(usage) => self.usage(&usage, out),
            StreamEvent::Error { message, code } => {
                out.put_slice(b"data: {\"error\":{\"message\":");
                push_string(out, message);
                out.put_slice(b",\"type\":\"server_error\",\"param\":null,\"code\":");
                push_nullable(out, code);
                out.put_slice(b"}}\n\n");
            }
            StreamEvent::End => out.put_slice(b"data: [DONE]\n\n"),
        }
    }
}

/// The bit of `choice` in a set of choices; none for a choice beyond the documented bound.
fn bit(choice: u32) -> u128 {
    1_u128.checked_shl(choice).unwrap_or(0)
}
