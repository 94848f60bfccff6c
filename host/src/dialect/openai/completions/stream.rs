//! Completions as a stream of server-sent events, spliced: the same beginning and end for all chunks.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::logprobs::{Token, push as push_logprobs};
use super::{Options, Shown, word};
use crate::dialect::StreamRenderer;
use crate::dialect::json::splice::{push_escaped, push_nullable, push_number, push_string};
use crate::dialect::openai::filters;
use crate::dialect::openai::ids::{push_completion_id, push_fingerprint};
use crate::dialect::openai::usage::{ChunkUsage, push_counts};
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};

/// Room for a chunk besides its beginning, its end and its text.
const CHUNK_BYTES: usize = 128;

/// Renders one stream.
pub(super) struct CompletionStream {
    /// `data: {"id": … "choices":[`, and from `split` on `],"model": … ` up to the usage.
    frame: Box<[u8]>,
    split: usize,
    usage: ChunkUsage,
    prompts: Arc<[Shown]>,
    /// Choices of each prompt.
    made: usize,
    echo: bool,
    is_filtered: bool,
    /// Has an event been sent?
    has_begun: bool,
    logprobs: Option<u8>,
    /// Where the next token of each choice begins; empty unless log probabilities are wanted.
    offsets: Box<[u32]>,
}

impl CompletionStream {
    /// A renderer for the reply that `head` begins.
    pub(super) fn new(head: &Head, options: &Options) -> Self {
        let mut out = BytesMut::with_capacity(192 + head.model.len());
        out.put_slice(b"data: {\"id\":\"");
        push_completion_id(&mut out, head.id);
        out.put_slice(b"\",\"object\":\"text_completion\",\"created\":");
        push_number(&mut out, head.created_unix_s);
        out.put_slice(b",\"choices\":[");
        let split = out.len();
        out.put_slice(b"],\"model\":");
        push_string(&mut out, &head.model);
        out.put_slice(b",\"system_fingerprint\":\"");
        push_fingerprint(&mut out, head.fingerprint);
        out.put_u8(b'"');
        let beginnings = || options.prompts.iter().flat_map(|prompt| std::iter::repeat_n(prompt.characters, options.made));
        Self {
            frame: out[..].into(),
            split,
            usage: ChunkUsage::of(head, options.streaming),
            prompts: Arc::clone(&options.prompts),
            made: options.made,
            echo: options.echo,
            is_filtered: options.is_filtered,
            has_begun: false,
            logprobs: options.logprobs,
            offsets: if options.logprobs.is_some() { beginnings().collect() } else { Box::default() },
        }
    }

    /// Appends a chunk of `choice` that says `text`; `logprobs` appends its tokens.
    fn chunk(&mut self, choice: u32, text: &str, tokens: &[Token<'_>], finish: Option<Finish>, out: &mut BytesMut) {
        out.reserve(self.frame.len() + text.len() + CHUNK_BYTES);
        out.put_slice(&self.frame[..self.split]);
        out.put_u8(b'{');
        if self.is_filtered {
            out.put_slice(finish.map_or(filters::of_chunk(text.len()), |finish| filters::of_end(finish, true)));
        }
        out.put_slice(b"\"text\":\"");
        push_escaped(out, text);
        out.put_slice(b"\",\"index\":");
        push_number(out, u64::from(choice));
        out.put_slice(b",\"logprobs\":");
        match self.logprobs.filter(|_| !tokens.is_empty()) {
            Some(alternatives) => push_logprobs(out, tokens, alternatives),
            None => out.put_slice(b"null"),
        }
        match finish {
            None => out.put_slice(b",\"finish_reason\":null}"),
            Some(finish) => {
                out.put_slice(b",\"finish_reason\":\"");
                out.put_slice(word(finish).as_bytes());
                out.put_slice(b"\"}");
            }
        }
        out.put_slice(&self.frame[self.split..]);
        self.usage.push(choice, out);
        out.put_slice(b"}\n\n");
    }

    fn text(&mut self, choice: u32, text: &str, logprob: Option<u64>, out: &mut BytesMut) {
        let Some(offset) = self.offsets.get_mut(choice as usize) else { return self.chunk(choice, text, &[], None, out) };
        let token = logprob.map(|seed| Token { text: text.into(), seed: Some(seed), offset: *offset });
        *offset += text.chars().count() as u32;
        self.chunk(choice, text, token.as_slice(), None, out);
    }

    /// Repeats the prompt, if that is wanted.
    fn start(&mut self, choice: u32, out: &mut BytesMut) {
        let prompts = Arc::clone(&self.prompts);
        if self.is_filtered && !std::mem::replace(&mut self.has_begun, true) {
            filters::push_prompt_chunk(out, prompts.len());
        }
        if let Some(prompt) = prompts.get(choice as usize / self.made).filter(|_| self.echo) {
            let tokens = if self.logprobs.is_some() { prompt.tokens() } else { Vec::new() };
            self.chunk(choice, &prompt.text, &tokens, None, out);
        }
    }
}

impl StreamRenderer for CompletionStream {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        self.usage.count(event);
        match *event {
            StreamEvent::Start { choice, .. } => self.start(choice, out),
            // Thinking is no part of the text.
            StreamEvent::Text { kind: TextKind::Reasoning, .. } => {}
            StreamEvent::Text { choice, text, logprob, .. } => self.text(choice, text, logprob, out),
            // There are no tools to call.
            StreamEvent::ToolStart { .. } | StreamEvent::ToolArguments { .. } => {}
            StreamEvent::Finish { choice, reason } => self.chunk(choice, "", &[], Some(reason), out),
            StreamEvent::Usage(usage) => {
                if self.usage.is_shown() {
                    out.put_slice(&self.frame);
                    out.put_slice(b",\"usage\":");
                    push_counts(out, usage.input, usage.output);
                    out.put_slice(b"}\n\n");
                }
            }
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
