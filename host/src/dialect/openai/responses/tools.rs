//! The parts of a request that carry schemas: tools, the choice among them, and the form of the reply.
//!
//! Each is shown again in the reply as the vendor shows it, with its defaults written out, so each is read and rendered here.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use serde_json::value::RawValue;

use super::body::{AllowedTool, List, Raw, RawList, Text, TextConfig, TextFormat, Tool as GivenTool, ToolChoice as GivenChoice};
use crate::dialect::json::given::{Given, Shape};
use crate::dialect::json::path::Path;
use crate::dialect::json::schema;
use crate::dialect::json::splice::{push_on_one_line, push_string};
use crate::dialect::openai::choice;
use crate::types::api_error::ApiError;
use crate::types::limits::TOOLS_MAX;
use crate::types::mistake::What;
use crate::types::request::{Format, Tool, ToolChoice};

/// The longest name of a tool: the vendor's bound for this endpoint.
const TOOL_NAME_MAX: usize = 128;
/// The longest name of a schema.
const SCHEMA_NAME_MAX: usize = 64;
const TYPES: &[&str] = &[
    "function",
    "custom",
    "file_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "computer",
    "computer_use_preview",
    "code_interpreter",
    "image_generation",
    "mcp",
    "local_shell",
    "shell",
    "apply_patch",
    "namespace",
    "tool_search",
    "programmatic_tool_calling",
];
const VERBOSITIES: &[&str] = &["low", "medium", "high"];

/// What `raw` at `path` holds.
pub(super) fn inside<'de, T: Shape<'de>>(raw: Raw<'de>, path: Path<'_>) -> Result<Option<T>, ApiError> {
    let Some(raw) = raw else { return Ok(None) };
    let not_json = |error: serde_json::Error| path.mistake(What::NotJson(error.to_string().into()));
    let given: Given<T> = serde_json::from_str(raw.get()).map_err(not_json)?;
    Ok(given.optional(path)?)
}

/// The declared tools, and the list as the reply shows it. Tools that the vendor runs itself are shown and never called.
pub(super) fn tools(given: Raw<'_>, list: Path<'_>, shown: &mut BytesMut) -> Result<Vec<Tool>, ApiError> {
    let given = inside::<RawList<'_>>(given, list)?.unwrap_or_default().0.counted(list, 0, TOOLS_MAX)?;
    let mut tools = Vec::new();
    shown.put_u8(b'[');
    for (index, raw) in given.into_iter().enumerate() {
        let path = list.element(index);
        let raw = raw.required(path)?;
        let tool: GivenTool<'_> = inside(Some(raw), path)?.ok_or_else(|| path.missing())?;
        if index > 0 {
            shown.put_u8(b',');
        }
        tools.extend(tool_of(tool, raw, path, shown)?);
    }
    shown.put_u8(b']');
    Ok(tools)
}

/// The tool that `given` declares, if it is one of the client's own; appends how it is shown.
fn tool_of(given: GivenTool<'_>, raw: &RawValue, path: Path<'_>, shown: &mut BytesMut) -> Result<Option<Tool>, ApiError> {
    let kind = given.kind.required(path.field("type"))?;
    if kind != "function" {
        push_on_one_line(shown, raw.get());
    }
    match &*kind {
        "function" => {}
        "custom" => {
            let name = given.name.required(path.field("name"))?;
            path.field("name").name(&name, TOOL_NAME_MAX)?;
            return Ok(Some(Tool { name: name.into(), is_free: true, parameters: None }));
        }
        own if TYPES.contains(&own) => return Ok(None),
        other => return Err(path.field("type").unknown_word(other, TYPES).into()),
    }
    let name = given.name.required(path.field("name"))?;
    path.field("name").name(&name, TOOL_NAME_MAX)?;
    let kept = |schema| schema::kept(schema, path.field("parameters"), || format!("function '{name}'"));
    let parameters = given.parameters.map(kept).transpose()?;
    let is_strict = given.strict.optional(path.field("strict"))?.unwrap_or(true);
    shown.put_slice(b"{\"type\":\"function\",\"description\":");
    push_on_one_line(shown, given.description.map_or("null", RawValue::get));
    shown.put_slice(b",\"name\":");
    push_string(shown, &name);
    shown.put_slice(b",\"parameters\":");
    push_on_one_line(shown, parameters.as_ref().map_or("null", |schema| schema.get()));
    shown.put_slice(if is_strict { &b",\"strict\":true}"[..] } else { b",\"strict\":false}" });
    Ok(Some(Tool { name: name.into(), is_free: false, parameters }))
}

