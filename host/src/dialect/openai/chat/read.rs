//! A chat request, from the body's bytes to the neutral [`Request`].
//!
//! [`super::body`] reads, this file and [`super::tools`] check and convert. Values are checked in the order of the code below and the
//! first mistake is answered. Fields that nobody knows are ignored unless the scenario says otherwise, as servers that speak this dialect
//! do: load tools send extensions of their own.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::Options;
use super::body::{Body, Content, Message as GivenMessage, Part, ToolCall};
use super::tools;
use crate::dialect::Inbound;
use crate::dialect::json::given::Given;
use crate::dialect::json::many::Many;
use crate::dialect::json::path::{Path, read as read_json};
use crate::dialect::openai::{attached, sampling, words};
use crate::types::api_error::ApiError;
use crate::types::limits::{CHOICES_MAX, TOOLS_MAX};
use crate::types::manners::Padding;
use crate::types::mistake::Mistake;
use crate::types::request::{Attachment, Format, Message, Operation, Request, Role};

const ROLES: &[&str] = &["system", "assistant", "user", "function", "tool", "developer"];
const PARTS: &[&str] = &["text", "image_url", "input_audio", "refusal", "audio", "file"];

/// Reads a chat request, and how its reply is rendered.
pub(super) fn read(inbound: Inbound<'_>) -> Result<(Request, Options), ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let mut body: Body<'_> = read_json(&inbound.body, root)?;
    if let Some(deployment) = inbound.deployment {
        body.model = Given::Is(deployment.into());
    }
    let (mut request, options) = convert(body, root, inbound.manners.padding)?;
    let is_filtered = inbound.deployment.is_some();
    let options = Options { is_filtered, is_filtered_later: is_filtered && inbound.manners.filters_later, ..options };
    request.target = inbound.target.into();
    request.body = inbound.body;
    request.headers = inbound.headers;
    Ok((request, options))
}

fn convert(body: Body<'_>, root: Path<'_>, padding: Padding) -> Result<(Request, Options), ApiError> {
    let model = sampling::model(body.model, root)?;
    if body.functions.is_some() {
        return Err(words::unsupported("functions", "tools"));
    }
    if body.function_call.is_some() {
        return Err(words::unsupported("function_call", "tool_choice"));
    }
    let list = root.field("messages");
    let messages = messages(body.messages.required(list)?.0, list)?;
    sampling::ranges(
        root,
        [
            ("temperature", body.temperature, 0.0, 2.0),
            ("top_p", body.top_p, 0.0, 1.0),
            ("presence_penalty", body.presence_penalty, -2.0, 2.0),
            ("frequency_penalty", body.frequency_penalty, -2.0, 2.0),
        ],
    )?;
    let tools = tools::tools(body.tools, root.field("tools"))?;
    let (tool_choice, tools) = tools::choice(body.tool_choice, root.field("tool_choice"), tools)?;
    let parallel = body.parallel_tool_calls.optional(root.field("parallel_tool_calls"))?;
    if parallel.is_some() && tools.is_empty() {
        return Err(words::only_with_tools("parallel_tool_calls"));
    }
    let format = tools::format(body.response_format, root.field("response_format"))?;
    check_json_is_named(&format, &messages)?;
    let choices = sampling::within(body.n, root.field("n"), 1, i64::from(CHOICES_MAX))?;
    let max_output_tokens = bound(body.max_completion_tokens, body.max_tokens, root)?;
    let min_output_tokens = sampling::fewest(body.min_tokens, root, max_output_tokens)?;
    let stop = sampling::stop(body.stop, root.field("stop"))?;
    let logprobs = logprobs(body.logprobs, body.top_logprobs, root)?;
    let streaming = sampling::stream(body.stream, body.stream_options, root, padding)?;
    let custom: Arc<[Box<str>]> = tools.iter().filter(|tool| tool.is_free).map(|tool| tool.name.clone()).collect();
    let request = Request {
        operation: Operation::Chat,
        model: model.into(),
        other_name: None,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: parallel.unwrap_or(true),
        format,
        choices: choices.map_or(1, |choices| choices as u32),
        max_output_tokens,
        min_output_tokens,
        ignores_end: body.ignore_eos.optional(root.field("ignore_eos"))?.unwrap_or(false),
        thinking: sampling::thinking(body.reasoning_effort, root.field("reasoning_effort"))?.1,
        stop,
        logprobs,
        streams: streaming.wanted,
        shows_usage: !streaming.wanted || streaming.include_usage,
        route: None,
        overrides: None,
        input_tokens_max: None,
        target: Box::default(),
        body: Bytes::new(),
        headers: http::HeaderMap::new(),
    };
    let custom = (!custom.is_empty()).then_some(custom);
    Ok((request, Options { logprobs, streaming, is_filtered: false, is_filtered_later: false, custom }))
}

