//! The input's items become messages: of many types, flat, and in the order in which they were said.
//!
//! What the model did in one turn comes as several items: thoughts, a text, calls. Here they are one message again. A call and what came
//! of it find each other by `call_id`, and the vendor refuses one without the other; [`Conversation::check`] does so once all that was
//! said is there.

use std::borrow::Cow;
use std::collections::HashMap;

use super::body::{Content, Input, Item};
use crate::dialect::json::given::Given;
use crate::dialect::json::path::{Path, excerpt};
use crate::dialect::openai::attached;
use crate::types::api_error::ApiError;
use crate::types::mistake::Mistake;
use crate::types::request::{Attachment, Message, Role};

const ROLES: &[&str] = &["assistant", "system", "developer", "user"];
const PARTS: &[&str] =
    &["input_text", "input_image", "output_text", "refusal", "input_file", "computer_screenshot", "summary_text"];
const ASSISTANT_PARTS: &[&str] = &["output_text", "refusal"];
const ITEMS: &[&str] = &[
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
    "item_reference",
    "file_search_call",
    "web_search_call",
    "computer_call",
    "computer_call_output",
    "code_interpreter_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "compaction",
    "compaction_trigger",
    "program",
    "program_output",
];

/// What has been said, item by item.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    /// Items that stand for another one, which is kept: their place in the list and the other's id.
    pub(super) references: Vec<(usize, Box<str>)>,
    /// Calls, and whether something came of them.
    calls: Vec<Call>,
    /// Where in `calls` the newest call of an id is.
    newest: HashMap<Box<str>, usize>,
    /// The first result that belongs to no call before it.
    orphan: Option<Box<str>>,
}

#[derive(Debug)]
struct Call {
    id: Box<str>,
    is_custom: bool,
    is_answered: bool,
}

