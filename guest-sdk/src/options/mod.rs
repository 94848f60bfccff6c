//! Options that a scenario may set: one declaration gives the type, its defaults, the reading from JSON and the JSON Schema.
//!
//! [`options!`](crate::options!) makes the declaration. [`parse`] reads options and finds every mistake at once; [`schema_of`]
//! writes the schema that `simwright plugin inspect` and editors show. [`Field`] is what a single option may be: numbers, texts,
//! `true` or `false`, durations such as `350ms`, shares such as `5%`, lists of those, and options within options.

mod field;
mod quantity;
mod reader;
mod schema;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::plugin::Problem;

pub use field::Field;
pub use quantity::Share;
pub use reader::Reader;
pub use schema::Schema;

/// A set of options. Made by [`options!`](crate::options!); `()` is the set without any.
pub trait Options: Sized {
    /// Reads every field; mistakes stay with the reader.
    fn read(reader: &mut Reader<'_>) -> Self;

    /// Adds every field to a schema.
    fn describe(schema: &mut Schema);

    /// The options as a person would write them.
    fn write(&self) -> Value;
}

impl Options for () {
    fn read(_reader: &mut Reader<'_>) -> Self {}

    fn describe(_schema: &mut Schema) {}

    fn write(&self) -> Value {
        Value::Null
    }
}

/// Reads options from JSON text; no text reads as no options. Gives every mistake at once.
pub fn parse<T: Options>(json: &str) -> Result<T, Vec<Problem>> {
    let value = if json.trim().is_empty() {
        Value::Null
    } else {
        serde_json::from_str(json).map_err(|error| vec![Problem::at("", format!("the options are no JSON: {error}"))])?
    };
    let mut problems = Vec::new();
    match read_value(&value, "", &mut problems) {
        Some(options) if problems.is_empty() => Ok(options),
        _ => Err(problems),
    }
}

/// The JSON Schema of a set of options as text, fields in the order of their declaration.
pub fn schema_of<T: Options>() -> String {
    let mut schema = Schema::default();
    T::describe(&mut schema);
    schema.into_value().to_string()
}

/// Reads a whole object. Options within options come here too.
#[doc(hidden)]
pub fn read_value<T: Options>(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let before = problems.len();
    let mut reader = Reader::of(value, path, problems);
    let options = T::read(&mut reader);
    reader.finish();
    (problems.len() == before).then_some(options)
}

/// Declares the options of a plugin: a struct with a default for each field, ended by `;`, and bounds where they are wanted.
///
/// A field `retry_after` is written `retry-after` in a scenario. Doc comments become the schema's descriptions.
///
/// ```
/// use simwright_sdk::prelude::*;
///
/// options! {
///     /// When it rains.
///     pub struct Rain {
///         /// How hard, 0 is not at all.
///         pub strength: f64 = 0.5, in 0.0..=1.0;
///         /// How long a shower lasts.
///         pub shower: Duration = Duration::from_secs(60), in ms(1)..=Duration::from_secs(3600);
///     }
/// }
///
/// let rain: Rain = simwright_sdk::options::parse(r#"{"shower": "5m"}"#).unwrap();
/// assert_eq!((rain.strength, rain.shower.as_secs()), (0.5, 300));
/// assert_eq!(simwright_sdk::options::parse::<Rain>(r#"{"strength": 3}"#).unwrap_err()[0].path, "/strength");
/// ```
#[macro_export]
macro_rules! options {
    (
        $(#[$about:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field_visibility:vis $field:ident : $type:ty = $default:expr $(, in $range:expr)? ;
            )*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone)]
        $visibility struct $name {
            $( $(#[doc = $doc])* $field_visibility $field: $type, )*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        #[allow(unused_variables)]
        impl $crate::options::Options for $name {
            fn read(reader: &mut $crate::options::Reader<'_>) -> Self {
                $(
                    let $field: $type = reader.field(::core::stringify!($field), || $default);
                    $( reader.within(::core::stringify!($field), &$field, &$range); )?
                )*
                Self { $( $field, )* }
            }

            fn describe(schema: &mut $crate::options::Schema) {
                $(
                    let default: $type = $default;
                    schema.field(::core::stringify!($field), &[$( $doc ),*], &default);
                    $( schema.within::<$type>(&$range); )?
                )*
            }

            fn write(&self) -> $crate::json::Value {
                $crate::options::Schema::object([
                    $( (::core::stringify!($field), $crate::options::Field::write(&self.$field)) ),*
                ])
            }
        }

        impl $crate::options::Field for $name {
            fn read(
                value: &$crate::json::Value,
                path: &str,
                problems: &mut ::std::vec::Vec<$crate::plugin::Problem>,
            ) -> ::core::option::Option<Self> {
                $crate::options::read_value(value, path, problems)
            }

            fn schema() -> $crate::options::Schema {
                let mut schema = $crate::options::Schema::default();
                <Self as $crate::options::Options>::describe(&mut schema);
                schema
            }

            fn write(&self) -> $crate::json::Value {
                $crate::options::Options::write(self)
            }
        }
    };
}
