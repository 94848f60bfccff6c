//! A response as the events of a session, spliced: what all deltas of an item have in common is rendered once an item, and a delta costs
//! five appends. The events that end an item repeat its whole text, so that is gathered.

use bytes::{BufMut, BytesMut};

use super::Options;
use super::events::{Series, close, push_field, push_json};
use super::ids::id;
use crate::dialect::StreamRenderer;
use crate::dialect::json::splice::{push_each, push_escaped, push_nullable, push_number, push_string};
use crate::dialect::openai::error::{Said, said};
use crate::random::Key;
use crate::types::api_error::ApiError;
use crate::types::reply::{Finish, Head, StreamEvent, TextKind};
use crate::types::usage::Usage;

/// How a response ended.
#[derive(Debug, Clone, Copy)]
pub enum ResponseEnd<'a> {
    /// As the plan says.
    Finished(Finish),
    /// The client did not want any more.
    Cancelled,
    /// Something failed.
    Failed(&'a ApiError),
}

impl ResponseEnd<'_> {
    /// The vendor's word.
    fn status(self) -> &'static str {
        match self {
            Self::Finished(Finish::Stop | Finish::StopText(_) | Finish::ToolCalls) => "completed",
            Self::Finished(Finish::Length | Finish::ContentFilter) => "incomplete",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }

    /// The vendor's word for an item that was being said.
    fn item_status(self) -> &'static str {
        if self.status() == "completed" { "completed" } else { "incomplete" }
    }
}

/// Renders one response.
pub struct ResponseStream {
    options: Options,
    key: Key,
    id: String,
    events: Series,
    /// What is told that it costs.
    usage: Usage,
    has_begun: bool,
    finish: Finish,
    /// The item that is being said.
    item: Option<Open>,
    /// Its text or arguments so far.
    said: String,
    /// Of each delta of it, what stands between the id of the event and the text.
    middle: BytesMut,
    /// Items that are done, with their ids.
    output: Vec<(Box<str>, Box<str>)>,
}

/// An item that is being said.
struct Open {
    id: String,
    call: Option<Call>,
}

struct Call {
    id: String,
    name: Box<str>,
}

impl ResponseStream {
    /// A renderer for the response that `head` begins.
    pub fn new(head: &Head, options: Options) -> Self {
        let key = Key::of_seed(head.id);
        Self {
            options,
            key,
            id: id("resp_", head.id),
            events: Series::of(key.named("events")),
            usage: head.usage,
            has_begun: false,
            finish: Finish::Stop,
            item: None,
            said: String::new(),
            middle: BytesMut::new(),
            output: Vec::new(),
        }
    }

    /// The response's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says that the response is being made, if that has not been said.
    pub fn begin(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        self.events.open("response.created", out);
        self.push_response("in_progress", "null", None, out);
        close(out);
    }

    /// Ends the response. `usage` is what it has cost.
    pub fn end(&mut self, end: ResponseEnd<'_>, usage: Usage, out: &mut BytesMut) {
        self.begin(out);
        self.close_item(end.item_status(), out);
        let mut details = BytesMut::new();
        match end {
            ResponseEnd::Finished(Finish::Length) => {
                details.put_slice(b"{\"type\":\"incomplete\",\"reason\":\"max_output_tokens\"}");
            }
            ResponseEnd::Finished(Finish::ContentFilter) => {
                details.put_slice(b"{\"type\":\"incomplete\",\"reason\":\"content_filter\"}");
            }
            ResponseEnd::Finished(_) => details.put_slice(b"null"),
            ResponseEnd::Cancelled => details.put_slice(b"{\"type\":\"cancelled\",\"reason\":\"client_cancelled\"}"),
            ResponseEnd::Failed(error) => {
                let Said { message, kind, code, .. } = said(error);
                details.put_slice(b"{\"type\":\"failed\",\"error\":{\"type\":");
                push_string(&mut details, kind);
                details.put_slice(b",\"code\":");
                push_nullable(&mut details, code.as_deref());
                details.put_slice(b",\"message\":");
                push_string(&mut details, &message);
                details.put_slice(b"}}");
            }
        }
        self.events.open("response.done", out);
        self.push_response(end.status(), std::str::from_utf8(&details).unwrap_or("null"), Some(usage), out);
        close(out);
    }

    /// The items that it has said, with their ids, if they become a part of the conversation.
    pub fn into_output(self) -> Vec<(Box<str>, Box<str>)> {
        if self.options.is_kept() { self.output } else { Vec::new() }
    }

