//! The content of messages: blocks of many types become texts, calls, results and attachments.
//!
//! Results of tools stand inside user messages here; in the neutral conversation each is a message of its own, as its sender is a tool.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::body::{Block, Citations, Content, Source};
use crate::dialect::json::given::Given;
use crate::dialect::json::path::Path;
use crate::types::api_error::ApiError;
use crate::types::mistake::Mistake;
use crate::types::request::{Attachment, Message, Role};

const USER_BLOCKS: &[&str] = &["text", "image", "document", "tool_result", "search_result", "container_upload"];
const RESULT_BLOCKS: &[&str] = &["text", "image", "search_result", "document", "tool_reference"];
const ASSISTANT_BLOCKS: &[&str] = &["text", "thinking", "redacted_thinking", "tool_use"];
/// Tokens of an image whose size is not known: one of about a megapixel, width x height / 750 (the vendor's documentation).
const IMAGE_TOKENS: u32 = 1_600;
/// Tokens of a page of a document, without its text (the vendor's documentation: 1,500 to 3,000).
const PAGE_TOKENS: u32 = 1_500;

/// What the blocks of one message have in them.
#[derive(Debug, Default)]
struct Gathered {
    text: String,
    attachments: Vec<Attachment>,
    calls: Vec<(Box<str>, Box<str>)>,
    results: Vec<String>,
}

/// Reads the content of messages, and remembers whether any of it is to be cached.
#[derive(Debug)]
pub(super) struct Reader {
    /// Does the client speak in the newer generation?
    is_newer: bool,
    /// Is a block marked for the prompt cache?
    pub(super) writes_cache: bool,
}

impl Reader {
    pub(super) fn of(is_newer: bool) -> Self {
        Self { is_newer, writes_cache: false }
    }

    /// The text of the system's instructions.
    pub(super) fn system(&mut self, content: Content<'_>, path: Path<'_>) -> Result<String, ApiError> {
        Ok(self.gather(content, path, &["text"], Role::System)?.text)
    }

    /// Adds what a user's message holds: results of tools first, then what the user says.
    pub(super) fn user(&mut self, content: Content<'_>, path: Path<'_>, out: &mut Vec<Message>) -> Result<(), ApiError> {
        let gathered = self.gather(content, path, USER_BLOCKS, Role::User)?;
        let has_results = !gathered.results.is_empty();
        out.extend(gathered.results.into_iter().map(|text| Message::new(Role::Tool, text)));
        if !has_results || !gathered.text.is_empty() || !gathered.attachments.is_empty() {
            out.push(Message::new(Role::User, gathered.text).with_attachments(gathered.attachments));
        }
        Ok(())
    }

    /// Adds what the model said earlier.
    pub(super) fn assistant(&mut self, content: Content<'_>, path: Path<'_>, out: &mut Vec<Message>) -> Result<(), ApiError> {
        let gathered = self.gather(content, path, ASSISTANT_BLOCKS, Role::Assistant)?;
        out.push(Message::new(Role::Assistant, gathered.text).with_tool_calls(gathered.calls));
        Ok(())
    }

