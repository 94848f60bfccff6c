//! A whole reply.

use bytes::{BufMut, BytesMut};

use crate::dialect::RenderOptions;
use crate::dialect::openai::stream::{finish_word, usage};
use crate::dialect::openai::{logprobs, text};
use crate::types::reply::{Head, WholeChoice, WholeReply};

/// Appends the body.
pub(super) fn render(head: &Head, options: RenderOptions, reply: &WholeReply, out: &mut BytesMut) {
    out.put_slice(b"{\"id\":\"");
    text::id(out, b"chatcmpl-", head.id, 28);
    out.put_slice(b"\",\"object\":\"chat.completion\",\"created\":");
    text::number(out, head.created_unix_s);
    out.put_slice(b",\"model\":");
    text::quoted(out, &head.model);
    out.put_slice(b",\"choices\":[");
    for (index, choice) in reply.choices.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        out.put_slice(b"{\"index\":");
        text::number(out, index as u64);
        out.put_slice(b",\"message\":{");
        message(out, choice);
        out.put_slice(b"},\"logprobs\":");
        choice_logprobs(out, choice, options.logprobs);
        out.put_slice(b",\"finish_reason\":\"");
        out.put_slice(finish_word(choice.finish).as_bytes());
        out.put_slice(b"\"}");
    }
    out.put_slice(b"],\"usage\":");
    usage(out, &reply.usage);
    out.put_slice(b",\"service_tier\":\"default\",\"system_fingerprint\":");
    text::fingerprint(out, head.fingerprint);
    out.put_u8(b'}');
}

fn message(out: &mut BytesMut, choice: &WholeChoice) {
    out.put_slice(b"\"role\":\"assistant\",\"content\":");
    let nothing_else = choice.tool_calls.is_empty() && choice.refusal.is_empty();
    if choice.has_content || nothing_else {
        text::quoted(out, &choice.content);
    } else {
        out.put_slice(b"null");
    }
    out.put_slice(b",\"refusal\":");
    if choice.refusal.is_empty() {
        out.put_slice(b"null");
    } else {
        text::quoted(out, &choice.refusal);
    }
    if !choice.reasoning.is_empty() {
        out.put_slice(b",\"reasoning_content\":");
        text::quoted(out, &choice.reasoning);
    }
    out.put_slice(b",\"annotations\":[]");
    if choice.tool_calls.is_empty() {
        return;
    }
    out.put_slice(b",\"tool_calls\":[");
    for (index, call) in choice.tool_calls.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        out.put_slice(b"{\"id\":\"");
        text::id(out, b"call_", call.id, 24);
        out.put_slice(b"\",\"type\":\"function\",\"function\":{\"name\":");
        text::quoted(out, &call.name);
        out.put_slice(b",\"arguments\":");
        text::quoted(out, &call.arguments);
        out.put_slice(b"}}");
    }
    out.put_u8(b']');
}

fn choice_logprobs(out: &mut BytesMut, choice: &WholeChoice, wanted: Option<u8>) {
    let Some(count) = wanted else {
        return out.put_slice(b"null");
    };
    if !choice.has_content {
        return out.put_slice(b"{\"content\":null,\"refusal\":null}");
    }
    out.put_slice(b"{\"content\":[");
    let mut start = 0;
    for (index, (end, seed)) in choice.logprobs.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        logprobs::entry(out, &choice.content[start..*end], *seed, count);
        start = *end;
    }
    out.put_slice(b"],\"refusal\":null}");
}
