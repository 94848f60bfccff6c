//! Vectors of texts: `POST /v1beta/models/{model}:embedContent`, and `:batchEmbedContents` for several at once.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::Gemini;
use super::generate::body::{Content, List, Text};
use super::generate::parts;
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::path::{Path, read as read_json};
use crate::dialect::json::splice::{push_each, push_number};
use crate::dialect::{Dialect, Endpoint, Inbound, Parsed, Voice, is_much_text};
use crate::stats::embedding::embed;
use crate::types::api_error::ApiError;
use crate::types::reply::{Head, WholeReply};
use crate::types::request::{Message, Operation, Request, Role};

/// The most texts of one batch (the vendor's documentation).
const BATCH_MAX: usize = 100;
/// The most dimensions that may be asked for, and what newer models give if nothing is asked for.
const DIMENSIONS_MAX: usize = 3_072;
/// What older models give.
const DIMENSIONS_OLD: usize = 768;

/// A vector for one text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embed;

/// Vectors for several texts.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchEmbed;

impl Endpoint for Embed {
    fn name(&self) -> &'static str {
        "gemini/embed"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Gemini
    }

    fn reply_id(&self, id: u64) -> String {
        Gemini.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let root = Path::root(inbound.manners.is_strict);
        let mut asked = Asked::of(inbound.target);
        asked.one(read_json(&inbound.body, root)?, root)?;
        Ok(asked.parsed(inbound, false))
    }
}

impl Endpoint for BatchEmbed {
    fn name(&self) -> &'static str {
        "gemini/batch_embed"
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Gemini
    }

    fn reply_id(&self, id: u64) -> String {
        Gemini.request_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let root = Path::root(inbound.manners.is_strict);
        let batch: Batch<'_> = read_json(&inbound.body, root)?;
        let list = root.field("requests");
        let requests = batch.requests.required(list)?.counted(list, 1, BATCH_MAX)?;
        let mut asked = Asked::of(inbound.target);
        for (index, request) in requests.into_iter().enumerate() {
            let path = list.element(index);
            asked.one(request.required(path)?, path)?;
        }
        Ok(asked.parsed(inbound, true))
    }
}

object! {
    /// The body for several texts.
    Batch<'de> {
        requests "requests": List<'de, One<'de>>,
    }
}

object! {
    /// The body for one text.
    One<'de> {
        content "content": Given<Content<'de>>,
        dimensions "outputDimensionality" | "output_dimensionality": Given<i64>,
        model "model": Text<'de>,
        _ "taskType" "task_type" "title" "embedContentConfig" "embed_content_config"
    }
}

/// What is asked for.
struct Asked<'a> {
    model: &'a str,
    messages: Vec<Message>,
    texts: Vec<(Box<str>, usize)>,
}

impl<'a> Asked<'a> {
    fn of(target: &'a str) -> Self {
        let model = target.split_once('?').map_or(target, |(model, _)| model);
        Self { model, messages: Vec::new(), texts: Vec::new() }
    }

    fn one(&mut self, one: One<'_>, path: Path<'_>) -> Result<(), ApiError> {
        let content = path.field("content");
        let first = self.messages.len();
        parts::turn(one.content.required(content)?, content, Some(Role::User), &mut self.messages)?;
        one.model.optional(path.field("model"))?;
        let path = path.field("outputDimensionality");
        let dimensions = match one.dimensions.optional(path)? {
            Some(dimensions) => path.integer(dimensions, 1, DIMENSIONS_MAX as i64)? as usize,
            None if self.model.contains("gemini-embedding") => DIMENSIONS_MAX,
            None => DIMENSIONS_OLD,
        };
        // What is no text has a vector, too: that of its digest.
        let mut text: String = self.messages[first..].iter().map(|message| &*message.text).collect();
        for attachment in self.messages[first..].iter().flat_map(Message::attachments) {
            let _ = write!(text, " {:016x}", attachment.digest);
        }
        self.texts.push((text.into(), dimensions));
        Ok(())
    }

    fn parsed(self, inbound: Inbound<'_>, is_batch: bool) -> Parsed {
        let request = Request {
            operation: Operation::Embedding,
            target: inbound.target.into(),
            body: inbound.body,
            headers: inbound.headers,
            ..Request::chat(self.model, self.messages)
        };
        Parsed { request, voice: Box::new(Vectors { texts: self.texts.into(), is_batch }) }
    }
}

