//! Vectors for texts: `POST /api/embed` for one or several, and its older form `POST /api/embeddings` for one.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};

use super::body::Text;
use super::keep_alive::KeepAlive;
use super::options::{self, Options};
use super::read::{body_of, known_model};
use super::{Ollama, metrics, names};
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::path::Path;
use crate::dialect::json::shapes::TextOrList;
use crate::dialect::json::splice::{push_each, push_number, push_string};
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, Voice, is_much_text};
use crate::stats::embedding::embed;
use crate::types::api_error::ApiError;
use crate::types::limits::PROMPTS_MAX;
use crate::types::reply::{Head, WholeReply};
use crate::types::request::{Message, Operation, Request, Role};

/// As many as the embedding model that the vendor's documentation names.
const DIMENSIONS: usize = 768;

object! {
    /// The body of a request for vectors.
    EmbedBody<'de> {
        model "model": Text<'de>,
        input "input": Given<TextOrList<'de, Cow<'de, str>>>,
        dimensions "dimensions": Given<i64>,
        truncate "truncate": Given<bool>,
        options "options": Given<Options<'de>>,
        keep_alive "keep_alive": Given<KeepAlive>,
    }
}

object! {
    /// The body of a request for one vector, in its older form.
    EmbeddingsBody<'de> {
        model "model": Text<'de>,
        prompt "prompt": Text<'de>,
        options "options": Given<Options<'de>>,
        keep_alive "keep_alive": Given<KeepAlive>,
    }
}

/// Vectors for texts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embed;

impl Endpoint for Embed {
    fn name(&self) -> &'static str {
        "ollama/embed"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Ollama
    }

    fn reply_id(&self, id: u64) -> String {
        Ollama.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let root = Path::root(inbound.manners.is_strict);
        let body: EmbedBody<'_> = body_of(&inbound, root)?;
        let model = body.model.required(root.field("model"))?;
        let wrong = || ApiError::invalid("input", "invalid input type");
        // Looked at before any text is kept, so that a list with a mistake costs nothing.
        match &body.input {
            Given::Wrong(_) => return Err(wrong()),
            Given::Is(TextOrList::List(texts)) => {
                let texts = texts.counted(root.field("input"), 0, PROMPTS_MAX)?;
                if texts.into_iter().any(|text| !matches!(text, Given::Is(_))) {
                    return Err(wrong());
                }
            }
            Given::Absent | Given::Null | Given::Is(TextOrList::Text(_)) => {}
        }
        options::read(body.options, root.field("options"))?;
        body.keep_alive.optional(root.field("keep_alive"))?;
        body.truncate.optional(root.field("truncate"))?;
        let asked = body.dimensions.optional(root.field("dimensions"))?.and_then(|asked| usize::try_from(asked).ok());
        let dimensions = asked.filter(|asked| *asked > 0).map_or(DIMENSIONS, |asked| asked.min(DIMENSIONS));
        let texts: Vec<Box<str>> = match body.input {
            Given::Is(TextOrList::Text(text)) if !text.is_empty() => vec![text.into()],
            Given::Is(TextOrList::List(texts)) => texts.into_iter().filter_map(Given::value).map(Box::from).collect(),
            _ => Vec::new(),
        };
        Ok(parsed(known_model(&model, root)?, Vectors { texts, dimensions, is_older: false }, &inbound))
    }
}

/// One vector, in the older form.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embeddings;

impl Endpoint for Embeddings {
    fn name(&self) -> &'static str {
        "ollama/embeddings"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Ollama
    }

    fn reply_id(&self, id: u64) -> String {
        Ollama.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let root = Path::root(inbound.manners.is_strict);
        let body: EmbeddingsBody<'_> = body_of(&inbound, root)?;
        let model = body.model.required(root.field("model"))?;
        let prompt = body.prompt.optional(root.field("prompt"))?.unwrap_or_default();
        options::read(body.options, root.field("options"))?;
        body.keep_alive.optional(root.field("keep_alive"))?;
        let texts = if prompt.is_empty() { Vec::new() } else { vec![prompt.into()] };
        Ok(parsed(known_model(&model, root)?, Vectors { texts, dimensions: DIMENSIONS, is_older: true }, &inbound))
    }
}

fn parsed(model: &str, voice: Vectors, inbound: &Inbound<'_>) -> Parsed {
    let messages = voice.texts.iter().map(|text| Message::new(Role::User, text.clone())).collect();
    let request = Request {
        operation: Operation::Embedding,
        other_name: names::other(model),
        target: inbound.target.into(),
        body: Bytes::clone(&inbound.body),
        headers: inbound.headers.clone(),
        ..Request::chat(model, messages)
    };
    Parsed { request, voice: Box::new(voice) }
}

/// The answer: vectors of texts.
#[derive(Debug)]
struct Vectors {
    texts: Vec<Box<str>>,
    dimensions: usize,
    /// Is it the older form, with one vector and nothing else?
    is_older: bool,
}

impl Voice for Vectors {
    fn takes_long(&self) -> bool {
        is_much_text(self.texts.iter().map(|text| &**text))
    }

    fn whole_type(&self) -> &'static str {
        super::JSON
    }

    fn whole(&self, head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        if self.is_older {
            out.put_slice(b"{\"embedding\":");
            match self.texts.first() {
                Some(text) => push_vector(out, text, self.dimensions),
                None => out.put_slice(b"[]"),
            }
            return out.put_u8(b'}');
        }
        out.put_slice(b"{\"model\":");
        push_string(out, &head.model);
        out.put_slice(b",\"embeddings\":[");
        push_each(out, &self.texts, |out, text| push_vector(out, text, self.dimensions));
        out.put_slice(b"],\"total_duration\":");
        push_number(out, reply.last_ns);
        out.put_slice(b",\"load_duration\":");
        push_number(out, metrics::load_of(reply.first_ns));
        out.put_slice(b",\"prompt_eval_count\":");
        push_number(out, u64::from(reply.usage.input));
        out.put_u8(b'}');
    }
}

fn push_vector(out: &mut BytesMut, text: &str, dimensions: usize) {
    for (index, value) in embed(text, dimensions).into_iter().enumerate() {
        out.put_u8(if index == 0 { b'[' } else { b',' });
        // Nothing can fail here: the buffer grows.
        let _ = write!(out, "{value}");
    }
    out.put_u8(b']');
}