    fn gather(
        &mut self,
        content: Content<'_>,
        list: Path<'_>,
        known: &'static [&'static str],
        role: Role,
    ) -> Result<Gathered, ApiError> {
        let mut gathered = Gathered::default();
        match content {
            Content::Text(text) => gathered.text = text.into_owned(),
            Content::List(blocks) => {
                for (index, block) in blocks.into_iter().enumerate() {
                    self.block(block, list.element(index), known, role, &mut gathered)?;
                }
            }
        }
        Ok(gathered)
    }

    fn block(
        &mut self,
        block: Given<Block<'_>>,
        path: Path<'_>,
        known: &'static [&'static str],
        role: Role,
        out: &mut Gathered,
    ) -> Result<(), ApiError> {
        let block = block.required(path)?;
        self.writes_cache |= block.cache_control.is_some();
        let kind = block.kind.required(path.field("type"))?;
        // What the vendor's own servers did in an earlier turn comes back as it was.
        let is_theirs = role == Role::Assistant && (kind.starts_with("server_") || kind.ends_with("_tool_result"));
        match &*kind {
            _ if is_theirs => {}
            "document" if role == Role::Assistant && self.is_newer => {
                let message = format!("{}: document blocks are not allowed in assistant messages", path.missing().dotted());
                return Err(ApiError::invalid("messages", message));
            }
            // A file for the vendor's own container.
            "container_upload" if role == Role::User => {}
            // The older generation lets a document stand there.
            other if !known.contains(&other) && (other != "document" || role != Role::Assistant) => {
                return Err(path.field("type").unknown_word(other, known).into());
            }
            "text" => {
                let cited = block.citations.optional(path.field("citations"))?;
                if self.is_newer && role == Role::User && matches!(cited, Some(Citations::List(count)) if count > 0) {
                    let message =
                        format!("{}: citations are not allowed in user messages", path.field("citations").missing().dotted());
                    return Err(ApiError::invalid("messages", message));
                }
                out.text.push_str(&block.text.required(path.field("text"))?);
            }
            "thinking" => _ = block.thinking.required(path.field("thinking"))?,
            "redacted_thinking" | "tool_reference" => {}
            "image" => out.attachments.push(attachment(block.source, path.field("source"), IMAGE_TOKENS)?),
            "document" => self.document(block.source, path.field("source"), out)?,
            "search_result" => {
                if let Some(content) = block.content.optional(path.field("content"))? {
                    out.text.push_str(&self.gather(content, path.field("content"), &["text"], role)?.text);
                }
            }
            "tool_use" => {
                block.id.required(path.field("id"))?;
                let name = block.name.required(path.field("name"))?;
                let input = block.input.ok_or_else(|| path.field("input").missing())?;
                out.calls.push((name.into(), input.get().into()));
            }
            _ => self.result(block.tool_use_id, block.content, path, out)?,
        }
        Ok(())
    }

    /// A document: a text counts as a text, anything else as a page.
    fn document(&mut self, source: Given<Source<'_>>, path: Path<'_>, out: &mut Gathered) -> Result<(), ApiError> {
        let given = source.required(path)?;
        let kind = given.kind.required(path.field("type"))?;
        match &*kind {
            "text" => out.text.push_str(&given.data.required(path.field("data"))?),
            "content" => {
                let content = given.content.required(path.field("content"))?;
                out.text.push_str(&self.gather(content, path.field("content"), &["text", "image"], Role::User)?.text);
            }
            _ => out.attachments.push(located(&kind, given.data, given.url, given.file_id, path, PAGE_TOKENS)?),
        }
        Ok(())
    }

    fn result(
        &mut self,
        id: Given<Cow<'_, str>>,
        content: Given<Content<'_>>,
        path: Path<'_>,
        out: &mut Gathered,
    ) -> Result<(), ApiError> {
        id.required(path.field("tool_use_id"))?;
        let text = match content.optional(path.field("content"))? {
            None => String::new(),
            Some(content) => {
                let inner = self.gather(content, path.field("content"), RESULT_BLOCKS, Role::User)?;
                out.attachments.extend(inner.attachments);
                inner.text
            }
        };
        out.results.push(text);
        Ok(())
    }
}

fn attachment(source: Given<Source<'_>>, path: Path<'_>, tokens: u32) -> Result<Attachment, Mistake> {
    let given = source.required(path)?;
    let kind = given.kind.required(path.field("type"))?;
    located(&kind, given.data, given.url, given.file_id, path, tokens)
}

fn located(
    kind: &str,
    data: Given<Cow<'_, str>>,
    url: Given<Cow<'_, str>>,
    file: Given<Cow<'_, str>>,
    path: Path<'_>,
    tokens: u32,
) -> Result<Attachment, Mistake> {
    let place = match kind {
        "base64" => data.required(path.field("data"))?,
        "url" => url.required(path.field("url"))?,
        "file" => file.required(path.field("file_id"))?,
        other => return Err(path.field("type").unknown_word(other, &["base64", "url", "file"])),
    };
    Ok(Attachment { digest: xxh3_64(place.as_bytes()), tokens })
}
