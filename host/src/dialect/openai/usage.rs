//! Token counts as the vendor shows them, and what a stream has cost so far.

use bytes::{BufMut, BytesMut};

use super::sampling::Streaming;
use crate::dialect::json::splice::push_number;
use crate::types::reply::{Head, StreamEvent};

/// Appends the three counts that every answer has.
pub(super) fn push_counts(out: &mut BytesMut, input: u32, output: u32) {
    out.put_slice(b"{\"prompt_tokens\":");
    push_number(out, u64::from(input));
    out.put_slice(b",\"completion_tokens\":");
    push_number(out, u64::from(output));
    out.put_slice(b",\"total_tokens\":");
    push_number(out, u64::from(input.saturating_add(output)));
    out.put_u8(b'}');
}

/// The `usage` of a stream's chunks: none, `null` until the last one, or what their choice has cost so far.
pub(super) struct ChunkUsage {
    shown: bool,
    /// Tokens of the prompt, and of each choice; boxed, because only load tools ask for it.
    so_far: Option<Box<(u32, Vec<u32>)>>,
}

impl ChunkUsage {
    /// Nothing has been sent yet of the reply that `head` begins.
    pub(super) fn of(head: &Head, streaming: Streaming) -> Self {
        let so_far = streaming.continuous_usage.then(|| Box::new((head.usage.input, Vec::new())));
        Self { shown: streaming.include_usage, so_far }
    }

    /// Is the last chunk one with the counts of the whole?
    pub(super) fn is_shown(&self) -> bool {
        self.shown
    }

    /// Counts the token that `event` brings.
    pub(super) fn count(&mut self, event: &StreamEvent<'_>) {
        let Some(so_far) = &mut self.so_far else { return };
        let (choice, tokens) = match *event {
            StreamEvent::Start { choice, .. } => (choice, 0),
            StreamEvent::Text { choice, .. }
            | StreamEvent::ToolStart { choice, .. }
            | StreamEvent::ToolArguments { choice, .. } => (choice, 1),
            _ => return,
        };
        let choice = choice as usize;
        if so_far.1.len() <= choice {
            so_far.1.resize(choice + 1, 0);
        }
        so_far.1[choice] += tokens;
    }

    /// Appends the field to a chunk of `choice`.
    pub(super) fn push(&self, choice: u32, out: &mut BytesMut) {
        match &self.so_far {
            Some(so_far) => {
                out.put_slice(b",\"usage\":");
                push_counts(out, so_far.0, so_far.1.get(choice as usize).copied().unwrap_or(0));
            }
            None if self.shown => out.put_slice(b",\"usage\":null"),
            None => {}
        }
    }
}
