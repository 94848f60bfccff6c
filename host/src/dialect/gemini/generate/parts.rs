//! The turns of a conversation: parts of many kinds become texts, calls, results and attachments.

use xxhash_rust::xxh3::xxh3_64;

use super::body::{Content, Part};
use crate::dialect::json::given::Given;
use crate::dialect::json::path::Path;
use crate::types::api_error::ApiError;
use crate::types::mistake::Mistake;
use crate::types::request::{Attachment, Message, Role};

/// Tokens of an image of one tile (the vendor's documentation: 258 a tile of 768 x 768).
const IMAGE_TOKENS: u32 = 258;
/// Tokens of a second of sound, and of one of video (the vendor's documentation).
const AUDIO_TOKENS_PER_S: u32 = 32;
/// Bytes a second that a sound of unknown form is taken for: 128 kbit/s.
const AUDIO_BYTES_PER_S: usize = 16_000;

/// The text of the instructions.
pub(super) fn instructions(content: Content<'_>, path: Path<'_>) -> Result<Message, ApiError> {
    let mut messages = Vec::new();
    turn(content, path, Some(Role::System), &mut messages)?;
    let text: String = messages.iter().map(|message| &*message.text).collect();
    Ok(Message::new(Role::System, text))
}

/// Adds a turn of the conversation: results of functions are messages of their own, as their sender is a tool.
pub(in crate::dialect::gemini) fn turn(
    content: Content<'_>,
    path: Path<'_>,
    role: Option<Role>,
    out: &mut Vec<Message>,
) -> Result<(), ApiError> {
    let named = content.role.optional(path.field("role"))?;
    let role = match (role, named.as_deref()) {
        (Some(role), _) => role,
        (None, None | Some("user" | "function" | "tool" | "")) => Role::User,
        (None, Some("model")) => Role::Assistant,
        (None, Some(_)) => {
            return Err(ApiError::invalid("contents", "Please use a valid role: user, model."));
        }
    };
    let list = path.field("parts");
    let parts = content.parts.required(list)?.counted(list, 1, usize::MAX)?;
    let mut said = Message::new(role, "");
    let (mut text, mut results) = (String::new(), Vec::new());
    for (index, part) in parts.into_iter().enumerate() {
        one(part, list.element(index), &mut said, &mut text, &mut results)?;
    }
    let has_results = !results.is_empty();
    out.extend(results.into_iter().map(|text| Message::new(Role::Tool, text)));
    if !has_results || !text.is_empty() || !said.attachments().is_empty() {
        said.text = text.into();
        out.push(said);
    }
    Ok(())
}

fn one(
    part: Given<Part<'_>>,
    path: Path<'_>,
    said: &mut Message,
    text: &mut String,
    results: &mut Vec<String>,
) -> Result<(), Mistake> {
    let part = part.required(path)?;
    part.signature.optional(path.field("thoughtSignature"))?;
    let is_thought = part.is_thought.optional(path.field("thought"))?.unwrap_or(false);
    if let Some(given) = part.text.optional(path.field("text"))?
        && !is_thought
    {
        text.push_str(&given);
    }
    if let Some(blob) = part.inline.optional(path.field("inlineData"))? {
        let path = path.field("inlineData");
        let kind = blob.mime_type.required(path.field("mimeType"))?;
        let data = blob.data.required(path.field("data"))?;
        said.attach(Attachment { digest: xxh3_64(data.as_bytes()), tokens: tokens_of(&kind, data.len() / 4 * 3) });
    }
    if let Some(file) = part.file.optional(path.field("fileData"))? {
        let path = path.field("fileData");
        let kind = file.mime_type.optional(path.field("mimeType"))?.unwrap_or_default();
        let uri = file.uri.required(path.field("fileUri"))?;
        said.attach(Attachment { digest: xxh3_64(uri.as_bytes()), tokens: tokens_of(&kind, 0) });
    }
    if let Some(call) = part.call.optional(path.field("functionCall"))? {
        let path = path.field("functionCall");
        call.id.optional(path.field("id"))?;
        let name = call.name.required(path.field("name"))?;
        said.call_tool(name, call.args.map_or("{}", |args| args.get()));
    }
    if let Some(answer) = part.response.optional(path.field("functionResponse"))? {
        let path = path.field("functionResponse");
        answer.id.optional(path.field("id"))?;
        answer.name.required(path.field("name"))?;
        results.push(answer.response.map_or("{}", |response| response.get()).to_owned());
    }
    Ok(())
}

/// What a file of the MIME type `kind` and so many bytes counts.
fn tokens_of(kind: &str, bytes: usize) -> u32 {
    let seconds = u32::try_from(bytes / AUDIO_BYTES_PER_S).unwrap_or(u32::MAX).max(1);
    match kind.split('/').next() {
        Some("audio") => seconds.saturating_mul(AUDIO_TOKENS_PER_S),
        Some("text") => u32::try_from(bytes / 4).unwrap_or(u32::MAX),
        _ => IMAGE_TOKENS,
    }
}
