//! A chat request, from the body's bytes to the neutral [`Request`].
//!
//! [`super::body`] reads, this file and [`super::tools`] check and convert, [`super::refuse`] words what is wrong. Values are
//! checked in the order of the code below and the first mistake is answered. Unknown fields are ignored, as servers that speak
//! this dialect do: load tools send extensions of their own.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;

use super::body::{Body, Content, Message as GivenMessage, Part, Stop, StreamOptions as GivenStreamOptions, ToolCall};
use super::given::Given;
use super::refuse::{self, Path};
use super::tools;
use crate::types::api_error::ApiError;
use crate::types::limits::{CHOICES_MAX, STOPS_MAX};
use crate::types::request::{Format, Message, Operation, Request, Role, StreamOptions};

const ROLES: &str = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
const PARTS: &str = "'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'";

/// Reads a chat request. The error has the vendor's words, `param` and `code`.
pub(super) fn parse(body: Bytes, headers: HeaderMap) -> Result<Request, ApiError> {
    // Checked once here, so that the reader below need not check every text.
    let json = std::str::from_utf8(&body).map_err(refuse::not_json)?;
    let given = match serde_json::from_str(json).map_err(refuse::not_json)? {
        Given::Is(given) => given,
        Given::Wrong(kind) => return Err(refuse::not_json(format_args!("expected an object, but got {kind}"))),
        Given::Absent | Given::Null => return Err(refuse::not_json("expected an object, but got null")),
    };
    let mut request = convert(given)?;
    request.body = body;
    request.headers = headers;
    Ok(request)
}

fn convert(body: Body<'_>) -> Result<Request, ApiError> {
    let root = Path::Root;
    let model = match body.model {
        Given::Absent | Given::Null => return Err(refuse::no_model()),
        model => model.required(root.field("model"))?,
    };
    if model.is_empty() {
        return Err(refuse::no_model());
    }
    if body.functions.is_some() {
        return Err(refuse::unsupported("functions", "tools"));
    }
    if body.function_call.is_some() {
        return Err(refuse::unsupported("function_call", "tool_choice"));
    }
    let messages = messages(body.messages.required(root.field("messages"))?.0)?;
    ranges([
        ("temperature", body.temperature, 0.0, 2.0),
        ("top_p", body.top_p, 0.0, 1.0),
        ("presence_penalty", body.presence_penalty, -2.0, 2.0),
        ("frequency_penalty", body.frequency_penalty, -2.0, 2.0),
    ])?;
    let tools = tools::tools(body.tools, root.field("tools"))?;
    let (tool_choice, tools) = tools::choice(body.tool_choice, tools)?;
    let parallel = body.parallel_tool_calls.optional(root.field("parallel_tool_calls"))?;
    if parallel.is_some() && tools.is_empty() {
        return Err(refuse::only_with_tools("parallel_tool_calls"));
    }
    let format = tools::format(body.response_format)?;
    check_json_is_named(&format, &messages)?;
    let choices = within(body.n, root.field("n"), 1, i64::from(CHOICES_MAX))?;
    Ok(Request {
        operation: Operation::Chat,
        model: model.into_owned().into_boxed_str(),
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: parallel.unwrap_or(true),
        format,
        choices: choices.map_or(1, |choices| choices as u32),
        max_output_tokens: bound(body.max_completion_tokens, body.max_tokens)?,
        stop: stop(body.stop, root.field("stop"))?,
        logprobs: logprobs(body.logprobs, body.top_logprobs)?,
        stream: stream(body.stream, body.stream_options)?,
        body: Bytes::new(),
        headers: HeaderMap::new(),
    })
}

fn ranges(given: [(&'static str, Given<f64>, f64, f64); 4]) -> Result<(), ApiError> {
    for (name, value, floor, ceiling) in given {
        let path = Path::Root.field(name);
        if let Some(value) = value.optional(path)? {
            refuse::decimal(value, path, floor, ceiling)?;
        }
    }
    Ok(())
}

fn within(value: Given<i64>, path: Path<'_>, floor: i64, ceiling: i64) -> Result<Option<i64>, ApiError> {
    value.optional(path)?.map(|value| refuse::integer(value, path, floor, ceiling)).transpose()
}

/// The bound on output tokens. Some load tools send the old and the new name together, so the new one simply counts first.
fn bound(new: Given<i64>, old: Given<i64>) -> Result<Option<u32>, ApiError> {
    let new = within(new, Path::Root.field("max_completion_tokens"), 1, i64::MAX)?;
    let old = within(old, Path::Root.field("max_tokens"), 1, i64::MAX)?;
    Ok(new.or(old).map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)))
}

