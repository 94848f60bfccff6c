//! A response that a session asks for, from its document to the neutral [`Request`]; and the checks of settings, which a session
//! makes as soon as it is told of them.

use std::borrow::Cow;

use bytes::Bytes;

use super::body::{Ask, Item, List, Settings, Tokens, Tool as GivenTool, ToolChoice as GivenChoice};
use super::items;
use crate::dialect::Inbound;
use crate::dialect::json::given::Given;
use crate::dialect::json::many::Many;
use crate::dialect::json::path::{Path, excerpt, read as read_json};
use crate::dialect::json::schema;
use crate::dialect::openai::{choice, words};
use crate::types::api_error::ApiError;
use crate::types::limits::{REALTIME_ITEMS_MAX, TOOLS_MAX};
use crate::types::mistake::{Mistake, What};
use crate::types::request::{Message, Request, Role, Tool, ToolChoice};

/// The longest name of a tool.
const NAME_MAX: usize = 64;
/// The largest bound on tokens that the vendor takes.
const OUTPUT_TOKENS_MAX: i64 = 4_096;

/// What of an ask the rendering of its response follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The conversation that the response becomes a part of; `None` if it becomes a part of none.
    pub(super) conversation_id: Option<Box<str>>,
    /// The item after which the response's first item comes.
    pub(super) previous_item_id: Option<Box<str>>,
    /// The bound on tokens.
    pub(super) max_output_tokens: Option<u32>,
    /// What the client wants to find in the response, as written.
    pub(super) metadata: Option<Box<str>>,
}

impl Options {
    /// Does the response become a part of its session's conversation?
    pub fn is_kept(&self) -> bool {
        self.conversation_id.is_some()
    }
}

/// Reads an ask, and how its response is rendered.
pub(super) fn read(inbound: Inbound<'_>) -> Result<(Request, Options), ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let (mut request, options) = convert(read_json(&inbound.body, root)?, inbound.target, root)?;
    request.target = inbound.target.into();
    request.body = inbound.body;
    request.headers = inbound.headers;
    Ok((request, options))
}

fn convert(given: Ask<'_>, target: &str, root: Path<'_>) -> Result<(Request, Options), ApiError> {
    let (session_at, response_at) = (root.field("session"), root.field("response"));
    let mut session = given.session.optional(session_at)?.unwrap_or_default();
    let mut response = given.response.optional(response_at)?.unwrap_or_default();
    let model = std::mem::take(&mut session.model).optional(session_at.field("model"))?;
    let model = model.map(Cow::into_owned).or_else(|| model_of(target)).filter(|model| !model.is_empty());
    let model = model.ok_or_else(words::no_model)?;
    let input = std::mem::take(&mut response.input).optional(response_at.field("input"))?;
    let is_apart = word(&response.conversation, response_at.field("conversation"), &["auto", "none"])? == Some("none");
    let conversation_id = given.conversation_id.optional(root.field("conversation_id"))?;
    // Written anew, because an event is one line.
    let metadata = response.metadata.map(|raw| serde_json::from_str::<serde_json::Value>(raw.get())).transpose();
    let metadata = metadata.map_err(|error| response_at.field("metadata").mistake(What::NotJson(error.to_string().into())))?;
    let metadata = metadata.map(|metadata| metadata.to_string().into());
    let base = checked(session, session_at)?;
    let over = checked(response, response_at)?;

    let items = given.items.optional(root.field("items"))?.unwrap_or_default();
    let (said, previous_item_id) = said(items, root.field("items"))?;
    let instructions = over.instructions.or(base.instructions);
    let mut messages = Vec::with_capacity(said.len() + 1);
    messages.extend(instructions.filter(|text| !text.is_empty()).map(|text| Message::new(Role::System, text)));
    match input {
        None => messages.extend(said.into_iter().map(|(_, message)| message)),
        Some(input) => chosen(input, response_at.field("input"), said, &mut messages)?,
    }
    let max_output_tokens = over.bound.unwrap_or_else(|| base.bound.flatten());
    let tools = over.tools.or(base.tools).unwrap_or_default();
    let tool_choice = over.choice.or(base.choice).unwrap_or(ToolChoice::Auto);
    if let ToolChoice::Named(name) = &tool_choice {
        choice::known(name, &tools)?;
    }
    let request = Request {
        tools,
        tool_choice,
        parallel_tool_calls: over.parallel.or(base.parallel).unwrap_or(true),
        max_output_tokens,
        streams: true,
        body: Bytes::new(),
        ..Request::chat(&model, messages)
    };
    let conversation_id = conversation_id.filter(|_| !is_apart).map(Into::into);
    Ok((request, Options { conversation_id, previous_item_id, max_output_tokens, metadata }))
}

/// The model that the query of `target` names.
pub(super) fn model_of(target: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "model").map(|(_, model)| model.into_owned())
}

/// Messages with the ids of their items.
type Spoken = Vec<(Option<Box<str>>, Message)>;

/// The conversation so far, and the id of its last item.
fn said<'de>(items: Many<'de, Item<'de>>, list: Path<'_>) -> Result<(Spoken, Option<Box<str>>), ApiError> {
    let mut said = Spoken::with_capacity(items.room());
    for (index, item) in items.into_iter().enumerate() {
        let at = list.element(index);
        let item = item.required(at)?;
        let id = item.id.look(at.field("id"))?.map(|id| Box::from(&**id));
        said.push((id, items::message(item, at)?));
    }
    let last = said.last().and_then(|(id, _)| id.clone());
    Ok((said, last))
}

