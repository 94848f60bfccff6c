//! Requests, from the body's bytes to the neutral [`Request`]. The first mistake is answered, in the order of the code below.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use super::Form;
use super::body::{ChatBody, GenerateBody, List, Message as GivenMessage, Think, Tool as GivenTool};
use super::context::Context;
use super::keep_alive::KeepAlive;
use super::loaded::Loaded;
use super::whole::Answer;
use super::{names, options};
use crate::dialect::json::given::{Given, Shape};
use crate::dialect::json::many::Many;
use crate::dialect::json::path::{Path, excerpt, read as read_json};
use crate::dialect::json::schema;
use crate::dialect::{Inbound, Parsed, Voice};
use crate::types::api_error::ApiError;
use crate::types::limits::MANY_TOOLS_MAX;
use crate::types::mistake::{Mistake, What};
use crate::types::request::{Attachment, Format, Message, Operation, Request, Role, Thinking, Tool, ToolChoice};

/// Tokens of an image: 24 by 24 patches, as the vision part of LLaVA models cuts it.
const IMAGE_TOKENS: u32 = 576;

/// Reads a request to continue a conversation, and how its reply is rendered.
pub(super) fn chat(inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let body: ChatBody<'_> = body_of(&inbound, root)?;
    let model = body.model.required(root.field("model"))?;
    let keep_alive = keep_alive(body.keep_alive, root.field("keep_alive"))?;
    let list = root.field("messages");
    let messages = messages(body.messages.optional(list)?.unwrap_or_default(), list)?;
    let options = options::read(body.options, root.field("options"))?;
    let logprobs = logprobs(body.logprobs, body.top_logprobs, root)?;
    let streams = body.stream.optional(root.field("stream"))?.unwrap_or(true);
    let request = Request {
        tools: tools(body.tools, root.field("tools"))?,
        tool_choice: ToolChoice::Auto,
        format: format(body.format, root.field("format"))?,
        thinking: thinking(body.think, root.field("think"))?,
        max_output_tokens: options.max_tokens,
        stop: options.stop,
        logprobs,
        streams,
        ..Request::chat(known_model(&model, root)?, messages)
    };
    let is_empty = request.messages.is_empty();
    Ok(parsed(request, Form::Chat, is_empty, keep_alive, None, inbound))
}

/// Reads a request to continue a prompt, and how its reply is rendered.
pub(super) fn generate(inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let body: GenerateBody<'_> = body_of(&inbound, root)?;
    let model = body.model.required(root.field("model"))?;
    let keep_alive = keep_alive(body.keep_alive, root.field("keep_alive"))?;
    let prompt = body.prompt.optional(root.field("prompt"))?.unwrap_or_default();
    let suffix = body.suffix.optional(root.field("suffix"))?.unwrap_or_default();
    let system = body.system.optional(root.field("system"))?.unwrap_or_default();
    let template = body.template.optional(root.field("template"))?.unwrap_or_default();
    let context = Context::of(body.context, root.field("context"), &prompt)?;
    let earlier = context.attachment();
    let is_raw = body.raw.optional(root.field("raw"))?.unwrap_or(false);
    if is_raw && !(template.is_empty() && system.is_empty() && earlier.is_none()) {
        return Err(ApiError::invalid("raw", "raw mode does not support template, system, or context"));
    }
    let mut attachments = images(body.images, root.field("images"))?;
    attachments.extend(earlier);
    let options = options::read(body.options, root.field("options"))?;
    let logprobs = logprobs(body.logprobs, body.top_logprobs, root)?;
    let streams = body.stream.optional(root.field("stream"))?.unwrap_or(true);
    let is_empty = prompt.is_empty();
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(Message::new(Role::System, system));
    }
    let text = if suffix.is_empty() { prompt } else { format!("{prompt}{suffix}").into() };
    messages.push(Message::new(Role::User, text).with_attachments(attachments));
    let request = Request {
        operation: Operation::Completion,
        format: format(body.format, root.field("format"))?,
        thinking: thinking(body.think, root.field("think"))?,
        max_output_tokens: options.max_tokens,
        stop: options.stop,
        logprobs,
        streams,
        ..Request::chat(known_model(&model, root)?, messages)
    };
    // Whoever writes the template has all that is needed to go on.
    let context = (!is_raw).then_some(context);
    Ok(parsed(request, Form::Generate, is_empty, keep_alive, context, inbound))
}

/// The JSON of a body, which must not be empty.
pub(super) fn body_of<'de, T: Shape<'de>>(inbound: &'de Inbound<'_>, root: Path<'_>) -> Result<T, ApiError> {
    if inbound.body.is_empty() {
        return Err(ApiError::of_status(400, "missing request body"));
    }
    Ok(read_json(&inbound.body, root)?)
}

/// A request with nothing to continue loads the model, or takes it out of memory if it is to stay for no time.
fn parsed(
    mut request: Request,
    form: Form,
    is_empty: bool,
    keep_alive: KeepAlive,
    context: Option<Context>,
    inbound: Inbound<'_>,
) -> Parsed {
    let voice: Box<dyn Voice> = if is_empty {
        request.operation = Operation::Count;
        request.streams = false;
        Box::new(Loaded { form, unloads: keep_alive == KeepAlive::Zero })
    } else {
        Box::new(Answer { form, logprobs: request.logprobs, context })
    };
    request.other_name = names::other(&request.model);
    request.target = inbound.target.into();
    request.body = inbound.body.clone();
    request.headers = inbound.headers;
    Parsed { request, voice }
}