/// Says the vectors of some texts.
#[derive(Debug)]
struct Vectors {
    /// The texts, each with the dimensions that are wanted.
    texts: Box<[(Box<str>, usize)]>,
    is_batch: bool,
}

impl Voice for Vectors {
    fn takes_long(&self) -> bool {
        is_much_text(self.texts.iter().map(|(text, _)| &**text))
    }

    fn whole(&self, _head: &Head, reply: &WholeReply, out: &mut BytesMut) {
        out.reserve(64 + self.texts.iter().map(|(_, dimensions)| dimensions * 13).sum::<usize>());
        out.put_slice(if self.is_batch { b"{\"embeddings\":[" } else { b"{\"embedding\":" });
        push_each(out, self.texts.iter(), |out, (text, dimensions)| push_vector(out, &embed(text, *dimensions)));
        if self.is_batch {
            out.put_u8(b']');
        }
        out.put_slice(b",\"usageMetadata\":{\"promptTokenCount\":");
        push_number(out, u64::from(reply.usage.input));
        out.put_slice(b"}}");
    }
}

fn push_vector(out: &mut BytesMut, vector: &[f32]) {
    out.put_slice(b"{\"values\":[");
    push_each(out, vector.iter(), |out, value| {
        // The shortest text that is read back as the same number.
        let _ = write!(out, "{value}");
    });
    out.put_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::types::usage::Usage;

    fn parse(endpoint: &dyn Endpoint, target: &str, body: &Value) -> Result<Parsed, ApiError> {
        endpoint.parse(Inbound { target, body: body.to_string().into(), ..Inbound::default() })
    }

    fn answer(endpoint: &dyn Endpoint, target: &str, body: &Value) -> Value {
        let parsed = parse(endpoint, target, body).expect("understood");
        assert!(!parsed.request.operation.has_words());
        let head = Head { id: 1, created_unix_s: 1, model: "m".into(), fingerprint: 1, usage: Usage::default() };
        let reply = WholeReply { usage: Usage { input: 3, ..Usage::default() }, ..WholeReply::default() };
        let mut out = BytesMut::new();
        parsed.voice.whole(&head, &reply, &mut out);
        serde_json::from_slice(&out).expect("JSON")
    }

    fn content(text: &str) -> Value {
        json!({"parts": [{"text": text}]})
    }

    #[test]
    fn one_text_has_one_vector_of_the_length_that_is_asked_for() {
        let vector =
            |target, body: Value| answer(&Embed, target, &body)["embedding"]["values"].as_array().expect("a list").clone();
        assert_eq!(vector("gemini-embedding-001", json!({"content": content("x")})).len(), 3_072);
        assert_eq!(vector("text-embedding-004", json!({"content": content("x")})).len(), 768);
        let short = vector("m", json!({"content": content("x"), "outputDimensionality": 16, "taskType": "RETRIEVAL_QUERY"}));
        let squares: f64 = short.iter().map(|value| value.as_f64().expect("a number").powi(2)).sum();
        assert!(short.len() == 16 && (squares - 1.0).abs() < 1e-5, "{short:?}");
    }

    #[test]
    fn a_batch_has_a_vector_for_each_text_in_order() {
        let request = |text| json!({"model": "models/m", "content": content(text), "outputDimensionality": 4});
        let answer = answer(&BatchEmbed, "m", &json!({"requests": [request("a b"), request("c d"), request("a b")]}));
        let vectors = answer["embeddings"].as_array().expect("a list");
        assert_eq!((vectors.len(), &vectors[0], &answer["usageMetadata"]["promptTokenCount"]), (3, &vectors[2], &json!(3)));
        assert_ne!(vectors[0], vectors[1]);
    }

    #[test]
    fn bad_requests_name_the_place() {
        let refused =
            |endpoint: &dyn Endpoint, body: Value| parse(endpoint, "m", &body).expect_err("refused").param.expect("a place");
        assert_eq!(refused(&Embed, json!({})), "content");
        assert_eq!(refused(&Embed, json!({"content": content("x"), "outputDimensionality": 0})), "outputDimensionality");
        assert_eq!(refused(&BatchEmbed, json!({"requests": []})), "requests");
        assert_eq!(
            refused(&BatchEmbed, json!({"requests": [{"content": {"parts": [{"text": 1}]}}]})),
            "requests[0].content.parts[0].text"
        );
    }
}