/// The bound on output tokens. Some load tools send the old and the new name together, so the new one simply counts first.
fn bound(new: Given<i64>, old: Given<i64>, root: Path<'_>) -> Result<Option<u32>, Mistake> {
    let new = sampling::tokens(new, root.field("max_completion_tokens"), 1)?;
    let old = sampling::tokens(old, root.field("max_tokens"), 1)?;
    Ok(new.or(old))
}

fn logprobs(wanted: Given<bool>, top: Given<i64>, root: Path<'_>) -> Result<Option<u8>, ApiError> {
    let wanted = wanted.optional(root.field("logprobs"))?.unwrap_or(false);
    let top = sampling::within(top, root.field("top_logprobs"), 0, 20)?;
    match top {
        Some(_) if !wanted => Err(words::only_with("top_logprobs", "logprobs")),
        top => Ok(wanted.then_some(top.unwrap_or(0) as u8)),
    }
}

/// The vendor refuses "any JSON object" when no message speaks of JSON, because models then write blanks without end.
fn check_json_is_named(format: &Format, messages: &[Message]) -> Result<(), ApiError> {
    let names_json = |message: &Message| message.text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"));
    if !matches!(format, Format::JsonObject) || messages.iter().any(names_json) {
        return Ok(());
    }
    let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.";
    Err(ApiError::invalid("messages", message))
}

pub(super) fn messages<'de>(given: Many<'de, GivenMessage<'de>>, list: Path<'_>) -> Result<Vec<Message>, ApiError> {
    let given = given.counted(list, 1, usize::MAX)?;
    let mut messages = Vec::with_capacity(given.room());
    for (index, given) in given.into_iter().enumerate() {
        let path = list.element(index);
        messages.push(message(given.required(path)?, path, index)?);
    }
    Ok(messages)
}

fn message(given: GivenMessage<'_>, path: Path<'_>, index: usize) -> Result<Message, ApiError> {
    let role = given.role.required(path.field("role"))?;
    let (role, needs_content) = match &*role {
        "system" | "developer" => (Role::System, true),
        "user" => (Role::User, true),
        "assistant" => (Role::Assistant, false),
        "tool" => {
            if given.tool_call_id.optional(path.field("tool_call_id"))?.is_none() {
                let message = "Missing parameter 'tool_call_id': messages with role 'tool' must have a 'tool_call_id'.";
                return Err(ApiError::invalid(format!("messages.[{index}].tool_call_id"), message));
            }
            (Role::Tool, true)
        }
        "function" => {
            given.name.required(path.field("name"))?;
            (Role::Tool, true)
        }
        other => return Err(path.field("role").unknown_word(other, ROLES).into()),
    };
    let mut tool_calls = calls(given.tool_calls, path.field("tool_calls"))?;
    if let Some(call) = given.function_call.optional(path.field("function_call"))? {
        let path = path.field("function_call");
        let name = call.name.required(path.field("name"))?;
        tool_calls.push((name.into(), call.arguments.required(path.field("arguments"))?.into()));
    }
    let refusal = given.refusal.optional(path.field("refusal"))?;
    let (text, attachments) = match given.content.optional(path.field("content"))? {
        Some(Content::Text(text)) => (text.into_owned(), Vec::new()),
        Some(Content::List(parts)) => join(parts, path.field("content"))?,
        // An assistant message may consist of its calls, its refusal or its sound alone.
        None if !needs_content && (!tool_calls.is_empty() || refusal.is_some() || given.audio.is_some()) => {
            (refusal.map_or_else(String::new, Cow::into_owned), Vec::new())
        }
        None => {
            let message = "Invalid value for 'content': expected a string, got null.";
            return Err(ApiError::invalid(format!("messages.[{index}].content"), message));
        }
    };
    Ok(Message::new(role, text).with_attachments(attachments).with_tool_calls(tool_calls))
}

