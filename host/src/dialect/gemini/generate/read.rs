//! A request, from the body's bytes to the neutral [`Request`]. The first mistake is answered, in the order of the code below.

use bytes::Bytes;

use super::body::{Body, Content, GenerationConfig, List, ThinkingConfig, Tool as GivenTool, ToolConfig};
use super::parts;
use super::{Options, wants_events};
use crate::dialect::Inbound;
use crate::dialect::gemini::schema;
use crate::dialect::json::given::Given;
use crate::dialect::json::path::{Path, read as read_json};
use crate::types::api_error::ApiError;
use crate::types::limits::{GEMINI_STOPS_MAX, MANY_TOOLS_MAX};
use crate::types::mistake::Mistake;
use crate::types::request::{Format, Message, Operation, Request, Thinking, Tool, ToolChoice};

/// The most candidates that may be asked for.
const CANDIDATES_MAX: i64 = 8;
/// The most tokens whose log probabilities may be asked for at each step (the SDK's documentation).
const LOGPROBS_MAX: i64 = 20;
/// The longest name of a function.
const NAME_MAX: usize = 64;

/// Reads a request to continue a conversation, or to count one, and how its reply is rendered.
pub(super) fn read(inbound: Inbound<'_>, operation: Operation, streams: bool) -> Result<(Request, Options), ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let (model, query) = inbound.target.split_once('?').unwrap_or((inbound.target, ""));
    let body: Body<'_> = read_json(&inbound.body, root)?;
    let (mut request, options) = match (operation, body.counted) {
        (Operation::Count, Some(counted)) => {
            let inner: Body<'_> = read_json(counted.get().as_bytes(), root)?;
            convert(inner, root, operation)?
        }
        _ => convert(body, root, operation)?,
    };
    request.model = model.into();
    request.streams = streams;
    request.target = inbound.target.into();
    request.body = inbound.body;
    request.headers = inbound.headers;
    Ok((request, Options { is_sse: wants_events(query), ..options }))
}

fn convert(body: Body<'_>, root: Path<'_>, operation: Operation) -> Result<(Request, Options), ApiError> {
    let mut messages = Vec::new();
    let path = root.field("systemInstruction");
    if let Some(content) = body.system_instruction.optional(path)? {
        messages.push(parts::instructions(content, path)?);
    }
    let path = root.field("generationConfig");
    let config = body.generation_config.optional(path)?.unwrap_or_default();
    let tools = tools(body.tools, root.field("tools"))?;
    let (tool_choice, tools) = choice(body.tool_config, root.field("toolConfig"), tools)?;
    let (thinking, shows_thoughts) = thinking(&config.thinking, path.field("thinkingConfig"))?;
    let stop = stop(&config, path)?;
    let choices = within(&config.candidate_count, path.field("candidateCount"), CANDIDATES_MAX)?;
    let most = within(&config.max_output_tokens, path.field("maxOutputTokens"), i64::MAX)?;
    for (name, value, ceiling) in [("temperature", &config.temperature, 2.0), ("topP", &config.top_p, 1.0)] {
        if let Some(value) = value.look(path.field(name))? {
            path.field(name).decimal(*value, 0.0, ceiling)?;
        }
    }
    let logprobs = logprobs(&config, path)?;
    let format = format(config, path)?;
    // At last, because it is what costs most.
    turns(body.contents, root.field("contents"), &mut messages)?;
    let request = Request {
        operation,
        messages,
        tools,
        tool_choice,
        format,
        thinking,
        stop,
        choices: choices.map_or(1, |choices| choices as u32),
        logprobs,
        max_output_tokens: most.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)),
        body: Bytes::new(),
        ..Request::chat("", Vec::new())
    };
    Ok((request, Options { shows_thoughts, is_sse: false, logprobs }))
}

fn turns<'de>(given: List<'de, Content<'de>>, list: Path<'_>, out: &mut Vec<Message>) -> Result<(), ApiError> {
    let given = given.required(list)?.counted(list, 1, usize::MAX)?;
    out.reserve_exact(given.room());
    for (index, content) in given.into_iter().enumerate() {
        let path = list.element(index);
        parts::turn(content.required(path)?, path, None, out)?;
    }
    Ok(())
}

fn within(value: &Given<i64>, path: Path<'_>, ceiling: i64) -> Result<Option<i64>, Mistake> {
    value.look(path)?.map(|value| path.integer(*value, 1, ceiling)).transpose()
}

/// `Some(n)`: log probabilities are wanted, of the `n` best tokens besides those that were taken.
fn logprobs(config: &GenerationConfig<'_>, path: Path<'_>) -> Result<Option<u8>, ApiError> {
    let wanted = config.wants_logprobs.look(path.field("responseLogprobs"))?.copied().unwrap_or(false);
    match config.logprobs.look(path.field("logprobs"))? {
        Some(_) if !wanted => {
            let message = "Logprobs can only be requested with response_logprobs enabled.";
            Err(ApiError::invalid("generationConfig.logprobs", message))
        }
        Some(best) => Ok(Some(path.field("logprobs").integer(*best, 0, LOGPROBS_MAX)? as u8)),
        None => Ok(wanted.then_some(0)),
    }
}

