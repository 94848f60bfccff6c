//! A request for a response, from the body's bytes to the neutral [`Request`]. The first mistake is answered, in the order of the code
//! below. What the reply shows of the request is rendered here, while all of it is at hand.

use std::borrow::Cow;
use std::mem::take;

use bytes::{BufMut, Bytes, BytesMut};

use super::body::{Body, Input, METADATA_MAX, Metadata, Raw, Reasoning, StreamOptions, Text};
use super::items::Conversation;
use super::tools::{self, inside};
use super::{Echo, Goes, Options};
use crate::dialect::Inbound;
use crate::dialect::json::given::Given;
use crate::dialect::json::path::{Path, excerpt, read as read_json};
use crate::dialect::json::splice::{push_nullable, push_number, push_on_one_line, push_string};
use crate::dialect::openai::{sampling, words};
use crate::types::api_error::ApiError;
use crate::types::manners::Padding;
use crate::types::mistake::Mistake;
use crate::types::request::{Format, Message, Operation, Request, Role, Thinking, Tool, ToolChoice};

/// The fewest tokens that a client may allow: the vendor's bound.
const OUTPUT_TOKENS_MIN: i64 = 16;
/// Pairs of metadata, and their lengths in characters: the vendor's bounds.
const METADATA_KEY_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;
const SUMMARIES: &[&str] = &["auto", "concise", "detailed"];
const INCLUDES: &[&str] = &[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

/// Reads a request for a response, or for how many tokens one's prompt has, and how it is answered.
pub(super) fn read(inbound: Inbound<'_>, operation: Operation) -> Result<(Request, Options), ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let padding = inbound.manners.padding;
    let (mut request, options) = convert(read_json(&inbound.body, root)?, root, operation, &inbound.body, padding)?;
    request.target = inbound.target.into();
    request.body = inbound.body;
    request.headers = inbound.headers;
    Ok((request, options))
}

fn convert(
    mut given: Body<'_>,
    root: Path<'_>,
    operation: Operation,
    body: &Bytes,
    padding: Padding,
) -> Result<(Request, Options), ApiError> {
    refuse_unserved(&given, root)?;
    let model = take(&mut given.model).required(root.field("model"))?;
    root.field("model").text(&model, 1, usize::MAX)?;
    let previous = take(&mut given.previous_response_id).optional(root.field("previous_response_id"))?;
    let (conversation, goes) = conversation(&given, root, previous.as_deref())?;
    let mut tail = BytesMut::with_capacity(512);
    let wishes = wishes(&mut given, root, previous.as_deref(), &mut tail)?;
    let mut end = BytesMut::with_capacity(32);
    if let Some(user) = take(&mut given.user).optional(root.field("user"))? {
        end.put_slice(b",\"user\":");
        push_string(&mut end, &user);
    }
    end.put_slice(b",\"metadata\":");
    metadata(take(&mut given.metadata), root.field("metadata"), &mut end)?;
    let bound = |given, name, floor| Ok::<_, Mistake>(within(given, root.field(name), floor, i64::MAX)?.map(bounded));
    let max_output_tokens = bound(take(&mut given.max_output_tokens), "max_output_tokens", OUTPUT_TOKENS_MIN)?;
    let max_tool_calls = bound(take(&mut given.max_tool_calls), "max_tool_calls", 1)?;
    let (logprobs, encrypts) = include(take(&mut given.include), root.field("include"))?;
    let streams = take(&mut given.stream).optional(root.field("stream"))?.unwrap_or(false);
    let obfuscation = padding.pads(obfuscation(take(&mut given.stream_options), root.field("stream_options"), streams)?);
    let raw_or_null = |raw: Raw<'_>| raw.map_or(Bytes::from_static(b"null"), |raw| body.slice_ref(raw.get().as_bytes()));
    let instructions = raw_or_null(given.instructions);
    let options = Options {
        echo: Echo { instructions, max_output_tokens, max_tool_calls, tail: tail.freeze(), end: end.freeze() },
        custom: wishes.custom,
        logprobs: logprobs.then_some(wishes.top_logprobs),
        obfuscation,
        shows_thoughts: wishes.shows_thoughts,
        encrypts,
        store: wishes.store,
        input: raw_or_null(given.input),
        goes,
        before: Vec::new(),
        needs_json: matches!(wishes.format, Format::JsonObject),
    };
    options.check(&conversation)?;
    let request = Request {
        operation,
        tools: wishes.tools,
        tool_choice: wishes.tool_choice,
        parallel_tool_calls: wishes.parallel && max_tool_calls != Some(1),
        format: wishes.format,
        max_output_tokens,
        thinking: wishes.thinking,
        logprobs: options.logprobs,
        streams: streams && operation == Operation::Chat,
        ..Request::chat(&model, conversation.messages)
    };
    Ok((request, options))
}

/// What is said, and what it goes on from.
fn conversation(given: &Body<'_>, root: Path<'_>, previous: Option<&str>) -> Result<(Conversation, Goes), ApiError> {
    let mut conversation = Conversation::default();
    if let Some(text) = inside::<Cow<'_, str>>(given.instructions, root.field("instructions"))? {
        conversation.messages.push(Message::new(Role::System, text));
    }
    let instructions = conversation.messages.len();
    match inside::<Input<'_>>(given.input, root.field("input"))? {
        Some(input) => conversation.add(input, root.field("input"))?,
        None if previous.is_some() => {}
        None => return Err(root.field("input").missing().into()),
    }
    let goes = Goes::of(previous, take(&mut conversation.references), instructions);
    Ok((conversation, goes))
}