impl Conversation {
    /// Adds all of `input`.
    pub(super) fn add(&mut self, input: Input<'_>, path: Path<'_>) -> Result<(), ApiError> {
        match input {
            Input::Text(text) => self.messages.push(Message::new(Role::User, text)),
            Input::List(items) => {
                self.messages.reserve_exact(items.room());
                for (index, item) in items.into_iter().enumerate() {
                    let path = path.element(index);
                    self.item(item.required(path)?, path, index)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses calls without a result, and results without a call.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        let refuse = |message: String| Err(ApiError::invalid("input", message));
        if let Some(id) = &self.orphan {
            return refuse(format!("No tool call found for function call output with call_id {id}."));
        }
        match self.calls.iter().find(|call| !call.is_answered) {
            Some(call) if call.is_custom => refuse(format!("No tool output found for custom tool call {}.", call.id)),
            Some(call) => refuse(format!("No tool output found for function call {}.", call.id)),
            None => Ok(()),
        }
    }

    fn item(&mut self, item: Item<'_>, path: Path<'_>, index: usize) -> Result<(), ApiError> {
        let kind = item.kind.optional(path.field("type"))?;
        let kind = match &kind {
            Some(kind) => &**kind,
            // Only these two may leave their type out.
            None if matches!((&item.role, &item.id), (Given::Absent, Given::Is(_))) => "item_reference",
            None => "message",
        };
        match kind {
            "message" => self.message(item.role, item.content, path)?,
            "function_call" => {
                let id = item.call_id.required(path.field("call_id"))?;
                let name = item.name.required(path.field("name"))?;
                let arguments = item.arguments.required(path.field("arguments"))?;
                self.call(&id, false, &name, &arguments);
            }
            "custom_tool_call" => {
                let id = item.call_id.required(path.field("call_id"))?;
                let name = item.name.required(path.field("name"))?;
                let input = item.input.required(path.field("input"))?;
                self.call(&id, true, &name, &input);
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = item.call_id.optional(path.field("call_id"))?;
                let output = item.output.required(path.field("output"))?;
                self.result(id.as_deref(), output, path.field("output"))?;
            }
            "item_reference" => self.references.push((index, item.id.required(path.field("id"))?.into())),
            // Thoughts, and what the vendor's own tools did, say nothing that is looked at here.
            known if ITEMS.contains(&known) => {}
            other => return Err(path.field("type").unknown_word(other, ITEMS).into()),
        }
        Ok(())
    }

    fn message(&mut self, role: Given<Cow<'_, str>>, content: Given<Content<'_>>, path: Path<'_>) -> Result<(), ApiError> {
        let word = role.required(path.field("role"))?;
        let role = match &*word {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" | "developer" => Role::System,
            other => return Err(path.field("role").unknown_word(other, ROLES).into()),
        };
        let list = path.field("content");
        let (text, attachments) = said(content.required(list)?, list, role == Role::Assistant)?;
        self.messages.push(Message::new(role, text).with_attachments(attachments));
        Ok(())
    }

    /// A call belongs to what the model said just before.
    fn call(&mut self, id: &str, is_custom: bool, name: &str, arguments: &str) {
        let id: Box<str> = excerpt(id).into();
        self.newest.insert(id.clone(), self.calls.len());
        self.calls.push(Call { id, is_custom, is_answered: false });
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.call_tool(name, arguments),
            _ => self.messages.push(Message::new(Role::Assistant, "").with_tool_calls(vec![(name.into(), arguments.into())])),
        }
    }

    fn result(&mut self, id: Option<&str>, output: Content<'_>, path: Path<'_>) -> Result<(), ApiError> {
        let (text, attachments) = said(output, path, false)?;
        if let Some(id) = id.map(excerpt) {
            match self.newest.get(id).and_then(|at| self.calls.get_mut(*at)) {
                Some(call) => call.is_answered = true,
                None => _ = self.orphan.get_or_insert_with(|| id.into()),
            }
        }
        self.messages.push(Message::new(Role::Tool, text).with_attachments(attachments));
        Ok(())
    }
}

/// The texts of all parts, joined, and the other parts; `by_model` if the model said it.
fn said(content: Content<'_>, list: Path<'_>, by_model: bool) -> Result<(String, Vec<Attachment>), Mistake> {
    let parts = match content {
        Content::Text(text) => return Ok((text.into_owned(), Vec::new())),
        Content::List(parts) => parts,
    };
    let (mut text, mut attachments) = (String::new(), Vec::new());
    for (index, part) in parts.into_iter().enumerate() {
        let path = list.element(index);
        let part = part.required(path)?;
        let kind = part.kind.required(path.field("type"))?;
        if by_model && PARTS.contains(&&*kind) && !ASSISTANT_PARTS.contains(&&*kind) {
            return Err(path.unknown_word(&kind, ASSISTANT_PARTS));
        }
        match &*kind {
            "input_text" | "output_text" | "summary_text" => text.push_str(&part.text.required(path.field("text"))?),
            "refusal" => text.push_str(&part.refusal.required(path.field("refusal"))?),
            "input_image" | "computer_screenshot" => {
                attachments.push(attachment([(part.image_url, "image_url"), (part.file_id, "file_id")], path)?);
            }
            "input_file" => {
                let places = [(part.file_data, "file_data"), (part.file_url, "file_url"), (part.file_id, "file_id")];
                attachments.push(attachment(places, path)?);
            }
            other => return Err(path.field("type").unknown_word(other, PARTS)),
        }
    }
    Ok((text, attachments))
}

/// What is at the first of `places` that is named; one of them must be.
fn attachment<const N: usize>(places: [(Given<Cow<'_, str>>, &'static str); N], path: Path<'_>) -> Result<Attachment, Mistake> {
    let first = places.first().map_or("", |(_, name)| *name);
    for (place, name) in places {
        if let Some(place) = place.optional(path.field(name))? {
            return Ok(attached::image(&place));
        }
    }
    Err(path.field(first).missing())
}
