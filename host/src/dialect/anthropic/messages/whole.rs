//! A message in one piece, and what it shares with the stream: token counts, and why a reply ended.

use bytes::{BufMut, BytesMut};

use super::Options;
use crate::dialect::anthropic::ids::{push_message_id, push_tool_id};
use crate::dialect::json::splice::{push_nullable, push_number, push_object, push_string};
use crate::types::reply::{Head, WholeChoice, WholeReply};
use crate::types::usage::Usage;

/// Stands where the vendor signs what the model thought.
pub(super) const SIGNATURE: &str = "c2ltd3JpZ2h0LXNpZ25lZC10aGlua2luZw==";
/// Who calls a tool: the model itself, and not a program that it runs.
pub(super) const CALLER: &[u8] = b",\"caller\":{\"type\":\"direct\"}";

/// Appends the body of a whole reply.
pub(super) fn push_message(out: &mut BytesMut, head: &Head, options: &Options, reply: &WholeReply) {
    let empty = WholeChoice::default();
    let choice = reply.choices.first().unwrap_or(&empty);
    out.reserve(512 + choice.content.len() + choice.reasoning.len());
    push_beginning(out, head);
    out.put_slice(b"\"content\":[");
    push_blocks(out, choice, options.hides_thoughts);
    let reason = options.reason(choice.finish, !choice.refusal.is_empty());
    out.put_slice(b"],\"stop_reason\":\"");
    out.put_slice(reason.word.as_bytes());
    out.put_slice(b"\",\"stop_sequence\":");
    push_nullable(out, reason.text);
    push_details(out, reason.word);
    out.put_slice(b",\"usage\":{");
    push_prompt(out, &reply.usage, options.writes_cache);
    push_written(out, &reply.usage, options.writes_cache);
    push_output(out, &reply.usage);
    out.put_slice(b",\"service_tier\":\"standard\",\"inference_geo\":\"not_available\"}}");
}

/// Appends a message up to its content.
pub(super) fn push_beginning(out: &mut BytesMut, head: &Head) {
    out.put_slice(b"{\"id\":\"");
    push_message_id(out, head.id);
    out.put_slice(b"\",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    push_string(out, &head.model);
    out.put_u8(b',');
}

/// Appends why a refusal was one; null for other reasons.
pub(super) fn push_details(out: &mut BytesMut, reason: &str) {
    let details = if reason == "refusal" { r#"{"type":"refusal","category":null,"explanation":null}"# } else { "null" };
    out.put_slice(b",\"stop_details\":");
    out.put_slice(details.as_bytes());
}

/// Appends what the prompt cost, in the vendor's three parts, which together are the prompt.
pub(super) fn push_prompt(out: &mut BytesMut, usage: &Usage, writes_cache: bool) {
    let new = usage.input.saturating_sub(usage.cached_input);
    let (input, written) = if writes_cache { (0, new) } else { (new, 0) };
    out.put_slice(b"\"input_tokens\":");
    push_number(out, u64::from(input));
    out.put_slice(b",\"cache_creation_input_tokens\":");
    push_number(out, u64::from(written));
    out.put_slice(b",\"cache_read_input_tokens\":");
    push_number(out, u64::from(usage.cached_input));
}

/// Appends for how long what the prompt wrote to the cache stays there, of which the end of a stream has no word.
pub(super) fn push_written(out: &mut BytesMut, usage: &Usage, writes_cache: bool) {
    out.put_slice(b",\"cache_creation\":{\"ephemeral_5m_input_tokens\":");
    push_number(out, u64::from(if writes_cache { usage.input.saturating_sub(usage.cached_input) } else { 0 }));
    out.put_slice(b",\"ephemeral_1h_input_tokens\":0}");
}

/// Appends what the reply cost, thoughts among it.
pub(super) fn push_output(out: &mut BytesMut, usage: &Usage) {
    out.put_slice(b",\"output_tokens\":");
    push_number(out, u64::from(usage.output));
    out.put_slice(b",\"output_tokens_details\":{\"thinking_tokens\":");
    push_number(out, u64::from(usage.reasoning));
    out.put_u8(b'}');
}

fn push_blocks(out: &mut BytesMut, choice: &WholeChoice, hides_thoughts: bool) {
    let mut is_first = true;
    let mut begin = |out: &mut BytesMut, beginning: &[u8]| {
        if !std::mem::take(&mut is_first) {
            out.put_u8(b',');
        }
        out.put_slice(beginning);
    };
    if !choice.reasoning.is_empty() {
        begin(out, b"{\"type\":\"thinking\",\"thinking\":");
        push_string(out, if hides_thoughts { "" } else { &choice.reasoning });
        out.put_slice(b",\"signature\":");
        push_string(out, SIGNATURE);
        out.put_u8(b'}');
    }
    for text in [&choice.content, &choice.refusal] {
        if !text.is_empty() {
            begin(out, b"{\"type\":\"text\",\"text\":");
            push_string(out, text);
            out.put_slice(b",\"citations\":null}");
        }
    }
    for call in &choice.tool_calls {
        begin(out, b"{\"type\":\"tool_use\",\"id\":\"");
        push_tool_id(out, call.id);
        out.put_slice(b"\",\"name\":");
        push_string(out, &call.name);
        out.put_slice(b",\"input\":");
        // Arguments that are no object (a fault's, or cut at the token limit) leave it empty, as the vendor's own parser of half an
        // object does.
        push_object(out, &call.arguments);
        out.put_slice(CALLER);
        out.put_u8(b'}');
    }
}
