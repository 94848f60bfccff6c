//! Reading JSON that may be wrong: a [`Given`] accepts any value and remembers what kind came instead of the expected one.
//!
//! So serde itself fails only where the body is no JSON at all, and every other mistake is found afterwards, in the dialects, where its
//! path is known ([`super::path`]). Texts are borrowed from the body; of two equal keys the last one counts.
//! [`object!`] writes the reader of one object; begin with [`Shape`].

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::types::mistake::Kind;

/// One value of a body: what was expected, something else, or nothing.
#[derive(Debug, Default)]
pub(crate) enum Given<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// As expected.
    Is(T),
    /// A value of another kind.
    Wrong(Kind),
}

impl<T> Given<T> {
    /// The value, if it is as expected.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Null | Self::Wrong(_) => None,
        }
    }

    /// The same with another value.
    pub(crate) fn map<U>(self, with: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Is(value) => Given::Is(with(value)),
            Self::Wrong(kind) => Given::Wrong(kind),
        }
    }
}

/// A type that some kinds of JSON values can be read as; kinds that are not overridden are wrong.
pub(crate) trait Shape<'de>: Sized {
    /// The kinds that fit, such as `a string`.
    const EXPECTED: &'static str;

    /// The kinds that fit where a text may stand in place of a list of these.
    const LIST_OR_TEXT: &'static str = "one of a string or array of objects";

    /// Reads a value that may be of any kind.
    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        source.deserialize_any(Reader(PhantomData))
    }

    /// A field of it that nobody knows, if there is one.
    fn unknown(&self) -> Option<&str> {
        None
    }

    fn of_boolean(_value: bool) -> Given<Self> {
        Given::Wrong(Kind::Boolean)
    }

    fn of_integer(_value: i64) -> Given<Self> {
        Given::Wrong(Kind::Integer)
    }

    fn of_decimal(_value: f64) -> Given<Self> {
        Given::Wrong(Kind::Decimal)
    }

    fn of_text(_value: Cow<'de, str>) -> Given<Self> {
        Given::Wrong(Kind::Text)
    }

    fn of_array<A: SeqAccess<'de>>(mut values: A) -> Result<Given<Self>, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Given::Wrong(Kind::Array))
    }

    fn of_object<A: MapAccess<'de>>(mut entries: A) -> Result<Given<Self>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Given::Wrong(Kind::Object))
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        T::read(source)
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for Reader<T> {
    type Value = Given<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(T::EXPECTED)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Given::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::of_boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::of_integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(T::of_integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(T::of_decimal(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(T::of_text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(T::of_text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
        T::of_array(values)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::of_object(entries)
    }
}

impl<'de> Shape<'de> for bool {
    const EXPECTED: &'static str = "a boolean";

    fn of_boolean(value: bool) -> Given<Self> {
        Given::Is(value)
    }
}

impl<'de> Shape<'de> for i64 {
    const EXPECTED: &'static str = "an integer";

    fn of_integer(value: i64) -> Given<Self> {
        Given::Is(value)
    }
}

impl<'de> Shape<'de> for f64 {
    const EXPECTED: &'static str = "a decimal";

    fn of_integer(value: i64) -> Given<Self> {
        Given::Is(value as f64)
    }

    fn of_decimal(value: f64) -> Given<Self> {
        Given::Is(value)
    }
}

impl<'de> Shape<'de> for Cow<'de, str> {
    const EXPECTED: &'static str = "a string";
    const LIST_OR_TEXT: &'static str = "one of a string or array of strings";

    fn of_text(value: Cow<'de, str>) -> Given<Self> {
        Given::Is(value)
    }
}

impl<'de, T: Shape<'de>> Shape<'de> for Box<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn unknown(&self) -> Option<&str> {
        (**self).unknown()
    }

    fn of_object<A: MapAccess<'de>>(entries: A) -> Result<Given<Self>, A::Error> {
        Ok(T::of_object(entries)?.map(Self::new))
    }
}

/// An object's key, borrowed where it has no escapes.
pub(crate) struct Name<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct NameReader;
        impl<'de> Visitor<'de> for NameReader {
            type Value = Name<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(value.to_owned())))
            }
        }
        source.deserialize_str(NameReader)
    }
}

/// Declares an object of a body: its fields with their keys, other spellings after a `|`, and after a `_` the keys that are known and
/// skipped. The first of all other
/// keys is remembered.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident $(<$de:lifetime>)? { $($field:ident $key:literal $(| $also:literal)*: $kind:ty,)* $(_ $($skipped:literal)+)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name $(<$de>)? {
            $(pub(crate) $field: $kind,)*
            unknown: Option<Box<str>>,
        }

        impl<'de> crate::dialect::json::given::Shape<'de> for $name $(<$de>)? {
            const EXPECTED: &'static str = "an object";

            fn unknown(&self) -> Option<&str> {
                self.unknown.as_deref()
            }

            fn of_object<A: serde::de::MapAccess<'de>>(
                mut entries: A,
            ) -> Result<crate::dialect::json::given::Given<Self>, A::Error> {
                let mut object = Self::default();
                while let Some(crate::dialect::json::given::Name(name)) = entries.next_key()? {
                    match &*name {
                        $($key $(| $also)* => object.$field = entries.next_value()?,)*
                        $($($skipped)|+ => {
                            entries.next_value::<serde::de::IgnoredAny>()?;
                        })?
                        _ => {
                            object.unknown.get_or_insert_with(|| crate::dialect::json::path::excerpt(&name).into());
                            entries.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(crate::dialect::json::given::Given::Is(object))
            }
        }
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::shapes::List;

    object! {
        /// An object to read in tests.
        Probe<'de> {
            text "text": Given<Cow<'de, str>>,
            many "many": List<'de, i64>,
        }
    }

    fn read(json: &str) -> Given<Probe<'_>> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_wrong_kind_is_remembered_and_the_rest_is_read() {
        let Given::Is(probe) = read(r#"{"text":{"a":[1]},"many":[1,"two",2.5,null],"other":[{}]}"#) else { panic!("no object") };
        assert!(matches!(probe.text, Given::Wrong(Kind::Object)));
        let Given::Is(many) = probe.many else { panic!("no list") };
        let many: Vec<_> = many.into_iter().collect();
        assert!(matches!(many[..], [Given::Is(1), Given::Wrong(Kind::Text), Given::Wrong(Kind::Decimal), Given::Null]));
    }

    #[test]
    fn of_two_equal_keys_the_last_one_counts_and_escapes_in_keys_are_understood() {
        let Given::Is(probe) = read(r#"{"text":"a","\u0074ext":"b"}"#) else { panic!("no object") };
        assert!(matches!(probe.text, Given::Is(ref text) if text == "b"));
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let Given::Is(probe) = read(r#"{"text":"plain"}"#) else { panic!("no object") };
        assert!(matches!(probe.text, Given::Is(Cow::Borrowed("plain"))));
    }
}
