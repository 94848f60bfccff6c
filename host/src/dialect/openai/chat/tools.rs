//! The parts of a chat request that carry schemas: tools, the choice among them, and the form of the reply.
//!
//! The readers of objects remember what is wrong, and this file says so.

use super::body::{AllowedTools, List, ResponseFormat, Tool as GivenTool, ToolChoice as GivenChoice};
use crate::dialect::json::given::Given;
use crate::dialect::json::path::Path;
use crate::dialect::json::schema;
use crate::dialect::openai::{choice, words};
use crate::types::api_error::ApiError;
use crate::types::limits::TOOLS_MAX;
use crate::types::request::{Format, Tool, ToolChoice};

/// The longest name of a tool or schema.
const NAME_MAX: usize = 64;

/// The declared tools.
pub(super) fn tools<'de>(given: List<'de, GivenTool<'de>>, list: Path<'_>) -> Result<Vec<Tool>, ApiError> {
    let Some(given) = given.optional(list)? else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    let given = given.counted(list, 1, TOOLS_MAX)?;
    for (index, tool) in given.into_iter().enumerate() {
        let path = list.element(index);
        tools.push(tool_of(tool.required(path)?, path)?);
    }
    Ok(tools)
}

fn tool_of(given: GivenTool<'_>, path: Path<'_>) -> Result<Tool, ApiError> {
    let kind = given.kind.required(path.field("type"))?;
    if kind == "custom" {
        let path = path.field("custom");
        let name = given.custom.required(path)?.name.required(path.field("name"))?;
        path.field("name").name(&name, NAME_MAX)?;
        return Ok(Tool { name: name.into(), is_free: true, parameters: None });
    }
    if kind != "function" {
        return Err(path.field("type").unknown_word(&kind, &["function", "custom"]).into());
    }
    let path = path.field("function");
    let function = given.function.required(path)?;
    let name = function.name.required(path.field("name"))?;
    path.field("name").name(&name, NAME_MAX)?;
    let kept = |schema| schema::kept(schema, path.field("parameters"), || format!("function '{name}'"));
    let parameters = function.parameters.map(kept).transpose()?;
    Ok(Tool { name: name.into(), is_free: false, parameters })
}

/// Which tool must be called, and the tools that remain: a list of allowed ones drops the others.
pub(super) fn choice(
    given: Given<GivenChoice<'_>>,
    path: Path<'_>,
    tools: Vec<Tool>,
) -> Result<(ToolChoice, Vec<Tool>), ApiError> {
    let Some(given) = given.optional(path)? else { return Ok((ToolChoice::Auto, tools)) };
    if tools.is_empty() {
        return Err(words::only_with_tools("tool_choice"));
    }
    let object = match given {
        GivenChoice::Word(word) => return Ok((choice::of_word(&word, path)?, tools)),
        GivenChoice::Object(object) => object,
    };
    let kind = object.kind.required(path.field("type"))?;
    match &*kind {
        "function" | "custom" => {
            let (path, named) = match &*kind {
                "function" => (path.field("function"), object.function),
                _ => (path.field("custom"), object.custom),
            };
            let name = named.required(path)?.name.required(path.field("name"))?;
            choice::known(&name, &tools)?;
            Ok((ToolChoice::Named(name.into()), tools))
        }
        "allowed_tools" => {
            let path = path.field("allowed_tools");
            allowed(object.allowed_tools.required(path)?, path, tools)
        }
        other => Err(path.field("type").unknown_word(other, &["function", "custom", "allowed_tools"]).into()),
    }
}

fn allowed(given: AllowedTools<'_>, path: Path<'_>, mut tools: Vec<Tool>) -> Result<(ToolChoice, Vec<Tool>), ApiError> {
    let choice = choice::of_mode(&given.mode.required(path.field("mode"))?, path.field("mode"))?;
    let list = path.field("tools");
    let given = given.tools.required(list)?;
    list.count(given.len(), 1, TOOLS_MAX)?;
    let mut names = Vec::with_capacity(given.len());
    for (index, tool) in given.into_iter().enumerate() {
        let element = list.element(index);
        let tool = tool.required(element)?;
        let (path, named) = match &*tool.kind.required(element.field("type"))? {
            "custom" => (element.field("custom"), tool.custom),
            _ => (element.field("function"), tool.function),
        };
        let name = named.required(path)?.name.required(path.field("name"))?;
        choice::known(&name, &tools)?;
        names.push(name);
    }
    tools.retain(|tool| names.iter().any(|name| **name == *tool.name));
    Ok((choice, tools))
}

/// What form the reply's text must have.
pub(super) fn format(given: Given<ResponseFormat<'_>>, path: Path<'_>) -> Result<Format, ApiError> {
    let Some(given) = given.optional(path)? else { return Ok(Format::Text) };
    let kind = given.kind.required(path.field("type"))?;
    match &*kind {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            let path = path.field("json_schema");
            let named = given.json_schema.required(path)?;
            let name = named.name.required(path.field("name"))?;
            path.field("name").name(&name, NAME_MAX)?;
            let schema = named.schema.ok_or_else(|| path.field("schema").missing())?;
            let schema = schema::kept(schema, path.field("schema"), || format!("response_format '{name}'"))?;
            Ok(Format::JsonSchema { name: name.into(), schema })
        }
        other => Err(path.field("type").unknown_word(other, &["json_object", "json_schema", "text"]).into()),
    }
}
