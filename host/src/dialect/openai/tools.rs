//! The parts of a chat request that carry schemas: tools, the choice among them, and the form of the reply.
//!
//! Schemas are kept as written. Only their outermost type and their depth are looked at here; whether an instance can be
//! written is found by the one who writes it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::body::{AllowedTools, List, ResponseFormat, SchemaHead, Tool as GivenTool, ToolChoice as GivenChoice};
use super::given::{Given, Kind};
use super::refuse::{self, Path};
use crate::types::api_error::ApiError;
use crate::types::limits::{JSON_DEPTH_MAX, TOOLS_MAX};
use crate::types::request::{Format, Tool, ToolChoice};

/// The declared tools.
pub(super) fn tools(given: List<GivenTool<'_>>, list: Path<'_>) -> Result<Vec<Tool>, ApiError> {
    let Some(given) = given.optional(list)? else { return Ok(Vec::new()) };
    if given.is_empty() {
        return Err(refuse::empty_list(list));
    }
    if given.len() > TOOLS_MAX {
        return Err(refuse::long_list(list, TOOLS_MAX, given.len()));
    }
    let mut tools = Vec::with_capacity(given.len());
    for (index, tool) in given.into_iter().enumerate() {
        let path = list.element(index);
        tools.push(tool_of(tool.required(path)?, path)?);
    }
    Ok(tools)
}

fn tool_of(given: GivenTool<'_>, path: Path<'_>) -> Result<Tool, ApiError> {
    let kind = given.kind.required(path.field("type"))?;
    // The service also knows `custom`, whose calls have a form of their own that the neutral reply has no words for.
    if kind != "function" {
        return Err(refuse::unknown_word(path.field("type"), &kind, "'function'"));
    }
    let path = path.field("function");
    let function = given.function.required(path)?;
    let name = function.name.required(path.field("name"))?;
    refuse::check_name(&name, path.field("name"))?;
    let parameters = match function.parameters {
        None => None,
        Some(schema) => {
            check_schema(schema, path.field("parameters"), || format!("function '{name}'"))?;
            Some(own(schema))
        }
    };
    Ok(Tool { name: name.into_owned().into_boxed_str(), parameters })
}

/// Which tool must be called, and the tools that remain: a list of allowed ones drops the others.
pub(super) fn choice(given: Given<GivenChoice<'_>>, tools: Vec<Tool>) -> Result<(ToolChoice, Vec<Tool>), ApiError> {
    let path = Path::Root.field("tool_choice");
    let Some(given) = given.optional(path)? else { return Ok((ToolChoice::Auto, tools)) };
    if tools.is_empty() {
        return Err(refuse::only_with_tools("tool_choice"));
    }
    let object = match given {
        GivenChoice::Word(word) => {
            let choice = match &*word {
                "none" => ToolChoice::None,
                "auto" => ToolChoice::Auto,
                "required" => ToolChoice::Required,
                other => return Err(refuse::unknown_word(path, other, "'none', 'auto', and 'required'")),
            };
            return Ok((choice, tools));
        }
        GivenChoice::Object(object) => object,
    };
    let kind = object.kind.required(path.field("type"))?;
    match &*kind {
        "function" => {
            let path = path.field("function");
            let name = object.function.required(path)?.name.required(path.field("name"))?;
            known(&name, &tools)?;
            Ok((ToolChoice::Named(name.into_owned().into_boxed_str()), tools))
        }
        "allowed_tools" => {
            let path = path.field("allowed_tools");
            allowed(object.allowed_tools.required(path)?, path, tools)
        }
        other => Err(refuse::unknown_word(path.field("type"), other, "'function' and 'allowed_tools'")),
    }
}

