//! A request, from the body's bytes to the neutral [`Request`]. The first mistake is answered, in the order of the code below.

use bytes::Bytes;
use http::HeaderMap;

use super::Options;
use super::blocks;
use super::body::{
    Body, Message as GivenMessage, OutputFormat, Thinking as GivenThinking, Tool as GivenTool, ToolChoice as GivenChoice,
};
use crate::dialect::Inbound;
use crate::dialect::anthropic::headers::VERSION;
use crate::dialect::json::given::Given;
use crate::dialect::json::many::Many;
use crate::dialect::json::path::{Path, read as read_json};
use crate::dialect::json::schema;
use crate::types::api_error::ApiError;
use crate::types::limits::{ANTHROPIC_STOPS_MAX, MANY_TOOLS_MAX};
use crate::types::mistake::Mistake;
use crate::types::request::{Format, Message, Operation, Request, Role, Thinking, Tool, ToolChoice};

/// The longest name of a tool.
const NAME_MAX: usize = 128;
/// The most messages of a conversation (the SDK's documentation).
const MESSAGES_MAX: usize = 100_000;
/// The fewest tokens for thoughts that a client may allow.
const THINKING_MIN: i64 = 1_024;

/// A generation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// `2023-06-01`.
    First,
    /// `2026-10-21`, which does without some fields of the first.
    Second,
}

/// Reads a request to continue a conversation, or to count one, and how its reply is rendered.
pub(super) fn read(inbound: Inbound<'_>, operation: Operation) -> Result<(Request, Options), ApiError> {
    let generation = generation_of(&inbound.headers)?;
    let root = Path::root(inbound.manners.is_strict);
    let (mut request, options) = convert(read_json(&inbound.body, root)?, root, generation, operation)?;
    request.target = inbound.target.into();
    request.body = inbound.body;
    request.headers = inbound.headers;
    Ok((request, options))
}

fn generation_of(headers: &HeaderMap) -> Result<Generation, ApiError> {
    match headers.get(VERSION).map(|version| version.as_bytes()) {
        Some(b"2023-06-01") => Ok(Generation::First),
        Some(b"2026-10-21") => Ok(Generation::Second),
        None => Err(ApiError::of_status(400, "anthropic-version: header is required")),
        Some(other) => {
            let shown: String = String::from_utf8_lossy(other).chars().take(40).collect();
            let known = "valid versions are \"2023-06-01\" and \"2026-10-21\"";
            Err(ApiError::of_status(400, format!("anthropic-version: \"{shown}\" is not a valid version; {known}")))
        }
    }
}

fn convert(body: Body<'_>, root: Path<'_>, generation: Generation, operation: Operation) -> Result<(Request, Options), ApiError> {
    check_sampling(&body, root, generation)?;
    let model = body.model.required(root.field("model"))?;
    root.field("model").text(&model, 1, usize::MAX)?;
    let max_tokens = match operation {
        Operation::Count => None,
        _ => {
            let path = root.field("max_tokens");
            // With 0 the prompt is read, and perhaps cached, and nothing is said.
            Some(path.integer(body.max_tokens.required(path)?, 0, i64::MAX)?)
        }
    };
    let mut blocks = blocks::Reader::of(generation == Generation::Second);
    let mut messages = Vec::new();
    if let Some(system) = body.system.optional(root.field("system"))? {
        messages.push(Message::new(Role::System, blocks.system(system, root.field("system"))?));
    }
    read_messages(body.messages.required(root.field("messages"))?, root.field("messages"), &mut blocks, &mut messages)?;
    let tools = tools(body.tools, root.field("tools"), &mut blocks)?;
    let (tool_choice, parallel) = tool_choice(body.tool_choice, root.field("tool_choice"), &tools)?;
    let streams = body.stream.optional(root.field("stream"))?.unwrap_or(false);
    let stop = stop(body.stop_sequences, root.field("stop_sequences"))?;
    let (thinking, hides_thoughts) = thinking(body.thinking, root.field("thinking"), max_tokens)?;
    let writes_cache = blocks.writes_cache || body.cache_control.is_some();
    let options = Options { stop: stop.clone().into(), writes_cache, hides_thoughts };
    let request = Request {
        operation,
        model: model.into(),
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: parallel,
        format: match body.output_config.optional(root.field("output_config"))? {
            Some(config) => format(config.format, root.field("output_config").field("format"))?,
            None => format(body.output_format, root.field("output_format"))?,
        },
        max_output_tokens: max_tokens.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)),
        thinking,
        stop,
        streams: streams && operation == Operation::Chat,
        body: Bytes::new(),
        ..Request::chat("", Vec::new())
    };
    Ok((request, options))
}