fn stop(config: &GenerationConfig<'_>, path: Path<'_>) -> Result<Vec<Box<str>>, Mistake> {
    let list = path.field("stopSequences");
    let Some(given) = config.stop_sequences.look(list)? else { return Ok(Vec::new()) };
    let text = |(index, text): (usize, Given<std::borrow::Cow<'_, str>>)| {
        let path = list.element(index);
        text.optional(path)?.map(Box::from).ok_or_else(|| path.missing())
    };
    given.counted(list, 0, GEMINI_STOPS_MAX)?.into_iter().enumerate().map(text).collect()
}

fn format(config: GenerationConfig<'_>, path: Path<'_>) -> Result<Format, ApiError> {
    let kind = config.mime_type.optional(path.field("responseMimeType"))?;
    let (schema, name) = match (config.json_schema, config.schema) {
        (Some(schema), _) => (Some(schema), "responseJsonSchema"),
        (None, schema) => (schema, "responseSchema"),
    };
    match (kind.as_deref(), schema) {
        (Some("application/json"), None) => Ok(Format::JsonObject),
        (Some("application/json" | "text/x.enum"), Some(schema)) => {
            let schema = schema::usual(schema, path.field(name), || "the response".to_owned())?;
            Ok(Format::JsonSchema { name: "response".into(), schema })
        }
        (None | Some("" | "text/plain" | "text/x.enum"), None) => Ok(Format::Text),
        (None | Some("" | "text/plain"), Some(_)) => {
            let message = "Response schema is only supported with response mime type application/json.";
            Err(ApiError::invalid("generationConfig.responseSchema", message))
        }
        (Some(other), _) => {
            let known = &["text/plain", "application/json", "text/x.enum"];
            Err(path.field("responseMimeType").unknown_word(other, known).into())
        }
    }
}

/// Whether the model shall think, and whether it shows what it thought.
fn thinking(given: &Given<ThinkingConfig<'_>>, path: Path<'_>) -> Result<(Thinking, bool), Mistake> {
    let Some(config) = given.look(path)? else { return Ok((Thinking::Unsaid, false)) };
    let shows = config.includes.look(path.field("includeThoughts"))?.copied().unwrap_or(false);
    let thinking = match config.budget.look(path.field("thinkingBudget"))? {
        Some(0) => Thinking::Off,
        // The vendor's word for "as much as it takes".
        Some(-1) => Thinking::On(None),
        Some(budget) => Thinking::On(u32::try_from(*budget).ok()),
        None if shows || config.level.look(path.field("thinkingLevel"))?.is_some() => Thinking::On(None),
        None => Thinking::Unsaid,
    };
    Ok((thinking, shows))
}

fn tools<'de>(given: List<'de, GivenTool<'de>>, list: Path<'_>) -> Result<Vec<Tool>, Mistake> {
    let mut tools = Vec::new();
    for (index, tool) in given.optional(list)?.unwrap_or_default().into_iter().enumerate() {
        let path = list.element(index);
        let list = path.field("functionDeclarations");
        let functions = tool.required(path)?.functions.optional(list)?.unwrap_or_default();
        for (index, function) in functions.into_iter().enumerate() {
            let path = list.element(index);
            let function = function.required(path)?;
            let name = function.name.required(path.field("name"))?;
            path.field("name").text(&name, 1, NAME_MAX)?;
            let owner = || format!("function '{name}'");
            let parameters = match (function.json_parameters, function.parameters) {
                (Some(schema), _) => Some(schema::usual(schema, path.field("parametersJsonSchema"), owner)?),
                (None, Some(schema)) => Some(schema::usual(schema, path.field("parameters"), owner)?),
                (None, None) => None,
            };
            tools.push(Tool { name: name.into(), is_free: false, parameters });
        }
    }
    list.count(tools.len(), 0, MANY_TOOLS_MAX)?;
    Ok(tools)
}

/// Whether a function must be called, and the functions that remain: a list of allowed ones drops the others.
fn choice(given: Given<ToolConfig<'_>>, path: Path<'_>, mut tools: Vec<Tool>) -> Result<(ToolChoice, Vec<Tool>), ApiError> {
    let none = (ToolChoice::Auto, Vec::new());
    let Some(config) = given.optional(path)? else { return Ok((ToolChoice::Auto, tools)) };
    let path = path.field("functionCallingConfig");
    let Some(calling) = config.calling.optional(path)? else { return Ok((ToolChoice::Auto, tools)) };
    let mode = calling.mode.optional(path.field("mode"))?;
    let choice = match mode.as_deref() {
        None | Some("AUTO" | "MODE_UNSPECIFIED" | "VALIDATED" | "auto") => ToolChoice::Auto,
        Some("ANY" | "any") => ToolChoice::Required,
        Some("NONE" | "none") => ToolChoice::None,
        Some(other) => return Err(path.field("mode").unknown_word(other, &["AUTO", "ANY", "NONE", "VALIDATED"]).into()),
    };
    if tools.is_empty() {
        let message = "Function calling config is set without function_declarations.";
        return if choice == ToolChoice::Required { Err(ApiError::invalid("toolConfig", message)) } else { Ok(none) };
    }
    let list = path.field("allowedFunctionNames");
    let allowed = calling.allowed.optional(list)?.unwrap_or_default();
    let mut names = Vec::new();
    for (index, name) in allowed.into_iter().enumerate() {
        names.push(name.required(list.element(index))?);
    }
    if !names.is_empty() {
        tools.retain(|tool| names.iter().any(|name| **name == *tool.name));
    }
    Ok((choice, tools))
}