/// What the reply shows between output and usage, as far as anything is done with it.
struct Wishes {
    parallel: bool,
    thinking: Thinking,
    shows_thoughts: bool,
    store: bool,
    format: Format,
    tools: Vec<Tool>,
    tool_choice: ToolChoice,
    /// Names of tools whose input is any text.
    custom: Box<[Box<str>]>,
    top_logprobs: u8,
}

/// Reads the fields that the reply shows between output and usage, and appends them to `tail` in the vendor's order.
fn wishes(given: &mut Body<'_>, root: Path<'_>, previous: Option<&str>, tail: &mut BytesMut) -> Result<Wishes, ApiError> {
    let parallel = take(&mut given.parallel_tool_calls).optional(root.field("parallel_tool_calls"))?.unwrap_or(true);
    tail.put_slice(if parallel { b",\"parallel_tool_calls\":true" } else { b",\"parallel_tool_calls\":false" });
    tail.put_slice(b",\"previous_response_id\":");
    push_nullable(tail, previous);
    push_text(tail, take(&mut given.prompt_cache_key), root.field("prompt_cache_key"), b",\"prompt_cache_key\":")?;
    let retention = take(&mut given.prompt_cache_retention);
    push_text(tail, retention, root.field("prompt_cache_retention"), b",\"prompt_cache_retention\":")?;
    let (thinking, shows_thoughts) = reasoning(take(&mut given.reasoning), root.field("reasoning"), tail)?;
    push_text(tail, take(&mut given.safety_identifier), root.field("safety_identifier"), b",\"safety_identifier\":")?;
    take(&mut given.service_tier).optional(root.field("service_tier"))?;
    let store = take(&mut given.store).optional(root.field("store"))?.unwrap_or(true);
    tail.put_slice(b",\"service_tier\":\"default\",\"store\":");
    tail.put_slice(if store { b"true" } else { b"false" });
    push_decimal(tail, take(&mut given.temperature), root.field("temperature"), b",\"temperature\":", 2.0)?;
    tail.put_slice(b",\"text\":");
    let format = tools::text(take(&mut given.text), root.field("text"), tail)?;
    tail.put_slice(b",\"tool_choice\":");
    push_on_one_line(tail, given.tool_choice.map_or("\"auto\"", |raw| raw.get()));
    tail.put_slice(b",\"tools\":");
    let tools = tools::tools(given.tools, root.field("tools"), tail)?;
    let custom = tools.iter().filter(|tool| tool.is_free).map(|tool| tool.name.clone()).collect();
    let (tool_choice, tools) = tools::choice(given.tool_choice, root.field("tool_choice"), tools, given.tools.is_some())?;
    let top_logprobs = within(take(&mut given.top_logprobs), root.field("top_logprobs"), 0, 20)?.unwrap_or(0) as u8;
    tail.put_slice(b",\"top_logprobs\":");
    push_number(tail, u64::from(top_logprobs));
    push_decimal(tail, take(&mut given.top_p), root.field("top_p"), b",\"top_p\":", 1.0)?;
    let truncation = word(take(&mut given.truncation), root.field("truncation"), &["auto", "disabled"])?;
    tail.put_slice(b",\"truncation\":");
    push_string(tail, truncation.as_deref().unwrap_or("disabled"));
    Ok(Wishes { parallel, thinking, shows_thoughts, store, format, tools, tool_choice, custom, top_logprobs })
}

/// What the vendor has and this server has not.
fn refuse_unserved(given: &Body<'_>, root: Path<'_>) -> Result<(), ApiError> {
    if given.conversation.is_some() {
        return Err(words::unsupported("conversation", "previous_response_id"));
    }
    if given.prompt.is_some() {
        return Err(words::unsupported("prompt", "instructions"));
    }
    if given.background.look(root.field("background"))? == Some(&true) {
        return Err(words::unsupported("background", "stream"));
    }
    Ok(())
}

