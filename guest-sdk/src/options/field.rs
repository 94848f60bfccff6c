//! What a single option may be, and how it is read, described and written.
//!
//! Simple values first, then quantities with a unit, then what holds other values. Options within options are written by
//! [`options!`](crate::options!).

use std::time::Duration;

use serde_json::Value;

use crate::options::Schema;
use crate::options::quantity::{Share, parse_duration, parse_share, write_duration};
use crate::plugin::Problem;

/// A kind of value that an option may have.
pub trait Field: Sized {
    /// Reads `value`, which lies at `path`; `None` if it is wrong, with the reason among the problems.
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self>;

    /// What JSON Schema says about it.
    fn schema() -> Schema;

    /// The value as a person would write it; `null` if there is nothing to write.
    fn write(&self) -> Value;
}

/// A word for the kind of `value`, as a person would say it.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("`{number}`"),
        other => kind_of(other).to_owned(),
    }
}

/// Hands on what was read, or notes what was expected instead.
fn or_expected<T>(read: Option<T>, what: &str, value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    if read.is_none() {
        problems.push(Problem::at(path, format!("expected {what}, found {}", found(value))));
    }
    read
}

/// Reads what is written as a number with a unit.
fn quantity<T>(
    value: &Value,
    path: &str,
    problems: &mut Vec<Problem>,
    what: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let parsed = match value {
        Value::String(text) => parse(text),
        // Without an exponent, which is no part of how people write quantities.
        Value::Number(number) => {
            parse(&number.as_f64().filter(|_| number.is_f64()).map_or_else(|| number.to_string(), |small| small.to_string()))
        }
        other => Err(format!("expected {what}, found {}", kind_of(other))),
    };
    parsed.map_err(|message| problems.push(Problem::at(path, message))).ok()
}

macro_rules! whole_numbers {
    ($($type:ty: $as:ident),+) => {$(
        impl Field for $type {
            fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
                let number = value.$as().and_then(|number| number.try_into().ok());
                let what = format!("a whole number from {} to {}", Self::MIN, Self::MAX);
                or_expected(number, &what, value, path, problems)
            }

            fn schema() -> Schema {
                Schema::of_type("integer").with("minimum", Self::MIN).with("maximum", Self::MAX)
            }

            fn write(&self) -> Value {
                (*self).into()
            }
        }
    )+};
}

whole_numbers!(u8: as_u64, u16: as_u64, u32: as_u64, u64: as_u64, i32: as_i64, i64: as_i64);

impl Field for f64 {
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        or_expected(value.as_f64(), "a number", value, path, problems)
    }

    fn schema() -> Schema {
        Schema::of_type("number")
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

impl Field for bool {
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        or_expected(value.as_bool(), "`true` or `false`", value, path, problems)
    }

    fn schema() -> Schema {
        Schema::of_type("boolean")
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

impl Field for String {
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        or_expected(value.as_str().map(str::to_owned), "a text", value, path, problems)
    }

    fn schema() -> Schema {
        Schema::of_type("string")
    }

    fn write(&self) -> Value {
        self.as_str().into()
    }
}

/// Written `250us`, `350ms`, `1.5s`, `2m` or `1h`; `0` alone is allowed.
impl Field for Duration {
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        quantity(value, path, problems, "a duration such as `350ms`", parse_duration)
    }

    // The schema is wider than the reading, because a pattern that does not match says less than `20` has no unit.
    fn schema() -> Schema {
        Schema::of_type(vec!["string", "number"]).with("examples", vec!["350ms", "1.5s", "2m"])
    }

    fn write(&self) -> Value {
        write_duration(*self).into()
    }
}

/// Written `5%` or `0.05`.
impl Field for Share {
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        quantity(value, path, problems, "a share such as `5%`", parse_share)
    }

    fn schema() -> Schema {
        Schema::of_type(vec!["string", "number"]).with("examples", vec!["5%"])
    }

    fn write(&self) -> Value {
        format!("{self}").into()
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let items = or_expected(value.as_array(), "a list", value, path, problems)?;
        // Every item is read before the first failure counts, so that all mistakes are told.
        let read = |(index, item)| T::read(item, &format!("{path}/{index}"), problems);
        let read: Vec<_> = items.iter().enumerate().map(read).collect();
        read.into_iter().collect()
    }

    fn schema() -> Schema {
        Schema::of_type("array").with("items", T::schema().into_value())
    }

    fn write(&self) -> Value {
        self.iter().map(Field::write).collect()
    }
}

impl<T: Field> Field for Option<T> {
    fn read(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        T::read(value, path, problems).map(Some)
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::write)
    }
}