    /// The field `response` of an event.
    fn push_response(&self, status: &str, details: &str, usage: Option<Usage>, out: &mut BytesMut) {
        out.put_slice(b",\"response\":{\"object\":\"realtime.response\",\"id\":\"");
        out.put_slice(self.id.as_bytes());
        out.put_slice(b"\",\"status\":\"");
        out.put_slice(status.as_bytes());
        out.put_slice(b"\",\"status_details\":");
        out.put_slice(details.as_bytes());
        out.put_slice(b",\"output\":[");
        push_each(out, self.output.iter(), |out, (_, item)| out.put_slice(item.as_bytes()));
        out.put_u8(b']');
        push_field(out, "conversation_id", self.options.conversation_id.as_deref());
        out.put_slice(b",\"output_modalities\":[\"text\"],\"max_output_tokens\":");
        match self.options.max_output_tokens {
            Some(tokens) => push_number(out, u64::from(tokens)),
            None => out.put_slice(b"\"inf\""),
        }
        out.put_slice(
            b",\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcm\",\"rate\":24000},\"voice\":\"marin\"}},\"usage\":",
        );
        match usage {
            Some(usage) => push_usage(&usage, out),
            None => out.put_slice(b"null"),
        }
        push_json(out, "metadata", self.options.metadata.as_deref().unwrap_or("null").as_bytes());
        out.put_u8(b'}');
    }

    /// What events about the open item have in common: which response, which item, and where in the output.
    fn push_place(&self, item: &Open, out: &mut BytesMut) {
        push_field(out, "response_id", Some(&self.id));
        push_field(out, "item_id", Some(&item.id));
        out.put_slice(b",\"output_index\":");
        push_number(out, self.output.len() as u64);
        match &item.call {
            None => out.put_slice(b",\"content_index\":0"),
            Some(call) => push_field(out, "call_id", Some(&call.id)),
        }
    }

    /// The item before the one that is being said.
    fn previous(&self) -> Option<&str> {
        match self.output.last() {
            Some((id, _)) => Some(id),
            None => self.options.previous_item_id.as_deref().filter(|_| self.options.is_kept()),
        }
    }

    /// Two events that show an item: one to the response, one to the conversation. The vendor ends them the other way round.
    fn show(&mut self, item: &[u8], is_done: bool, out: &mut BytesMut) {
        let steps = if is_done { [false, true] } else { [true, false] };
        for is_of_response in steps {
            if is_of_response {
                self.events.open(if is_done { "response.output_item.done" } else { "response.output_item.added" }, out);
                push_field(out, "response_id", Some(&self.id));
                out.put_slice(b",\"output_index\":");
                push_number(out, self.output.len() as u64);
            } else if self.options.is_kept() {
                self.events.open(if is_done { "conversation.item.done" } else { "conversation.item.added" }, out);
                push_field(out, "previous_item_id", self.previous());
            } else {
                continue;
            }
            push_json(out, "item", item);
            close(out);
        }
    }

    /// Begins an item: a message, or a call.
    fn open_item(&mut self, call: Option<Call>, out: &mut BytesMut) {
        self.begin(out);
        self.close_item("completed", out);
        let item = Open { id: id("item_", self.key.named("item").with(self.output.len() as u64).bits()), call };
        let mut json = BytesMut::new();
        push_item(&item, "in_progress", None, &mut json);
        self.show(&json, false, out);
        let mut middle = std::mem::take(&mut self.middle);
        middle.clear();
        self.push_place(&item, &mut middle);
        middle.put_slice(b",\"delta\":\"");
        self.middle = middle;
        if item.call.is_none() {
            self.part("response.content_part.added", &item, "", out);
        }
        self.item = Some(item);
    }

    fn part(&mut self, kind: &str, item: &Open, text: &str, out: &mut BytesMut) {
        self.events.open(kind, out);
        self.push_place(item, out);
        out.put_slice(b",\"part\":{\"type\":\"text\",\"text\":");
        push_string(out, text);
        out.put_u8(b'}');
        close(out);
    }

