//! A streamed reply: every chunk is a fixed beginning, the one thing that differs, and a fixed end, put together as bytes.

use bytes::{BufMut, BytesMut};

use crate::dialect::openai::{error, logprobs, text};
use crate::dialect::{RenderOptions, StreamRenderer};
use crate::random::Stream;
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};
use crate::types::usage::Usage;

/// Renders one stream.
pub(super) struct ChatStream {
    /// From `data: {` to `"choices":[`.
    beginning: Box<[u8]>,
    options: RenderOptions,
    padding: Stream,
}

impl ChatStream {
    pub(super) fn new(head: &Head, options: RenderOptions) -> Self {
        let mut out = BytesMut::with_capacity(192 + head.model.len());
        out.put_slice(b"data: {\"id\":\"");
        text::id(&mut out, b"chatcmpl-", head.id, 28);
        out.put_slice(b"\",\"object\":\"chat.completion.chunk\",\"created\":");
        text::number(&mut out, head.created_unix_s);
        out.put_slice(b",\"model\":");
        text::quoted(&mut out, &head.model);
        out.put_slice(b",\"service_tier\":\"default\",\"system_fingerprint\":");
        text::fingerprint(&mut out, head.fingerprint);
        out.put_slice(b",\"choices\":[");
        Self { beginning: out.as_ref().into(), options, padding: Stream::of(head.id) }
    }

    fn begin(&self, out: &mut BytesMut, choice: u32) {
        out.reserve(self.beginning.len() + 160);
        out.put_slice(&self.beginning);
        out.put_slice(b"{\"index\":");
        text::number(out, choice.into());
        out.put_slice(b",\"delta\":{");
    }

    /// From the end of the delta to the end of the event.
    fn end(&mut self, out: &mut BytesMut, finish: Option<Finish>) {
        out.put_slice(b"},\"logprobs\":null");
        self.end_choice(out, finish);
    }

    fn end_choice(&mut self, out: &mut BytesMut, finish: Option<Finish>) {
        out.put_slice(b",\"finish_reason\":");
        match finish {
            None => out.put_slice(b"null"),
            Some(finish) => text::quoted(out, finish_word(finish)),
        }
        out.put_slice(b"}]");
        if self.options.stream.include_usage {
            out.put_slice(b",\"usage\":null");
        }
        self.end_event(out);
    }

    fn end_event(&mut self, out: &mut BytesMut) {
        if self.options.stream.obfuscation {
            out.put_slice(b",\"obfuscation\":\"");
            let length = self.padding.below(16) as usize + 1;
            text::id(out, b"", self.padding.bits(), length);
            out.put_u8(b'"');
        }
        out.put_slice(b"}\n\n");
    }

    fn text(&mut self, out: &mut BytesMut, choice: u32, kind: TextKind, token: &str, logprob: Option<u64>) {
        self.begin(out, choice);
        out.put_slice(match kind {
            TextKind::Content => b"\"content\":\"".as_slice(),
            TextKind::Reasoning => b"\"reasoning_content\":\"",
            TextKind::Refusal => b"\"refusal\":\"",
        });
        text::escaped(out, token);
        out.put_u8(b'"');
        match (logprob, self.options.logprobs, kind) {
            (Some(seed), Some(count), TextKind::Content | TextKind::Refusal) => {
                let (filled, empty) = if kind == TextKind::Content { ("content", "refusal") } else { ("refusal", "content") };
                out.put_slice(b"},\"logprobs\":{\"");
                out.put_slice(filled.as_bytes());
                out.put_slice(b"\":[");
                logprobs::entry(out, token, seed, count);
                out.put_slice(b"],\"");
                out.put_slice(empty.as_bytes());
                out.put_slice(b"\":null}");
                self.end_choice(out, None);
            }
            _ => self.end(out, None),
        }
    }

    fn tool_start(&mut self, out: &mut BytesMut, choice: u32, index: u32, id: u64, name: &str) {
        self.begin(out, choice);
        out.put_slice(b"\"tool_calls\":[{\"index\":");
        text::number(out, index.into());
        out.put_slice(b",\"id\":\"");
        text::id(out, b"call_", id, 24);
        out.put_slice(b"\",\"type\":\"function\",\"function\":{\"name\":");
        text::quoted(out, name);
        out.put_slice(b",\"arguments\":\"\"}}]");
        self.end(out, None);
    }

    fn tool_arguments(&mut self, out: &mut BytesMut, choice: u32, index: u32, fragment: &str) {
        self.begin(out, choice);
        out.put_slice(b"\"tool_calls\":[{\"index\":");
        text::number(out, index.into());
        out.put_slice(b",\"function\":{\"arguments\":");
        text::quoted(out, fragment);
        out.put_slice(b"}}]");
        self.end(out, None);
    }

    fn usage(&mut self, out: &mut BytesMut, counts: &Usage) {
        if !self.options.stream.include_usage {
            return;
        }
        out.put_slice(&self.beginning);
        out.put_slice(b"],\"usage\":");
        usage(out, counts);
        self.end_event(out);
    }
}

impl StreamRenderer for ChatStream {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Start { choice, tool_first } => {
                self.begin(out, choice);
                out.put_slice(if tool_first {
                    b"\"role\":\"assistant\",\"content\":null,\"refusal\":null".as_slice()
                } else {
                    b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"
                });
                self.end(out, None);
            }
            StreamEvent::Text { choice, kind, text, logprob } => self.text(out, choice, kind, text, logprob),
            StreamEvent::ToolStart { choice, index, id, name } => self.tool_start(out, choice, index, id, name),
            StreamEvent::ToolArguments { choice, index, fragment } => self.tool_arguments(out, choice, index, fragment),
            StreamEvent::Finish { choice, reason } => {
                self.begin(out, choice);
                self.end(out, Some(reason));
            }
            StreamEvent::Usage(counts) => self.usage(out, &counts),
            StreamEvent::Error { message } => error::event(out, message),
            StreamEvent::End => out.put_slice(b"data: [DONE]\n\n"),
        }
    }
}

/// OpenAI's word for why a reply ended.
pub(super) fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
    }
}

/// Appends the `usage` object.
pub(super) fn usage(out: &mut BytesMut, usage: &Usage) {
    out.put_slice(b"{\"prompt_tokens\":");
    text::number(out, usage.input.into());
    out.put_slice(b",\"completion_tokens\":");
    text::number(out, usage.output.into());
    out.put_slice(b",\"total_tokens\":");
    text::number(out, usage.total().into());
    out.put_slice(b",\"prompt_tokens_details\":{\"cached_tokens\":");
    text::number(out, usage.cached_input.into());
    out.put_slice(b",\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":");
    text::number(out, usage.reasoning.into());
    out.put_slice(b",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}");
}