/// The newer generation does without these fields, even at their defaults.
fn check_sampling(body: &Body<'_>, root: Path<'_>, generation: Generation) -> Result<(), ApiError> {
    let decimals = [("temperature", &body.temperature, 1.0), ("top_p", &body.top_p, 1.0)];
    for (name, value, ceiling) in decimals {
        let path = root.field(name);
        if let Some(value) = value.look(path)? {
            no_sampling(name, generation)?;
            path.decimal(*value, 0.0, ceiling)?;
        }
    }
    if let Some(top_k) = body.top_k.look(root.field("top_k"))? {
        no_sampling("top_k", generation)?;
        root.field("top_k").integer(*top_k, 0, i64::MAX)?;
    }
    Ok(())
}

fn no_sampling(name: &'static str, generation: Generation) -> Result<(), ApiError> {
    match generation {
        Generation::First => Ok(()),
        Generation::Second => {
            Err(ApiError::invalid(name, format!("{name}: this parameter is not supported by API version 2026-10-21")))
        }
    }
}

fn read_messages<'de>(
    given: Many<'de, GivenMessage<'de>>,
    list: Path<'_>,
    blocks: &mut blocks::Reader,
    out: &mut Vec<Message>,
) -> Result<(), ApiError> {
    let given = given.counted(list, 1, MESSAGES_MAX)?;
    out.reserve_exact(given.room());
    for (index, message) in given.into_iter().enumerate() {
        let path = list.element(index);
        let message = message.required(path)?;
        let role = message.role.required(path.field("role"))?;
        let content = message.content.required(path.field("content"))?;
        let path = path.field("content");
        match &*role {
            "user" => blocks.user(content, path, out)?,
            "assistant" => blocks.assistant(content, path, out)?,
            // Instructions between turns.
            "system" => out.push(Message::new(Role::System, blocks.system(content, path)?)),
            other => return Err(list.element(index).field("role").unknown_word(other, &["user", "assistant", "system"]).into()),
        }
    }
    Ok(())
}

fn tools<'de>(
    given: super::body::List<'de, GivenTool<'de>>,
    list: Path<'_>,
    blocks: &mut blocks::Reader,
) -> Result<Vec<Tool>, Mistake> {
    let Some(given) = given.optional(list)? else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    let given = given.counted(list, 0, MANY_TOOLS_MAX)?;
    for (index, tool) in given.into_iter().enumerate() {
        let path = list.element(index);
        let tool = tool.required(path)?;
        blocks.writes_cache |= tool.cache_control.is_some();
        let name = tool.name.required(path.field("name"))?;
        path.field("name").name(&name, NAME_MAX)?;
        // Tools that the vendor's own servers run have a type and no schema.
        let is_own = tool.kind.optional(path.field("type"))?.is_none_or(|kind| kind == "custom");
        let parameters = match tool.input_schema {
            Some(schema) => Some(schema::kept(schema, path.field("input_schema"), || format!("tool '{name}'"))?),
            None if is_own => return Err(path.field("input_schema").missing()),
            None => None,
        };
        tools.push(Tool { name: name.into(), is_free: false, parameters });
    }
    Ok(tools)
}