/// The name of a model, which must not be empty.
pub(super) fn known_model<'a>(model: &'a str, root: Path<'_>) -> Result<&'a str, Mistake> {
    if model.is_empty() { Err(root.field("model").missing()) } else { Ok(model) }
}

fn keep_alive(given: Given<KeepAlive>, path: Path<'_>) -> Result<KeepAlive, Mistake> {
    match given.optional(path)? {
        Some(KeepAlive::Wrong(text)) => Err(path.unknown_word(&text, &["5m"])),
        found => Ok(found.unwrap_or(KeepAlive::Some)),
    }
}

fn messages<'de>(given: Many<'de, GivenMessage<'de>>, list: Path<'_>) -> Result<Vec<Message>, Mistake> {
    let mut messages = Vec::with_capacity(given.room());
    for (index, message) in given.into_iter().enumerate() {
        let path = list.element(index);
        let message = message.required(path)?;
        let role = match message.role.optional(path.field("role"))?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "system" | "developer" => Role::System,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            // The vendor hands other roles to the model's template, which takes them for a person or leaves them out.
            _ => Role::User,
        };
        message.thinking.optional(path.field("thinking"))?;
        let text = message.content.optional(path.field("content"))?.unwrap_or_default();
        let mut read = Message::new(role, text).with_attachments(images(message.images, path.field("images"))?);
        let list = path.field("tool_calls");
        for (index, call) in message.tool_calls.optional(list)?.unwrap_or_default().into_iter().enumerate() {
            let path = list.element(index);
            let path = &path.field("function");
            let call = call.required(list.element(index))?.function.required(*path)?;
            let arguments = call.arguments.map_or("{}", RawValue::get);
            read.call_tool(call.name.required(path.field("name"))?, arguments);
        }
        messages.push(read);
    }
    Ok(messages)
}

/// Images are base64, which the vendor decodes at once.
fn images<'de>(given: List<'de, Cow<'de, str>>, list: Path<'_>) -> Result<Vec<Attachment>, Mistake> {
    let mut attachments = Vec::new();
    for (index, image) in given.optional(list)?.unwrap_or_default().into_iter().enumerate() {
        let path = list.element(index);
        let image = image.required(path)?;
        if !is_base64(image.as_bytes()) {
            return Err(path.mistake(What::Pattern("^[A-Za-z0-9+/]*=*$")));
        }
        attachments.push(Attachment { digest: xxh3_64(image.as_bytes()), tokens: IMAGE_TOKENS });
    }
    Ok(attachments)
}

fn is_base64(text: &[u8]) -> bool {
    let body = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    text.len().is_multiple_of(4) && body.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn tools<'de>(given: List<'de, GivenTool<'de>>, list: Path<'_>) -> Result<Vec<Tool>, Mistake> {
    let Some(given) = given.optional(list)? else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    let given = given.counted(list, 0, MANY_TOOLS_MAX)?;
    for (index, tool) in given.into_iter().enumerate() {
        let tool_path = list.element(index);
        let path = tool_path.field("function");
        let function = tool.required(tool_path)?.function.required(path)?;
        let name = function.name.required(path.field("name"))?;
        let kept = |schema| schema::kept(schema, path.field("parameters"), || format!("function '{name}'"));
        let parameters = function.parameters.filter(|schema| schema.get() != "null").map(kept).transpose()?;
        tools.push(Tool { name: name.into(), is_free: false, parameters });
    }
    Ok(tools)
}

/// What form the reply's text must have: none, any JSON, or a schema.
fn format(given: Option<&RawValue>, path: Path<'_>) -> Result<Format, Mistake> {
    let Some(given) = given else { return Ok(Format::Text) };
    match given.get() {
        "null" | "\"\"" => Ok(Format::Text),
        "\"json\"" => Ok(Format::JsonObject),
        schema if schema.starts_with('{') => {
            schema::check_depth(given)
                .map_err(|reason| path.mistake(What::Schema { owner: "format".into(), reason: reason.into() }))?;
            Ok(Format::JsonSchema { name: "format".into(), schema: Arc::from(given.to_owned()) })
        }
        other => Err(path.unknown_word(excerpt(other.trim_matches('"')), &["json"])),
    }
}

fn thinking(given: Given<Think<'_>>, path: Path<'_>) -> Result<Thinking, Mistake> {
    Ok(match given.optional(path)? {
        None => Thinking::Unsaid,
        Some(Think::Flag(false)) => Thinking::Off,
        Some(Think::Flag(true)) => Thinking::On(None),
        Some(Think::Word(word)) => match &*word {
            "high" | "medium" | "low" | "max" => Thinking::On(None),
            other => return Err(path.unknown_word(other, &["high", "medium", "low"])),
        },
    })
}

fn logprobs(wanted: Given<bool>, top: Given<i64>, root: Path<'_>) -> Result<Option<u8>, Mistake> {
    let path = root.field("top_logprobs");
    let top = path.integer(top.optional(path)?.unwrap_or(0), 0, 20)?;
    let wanted = wanted.optional(root.field("logprobs"))?.unwrap_or(false);
    Ok(wanted.then_some(top as u8))
}
