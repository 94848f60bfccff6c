//! What all endpoints that write texts have in common: how a text is drawn, where it ends, how it is streamed.

use std::borrow::Cow;

use super::words;
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::path::Path;
use crate::dialect::json::shapes::TextOrList;
use crate::types::api_error::ApiError;
use crate::types::limits::STOPS_MAX;
use crate::types::manners::Padding;
use crate::types::mistake::Mistake;
use crate::types::request::Thinking;

/// Texts at which a reply ends: one or several.
pub(super) type Stop<'de> = TextOrList<'de, Cow<'de, str>>;

object! {
    /// How to stream, as clients write it.
    StreamOptions {
        include_usage "include_usage": Given<bool>,
        include_obfuscation "include_obfuscation": Given<bool>,
        continuous_usage_stats "continuous_usage_stats": Given<bool>,
    }
}

/// How a reply is streamed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Streaming {
    /// Does it stream at all?
    pub(super) wanted: bool,
    /// Does a stream have a chunk with the token counts before its end?
    pub(super) include_usage: bool,
    /// Does every chunk have the counts so far? Only where the last one has them: so does vLLM, whose addition it is.
    pub(super) continuous_usage: bool,
    /// Are chunks padded with a random string, so that their lengths give nothing away?
    pub(super) obfuscation: bool,
}

/// How hard to think, in the vendor's words.
const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// How hard to think: as it is written, and what it means.
pub(super) fn thinking<'de>(given: Given<Cow<'de, str>>, path: Path<'_>) -> Result<(Option<Cow<'de, str>>, Thinking), Mistake> {
    let effort = given.optional(path)?;
    let thinking = match effort.as_deref() {
        None => Thinking::Unsaid,
        Some("none") => Thinking::Off,
        Some(known) if EFFORTS.contains(&known) => Thinking::On(None),
        Some(other) => return Err(path.unknown_word(other, EFFORTS)),
    };
    Ok((effort, thinking))
}

/// The model that is asked.
pub(super) fn model<'de>(given: Given<Cow<'de, str>>, root: Path<'_>) -> Result<Cow<'de, str>, ApiError> {
    match given {
        Given::Absent | Given::Null => Err(words::no_model()),
        model => match model.required(root.field("model"))? {
            empty if empty.is_empty() => Err(words::no_model()),
            model => Ok(model),
        },
    }
}

/// Checks numbers against the ranges in which they make sense.
pub(super) fn ranges(root: Path<'_>, given: [(&'static str, Given<f64>, f64, f64); 4]) -> Result<(), Mistake> {
    for (name, value, floor, ceiling) in given {
        let path = root.field(name);
        if let Some(value) = value.optional(path)? {
            path.decimal(value, floor, ceiling)?;
        }
    }
    Ok(())
}

/// A whole number from `floor` to `ceiling`, if there is one.
pub(super) fn within(value: Given<i64>, path: Path<'_>, floor: i64, ceiling: i64) -> Result<Option<i64>, Mistake> {
    value.optional(path)?.map(|value| path.integer(value, floor, ceiling)).transpose()
}

/// A count of tokens from `floor` on, if there is one.
pub(super) fn tokens(value: Given<i64>, path: Path<'_>, floor: i64) -> Result<Option<u32>, Mistake> {
    Ok(within(value, path, floor, i64::MAX)?.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)))
}

/// The fewest tokens that a reply of at most `most` may have. vLLM's addition.
pub(super) fn fewest(value: Given<i64>, root: Path<'_>, most: Option<u32>) -> Result<u32, Mistake> {
    let fewest = within(value, root.field("min_tokens"), 0, most.map_or(i64::MAX, i64::from))?;
    Ok(u32::try_from(fewest.unwrap_or(0)).unwrap_or(u32::MAX))
}

/// Texts at which a reply ends.
pub(super) fn stop(given: Given<Stop<'_>>, path: Path<'_>) -> Result<Vec<Box<str>>, Mistake> {
    let texts = match given.optional(path)? {
        None => return Ok(Vec::new()),
        Some(Stop::Text(text)) => return Ok(vec![text.into()]),
        Some(Stop::List(texts)) => texts,
    };
    path.count(texts.len(), 0, STOPS_MAX)?;
    let owned = |(index, text): (usize, Given<Cow<'_, str>>)| Ok(text.required(path.element(index))?.into());
    texts.into_iter().enumerate().map(owned).collect()
}

/// How to stream. Padding is off unless the client asks for it or the scenario says otherwise, although the real service pads by default:
/// it doubles the bytes of a stream and tells a test nothing.
pub(super) fn stream(
    wanted: Given<bool>,
    options: Given<StreamOptions>,
    root: Path<'_>,
    padding: Padding,
) -> Result<Streaming, ApiError> {
    let wanted = wanted.optional(root.field("stream"))?.unwrap_or(false);
    let path = root.field("stream_options");
    let Some(options) = options.optional(path)? else {
        return Ok(Streaming { wanted, obfuscation: padding.pads(None), ..Streaming::default() });
    };
    if !wanted {
        return Err(words::only_with("stream_options", "stream"));
    }
    let said = |given: Given<bool>, name| given.optional(path.field(name));
    let flag = |given: Given<bool>, name| Ok::<_, Mistake>(said(given, name)?.unwrap_or(false));
    let include_usage = flag(options.include_usage, "include_usage")?;
    let continuous_usage = flag(options.continuous_usage_stats, "continuous_usage_stats")? && include_usage;
    let obfuscation = padding.pads(said(options.include_obfuscation, "include_obfuscation")?);
    Ok(Streaming { wanted, include_usage, continuous_usage, obfuscation })
}
