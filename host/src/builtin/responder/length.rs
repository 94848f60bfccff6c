//! How long a text is, in tokens, as options say it: `tokens` and `reasoning`.
//!
//! Written as a number, `{min, max}` (uniform), `{p50, p99}` (log-normal), `{share-of-max: 80%}` (of what the client allows), or
//! `max-tokens` (all that it allows, and the reply is cut there).

use serde_json::{Value, json};

use crate::behavior::call::Call;
use crate::builtin::responder::draw;
use crate::stats::distribution::LogNormal;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::OUTPUT_TOKENS_MAX;
use crate::types::schema;

/// A law of lengths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Length {
    Exactly(u32),
    Uniform {
        min: u32,
        max: u32,
    },
    LogNormal(LogNormal),
    /// This share, 0 to 1, of the tokens that the call allows.
    Share(f64),
    /// More than the call allows.
    Max,
}

const EXPECTED: &str = "expected a number of tokens, `max-tokens`, {p50, p99}, {min, max} or {share-of-max}";

impl Length {
    /// Log-normal by its median and 99th percentile, both at least 1.
    pub(super) fn log_normal(p50: u32, p99: u32) -> Self {
        Self::LogNormal(LogNormal::of_quantiles(p50.into(), p99.into(), OUTPUT_TOKENS_MAX.into()))
    }

    /// Reads the field `name`. `None` means that it is absent or that a mistake has been noted.
    pub(super) fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        let value = fields.value(name)?;
        match value {
            Value::Object(map) if map.contains_key("share-of-max") => {
                let mut inner = Fields::of(value, fields.pointer(name));
                let share = inner.share("share-of-max");
                finish(fields, inner).then_some(Self::Share(share?))
            }
            Value::Object(map) => {
                let is_log_normal = map.contains_key("p50") || map.contains_key("p99");
                Self::read_pair(fields, name, value, is_log_normal)
            }
            Value::String(word) if word == "max-tokens" => Some(Self::Max),
            Value::Number(_) => fields.integer(name, 0..=OUTPUT_TOKENS_MAX.into()).map(|tokens| Self::Exactly(tokens as u32)),
            other => {
                fields.problem(name, format!("{EXPECTED}, found {}", kind_of(other)));
                None
            }
        }
    }

    fn read_pair(fields: &mut Fields<'_>, name: &'static str, value: &Value, is_log_normal: bool) -> Option<Self> {
        let mut inner = Fields::of(value, fields.pointer(name));
        let (low_name, high_name, lowest) = if is_log_normal { ("p50", "p99", 1) } else { ("min", "max", 0) };
        inner.require(low_name);
        inner.require(high_name);
        let range = lowest..=u64::from(OUTPUT_TOKENS_MAX);
        let low = inner.integer(low_name, range.clone()).map(|tokens| tokens as u32);
        let high = inner.integer(high_name, range).map(|tokens| tokens as u32);
        if let (Some(low), Some(high)) = (low, high)
            && high < low
        {
            inner.problem(high_name, format!("`{high_name}` is less than `{low_name}`; swap the two"));
        }
        let good = finish(fields, inner);
        match (low, high) {
            (Some(p50), Some(p99)) if good && is_log_normal => Some(Self::log_normal(p50, p99)),
            (Some(min), Some(max)) if good => Some(Self::Uniform { min, max }),
            _ => None,
        }
    }

    /// The length of choice number `choice`, drawn as `name`: never more than one token over what the call allows, which is enough
    /// for the planner to see that it has to cut and says `length`.
    pub(super) fn draw(&self, call: &Call<'_>, choice: u32, name: &str) -> u32 {
        let over_limit = call.max_output_tokens.saturating_add(1);
        let tokens = match self {
            Self::Exactly(tokens) => *tokens,
            Self::Uniform { min, max } => min + (draw(call, choice, name) * f64::from(max - min + 1)) as u32,
            // An answer has at least one token, as the uniform and the exact lengths say for themselves.
            Self::LogNormal(law) => (law.quantile(draw(call, choice, name)).round() as u32).max(1),
            Self::Share(share) => (share * f64::from(call.max_output_tokens)).round() as u32,
            Self::Max => over_limit,
        };
        tokens.min(over_limit)
    }
}

/// Hands what is wrong with `inner` on to `fields`; is nothing?
fn finish(fields: &mut Fields<'_>, inner: Fields<'_>) -> bool {
    let problems = inner.finish();
    let good = problems.is_empty();
    fields.extend(problems);
    good
}

/// The schema of a length.
pub(super) fn length_schema(description: &str) -> Value {
    let tokens = |description| schema::integer(description, 0..=OUTPUT_TOKENS_MAX.into());
    let pair = |low: &str, high: &str| {
        let fields = [(format!("{low}!"), tokens("Tokens.")), (format!("{high}!"), tokens("Tokens."))];
        schema::object(fields.iter().map(|(name, field)| (name.as_str(), field.clone())))
    };
    json!({
        "description": description,
        "anyOf": [
            tokens("So many tokens."),
            { "const": "max-tokens", "description": "All that the client allows; the reply is cut there." },
            pair("p50", "p99"),
            pair("min", "max"),
            schema::object([("share-of-max!", schema::share("Of the tokens that the client allows."))]),
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::builtin::testing;

    fn length(value: &Value) -> Length {
        let options = json!({ "tokens": value });
        let mut fields = Fields::of(&options, "");
        let length = Length::read(&mut fields, "tokens").expect("a length");
        assert_eq!(fields.finish(), []);
        length
    }

    fn drawn(length: Length, seed: u64) -> u32 {
        let request = Arc::new(testing::request("hi"));
        length.draw(&testing::call(&request, seed), 0, "tokens")
    }

    #[test]
    fn a_log_normal_length_has_the_quantiles_it_was_given() {
        let law = length(&json!({"p50": 100, "p99": 400}));
        let mut lengths: Vec<u32> = (0..20_000).map(|seed| drawn(law, seed)).collect();
        lengths.sort_unstable();
        let (p50, p99) = (lengths[10_000], lengths[19_800]);
        assert!((98..=102).contains(&p50), "p50 {p50}");
        assert!((376..=424).contains(&p99), "p99 {p99}");
    }

    #[test]
    fn a_uniform_length_reaches_both_bounds() {
        let law = length(&json!({"min": 3, "max": 6}));
        let lengths: Vec<u32> = (0..200).map(|seed| drawn(law, seed)).collect();
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&3), Some(&6)));
    }

    #[test]
    fn what_is_too_long_is_asked_for_one_token_over_the_limit() {
        assert_eq!(drawn(length(&json!(32)), 1), 32);
        assert_eq!(drawn(length(&json!(100_000)), 1), 4_097);
        assert_eq!(drawn(length(&json!("max-tokens")), 1), 4_097);
        assert_eq!(drawn(length(&json!({"share-of-max": "80%"})), 1), 3_277);
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        let options = json!({
            "a": {"min": 5, "max": 2}, "b": "much", "c": {"share-of-max": "80"}, "d": {"p50": 0}, "e": true, "f": -1,
        });
        let mut fields = Fields::of(&options, "");
        for name in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(Length::read(&mut fields, name), None, "{name}");
        }
        let pointers: Vec<_> = fields.finish().into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/a/max", "/b", "/c/share-of-max", "/d", "/d/p50", "/e", "/f"]);
    }
}
