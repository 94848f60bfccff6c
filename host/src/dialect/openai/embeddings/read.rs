//! A request for embeddings, from the body's bytes to the neutral [`Request`] and the texts that vectors are wanted of.

use std::borrow::Cow;

use super::Vectors;
use crate::dialect::Inbound;
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::path::{Path, read as read_json};
use crate::dialect::openai::prompts::{Prompt, Prompts};
use crate::dialect::openai::vocabulary::Vocabulary;
use crate::dialect::openai::{sampling, words};
use crate::types::api_error::ApiError;
use crate::types::limits::EMBEDDING_DIMENSIONS_MAX;
use crate::types::request::{Operation, Request};

/// Dimensions of `text-embedding-3-large`, and of every other model.
const LARGE: usize = 3_072;
const USUAL: usize = 1_536;
/// Tokens of all texts of one request: the vendor's documented bound.
const EMBEDDING_TOKENS_MAX: u32 = 300_000;

object! {
    /// The body.
    Body<'de> {
        model "model": Given<Cow<'de, str>>,
        input "input": Given<Prompts<'de>>,
        dimensions "dimensions": Given<i64>,
        encoding_format "encoding_format": Given<Cow<'de, str>>,
        _ "user"
    }
}

/// Reads a request for embeddings, and what is answered.
pub(super) fn read(inbound: Inbound<'_>) -> Result<(Request, Vectors), ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let mut body: Body<'_> = read_json(&inbound.body, root)?;
    if let Some(deployment) = inbound.deployment {
        body.model = Given::Is(deployment.into());
    }
    let model = sampling::model(body.model, root)?;
    let prompts = input(body.input, root)?;
    let base64 = match body.encoding_format.optional(root.field("encoding_format"))?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => return Err(root.field("encoding_format").unknown_word(other, &["float", "base64"]).into()),
    };
    let dimensions = dimensions(body.dimensions, &model, root)?;
    let messages = prompts.iter().map(Prompt::message).collect();
    let texts = prompts.into_iter().map(|prompt| match prompt {
        Prompt::Text(text) => text.into(),
        // The same text gives the same vector, whoever cuts it into tokens. Clients cut with the vocabulary of the vendor's embeddings.
        Prompt::Tokens(tokens) => Vocabulary::Cl100k.decode(&tokens).into(),
    });
    let vectors = Vectors { texts: texts.collect(), dimensions, base64 };
    let request = Request {
        operation: Operation::Embedding,
        input_tokens_max: Some(EMBEDDING_TOKENS_MAX),
        target: inbound.target.into(),
        body: inbound.body.clone(),
        headers: inbound.headers,
        ..Request::chat(&model, messages)
    };
    Ok((request, vectors))
}

/// What is to be embedded. The vendor has one sentence for nearly all that can be wrong with it.
fn input<'de>(given: Given<Prompts<'de>>, root: Path<'_>) -> Result<Vec<Prompt<'de>>, ApiError> {
    let path = root.field("input");
    let prompts = match given {
        Given::Absent => return Err(path.missing().into()),
        Given::Is(prompts) => prompts.checked(path).map_err(|_| words::invalid_at("$.input"))?,
        Given::Null | Given::Wrong(_) => return Err(words::invalid_at("$.input")),
    };
    if prompts.iter().any(Prompt::is_empty) {
        return Err(words::invalid_at("$.input"));
    }
    Ok(prompts)
}

/// How long the vectors of `model` are.
fn dimensions(given: Given<i64>, model: &str, root: Path<'_>) -> Result<usize, ApiError> {
    let has = |part| model.contains(part);
    let (usual, most) = match () {
        () if has("text-embedding-3-large") => (LARGE, LARGE),
        () if has("text-embedding-3-small") => (USUAL, USUAL),
        () => (USUAL, EMBEDDING_DIMENSIONS_MAX),
    };
    match sampling::within(given, root.field("dimensions"), 1, most as i64)? {
        Some(_) if has("text-embedding-ada-002") => Err(words::fixed_dimensions()),
        Some(dimensions) => Ok(dimensions as usize),
        None => Ok(usual),
    }
}
