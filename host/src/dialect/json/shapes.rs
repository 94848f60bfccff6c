//! Shapes of values that many vendors have: a text or a list of parts, a word or an object.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error, MapAccess};
use serde_json::value::RawValue;

use super::given::{Given, Shape};
use super::many::{Many, kind_of};
use crate::types::mistake::Kind;

/// A text of a body.
pub(crate) type Text<'de> = Given<Cow<'de, str>>;
/// A list of a body.
pub(crate) type List<'de, T> = Given<Many<'de, T>>;

/// One text, or a list.
#[derive(Debug)]
pub(crate) enum TextOrList<'de, T> {
    Text(Cow<'de, str>),
    List(Many<'de, T>),
}

impl<'de, T: Shape<'de>> Shape<'de> for TextOrList<'de, T> {
    const EXPECTED: &'static str = T::LIST_OR_TEXT;

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        let json = <&RawValue>::deserialize(source)?.get();
        Ok(match kind_of(json) {
            // Most texts have no escapes and are there already; they may be long, and reading them again would cost as much as before.
            Kind::Text => match json.get(1..json.len() - 1).filter(|inside| !inside.as_bytes().contains(&b'\\')) {
                Some(inside) => Given::Is(Self::Text(Cow::Borrowed(inside))),
                None => serde_json::from_str::<Text<'de>>(json).map_err(D::Error::custom)?.map(Self::Text),
            },
            Kind::Array => Given::Is(Self::List(Many::of(json))),
            Kind::Null => Given::Null,
            other => Given::Wrong(other),
        })
    }
}

/// One word, or an object.
#[derive(Debug)]
pub(crate) enum WordOrObject<'de, T> {
    Word(Cow<'de, str>),
    Object(T),
}

impl<'de, T: Shape<'de>> Shape<'de> for WordOrObject<'de, T> {
    const EXPECTED: &'static str = "one of a string or object";

    fn unknown(&self) -> Option<&str> {
        match self {
            Self::Word(_) => None,
            Self::Object(object) => object.unknown(),
        }
    }

    fn of_text(value: Cow<'de, str>) -> Given<Self> {
        Given::Is(Self::Word(value))
    }

    fn of_object<A: MapAccess<'de>>(entries: A) -> Result<Given<Self>, A::Error> {
        Ok(T::of_object(entries)?.map(Self::Object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::given::object;
    use crate::dialect::json::path::Path;

    object! {
        /// An object to read in tests.
        Probe<'de> {
            kind "type": Text<'de>,
        }
    }

    fn mistake<'de, T: Shape<'de>>(json: &'de str) -> String {
        let given: Given<T> = serde_json::from_str(json).unwrap();
        let root = Path::root(true);
        given.required(root.field("it")).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_text_or_a_list_is_either_and_elements_keep_their_kinds() {
        let read = |json| serde_json::from_str::<Given<TextOrList<'_, Probe<'_>>>>(json).unwrap();
        assert!(matches!(read(r#""plain""#), Given::Is(TextOrList::Text(Cow::Borrowed("plain")))));
        assert!(matches!(read(r#""an \" escape""#), Given::Is(TextOrList::Text(Cow::Owned(text))) if text == "an \" escape"));
        let Given::Is(TextOrList::List(list)) = read(r#"[{"type":"a"},5]"#) else { panic!("no list") };
        assert!(matches!(list.into_iter().collect::<Vec<_>>()[..], [Given::Is(_), Given::Wrong(Kind::Integer)]));
        assert_eq!(mistake::<TextOrList<'_, Probe<'_>>>("5"), "`it` must be one of a string or array of objects, not an integer");
        assert_eq!(
            mistake::<TextOrList<'_, Cow<'_, str>>>("{}"),
            "`it` must be one of a string or array of strings, not an object"
        );
    }

    #[test]
    fn a_word_or_an_object_is_either_and_fields_that_nobody_knows_are_found() {
        let read = |json| serde_json::from_str::<Given<WordOrObject<'_, Probe<'_>>>>(json).unwrap();
        assert!(matches!(read(r#""auto""#), Given::Is(WordOrObject::Word(Cow::Borrowed("auto")))));
        assert!(matches!(read(r#"{"type":"a"}"#), Given::Is(WordOrObject::Object(Probe { kind: Given::Is(_), .. }))));
        assert_eq!(mistake::<WordOrObject<'_, Probe<'_>>>("[]"), "`it` must be one of a string or object, not an array");
        assert!(mistake::<WordOrObject<'_, Probe<'_>>>(r#"{"typ":1}"#).contains("it.typ"));
    }
}
