//! The choice among tools, as far as all endpoints have it: its words, and the refusal of a tool that is not there.

use crate::dialect::json::path::{Path, excerpt};
use crate::types::api_error::ApiError;
use crate::types::mistake::Mistake;
use crate::types::request::{Tool, ToolChoice};

/// The choice that `word`, at `path`, is.
pub(super) fn of_word(word: &str, path: Path<'_>) -> Result<ToolChoice, Mistake> {
    Ok(match word {
        "none" => ToolChoice::None,
        "auto" => ToolChoice::Auto,
        "required" => ToolChoice::Required,
        other => return Err(path.unknown_word(other, &["none", "auto", "required"])),
    })
}

/// Whether one of the allowed tools must be called, which `word`, at `path`, says.
pub(super) fn of_mode(word: &str, path: Path<'_>) -> Result<ToolChoice, Mistake> {
    Ok(match word {
        "auto" => ToolChoice::Auto,
        "required" => ToolChoice::Required,
        other => return Err(path.unknown_word(other, &["auto", "required"])),
    })
}

/// Refuses a tool that is not one of `tools`.
pub(super) fn known(name: &str, tools: &[Tool]) -> Result<(), ApiError> {
    if tools.iter().any(|tool| *tool.name == *name) {
        return Ok(());
    }
    let name = excerpt(name);
    Err(ApiError::invalid("tool_choice", format!("Tool choice '{name}' not found in 'tools' parameter.")))
}