fn tool_choice(given: Given<GivenChoice<'_>>, path: Path<'_>, tools: &[Tool]) -> Result<(ToolChoice, bool), ApiError> {
    let Some(choice) = given.optional(path)? else { return Ok((ToolChoice::Auto, true)) };
    let parallel = !choice.disable_parallel_tool_use.optional(path.field("disable_parallel_tool_use"))?.unwrap_or(false);
    let kind = choice.kind.required(path.field("type"))?;
    let wanted = match &*kind {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.name.required(path.field("name"))?.into()),
        other => return Err(path.field("type").unknown_word(other, &["auto", "any", "tool", "none"]).into()),
    };
    let lacks = match &wanted {
        ToolChoice::Required => tools.is_empty().then(|| "tool_choice: may only be specified while providing tools".to_owned()),
        ToolChoice::Named(name) if !tools.iter().any(|tool| tool.name == *name) => {
            let shown: String = name.chars().take(64).collect();
            Some(format!("Tool '{shown}' not found in provided tools"))
        }
        _ => None,
    };
    match lacks {
        Some(message) => Err(ApiError::invalid("tool_choice", message)),
        None => Ok((wanted, parallel)),
    }
}

fn format(given: Given<OutputFormat<'_>>, path: Path<'_>) -> Result<Format, Mistake> {
    let Some(given) = given.optional(path)? else { return Ok(Format::Text) };
    let kind = given.kind.required(path.field("type"))?;
    if kind != "json_schema" {
        return Err(path.field("type").unknown_word(&kind, &["json_schema"]));
    }
    let path = path.field("schema");
    let schema = schema::kept(given.schema.ok_or_else(|| path.missing())?, path, || "the output".to_owned())?;
    Ok(Format::JsonSchema { name: "output".into(), schema })
}

/// Whether the model shall think, and whether it keeps to itself what it thought.
fn thinking(given: Given<GivenThinking<'_>>, path: Path<'_>, max_tokens: Option<i64>) -> Result<(Thinking, bool), ApiError> {
    let Some(given) = given.optional(path)? else { return Ok((Thinking::Off, false)) };
    let kind = given.kind.required(path.field("type"))?;
    let hides = match given.display.optional(path.field("display"))?.as_deref() {
        None | Some("summarized") => false,
        Some("omitted") => true,
        Some(other) => return Err(path.field("display").unknown_word(other, &["summarized", "omitted"]).into()),
    };
    match &*kind {
        "disabled" => Ok((Thinking::Off, hides)),
        "adaptive" | "between_tools" => Ok((Thinking::On(None), hides)),
        "enabled" => {
            let path = path.field("budget_tokens");
            let budget = path.integer(given.budget_tokens.required(path)?, THINKING_MIN, i64::MAX)?;
            if max_tokens.is_some_and(|most| budget >= most) {
                let message = "`max_tokens` must be greater than `thinking.budget_tokens`.";
                return Err(ApiError::invalid("max_tokens", message));
            }
            Ok((Thinking::On(Some(u32::try_from(budget).unwrap_or(u32::MAX))), hides))
        }
        other => Err(path.field("type").unknown_word(other, &["enabled", "disabled", "adaptive", "between_tools"]).into()),
    }
}

fn stop<'de>(given: super::body::List<'de, std::borrow::Cow<'de, str>>, list: Path<'_>) -> Result<Vec<Box<str>>, ApiError> {
    let Some(given) = given.optional(list)? else { return Ok(Vec::new()) };
    let given = given.counted(list, 0, ANTHROPIC_STOPS_MAX)?;
    let mut stop: Vec<Box<str>> = Vec::new();
    for (index, text) in given.into_iter().enumerate() {
        let text = text.required(list.element(index))?;
        if text.trim().is_empty() {
            let message = "stop_sequences: each stop sequence must contain non-whitespace";
            return Err(ApiError::invalid("stop_sequences", message));
        }
        stop.push(text.into());
    }
    Ok(stop)
}
