//! A reply in one piece, and what it shares with the stream: calls of tools, and the words for why a reply ended.

use bytes::{BufMut, BytesMut};

use super::context::Context;
use super::metrics::{Took, push_metrics, push_time};
use super::stream::LineStream;
use super::{Form, JSON};
use crate::dialect::json::id::push_hex;
use crate::dialect::json::splice::{is_object, push_number, push_on_one_line, push_string};
use crate::dialect::openai::logprobs;
use crate::dialect::{StreamRenderer, Voice};
use crate::random::Stream;
use crate::types::reply::{Finish, Head, WholeChoice, WholeReply, WholeToolCall};

/// How a request to continue something is answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) form: Form,
    /// `Some(n)`: log probabilities with `n` alternatives.
    pub(super) logprobs: Option<u8>,
    /// What the client may go on from, if it is told.
    pub(super) context: Option<Context>,
}

impl Voice for Answer {
    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    /// A line that is no JSON would end its readers.
    fn keep_alive(&self) -> Option<&'static [u8]> {
        None
    }

    fn whole_type(&self) -> &'static str {
        JSON
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        push_reply(out, head, self, reply);
    }

    fn stream(&self, head: &Head) -> Box<dyn StreamRenderer> {
        Box::new(LineStream::new(head, self.clone()))
    }
}

fn push_reply(out: &mut BytesMut, head: &Head, answer: &Answer, reply: &WholeReply) {
    let empty = WholeChoice::default();
    let choice = reply.choices.first().unwrap_or(&empty);
    out.reserve(512 + choice.content.len() + choice.reasoning.len());
    out.put_slice(b"{\"model\":");
    push_string(out, &head.model);
    out.put_slice(b",\"created_at\":\"");
    push_time(out, head.created_unix_s, reply.last_ns);
    let calls: Vec<&WholeToolCall> = choice.tool_calls.iter().filter(|call| is_object(&call.arguments)).collect();
    // A call that is no JSON is not understood as one, and stays the text that it is.
    let failed = choice.tool_calls.iter().filter(|call| !is_object(&call.arguments));
    let text: String = [&*choice.content, &choice.refusal].into_iter().chain(failed.map(|call| &*call.arguments)).collect();
    out.put_slice(match answer.form {
        Form::Chat => b"\",\"message\":{\"role\":\"assistant\",\"content\":",
        Form::Generate => b"\",\"response\":",
    });
    push_string(out, &text);
    if !choice.reasoning.is_empty() {
        out.put_slice(b",\"thinking\":");
        push_string(out, &choice.reasoning);
    }
    if answer.form == Form::Chat {
        for (index, call) in calls.iter().enumerate() {
            out.put_slice(if index == 0 { b",\"tool_calls\":[" } else { b"," });
            push_call(out, index as u32, call.id, &call.name, &call.arguments);
        }
        out.put_slice(if calls.is_empty() { b"}" } else { b"]}" });
    }
    out.put_slice(b",\"done\":true,\"done_reason\":\"");
    out.put_slice(word(choice.finish).as_bytes());
    out.put_u8(b'"');
    if let Some(alternatives) = answer.logprobs {
        push_logprobs(out, choice, alternatives);
    }
    if let Some(context) = &answer.context {
        context.push(out, &reply.usage);
    }
    push_metrics(out, Took { first_ns: reply.first_ns, last_ns: reply.last_ns }, &reply.usage);
    out.put_u8(b'}');
}

fn push_logprobs(out: &mut BytesMut, choice: &WholeChoice, alternatives: u8) {
    let mut start = 0;
    for (index, &(end, seed)) in choice.logprobs.iter().enumerate() {
        out.put_slice(if index == 0 { b",\"logprobs\":[" } else { b"," });
        logprobs::push_entry(out, choice.content.get(start..end).unwrap_or(""), seed, alternatives);
        start = end;
    }
    if start > 0 {
        out.put_u8(b']');
    }
}

/// Appends one call of a tool, whose arguments are a JSON object.
pub(super) fn push_call(out: &mut BytesMut, index: u32, id: u64, name: &str, arguments: &str) {
    out.put_slice(b"{\"id\":\"call_");
    push_hex(out, &mut Stream::of(id), 8);
    out.put_slice(b"\",\"function\":{\"index\":");
    push_number(out, u64::from(index));
    out.put_slice(b",\"name\":");
    push_string(out, name);
    out.put_slice(b",\"arguments\":");
    push_on_one_line(out, arguments);
    out.put_slice(b"}}");
}

/// The vendor's word for why a reply ended.
pub(super) fn word(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::Stop | Finish::StopText(_) | Finish::ToolCalls | Finish::ContentFilter => "stop",
    }
}
