//! A response in one piece, and what it shares with the stream: parts, token counts.

use bytes::{BufMut, BytesMut};

use super::logprobs::{self, Sum};
use super::{Options, word};
use crate::dialect::json::id::{push_alphanumeric, push_hex};
use crate::dialect::json::splice::{push_number, push_on_one_line, push_string};
use crate::random::Stream;
use crate::types::reply::{Finish, Head, WholeChoice, WholeReply};
use crate::types::usage::Usage;

/// Letters and digits of a response's id.
const ID_LENGTH: usize = 22;
/// Letters of a signature, which is base64 without padding.
const SIGNATURE_LENGTH: usize = 128;

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
        push_candidate(out, index, head.id, options, choice);
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

fn push_candidate(out: &mut BytesMut, index: usize, id: u64, options: Options, choice: &WholeChoice) {
    out.put_slice(b"{\"content\":{\"parts\":[");
    let start = out.len();
    if options.shows_thoughts && !choice.reasoning.is_empty() {
        out.put_slice(b"{\"text\":");
        push_string(out, &choice.reasoning);
        out.put_slice(b",\"thought\":true},");
    }
    // Who has thought signs the first call or, without one, what is said last.
    let mut signed = (!choice.reasoning.is_empty()).then_some((id, index as u32));
    for text in [&choice.content, &choice.refusal] {
        if !text.is_empty() {
            out.put_slice(b"{\"text\":");
            push_string(out, text);
            out.put_slice(b"},");
        }
    }
    if choice.tool_calls.is_empty()
        && let Some(signature) = signed.take()
    {
        if choice.content.is_empty() && choice.refusal.is_empty() {
            out.put_slice(b"{\"text\":\"\"},");
        }
        out.truncate(out.len() - 2);
        push_signature(out, signature);
        out.put_slice(b"},");
    }
    for call in &choice.tool_calls {
        push_call(out, call.id, &call.name, &call.arguments, signed.take());
        out.put_u8(b',');
    }
    if out.len() > start {
        out.truncate(out.len() - 1);
    }
    out.put_slice(b"],\"role\":\"model\"},\"finishReason\":\"");
    out.put_slice(word(choice.finish, !choice.refusal.is_empty()).as_bytes());
    out.put_slice(b"\",\"index\":");
    push_number(out, index as u64);
    if let Some(best) = options.logprobs.filter(|_| !choice.logprobs.is_empty()) {
        let mut sum = Sum::default();
        choice.logprobs.iter().for_each(|(_, seed)| sum.add(*seed));
        sum.push_average(out);
        let begins = std::iter::once(0).chain(choice.logprobs.iter().map(|(end, _)| *end));
        let token = |(begin, (end, seed)): (usize, &(usize, u64))| (choice.content.get(begin..*end).unwrap_or(""), *seed);
        logprobs::push(out, begins.zip(&choice.logprobs).map(token), best);
    }
    out.put_u8(b'}');
}

/// Appends the signature of what a reply's candidate has thought, beginning with a comma: `signed` are the reply's id and the candidate.
pub(super) fn push_signature(out: &mut BytesMut, (id, candidate): (u64, u32)) {
    out.put_slice(b",\"thoughtSignature\":\"");
    push_alphanumeric(out, &mut Stream::of(id.rotate_left(candidate + 1)), SIGNATURE_LENGTH);
    out.put_u8(b'"');
}

/// Appends a part that calls a function. Arguments that are no object (a fault's, or cut at the token limit) leave it empty.
pub(super) fn push_call(out: &mut BytesMut, id: u64, name: &str, arguments: &str, signed: Option<(u64, u32)>) {
    let is_object = arguments.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok();
    out.put_slice(b"{\"functionCall\":{\"id\":\"");
    push_hex(out, &mut Stream::of(id), 8);
    out.put_slice(b"\",\"name\":");
    push_string(out, name);
    out.put_slice(b",\"args\":");
    push_on_one_line(out, if is_object { arguments } else { "{}" });
    out.put_u8(b'}');
    if let Some(signed) = signed {
        push_signature(out, signed);
    }
    out.put_u8(b'}');
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