fn within(value: Given<i64>, path: Path<'_>, floor: i64, ceiling: i64) -> Result<Option<i64>, Mistake> {
    value.optional(path)?.map(|value| path.integer(value, floor, ceiling)).transpose()
}

fn bounded(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// One of the `known` words.
fn word<'de>(given: Text<'de>, path: Path<'_>, known: &'static [&'static str]) -> Result<Option<Cow<'de, str>>, Mistake> {
    match given.optional(path)? {
        Some(word) if !known.contains(&&*word) => Err(path.unknown_word(&word, known)),
        word => Ok(word),
    }
}

/// Appends a text that nothing is done with after its key.
fn push_text(out: &mut BytesMut, text: Text<'_>, path: Path<'_>, key: &[u8]) -> Result<(), Mistake> {
    out.put_slice(key);
    push_nullable(out, text.optional(path)?.as_deref());
    Ok(())
}

/// Appends a number from 0 to `ceiling` after its key, 1 if there is none.
fn push_decimal(out: &mut BytesMut, given: Given<f64>, path: Path<'_>, key: &[u8], ceiling: f64) -> Result<(), Mistake> {
    let value = given.optional(path)?.map_or(Ok(1.0), |value| path.decimal(value, 0.0, ceiling))?;
    out.put_slice(key);
    out.put_slice(format!("{value:?}").as_bytes());
    Ok(())
}

/// How to think, and whether a summary of it is shown.
fn reasoning(given: Given<Reasoning<'_>>, path: Path<'_>, shown: &mut BytesMut) -> Result<(Thinking, bool), Mistake> {
    let given = given.optional(path)?.unwrap_or_default();
    let (effort, thinking) = sampling::thinking(given.effort, path.field("effort"))?;
    let older = word(given.generate_summary, path.field("generate_summary"), SUMMARIES)?;
    let summary = word(given.summary, path.field("summary"), SUMMARIES)?.or(older);
    shown.put_slice(b",\"reasoning\":{\"effort\":");
    push_nullable(shown, effort.as_deref());
    shown.put_slice(b",\"summary\":");
    push_nullable(shown, summary.as_deref());
    shown.put_u8(b'}');
    Ok((thinking, summary.is_some()))
}

fn metadata(given: Given<Metadata<'_>>, path: Path<'_>, shown: &mut BytesMut) -> Result<(), Mistake> {
    let Metadata { pairs, count } = given.optional(path)?.unwrap_or_default();
    path.count(count, 0, METADATA_MAX)?;
    shown.put_u8(b'{');
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        path.text(&name, 0, METADATA_KEY_MAX)?;
        let value = value.required(path)?;
        path.text(&value, 0, METADATA_VALUE_MAX)?;
        if index > 0 {
            shown.put_u8(b',');
        }
        push_string(shown, &name);
        shown.put_u8(b':');
        push_string(shown, &value);
    }
    shown.put_u8(b'}');
    Ok(())
}

/// Are log probabilities to be included, and thoughts in a form that only the vendor reads?
fn include<'de>(given: super::body::List<'de, Cow<'de, str>>, list: Path<'_>) -> Result<(bool, bool), Mistake> {
    let (mut logprobs, mut encrypts) = (false, false);
    for (index, wanted) in given.optional(list)?.unwrap_or_default().into_iter().enumerate() {
        let path = list.element(index);
        let wanted = wanted.required(path)?;
        match &*wanted {
            "message.output_text.logprobs" => logprobs = true,
            "reasoning.encrypted_content" => encrypts = true,
            known if INCLUDES.contains(&known) => {}
            other => return Err(path.unknown_word(other, INCLUDES)),
        }
    }
    Ok((logprobs, encrypts))
}

/// What the client says of padding.
fn obfuscation(given: Given<StreamOptions>, path: Path<'_>, streams: bool) -> Result<Option<bool>, ApiError> {
    match given.optional(path)? {
        None => Ok(None),
        Some(_) if !streams => Err(words::only_with("stream_options", "stream")),
        Some(options) => Ok(options.include_obfuscation.optional(path.field("include_obfuscation"))?),
    }
}

/// The vendor's words for an earlier reply that is not kept.
pub(super) fn no_previous(id: &str) -> ApiError {
    let message = format!("Previous response with id '{}' not found.", excerpt(id));
    ApiError::invalid("previous_response_id", message).with_code("previous_response_not_found")
}

/// The vendor's words for an item that is not kept.
pub(super) fn no_item(id: &str) -> ApiError {
    let message = format!(
        "Item with id '{}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or \
         remove this item from your input.",
        excerpt(id)
    );
    ApiError { status: 404, ..ApiError::invalid("input", message) }
}
