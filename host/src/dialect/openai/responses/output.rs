//! What a response consists of: thoughts, a message, calls.

use bytes::{BufMut, BytesMut};

use super::Options;
use crate::dialect::json::id::push_alphanumeric;
use crate::dialect::json::splice::{push_each, push_string};
use crate::dialect::openai::ids::{push_call_id, push_response_id};
use crate::dialect::openai::logprobs;
use crate::random::Key;
use crate::types::reply::{Finish, WholeReply};

/// Letters of thoughts that only the vendor reads.
const ENCRYPTED_BYTES: usize = 160;

/// One item.
#[derive(Debug)]
pub(super) enum Item {
    /// Thoughts; nothing of them is shown unless a summary is wanted.
    Thoughts(String),
    /// What is said, in parts.
    Message(Vec<Part>),
    /// A call of a tool.
    Call {
        /// Number that the call's id is drawn from.
        id: u64,
        name: Box<str>,
        /// Its arguments as JSON text, or any text.
        input: String,
        is_custom: bool,
    },
}

/// A part of a message: a text or a refusal.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    /// Where each token ends, and the seed of its log probability.
    pub(super) logprobs: Vec<(usize, u64)>,
}

impl Item {
    /// What its id begins with.
    fn prefix(&self) -> &'static str {
        match self {
            Self::Thoughts(_) => "rs_",
            Self::Message(_) => "msg_",
            Self::Call { is_custom: false, .. } => "fc_",
            Self::Call { is_custom: true, .. } => "ctc_",
        }
    }

    /// Appends its id; it is the item `index` of the response `reply`.
    pub(super) fn push_id(&self, out: &mut BytesMut, reply: u64, index: usize) {
        push_response_id(out, self.prefix(), reply, Some(index));
    }

    /// Appends the item with the word for how far it has come.
    pub(super) fn push(&self, out: &mut BytesMut, options: &Options, reply: u64, index: usize, status: &str) {
        out.put_slice(b"{\"id\":\"");
        self.push_id(out, reply, index);
        match self {
            Self::Thoughts(text) => {
                out.put_slice(b"\",\"type\":\"reasoning\"");
                if options.encrypts {
                    out.put_slice(b",\"encrypted_content\":\"gAAAAA");
                    let key = Key::of_seed(reply).named("encrypted").with(index as u64);
                    push_alphanumeric(out, &mut key.stream(), ENCRYPTED_BYTES);
                    out.put_u8(b'"');
                }
                out.put_slice(b",\"summary\":[");
                if options.shows_thoughts && !text.is_empty() {
                    push_summary(out, text);
                }
                out.put_slice(b"]}");
            }
            Self::Message(parts) => {
                out.put_slice(b"\",\"type\":\"message\",\"status\":\"");
                out.put_slice(status.as_bytes());
                out.put_slice(b"\",\"content\":[");
                push_each(out, parts.iter(), |out, part| part.push(out, options));
                out.put_slice(b"],\"role\":\"assistant\"}");
            }
            Self::Call { id, name, input, is_custom } => {
                out.put_slice(if *is_custom { b"\",\"type\":\"custom_tool_call" } else { b"\",\"type\":\"function_call" });
                out.put_slice(b"\",\"status\":\"");
                out.put_slice(status.as_bytes());
                out.put_slice(if *is_custom { b"\",\"input\":" } else { b"\",\"arguments\":" });
                push_string(out, input);
                out.put_slice(b",\"call_id\":\"");
                push_call_id(out, *id);
                out.put_slice(b"\",\"name\":");
                push_string(out, name);
                out.put_u8(b'}');
            }
        }
    }
}

impl Part {
    /// Appends the part.
    pub(super) fn push(&self, out: &mut BytesMut, options: &Options) {
        if self.is_refusal {
            out.put_slice(b"{\"type\":\"refusal\",\"refusal\":");
        } else {
            out.put_slice(b"{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":");
            self.push_logprobs(out, options, logprobs::push_entry);
            out.put_slice(b",\"text\":");
        }
        push_string(out, &self.text);
        out.put_u8(b'}');
    }

    /// Appends the list of its tokens' log probabilities, each as `push` has it; empty unless they are wanted.
    pub(super) fn push_logprobs(&self, out: &mut BytesMut, options: &Options, push: fn(&mut BytesMut, &str, u64, u8)) {
        out.put_u8(b'[');
        let mut start = 0;
        for (index, &(end, seed)) in self.logprobs.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            push(out, self.text.get(start..end).unwrap_or(""), seed, options.logprobs.unwrap_or(0));
            start = end;
        }
        out.put_u8(b']');
    }
}

/// Appends the summary that shows thoughts.
pub(super) fn push_summary(out: &mut BytesMut, text: &str) {
    out.put_slice(b"{\"type\":\"summary_text\",\"text\":");
    push_string(out, text);
    out.put_u8(b'}');
}

/// Why `reply` ended, and the items that it consists of.
pub(super) fn of_reply(reply: &WholeReply, options: &Options) -> (Finish, Vec<Item>) {
    let Some(choice) = reply.choices.first() else { return (Finish::Stop, Vec::new()) };
    let mut items = Vec::new();
    let has_thoughts = !choice.reasoning.is_empty();
    if has_thoughts {
        items.push(Item::Thoughts(choice.reasoning.clone()));
    }
    let mut parts = Vec::new();
    if choice.has_content {
        let logprobs = if options.logprobs.is_some() { choice.logprobs.clone() } else { Vec::new() };
        parts.push(Part { is_refusal: false, text: choice.content.clone(), logprobs });
    }
    if !choice.refusal.is_empty() {
        parts.push(Part { is_refusal: true, text: choice.refusal.clone(), logprobs: Vec::new() });
    }
    // A reply of nothing is an empty text.
    if parts.is_empty() && !has_thoughts && choice.tool_calls.is_empty() {
        parts.push(Part::default());
    }
    if !parts.is_empty() {
        items.push(Item::Message(parts));
    }
    items.extend(choice.tool_calls.iter().map(|call| Item::Call {
        id: call.id,
        name: call.name.as_str().into(),
        input: call.arguments.clone(),
        is_custom: is_custom(options, &call.name),
    }));
    (choice.finish, items)
}

/// Is the tool `name` one whose input is any text?
pub(super) fn is_custom(options: &Options, name: &str) -> bool {
    options.custom.iter().any(|custom| **custom == *name)
}
