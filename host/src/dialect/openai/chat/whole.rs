//! A chat reply in one piece, and what it shares with the stream: token counts and the words for why a reply ended.
//!
//! The order of the keys is the vendor's; `reasoning_content` is the common addition of servers that show their reasoning.

use bytes::{BufMut, BytesMut};

use super::Options;
use crate::dialect::json::splice::{push_each, push_number, push_string};
use crate::dialect::openai::filters;
use crate::dialect::openai::ids::{push_call_id, push_fingerprint, push_reply_id};
use crate::dialect::openai::logprobs;
use crate::types::reply::{Finish, Head, WholeChoice, WholeReply};
use crate::types::usage::Usage;

/// Appends the body of a whole reply.
pub(super) fn push_reply(out: &mut BytesMut, head: &Head, options: &Options, reply: &WholeReply) {
    out.reserve(640 + reply.choices.iter().map(|choice| choice.content.len() + 160).sum::<usize>());
    out.put_slice(b"{\"id\":\"");
    push_reply_id(out, head.id);
    out.put_slice(b"\",\"object\":\"chat.completion\",\"created\":");
    push_number(out, head.created_unix_s);
    out.put_slice(b",\"model\":");
    push_string(out, &head.model);
    out.put_slice(b",\"choices\":[");
    push_each(out, reply.choices.iter().enumerate(), |out, (index, choice)| push_choice(out, index, options, choice));
    out.put_slice(b"],\"usage\":");
    push_usage(out, &reply.usage);
    // Azure has no tiers of its answers.
    if !options.is_filtered {
        out.put_slice(b",\"service_tier\":\"default\"");
    }
    out.put_slice(b",\"system_fingerprint\":\"");
    push_fingerprint(out, head.fingerprint);
    out.put_u8(b'"');
    if options.is_filtered {
        filters::push_prompts(out, 1);
    }
    out.put_u8(b'}');
}

fn push_choice(out: &mut BytesMut, index: usize, options: &Options, choice: &WholeChoice) {
    out.put_slice(b"{\"index\":");
    push_number(out, index as u64);
    out.put_u8(b',');
    if options.is_filtered {
        out.put_slice(filters::of_end(choice.finish, false));
    }
    out.put_slice(b"\"message\":{\"role\":\"assistant\",\"content\":");
    // The vendor sends `null` only where a call or a refusal stands in the text's place.
    if choice.has_content || (choice.tool_calls.is_empty() && choice.refusal.is_empty()) {
        push_string(out, &choice.content);
    } else {
        out.put_slice(b"null");
    }
    if !choice.reasoning.is_empty() {
        out.put_slice(b",\"reasoning_content\":");
        push_string(out, &choice.reasoning);
    }
    if !choice.tool_calls.is_empty() {
        push_calls(out, options, choice);
    }
    out.put_slice(b",\"refusal\":");
    if choice.refusal.is_empty() {
        out.put_slice(b"null");
    } else {
        push_string(out, &choice.refusal);
    }
    out.put_slice(b",\"annotations\":[]},\"logprobs\":");
    match options.logprobs {
        Some(alternatives) if !choice.logprobs.is_empty() => push_logprobs(out, choice, alternatives),
        _ => out.put_slice(b"null"),
    }
    out.put_slice(b",\"finish_reason\":\"");
    out.put_slice(word(choice.finish).as_bytes());
    out.put_slice(b"\"}");
}

fn push_calls(out: &mut BytesMut, options: &Options, choice: &WholeChoice) {
    for (index, call) in choice.tool_calls.iter().enumerate() {
        out.put_slice(if index == 0 { b",\"tool_calls\":[{\"id\":\"" } else { b",{\"id\":\"" });
        push_call_id(out, call.id);
        let [kind, input] = words_of_call(options.is_custom(&call.name));
        out.put_slice(kind);
        push_string(out, &call.name);
        out.put_slice(input);
        push_string(out, &call.arguments);
        out.put_slice(b"}}");
    }
    out.put_u8(b']');
}

/// What stands before a call's name and before what it is given.
pub(super) fn words_of_call(is_custom: bool) -> [&'static [u8]; 2] {
    if is_custom {
        [b"\",\"type\":\"custom\",\"custom\":{\"name\":", b",\"input\":"]
    } else {
        [b"\",\"type\":\"function\",\"function\":{\"name\":", b",\"arguments\":"]
    }
}

fn push_logprobs(out: &mut BytesMut, choice: &WholeChoice, alternatives: u8) {
    out.put_slice(b"{\"content\":[");
    let mut start = 0;
    for (index, &(end, seed)) in choice.logprobs.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        logprobs::push_entry(out, choice.content.get(start..end).unwrap_or(""), seed, alternatives);
        start = end;
    }
    out.put_slice(b"],\"refusal\":null}");
}

/// Appends the token counts.
pub(super) fn push_usage(out: &mut BytesMut, usage: &Usage) {
    out.put_slice(b"{\"prompt_tokens\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b",\"completion_tokens\":");
    push_number(out, u64::from(usage.output));
    out.put_slice(b",\"total_tokens\":");
    push_number(out, u64::from(usage.total()));
    out.put_slice(b",\"prompt_tokens_details\":{\"cached_tokens\":");
    push_number(out, u64::from(usage.cached_input));
    out.put_slice(b",\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":");
    push_number(out, u64::from(usage.reasoning));
    out.put_slice(b",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}");
}

/// The vendor's word for why a reply ended.
pub(super) fn word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopText(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
    }
}