/// Which tool must be called, and the tools that remain: a list of allowed ones drops the others.
pub(super) fn choice(
    given: Raw<'_>,
    path: Path<'_>,
    tools: Vec<Tool>,
    has_others: bool,
) -> Result<(ToolChoice, Vec<Tool>), ApiError> {
    let object = match inside(given, path)? {
        None => return Ok((ToolChoice::Auto, tools)),
        Some(GivenChoice::Object(object)) => object,
        Some(GivenChoice::Word(word)) => {
            let choice = match &*word {
                "required" if tools.is_empty() && !has_others => {
                    let message = "Tool choice 'required' must be specified with 'tools' parameter.";
                    return Err(ApiError::invalid("tool_choice", message));
                }
                word => choice::of_word(word, path)?,
            };
            return Ok((choice, tools));
        }
    };
    let kind = object.kind.required(path.field("type"))?;
    match &*kind {
        "function" | "custom" => {
            let name = object.name.required(path.field("name"))?;
            choice::known(&name, &tools)?;
            Ok((ToolChoice::Named(name.into()), tools))
        }
        "allowed_tools" => allowed(object.mode, object.tools, path, tools),
        // A tool that the vendor runs itself is chosen: there is none here, so the model answers as it likes.
        own if TYPES.contains(&own) => Ok((ToolChoice::Auto, tools)),
        other => Err(path.field("type").unknown_word(other, TYPES).into()),
    }
}

fn allowed<'de>(
    mode: Text<'_>,
    given: List<'de, AllowedTool<'de>>,
    path: Path<'_>,
    mut tools: Vec<Tool>,
) -> Result<(ToolChoice, Vec<Tool>), ApiError> {
    let choice = choice::of_mode(&mode.required(path.field("mode"))?, path.field("mode"))?;
    let list = path.field("tools");
    let given = given.required(list)?.counted(list, 1, TOOLS_MAX)?;
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    for (index, tool) in given.into_iter().enumerate() {
        let element = list.element(index);
        let tool = tool.required(element)?;
        if let "function" | "custom" = &*tool.kind.required(element.field("type"))? {
            let name = tool.name.required(element.field("name"))?;
            choice::known(&name, &tools)?;
            names.push(name);
        }
    }
    tools.retain(|tool| names.iter().any(|name| **name == *tool.name));
    Ok((choice, tools))
}

/// What form the reply's text must have; appends the object that shows it.
pub(super) fn text(given: Given<TextConfig<'_>>, path: Path<'_>, shown: &mut BytesMut) -> Result<Format, ApiError> {
    let config = given.optional(path)?.unwrap_or_default();
    let verbosity = config.verbosity.optional(path.field("verbosity"))?.unwrap_or(Cow::Borrowed("medium"));
    if !VERBOSITIES.contains(&&*verbosity) {
        return Err(path.field("verbosity").unknown_word(&verbosity, VERBOSITIES).into());
    }
    shown.put_slice(b"{\"format\":");
    let format = format(config.format, path.field("format"), shown)?;
    shown.put_slice(b",\"verbosity\":");
    push_string(shown, &verbosity);
    shown.put_u8(b'}');
    Ok(format)
}

fn format(raw: Raw<'_>, path: Path<'_>, shown: &mut BytesMut) -> Result<Format, ApiError> {
    let Some(given) = inside::<TextFormat<'_>>(raw, path)? else {
        shown.put_slice(b"{\"type\":\"text\"}");
        return Ok(Format::Text);
    };
    let kind = given.kind.required(path.field("type"))?;
    let plain = match &*kind {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let name = given.name.required(path.field("name"))?;
            path.field("name").name(&name, SCHEMA_NAME_MAX)?;
            let schema = given.schema.ok_or_else(|| path.field("schema").missing())?;
            let schema = schema::kept(schema, path.field("schema"), || format!("response_format '{name}'"))?;
            let is_strict = given.strict.optional(path.field("strict"))?.unwrap_or(false);
            shown.put_slice(b"{\"type\":\"json_schema\"");
            if let Some(description) = given.description {
                shown.put_slice(b",\"description\":");
                push_on_one_line(shown, description.get());
            }
            shown.put_slice(b",\"name\":");
            push_string(shown, &name);
            shown.put_slice(b",\"schema\":");
            push_on_one_line(shown, schema.get());
            shown.put_slice(if is_strict { &b",\"strict\":true}"[..] } else { b",\"strict\":false}" });
            return Ok(Format::JsonSchema { name: name.into(), schema });
        }
        other => return Err(path.field("type").unknown_word(other, &["json_object", "json_schema", "text"]).into()),
    };
    shown.put_slice(b"{\"type\":");
    push_string(shown, &kind);
    shown.put_u8(b'}');
    Ok(plain)
}
