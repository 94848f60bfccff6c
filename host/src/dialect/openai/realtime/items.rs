//! Items of a conversation: what clients add to it, as neutral messages and as the server shows them.

use serde_json::{Map, Value};

use super::body::{Item, List, Part};
use crate::dialect::json::path::Path;
use crate::dialect::openai::attached;
use crate::types::api_error::ApiError;
use crate::types::request::{Attachment, Message, Role};

const KINDS: &[&str] = &["message", "function_call", "function_call_output"];
const PARTS: &[&str] = &["input_text", "input_audio", "input_image", "output_text", "output_audio"];

/// The message that `item`, at `path`, is.
pub(super) fn message(item: Item<'_>, path: Path<'_>) -> Result<Message, ApiError> {
    let kind = item.kind.required(path.field("type"))?;
    Ok(match &*kind {
        "message" => {
            let role = item.role.required(path.field("role"))?;
            let role = match &*role {
                "system" => Role::System,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                other => return Err(path.field("role").unknown_word(other, &["user", "assistant", "system"]).into()),
            };
            let (text, attachments) = parts(item.content, path.field("content"))?;
            Message::new(role, text).with_attachments(attachments)
        }
        "function_call" => {
            let name = item.name.required(path.field("name"))?;
            let arguments = item.arguments.required(path.field("arguments"))?;
            let mut message = Message::new(Role::Assistant, "");
            message.call_tool(name, arguments);
            message
        }
        "function_call_output" => {
            item.call_id.required(path.field("call_id"))?;
            Message::new(Role::Tool, item.output.required(path.field("output"))?)
        }
        other => return Err(path.field("type").unknown_word(other, KINDS).into()),
    })
}

/// The texts of all parts, joined, and the other parts.
fn parts<'de>(given: List<'de, Part<'de>>, list: Path<'_>) -> Result<(String, Vec<Attachment>), ApiError> {
    let (mut text, mut attachments) = (String::new(), Vec::new());
    for (index, part) in given.required(list)?.into_iter().enumerate() {
        let path = list.element(index);
        let part = part.required(path)?;
        let kind = part.kind.required(path.field("type"))?;
        match &*kind {
            "input_text" | "output_text" => text.push_str(&part.text.required(path.field("text"))?),
            "input_audio" | "output_audio" => {
                // The transcript is what there is to answer, and the sound is what is counted.
                text.push_str(&part.transcript.optional(path.field("transcript"))?.unwrap_or_default());
                if let Some(audio) = part.audio.optional(path.field("audio"))? {
                    attachments.push(attached::sound(&audio));
                }
            }
            "input_image" => {
                let image = part.image_url.required(path.field("image_url"))?;
                attachments.push(attached::image(&image));
            }
            other => return Err(path.field("type").unknown_word(other, PARTS).into()),
        }
    }
    Ok((text, attachments))
}

/// An item as the server keeps it: what the client wrote, with everything that the server adds, in the server's order.
pub(super) fn kept(mut written: Map<String, Value>, id: &str) -> Map<String, Value> {
    let mut item = Map::new();
    item.insert("id".to_owned(), id.into());
    item.insert("object".to_owned(), "realtime.item".into());
    item.extend(written.shift_remove_entry("type"));
    item.insert("status".to_owned(), "completed".into());
    for known in ["id", "object", "status"] {
        written.shift_remove(known);
    }
    item.extend(written);
    item
}

/// An item without its sounds, as events show it.
pub(super) fn shown(mut item: Map<String, Value>) -> String {
    for part in item.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(part) = part.as_object_mut() {
            part.shift_remove("audio");
        }
    }
    Value::Object(item).to_string()
}
