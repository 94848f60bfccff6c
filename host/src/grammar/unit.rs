//! What a law is of: delays, written `350ms` and counted in nanoseconds, or lengths of texts in tokens.

use serde_json::Value;

use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{CONTEXT_WINDOW_MAX, DELAY_US_MAX};
use crate::types::quantity::parse_duration_us;
use crate::types::schema;

/// What the values of a law are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Delays of up to an hour, in nanoseconds.
    Delay,
    /// Tokens.
    Tokens,
}

impl Unit {
    /// The word for one value, and for several.
    pub fn nouns(self) -> (&'static str, &'static str) {
        match self {
            Self::Delay => ("delay", "durations"),
            Self::Tokens => ("number of tokens", "numbers of tokens"),
        }
    }

    /// The largest value.
    pub fn max(self) -> f64 {
        match self {
            Self::Delay => DELAY_US_MAX as f64 * 1e3,
            Self::Tokens => f64::from(CONTEXT_WINDOW_MAX),
        }
    }

    /// A small value, as it is written.
    pub fn small(self) -> &'static str {
        match self {
            Self::Delay => "1ms",
            Self::Tokens => "1",
        }
    }

    /// What to write where a law is expected.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Delay => "write for example `350ms`, or `{ log-normal: { p50: 350ms, p99: 2s } }`",
            Self::Tokens => "write for example `500`, `{ p50: 500, p99: 4000 }`, or `{ exponential: { mean: 500 } }`",
        }
    }

    /// The value that is written as `value`.
    pub fn parse(self, value: &Value) -> Result<f64, String> {
        match self {
            Self::Delay => {
                let us = match value {
                    Value::String(text) => parse_duration_us(text)?,
                    Value::Number(number) if number.as_u64() == Some(0) => 0,
                    Value::Number(number) => parse_duration_us(&number.to_string())?,
                    other => return Err(format!("expected a duration such as `350ms`, found {}", kind_of(other))),
                };
                let too_long = "longer than an hour; give a delay of at most `1h`";
                if us > DELAY_US_MAX { Err(too_long.to_owned()) } else { Ok(us as f64 * 1e3) }
            }
            Self::Tokens => match value.as_f64() {
                Some(tokens) if (0.0..=self.max()).contains(&tokens) => Ok(tokens),
                Some(tokens) => Err(format!("expected a number of tokens from 0 to {CONTEXT_WINDOW_MAX}, found `{tokens}`")),
                None => Err(format!("expected a number of tokens, found {}", kind_of(value))),
            },
        }
    }

    /// The value of the field `name`; `None` if it is absent or wrong.
    pub fn read(self, fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
        if self == Self::Delay {
            return delay_us(fields, name).map(|us| f64::from(us) * 1e3);
        }
        let value = fields.value(name)?;
        self.parse(value).map_err(|message| fields.problem(name, message)).ok()
    }

    /// JSON Schema of one value.
    pub fn schema(self, description: &str) -> Value {
        match self {
            Self::Delay => schema::duration(description),
            Self::Tokens => schema::number(description, 0.0..=self.max()),
        }
    }
}

/// The duration `name` in microseconds, or `None` if it is absent or wrong; longer than an hour is a mistake.
pub fn delay_us(fields: &mut Fields<'_>, name: &'static str) -> Option<u32> {
    let us = fields.duration_us(name)?;
    match u32::try_from(us) {
        Ok(short) if us <= DELAY_US_MAX => Some(short),
        _ => {
            fields.problem(name, format!("`{name}` is longer than an hour; give a delay of at most `1h`"));
            None
        }
    }
}
