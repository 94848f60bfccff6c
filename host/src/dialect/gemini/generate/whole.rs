//! A response in one piece, and what it shares with the stream: parts, token counts.

use bytes::{BufMut, BytesMut};

use super::{Options, word};
use crate::dialect::json::id::push_alphanumeric;
use crate::dialect::json::splice::{push_number, push_on_one_line, push_string};
use crate::random::Stream;
use crate::types::reply::{Finish, Head, WholeChoice, WholeReply};
use crate::types::usage::Usage;

/// Letters and digits of a response's id.
const ID_LENGTH: usize = 22;

/// Appends the body of a whole reply.
pub(super) fn push_response(out: &mut BytesMut, head: &Head, options: Options, reply: &WholeReply) {
    out.reserve(512 + reply.choices.iter().map(|choice| choice.content.len() + 160).sum::<usize>());
    if !reply.choices.is_empty() && reply.choices.iter().all(is_blocked) {
        push_blocked(out, &reply.usage);
        push_identity(out, head);
        return out.put_u8(b'}');
    }
    out.put_slice(b"{\"candidates\":[");
    for (index, choice) in reply.choices.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        push_candidate(out, index, options, choice);
    }
    out.put_slice(b"],");
    push_usage(out, &reply.usage);
    out.put_u8(b',');
    push_identity(out, head);
    out.put_u8(b'}');
}

/// Did a filter end the reply before it said anything? Then it is the prompt that is blocked, and there is no candidate.
fn is_blocked(choice: &WholeChoice) -> bool {
    let said = [&choice.content, &choice.reasoning, &choice.refusal].into_iter().any(|text| !text.is_empty());
    choice.finish == Finish::ContentFilter && !said && choice.tool_calls.is_empty()
}

/// Appends a response to a prompt that is blocked, up to its identity.
pub(super) fn push_blocked(out: &mut BytesMut, usage: &Usage) {
    out.put_slice(b"{\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b",\"totalTokenCount\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b"},");
}

fn push_candidate(out: &mut BytesMut, index: usize, options: Options, choice: &WholeChoice) {
    out.put_slice(b"{\"content\":{\"parts\":[");
    let start = out.len();
    if options.shows_thoughts && !choice.reasoning.is_empty() {
        out.put_slice(b"{\"text\":");
        push_string(out, &choice.reasoning);
        out.put_slice(b",\"thought\":true},");
    }
    for text in [&choice.content, &choice.refusal] {
        if !text.is_empty() {
            out.put_slice(b"{\"text\":");
            push_string(out, text);
            out.put_slice(b"},");
        }
    }
    for call in &choice.tool_calls {
        push_call(out, &call.name, &call.arguments);
        out.put_u8(b',');
    }
    if out.len() > start {
        out.truncate(out.len() - 1);
    }
    out.put_slice(b"],\"role\":\"model\"},\"finishReason\":\"");
    out.put_slice(word(choice.finish, !choice.refusal.is_empty()).as_bytes());
    out.put_slice(b"\",\"index\":");
    push_number(out, index as u64);
    out.put_u8(b'}');
}

/// Appends a part that calls a function. Arguments that are no object (a fault's, or cut at the token limit) leave it empty.
pub(super) fn push_call(out: &mut BytesMut, name: &str, arguments: &str) {
    let is_object = arguments.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok();
    out.put_slice(b"{\"functionCall\":{\"name\":");
    push_string(out, name);
    out.put_slice(b",\"args\":");
    push_on_one_line(out, if is_object { arguments } else { "{}" });
    out.put_slice(b"}}");
}

/// Appends the token counts. Thoughts count apart from what is said.
pub(super) fn push_usage(out: &mut BytesMut, usage: &Usage) {
    out.put_slice(b"\"usageMetadata\":{\"promptTokenCount\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b",\"candidatesTokenCount\":");
    push_number(out, u64::from(usage.output.saturating_sub(usage.reasoning)));
    if usage.reasoning > 0 {
        out.put_slice(b",\"thoughtsTokenCount\":");
        push_number(out, u64::from(usage.reasoning));
    }
    if usage.cached_input > 0 {
        out.put_slice(b",\"cachedContentTokenCount\":");
        push_number(out, u64::from(usage.cached_input));
    }
    out.put_slice(b",\"totalTokenCount\":");
    push_number(out, u64::from(usage.total()));
    out.put_slice(b",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b"}]}");
}

/// Appends which model answered, and the response's id.
pub(super) fn push_identity(out: &mut BytesMut, head: &Head) {
    out.put_slice(b"\"modelVersion\":");
    push_string(out, &head.model);
    out.put_slice(b",\"responseId\":\"");
    push_alphanumeric(out, &mut Stream::of(head.id), ID_LENGTH);
    out.put_u8(b'"');
}