/// What a response is to answer in place of the conversation: items of its own, and references to those of the conversation.
fn chosen<'de>(input: Many<'de, Item<'de>>, list: Path<'_>, said: Spoken, out: &mut Vec<Message>) -> Result<(), ApiError> {
    let mut said: Vec<_> = said.into_iter().map(|(id, message)| (id, Some(message))).collect();
    // Each may be looked for among all that was said.
    list.count(input.len(), 0, REALTIME_ITEMS_MAX)?;
    for (index, item) in input.into_iter().enumerate() {
        let at = list.element(index);
        let item = item.required(at)?;
        if item.kind.look(at.field("type"))?.is_none_or(|kind| kind != "item_reference") {
            out.push(items::message(item, at)?);
            continue;
        }
        let id = item.id.required(at.field("id"))?;
        // An item that is named twice counts once.
        match said.iter_mut().find(|(known, _)| known.as_deref() == Some(&*id)) {
            Some((_, message)) => out.extend(message.take()),
            None => {
                let message = format!("Item with id '{}' not found.", excerpt(&id));
                return Err(ApiError::invalid(at.mistake(What::Missing).path(), message).with_code("item_not_found"));
            }
        }
    }
    Ok(())
}

/// Settings that are as they must be.
#[derive(Debug, Default)]
pub(super) struct Checked {
    instructions: Option<Box<str>>,
    tools: Option<Vec<Tool>>,
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
    /// `Some(None)`: no bound, said in so many words.
    bound: Option<Option<u32>>,
}

/// Checks `given`, which stands at `path`.
pub(super) fn checked(given: Settings<'_>, path: Path<'_>) -> Result<Checked, ApiError> {
    word(&given.kind, path.field("type"), &["realtime"])?;
    text_only(given.output_modalities, path.field("output_modalities"))?;
    let instructions = given.instructions.optional(path.field("instructions"))?.map(Into::into);
    let tools = tools(given.tools, path.field("tools"))?;
    let choice = given.tool_choice.optional(path.field("tool_choice"))?;
    let choice = choice.map(|choice| of_choice(choice, path.field("tool_choice"))).transpose()?;
    let parallel = given.parallel_tool_calls.optional(path.field("parallel_tool_calls"))?;
    let at = path.field("max_output_tokens");
    let bound = match given.max_output_tokens.optional(at)? {
        None => None,
        Some(Tokens::Number(tokens)) => Some(Some(at.integer(tokens, 1, OUTPUT_TOKENS_MAX)? as u32)),
        Some(Tokens::Word(word)) if &*word == "inf" => Some(None),
        Some(Tokens::Word(word)) => return Err(at.unknown_word(&word, &["inf"]).into()),
    };
    Ok(Checked { instructions, tools, choice, parallel, bound })
}

/// The word at `path`, if there is one, which must be one of `known`.
fn word<'a>(given: &'a Given<Cow<'_, str>>, path: Path<'_>, known: &'static [&'static str]) -> Result<Option<&'a str>, Mistake> {
    match given.look(path)? {
        Some(word) if !known.contains(&&**word) => Err(path.unknown_word(word, known)),
        word => Ok(word.map(|word| &**word)),
    }
}

/// Text is all that is spoken here.
fn text_only<'de>(given: List<'de, Cow<'de, str>>, path: Path<'_>) -> Result<(), ApiError> {
    for (index, word) in given.optional(path)?.unwrap_or_default().into_iter().enumerate() {
        let at = path.element(index);
        match &*word.required(at)? {
            "text" => {}
            "audio" => return Err(no_audio(path.mistake(What::Missing).path())),
            other => return Err(at.unknown_word(other, &["text", "audio"]).into()),
        }
    }
    Ok(())
}

/// The refusal of sound.
pub(super) fn no_audio(param: String) -> ApiError {
    let message = "Audio is not simulated by this server. Use text: set 'output_modalities' to [\"text\"] and send 'input_text'.";
    ApiError::invalid(param, message).with_code("unsupported_audio")
}

fn tools<'de>(given: List<'de, GivenTool<'de>>, list: Path<'_>) -> Result<Option<Vec<Tool>>, ApiError> {
    let Some(given) = given.optional(list)? else { return Ok(None) };
    let mut tools = Vec::new();
    let given = given.counted(list, 0, TOOLS_MAX)?;
    for (index, tool) in given.into_iter().enumerate() {
        let path = list.element(index);
        let tool = tool.required(path)?;
        word(&tool.kind, path.field("type"), &["function"])?;
        let name = tool.name.required(path.field("name"))?;
        path.field("name").name(&name, NAME_MAX)?;
        let kept = |schema| schema::kept(schema, path.field("parameters"), || format!("function '{name}'"));
        let parameters = tool.parameters.map(kept).transpose()?;
        tools.push(Tool { name: name.into(), is_free: false, parameters });
    }
    Ok(Some(tools))
}

fn of_choice(given: GivenChoice<'_>, path: Path<'_>) -> Result<ToolChoice, ApiError> {
    match given {
        GivenChoice::Word(word) => Ok(choice::of_word(&word, path)?),
        GivenChoice::Object(object) => {
            word(&object.kind, path.field("type"), &["function"])?;
            Ok(ToolChoice::Named(object.name.required(path.field("name"))?.into()))
        }
    }
}