/// The texts of all parts, joined, and the other parts.
fn join<'de>(parts: Many<'de, Part<'de>>, list: Path<'_>) -> Result<(String, Vec<Attachment>), Mistake> {
    let parts = parts.counted(list, 1, usize::MAX)?;
    let mut text = String::new();
    let mut attachments = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        let path = list.element(index);
        let part = part.required(path)?;
        let kind = part.kind.required(path.field("type"))?;
        match &*kind {
            "text" => text.push_str(&part.text.required(path.field("text"))?),
            "refusal" => text.push_str(&part.refusal.required(path.field("refusal"))?),
            "image_url" => {
                let path = path.field("image_url");
                attachments.push(attached::image(&part.image_url.required(path)?.url.required(path.field("url"))?));
            }
            "input_audio" => {
                let path = path.field("input_audio");
                let sound = part.input_audio.required(path)?;
                attachments.push(attached::sound(&sound.data.required(path.field("data"))?));
                sound.format.required(path.field("format"))?;
            }
            "file" => {
                let path = path.field("file");
                let file = part.file.required(path)?;
                file.filename.optional(path.field("filename"))?;
                let id = file.file_id.optional(path.field("file_id"))?;
                let place = file.file_data.optional(path.field("file_data"))?.or(id);
                attachments.push(attached::image(&place.ok_or_else(|| path.field("file_id").missing())?));
            }
            "audio" => {
                let path = path.field("audio");
                attachments.push(attached::image(&part.audio.required(path)?.id.required(path.field("id"))?));
            }
            other => return Err(path.field("type").unknown_word(other, PARTS)),
        }
    }
    Ok((text, attachments))
}

/// The calls of an earlier assistant message, each as name and arguments.
#[allow(clippy::type_complexity, reason = "this is the field's type in the neutral message")]
fn calls<'de>(given: super::body::List<'de, ToolCall<'de>>, list: Path<'_>) -> Result<Vec<(Box<str>, Box<str>)>, Mistake> {
    let Some(given) = given.optional(list)? else { return Ok(Vec::new()) };
    let given = given.counted(list, 0, TOOLS_MAX)?;
    let mut calls = Vec::new();
    for (index, call) in given.into_iter().enumerate() {
        let path = list.element(index);
        let call = call.required(path)?;
        call.id.required(path.field("id"))?;
        let kind = call.kind.required(path.field("type"))?;
        calls.push(match &*kind {
            "function" => {
                let path = path.field("function");
                let function = call.function.required(path)?;
                let name = function.name.required(path.field("name"))?;
                (name.into(), function.arguments.required(path.field("arguments"))?.into())
            }
            "custom" => {
                let path = path.field("custom");
                let custom = call.custom.required(path)?;
                (custom.name.required(path.field("name"))?.into(), custom.input.required(path.field("input"))?.into())
            }
            other => return Err(path.field("type").unknown_word(other, &["function", "custom"])),
        });
    }
    Ok(calls)
}