    /// Ends the open item, if there is one.
    fn close_item(&mut self, status: &str, out: &mut BytesMut) {
        let Some(item) = self.item.take() else { return };
        let text = std::mem::take(&mut self.said);
        match &item.call {
            None => {
                self.events.open("response.output_text.done", out);
                self.push_place(&item, out);
                push_field(out, "text", Some(&text));
                close(out);
                self.part("response.content_part.done", &item, &text, out);
            }
            Some(call) => {
                self.events.open("response.function_call_arguments.done", out);
                self.push_place(&item, out);
                push_field(out, "name", Some(&call.name));
                push_field(out, "arguments", Some(&text));
                close(out);
            }
        }
        let mut json = BytesMut::new();
        push_item(&item, status, Some(&text), &mut json);
        self.show(&json, true, out);
        let json = String::from_utf8_lossy(&json).into_owned();
        self.output.push((item.id.into(), json.into()));
    }

    /// One delta of the open item.
    fn delta(&mut self, kind: &str, text: &str, out: &mut BytesMut) {
        out.reserve(96 + self.middle.len() + text.len());
        self.events.open(kind, out);
        out.put_slice(&self.middle);
        push_escaped(out, text);
        out.put_slice(b"\"}\n");
        self.said.push_str(text);
    }
}

impl StreamRenderer for ResponseStream {
    fn event(&mut self, event: &StreamEvent<'_>, out: &mut BytesMut) {
        match *event {
            StreamEvent::Start { .. } => self.begin(out),
            // Sessions show no thinking; it is counted.
            StreamEvent::Text { kind: TextKind::Reasoning, .. } => {}
            StreamEvent::Text { text, .. } => {
                if self.item.as_ref().is_none_or(|item| item.call.is_some()) {
                    self.open_item(None, out);
                }
                self.delta("response.output_text.delta", text, out);
            }
            StreamEvent::ToolStart { id: call, name, .. } => {
                self.open_item(Some(Call { id: id("call_", call), name: name.into() }), out);
            }
            StreamEvent::ToolArguments { fragment, .. } => self.delta("response.function_call_arguments.delta", fragment, out),
            StreamEvent::Finish { reason, .. } => {
                self.finish = reason;
                self.close_item(ResponseEnd::Finished(reason).item_status(), out);
            }
            StreamEvent::Usage(usage) => self.usage = usage,
            StreamEvent::Error { message, code } => {
                let mut error = ApiError::of_status(500, message.to_owned());
                error.code = code.map(|code| code.to_owned().into());
                self.events.error(&error, None, out);
                self.end(ResponseEnd::Failed(&error), Usage::default(), out);
            }
            StreamEvent::End => self.end(ResponseEnd::Finished(self.finish), self.usage, out),
        }
    }
}

/// Appends an item: without `said` one that begins.
fn push_item(item: &Open, status: &str, said: Option<&str>, out: &mut BytesMut) {
    out.put_slice(b"{\"id\":");
    push_string(out, &item.id);
    out.put_slice(b",\"object\":\"realtime.item\",\"type\":\"");
    out.put_slice(if item.call.is_some() { b"function_call" } else { b"message" });
    out.put_u8(b'"');
    push_field(out, "status", Some(status));
    match &item.call {
        None => {
            out.put_slice(b",\"role\":\"assistant\",\"content\":[");
            if let Some(text) = said {
                out.put_slice(b"{\"type\":\"output_text\",\"text\":");
                push_string(out, text);
                out.put_u8(b'}');
            }
            out.put_u8(b']');
        }
        Some(call) => {
            push_field(out, "name", Some(&call.name));
            push_field(out, "call_id", Some(&call.id));
            push_field(out, "arguments", Some(said.unwrap_or_default()));
        }
    }
    out.put_u8(b'}');
}

fn push_usage(usage: &Usage, out: &mut BytesMut) {
    out.put_slice(b"{\"total_tokens\":");
    push_number(out, u64::from(usage.total()));
    out.put_slice(b",\"input_tokens\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b",\"output_tokens\":");
    push_number(out, u64::from(usage.output));
    out.put_slice(b",\"input_token_details\":{\"text_tokens\":");
    push_number(out, u64::from(usage.input));
    out.put_slice(b",\"audio_tokens\":0,\"image_tokens\":0,\"cached_tokens\":");
    push_number(out, u64::from(usage.cached_input));
    out.put_slice(b",\"cached_tokens_details\":{\"text_tokens\":");
    push_number(out, u64::from(usage.cached_input));
    out.put_slice(b",\"audio_tokens\":0,\"image_tokens\":0}},\"output_token_details\":{\"text_tokens\":");
    push_number(out, u64::from(usage.output));
    out.put_slice(b",\"audio_tokens\":0}}");
}
