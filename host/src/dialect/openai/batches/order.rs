//! Reading what a new batch is to be.

use std::borrow::Cow;

use serde::de::{IgnoredAny, MapAccess};

use crate::dialect::Inbound;
use crate::dialect::bulk::{Input, Order};
use crate::dialect::json::given::{Given, Name, Shape, object};
use crate::dialect::json::path::{Path, read as read_json};
use crate::types::api_error::ApiError;
use crate::types::mistake::Mistake;

/// What all requests of a batch may ask.
const ENDPOINTS: &[&str] = &["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/moderations", "/v1/responses"];
/// How long a batch may take: there is one answer.
const WINDOWS: &[&str] = &["24h"];
/// Pairs of `metadata`, and characters of their names and values: the vendor's documented bounds.
const METADATA: (usize, usize, usize) = (16, 64, 512);
/// How long what a batch leaves may be kept, in seconds: an hour to thirty days.
const LEAVINGS_S: (i64, i64) = (3_600, 2_592_000);

object! {
    /// The body of a request for a new batch.
    Body<'de> {
        input_file_id "input_file_id": Given<Cow<'de, str>>,
        endpoint "endpoint": Given<Cow<'de, str>>,
        completion_window "completion_window": Given<Cow<'de, str>>,
        metadata "metadata": Given<Pairs<'de>>,
        output_expires_after "output_expires_after": Given<ExpiresAfter<'de>>,
    }
}

object! {
    /// When to forget what a batch leaves.
    ExpiresAfter<'de> {
        anchor "anchor": Given<Cow<'de, str>>,
        seconds "seconds": Given<i64>,
    }
}

/// An object of texts.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'de>(Vec<(Cow<'de, str>, Given<Cow<'de, str>>)>);

impl<'de> Shape<'de> for Pairs<'de> {
    const EXPECTED: &'static str = "an object";

    fn of_object<A: MapAccess<'de>>(mut entries: A) -> Result<Given<Self>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(Name(name)) = entries.next_key()? {
            // One more than there may be is enough to see that there are too many.
            if pairs.len() > METADATA.0 {
                entries.next_value::<IgnoredAny>()?;
            } else {
                pairs.push((name, entries.next_value()?));
            }
        }
        Ok(Given::Is(Self(pairs)))
    }
}

pub(super) fn read(inbound: &Inbound<'_>) -> Result<Order, ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let body: Body<'_> = read_json(&inbound.body, root)?;
    let input = body.input_file_id.required(root.field("input_file_id"))?;
    let endpoint = word(body.endpoint, root.field("endpoint"), ENDPOINTS)?;
    word(body.completion_window, root.field("completion_window"), WINDOWS)?;
    let metadata = match body.metadata.optional(root.field("metadata"))? {
        Some(pairs) => metadata(pairs, root.field("metadata"))?,
        None => Box::default(),
    };
    let path = root.field("output_expires_after");
    let leavings_s = match body.output_expires_after.optional(path)? {
        Some(after) => {
            word(after.anchor, path.field("anchor"), &["created_at"])?;
            let seconds = after.seconds.required(path.field("seconds"))?;
            Some(path.field("seconds").integer(seconds, LEAVINGS_S.0, LEAVINGS_S.1)?.unsigned_abs())
        }
        None => None,
    };
    let path = endpoint.strip_prefix("/v1").unwrap_or(&endpoint).into();
    Ok(Order { input: Input::File(input.into()), path, metadata, leavings_s })
}

fn word<'de>(given: Given<Cow<'de, str>>, path: Path<'_>, known: &'static [&'static str]) -> Result<Cow<'de, str>, Mistake> {
    let word = given.required(path)?;
    if known.contains(&&*word) { Ok(word) } else { Err(path.unknown_word(&word, known)) }
}

/// Names and values that a client puts beside its own things.
type Metadata = Box<[(Box<str>, Box<str>)]>;

fn metadata(pairs: Pairs<'_>, path: Path<'_>) -> Result<Metadata, Mistake> {
    path.count(pairs.0.len(), 0, METADATA.0)?;
    let pair = |(name, value): (Cow<'_, str>, Given<Cow<'_, str>>)| {
        path.text(&name, 0, METADATA.1)?;
        let value = value.required(path)?;
        path.text(&value, 0, METADATA.2)?;
        Ok((name.into(), value.into()))
    };
    pairs.0.into_iter().map(pair).collect()
}
