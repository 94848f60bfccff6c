//! What one request says of its own answer, in headers, where a scenario lets it: `api: { overrides: true }`.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::types::api_error::ApiError;
use crate::types::limits::{DELAY_US_MAX, OUTPUT_TOKENS_MAX};

/// Milliseconds to the first token.
pub const FIRST_MS: &str = "x-simwright-first-ms";
/// Milliseconds from one token to the next.
pub const BETWEEN_MS: &str = "x-simwright-between-ms";
/// Tokens of the reply.
pub const OUTPUT_TOKENS: &str = "x-simwright-output-tokens";
/// One fault, as a scenario writes it.
pub const FAULT: &str = "x-simwright-fault";
/// The seed of its draws.
pub const SEED: &str = "x-simwright-seed";

/// What a request says of its own answer; what it leaves open is as the scenario says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Microseconds to the first token.
    pub first_us: Option<u32>,
    /// Microseconds from one token to the next.
    pub between_us: Option<u32>,
    /// Tokens of the reply, which is then text in the first style.
    pub output_tokens: Option<u32>,
    /// The fault that is asked before the scenario's, as it is written.
    pub fault: Option<Box<str>>,
    /// In place of the run's seed.
    pub seed: Option<u64>,
    /// The headers as they came, by name.
    pub written: BTreeMap<&'static str, Box<str>>,
}

impl Overrides {
    /// What `headers` say; `None` if they say nothing. The error is a 400 that names the header.
    pub fn read(headers: &HeaderMap) -> Result<Option<Box<Self>>, ApiError> {
        let mut read = Reader { headers, overrides: Self::default() };
        let first_us = read.delay_us(FIRST_MS)?;
        let between_us = read.delay_us(BETWEEN_MS)?;
        let tokens = read.number(OUTPUT_TOKENS, u64::from(OUTPUT_TOKENS_MAX))?;
        let seed = read.number(SEED, u64::MAX)?;
        let fault = read.text(FAULT)?;
        let output_tokens = tokens.map(|tokens| tokens as u32);
        let overrides = Self { first_us, between_us, output_tokens, fault, seed, ..read.overrides };
        Ok((!overrides.written.is_empty()).then(|| Box::new(overrides)))
    }
}

struct Reader<'a> {
    headers: &'a HeaderMap,
    overrides: Overrides,
}

impl Reader<'_> {
    fn text(&mut self, name: &'static str) -> Result<Option<Box<str>>, ApiError> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        let text: Box<str> = value.to_str().map_err(|_| wrong(name, "a text in ASCII"))?.into();
        self.overrides.written.insert(name, text.clone());
        Ok(Some(text))
    }

    fn number(&mut self, name: &'static str, most: u64) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number <= most);
        number.map(Some).ok_or_else(|| wrong(name, &format!("a whole number up to {most}")))
    }

    /// Milliseconds, perhaps with a fraction, in microseconds.
    fn delay_us(&mut self, name: &'static str) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let most_ms = (DELAY_US_MAX / 1_000) as f64;
        let ms = text.parse().ok().filter(|ms: &f64| (0.0..=most_ms).contains(ms));
        let us = ms.map(|ms| (ms * 1_000.0).round() as u32);
        us.map(Some).ok_or_else(|| wrong(name, &format!("milliseconds from 0 to {most_ms}")))
    }
}

fn wrong(name: &'static str, expected: &str) -> ApiError {
    ApiError::invalid(name, format!("The header '{name}' must be {expected}."))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Option<Box<Overrides>>, ApiError> {
        let headers = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Overrides::read(&headers.collect())
    }

    #[test]
    fn what_is_not_said_is_left_to_the_scenario() {
        assert_eq!(read(&[]), Ok(None));
        let overrides = read(&[(FIRST_MS, "12.5"), (OUTPUT_TOKENS, "7")]).unwrap().unwrap();
        assert_eq!((overrides.first_us, overrides.between_us, overrides.output_tokens), (Some(12_500), None, Some(7)));
        assert_eq!(overrides.written.len(), 2);
        assert_eq!(read(&[(SEED, "18446744073709551615")]).unwrap().unwrap().seed, Some(u64::MAX));
    }

    #[test]
    fn a_bad_value_is_a_400_that_names_the_header() {
        for (name, value) in [
            (FIRST_MS, "soon"),
            (FIRST_MS, "-1"),
            (FIRST_MS, "NaN"),
            (BETWEEN_MS, "3600001"),
            (OUTPUT_TOKENS, "1.5"),
            (OUTPUT_TOKENS, "1000001"),
            (SEED, "-1"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(name)), "{name}: {value}");
        }
    }
}