fn stop(given: Given<Stop<'_>>, path: Path<'_>) -> Result<Vec<Box<str>>, ApiError> {
    let texts = match given.optional(path)? {
        None => return Ok(Vec::new()),
        Some(Stop::One(text)) => return Ok(vec![text.into_owned().into_boxed_str()]),
        Some(Stop::Many(texts)) => texts,
    };
    if texts.len() > STOPS_MAX {
        return Err(refuse::long_list(path, STOPS_MAX, texts.len()));
    }
    let owned = |(index, text): (usize, Given<Cow<'_, str>>)| Ok(text.required(path.element(index))?.into_owned().into());
    texts.into_iter().enumerate().map(owned).collect()
}

fn logprobs(wanted: Given<bool>, top: Given<i64>) -> Result<Option<u8>, ApiError> {
    let wanted = wanted.optional(Path::Root.field("logprobs"))?.unwrap_or(false);
    let top = within(top, Path::Root.field("top_logprobs"), 0, 20)?;
    match top {
        Some(_) if !wanted => Err(refuse::only_with("top_logprobs", "logprobs")),
        top => Ok(wanted.then_some(top.unwrap_or(0) as u8)),
    }
}

/// How to stream. Padding is off unless the client asks for it, although the real service pads by default: it doubles the bytes
/// of a stream and tells a test nothing.
fn stream(wanted: Given<bool>, options: Given<GivenStreamOptions>) -> Result<Option<StreamOptions>, ApiError> {
    let wanted = wanted.optional(Path::Root.field("stream"))?.unwrap_or(false);
    let path = Path::Root.field("stream_options");
    let Some(options) = options.optional(path)? else { return Ok(wanted.then(StreamOptions::default)) };
    if !wanted {
        return Err(refuse::only_with("stream_options", "stream"));
    }
    let include_usage = options.include_usage.optional(path.field("include_usage"))?.unwrap_or(false);
    let obfuscation = options.include_obfuscation.optional(path.field("include_obfuscation"))?.unwrap_or(false);
    Ok(Some(StreamOptions { include_usage, obfuscation }))
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

fn messages(given: Vec<Given<GivenMessage<'_>>>) -> Result<Vec<Message>, ApiError> {
    let list = Path::Root.field("messages");
    if given.is_empty() {
        return Err(refuse::empty_list(list));
    }
    let mut messages = Vec::with_capacity(given.len());
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
        other => return Err(refuse::unknown_word(path.field("role"), other, ROLES)),
    };
    let mut tool_calls = calls(given.tool_calls, path.field("tool_calls"))?;
    if let Some(call) = given.function_call.optional(path.field("function_call"))? {
        let path = path.field("function_call");
        let name = call.name.required(path.field("name"))?;
        tool_calls.push((name.into(), call.arguments.required(path.field("arguments"))?.into()));
    }
    let refusal = given.refusal.optional(path.field("refusal"))?;
    let (text, attachments) = match given.content.optional(path.field("content"))? {
        Some(Content::Text(text)) => (text.into_owned(), 0),
        Some(Content::Parts(parts)) => join(parts, path.field("content"))?,
        // An assistant message may consist of its calls, its refusal or its sound alone.
        None if !needs_content && (!tool_calls.is_empty() || refusal.is_some() || given.audio.is_some()) => {
            (refusal.map_or_else(String::new, Cow::into_owned), 0)
        }
        None => {
            let message = "Invalid value for 'content': expected a string, got null.";
            return Err(ApiError::invalid(format!("messages.[{index}].content"), message));
        }
    };
    Ok(Message { role, text: text.into_boxed_str(), attachments, tool_calls })
}

/// The texts of all parts, joined, and how many other parts there are.
fn join(parts: Vec<Given<Part<'_>>>, list: Path<'_>) -> Result<(String, u32), ApiError> {
    if parts.is_empty() {
        return Err(refuse::empty_list(list));
    }
    let mut text = String::new();
    let mut attachments = 0;
    for (index, part) in parts.into_iter().enumerate() {
        let path = list.element(index);
        let part = part.required(path)?;
        let kind = part.kind.required(path.field("type"))?;
        match &*kind {
            "text" => text.push_str(&part.text.required(path.field("text"))?),
            "refusal" => text.push_str(&part.refusal.required(path.field("refusal"))?),
            "image_url" => {
                let path = path.field("image_url");
                part.image_url.required(path)?.url.required(path.field("url"))?;
                attachments += 1;
            }
            "input_audio" => {
                let path = path.field("input_audio");
                let sound = part.input_audio.required(path)?;
                sound.data.required(path.field("data"))?;
                sound.format.required(path.field("format"))?;
                attachments += 1;
            }
            "file" => {
                part.file.required(path.field("file"))?;
                attachments += 1;
            }
            "audio" => {
                part.audio.required(path.field("audio"))?;
                attachments += 1;
            }
            other => return Err(refuse::unknown_word(path.field("type"), other, PARTS)),
        }
    }
    Ok((text, attachments))
}

/// The calls of an earlier assistant message, each as name and arguments.
#[allow(clippy::type_complexity, reason = "this is the field's type in the neutral message")]
fn calls(given: super::body::List<ToolCall<'_>>, list: Path<'_>) -> Result<Vec<(Box<str>, Box<str>)>, ApiError> {
    let Some(given) = given.optional(list)? else { return Ok(Vec::new()) };
    let mut calls = Vec::with_capacity(given.len());
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
            other => return Err(refuse::unknown_word(path.field("type"), other, "'function' and 'custom'")),
        });
    }
    Ok(calls)
}