fn allowed(given: AllowedTools<'_>, path: Path<'_>, mut tools: Vec<Tool>) -> Result<(ToolChoice, Vec<Tool>), ApiError> {
    let mode = given.mode.required(path.field("mode"))?;
    let choice = match &*mode {
        "auto" => ToolChoice::Auto,
        "required" => ToolChoice::Required,
        other => return Err(refuse::unknown_word(path.field("mode"), other, "'auto' and 'required'")),
    };
    let list = path.field("tools");
    let given = given.tools.required(list)?;
    if given.is_empty() {
        return Err(refuse::empty_list(list));
    }
    if given.len() > TOOLS_MAX {
        return Err(refuse::long_list(list, TOOLS_MAX, given.len()));
    }
    let mut names = Vec::with_capacity(given.len());
    for (index, tool) in given.into_iter().enumerate() {
        let element = list.element(index);
        let path = element.field("function");
        let name = tool.required(element)?.function.required(path)?.name.required(path.field("name"))?;
        known(&name, &tools)?;
        names.push(name);
    }
    tools.retain(|tool| names.iter().any(|name| **name == *tool.name));
    Ok((choice, tools))
}

fn known(name: &str, tools: &[Tool]) -> Result<(), ApiError> {
    if tools.iter().any(|tool| *tool.name == *name) {
        return Ok(());
    }
    let name = refuse::excerpt(name);
    Err(ApiError::invalid("tool_choice", format!("Tool choice '{name}' not found in 'tools' parameter.")))
}

/// What form the reply's text must have.
pub(super) fn format(given: Given<ResponseFormat<'_>>) -> Result<Format, ApiError> {
    let path = Path::Root.field("response_format");
    let Some(given) = given.optional(path)? else { return Ok(Format::Text) };
    let kind = given.kind.required(path.field("type"))?;
    match &*kind {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            let path = path.field("json_schema");
            let named = given.json_schema.required(path)?;
            let name = named.name.required(path.field("name"))?;
            refuse::check_name(&name, path.field("name"))?;
            let schema = named.schema.ok_or_else(|| refuse::missing(path.field("schema")))?;
            check_schema(schema, path.field("schema"), || format!("response_format '{name}'"))?;
            Ok(Format::JsonSchema { name: name.into_owned().into_boxed_str(), schema: own(schema) })
        }
        other => Err(refuse::unknown_word(path.field("type"), other, "'json_object', 'json_schema', and 'text'")),
    }
}

fn own(schema: &RawValue) -> Arc<RawValue> {
    Arc::from(schema.to_owned())
}

/// A schema must be an object whose outermost type, if it names one, is `object`; and it must not be nested without end.
fn check_schema(schema: &RawValue, path: Path<'_>, owner: impl Fn() -> String) -> Result<(), ApiError> {
    if depth(schema.get()) > JSON_DEPTH_MAX {
        return Err(refuse::bad_schema(path, &owner(), format_args!("it is nested deeper than {JSON_DEPTH_MAX} levels")));
    }
    let head: Given<SchemaHead<'_>> = serde_json::from_str(schema.get()).map_err(refuse::not_json)?;
    let wrong = |found: &str| {
        let reason = format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'");
        refuse::bad_schema(path, &owner(), reason)
    };
    match head {
        Given::Is(SchemaHead { kind: Given::Is(kind) }) if kind == "object" => Ok(()),
        Given::Is(SchemaHead { kind: Given::Absent }) => Ok(()),
        Given::Is(SchemaHead { kind: Given::Is(kind) }) => Err(wrong(refuse::excerpt(&kind))),
        Given::Is(SchemaHead { kind: Given::Null | Given::Wrong(_) }) => Err(wrong("None")),
        Given::Wrong(kind) => Err(refuse::wrong_type(path, "an object", kind)),
        Given::Absent | Given::Null => Err(refuse::wrong_type(path, "an object", Kind::Null)),
    }
}

/// How deep lists and objects are nested in `json`, which is well formed. Raw values are skipped without a bound by the reader.
fn depth(json: &str) -> usize {
    let mut bytes = json.bytes();
    let (mut now, mut most) = (0_usize, 0);
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => _ = bytes.next(),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_texts_only() {
        assert_eq!(depth(r#"{"a":[1,{"b":"]}[[[\"{{"}]}"#), 3);
        assert_eq!(depth("true"), 0);
    }
}
