//! The response itself, whole or at the beginning and end of a stream. The order of its keys is the vendor's.

use bytes::{BufMut, BytesMut};

use super::Options;
use super::output::Item;
use crate::dialect::json::splice::{push_number, push_string};
use crate::dialect::openai::ids::push_response_id;
use crate::types::reply::{Finish, Head};
use crate::types::usage::Usage;

/// How far a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status<'a> {
    /// It is being made.
    InProgress,
    /// It is over.
    Over(Finish),
    /// It broke, for a reason that has a code and a sentence.
    Failed(&'a str, &'a str),
}

impl Status<'_> {
    /// The vendor's word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Failed(..) => "failed",
            Self::Over(Finish::Length | Finish::ContentFilter) => "incomplete",
            Self::Over(Finish::Stop | Finish::StopText(_) | Finish::ToolCalls) => "completed",
        }
    }
}

/// Appends the response that `head` begins, with `items`, of which the last may be incomplete if the response is over.
pub(super) fn push_response(
    out: &mut BytesMut,
    head: &Head,
    options: &Options,
    status: Status<'_>,
    items: &[Item],
    usage: Option<&Usage>,
) {
    let echo = &options.echo;
    out.reserve(1_024 + echo.instructions.len() + echo.tail.len() + echo.end.len());
    out.put_slice(b"{\"id\":\"");
    push_response_id(out, "resp_", head.id, None);
    out.put_slice(b"\",\"object\":\"response\",\"created_at\":");
    push_number(out, head.created_unix_s);
    out.put_slice(b",\"status\":\"");
    out.put_slice(status.word().as_bytes());
    out.put_slice(b"\",\"background\":false,\"error\":");
    match status {
        Status::Failed(code, message) => {
            out.put_slice(b"{\"code\":");
            push_string(out, code);
            out.put_slice(b",\"message\":");
            push_string(out, message);
            out.put_u8(b'}');
        }
        Status::InProgress | Status::Over(_) => out.put_slice(b"null"),
    }
    out.put_slice(b",\"incomplete_details\":");
    out.put_slice(match status {
        Status::Over(Finish::Length) => b"{\"reason\":\"max_output_tokens\"}",
        Status::Over(Finish::ContentFilter) => b"{\"reason\":\"content_filter\"}",
        _ => b"null",
    });
    out.put_slice(b",\"instructions\":");
    out.put_slice(&echo.instructions);
    for (key, bound) in
        [(&b",\"max_output_tokens\":"[..], echo.max_output_tokens), (b",\"max_tool_calls\":", echo.max_tool_calls)]
    {
        out.put_slice(key);
        match bound {
            Some(bound) => push_number(out, u64::from(bound)),
            None => out.put_slice(b"null"),
        }
    }
    out.put_slice(b",\"model\":");
    push_string(out, &head.model);
    out.put_slice(b",\"output\":[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        let word = match status {
            Status::Over(_) if index + 1 == items.len() => status.word(),
            _ => "completed",
        };
        item.push(out, options, head.id, index, word);
    }
    out.put_u8(b']');
    out.put_slice(&echo.tail);
    if let Some(usage) = usage {
        out.put_slice(b",\"usage\":");
        push_usage(out, usage);
    }
    out.put_slice(&echo.end);
    out.put_u8(b'}');
}

fn push_usage(out: &mut BytesMut, usage: &Usage) {
    out.put_slice(b"{\"input_tokens\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b",\"input_tokens_details\":{\"cached_tokens\":");
    push_number(out, u64::from(usage.cached_input));
    out.put_slice(b",\"cache_write_tokens\":0},\"output_tokens\":");
    push_number(out, u64::from(usage.output));
    out.put_slice(b",\"output_tokens_details\":{\"reasoning_tokens\":");
    push_number(out, u64::from(usage.reasoning));
    out.put_slice(b"},\"total_tokens\":");
    push_number(out, u64::from(usage.total()));
    out.put_u8(b'}');
}
