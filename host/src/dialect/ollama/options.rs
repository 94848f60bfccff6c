//! `options`: what a model is run with. What changes nothing here is checked as the vendor does it and skipped; options that nobody knows are
//! skipped too, as the vendor only writes a warning about them.

use std::borrow::Cow;

use crate::dialect::json::given::{Given, Shape, object};
use crate::dialect::json::path::Path;
use crate::dialect::json::shapes::List;
use crate::types::mistake::Mistake;

/// The most texts at which a reply may end.
const STOPS_MAX: usize = 255;

/// A whole number; one with a fraction is cut off, as the vendor does it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole(i64);

impl<'de> Shape<'de> for Whole {
    const EXPECTED: &'static str = "an integer";

    fn of_integer(value: i64) -> Given<Self> {
        Given::Is(Self(value))
    }

    fn of_decimal(value: f64) -> Given<Self> {
        Given::Is(Self(value as i64))
    }
}

object! {
    /// The options that are looked at.
    Options<'de> {
        num_predict "num_predict": Given<Whole>,
        stop "stop": List<'de, Cow<'de, str>>,
        seed "seed": Given<Whole>,
        num_ctx "num_ctx": Given<Whole>,
        num_keep "num_keep": Given<Whole>,
        top_k "top_k": Given<Whole>,
        top_p "top_p": Given<f64>,
        min_p "min_p": Given<f64>,
        temperature "temperature": Given<f64>,
        repeat_penalty "repeat_penalty": Given<f64>,
        presence_penalty "presence_penalty": Given<f64>,
        frequency_penalty "frequency_penalty": Given<f64>,
    }
}

/// What of the options counts.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The most tokens of the reply.
    pub(super) max_tokens: Option<u32>,
    /// Texts at which it ends.
    pub(super) stop: Vec<Box<str>>,
}

/// Reads the options at `path`.
pub(super) fn read(given: Given<Options<'_>>, path: Path<'_>) -> Result<Chosen, Mistake> {
    // Unknown ones are fine even where unknown fields are not.
    let options = match given {
        Given::Is(options) => options,
        other => return other.optional(path).map(|_| Chosen::default()),
    };
    for (name, value) in [
        ("top_p", &options.top_p),
        ("min_p", &options.min_p),
        ("temperature", &options.temperature),
        ("repeat_penalty", &options.repeat_penalty),
        ("presence_penalty", &options.presence_penalty),
        ("frequency_penalty", &options.frequency_penalty),
    ] {
        value.look(path.field(name))?;
    }
    for (name, value) in
        [("seed", &options.seed), ("num_ctx", &options.num_ctx), ("num_keep", &options.num_keep), ("top_k", &options.top_k)]
    {
        value.look(path.field(name))?;
    }
    // Numbers below one stand for "no bound" (-1) and "until the context is full" (-2).
    let max_tokens = options.num_predict.optional(path.field("num_predict"))?.filter(|most| most.0 > 0);
    let list = path.field("stop");
    let stop = options.stop.optional(list)?.unwrap_or_default().counted(list, 0, STOPS_MAX)?;
    let own = |(index, text): (usize, Given<Cow<'_, str>>)| Ok(text.required(list.element(index))?.into());
    let stop: Result<Vec<Box<str>>, Mistake> = stop.into_iter().enumerate().map(own).collect();
    let stop = stop?.into_iter().filter(|text| !text.is_empty()).collect();
    Ok(Chosen { max_tokens: max_tokens.map(|most| u32::try_from(most.0).unwrap_or(u32::MAX)), stop })
}
