//! Lists that are read element by element.
//!
//! An element that was read is many times larger than the two or three letters that it may be written with, so a list of a million of them
//! would cost hundreds of times the body. A [`Many`] is the list as it was written; each element is read when its turn comes, and the first
//! mistake ends it. Skipping the list first costs a tenth of reading it.

use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde_json::value::RawValue;

use super::given::{Given, Shape};
use super::path::Path;
use crate::types::mistake::{Kind, Mistake};

/// A list whose elements are of shape `T`.
pub(crate) struct Many<'de, T> {
    /// The list's JSON, brackets included.
    json: &'de str,
    elements: PhantomData<fn() -> T>,
}

impl<T> Clone for Many<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Many<'_, T> {}

impl<T> Default for Many<'_, T> {
    fn default() -> Self {
        Self::of("[]")
    }
}

impl<T> std::fmt::Debug for Many<'_, T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Many({} bytes)", self.json.len())
    }
}

impl<'de, T> Many<'de, T> {
    /// The list that `json` is.
    pub(crate) fn of(json: &'de str) -> Self {
        Self { json, elements: PhantomData }
    }

    /// Is there nothing in it?
    pub(crate) fn is_empty(&self) -> bool {
        self.json.as_bytes().get(1..).is_none_or(|inside| inside.trim_ascii_start().starts_with(b"]"))
    }

    /// How many elements it has. The list is read for it.
    pub(crate) fn len(&self) -> usize {
        struct Count;
        impl<'de> serde::de::Visitor<'de> for Count {
            type Value = usize;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a list")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut values: A) -> Result<usize, A::Error> {
                let mut count = 0;
                while values.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
        }
        // It was read once before, so it is a list.
        serde_json::Deserializer::from_str(self.json).deserialize_seq(Count).unwrap_or(0)
    }

    /// The list, which must have at least `fewest`, none or one, and at most `most` elements.
    pub(crate) fn counted(self, path: Path<'_>, fewest: usize, most: usize) -> Result<Self, Mistake> {
        if self.is_empty() {
            path.count(0, fewest, most)?;
        // An element takes two letters, so short lists need no count.
        } else if self.json.len() / 2 > most {
            path.count(self.len(), fewest, most)?;
        }
        Ok(self)
    }

    /// For how many elements there should be room: of long lists all, because growing would cost more than counting; but only as many
    /// as are objects with something in them, because others are no good and end the reading.
    pub(crate) fn room(&self) -> usize {
        const LONG: usize = 4_096;
        const SHORTEST: usize = 20;
        if self.json.len() <= LONG {
            return 0;
        }
        let elements = Many::<&RawValue>::of(self.json).into_iter();
        elements.take_while(|element| matches!(element, Given::Is(raw) if raw.get().len() >= SHORTEST)).count()
    }
}

impl<'de, T: Shape<'de>> Shape<'de> for Many<'de, T> {
    const EXPECTED: &'static str = "an array";

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        let json = <&RawValue>::deserialize(source)?.get();
        Ok(match kind_of(json) {
            Kind::Null => Given::Null,
            Kind::Array => Given::Is(Self::of(json)),
            other => Given::Wrong(other),
        })
    }
}

/// Any value, as it was written.
impl<'de> Shape<'de> for &'de RawValue {
    const EXPECTED: &'static str = "a value";

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        Ok(Given::Is(Self::deserialize(source)?))
    }
}

impl<'de, T: Shape<'de>> IntoIterator for Many<'de, T> {
    type Item = Given<T>;
    type IntoIter = Elements<'de, T>;

    fn into_iter(self) -> Elements<'de, T> {
        Elements { rest: self.json.get(1..).unwrap_or_default(), elements: PhantomData }
    }
}

/// The elements of a [`Many`], read one after the other.
pub(crate) struct Elements<'de, T> {
    /// What has not been read yet: an element, a comma, or the bracket at the end.
    rest: &'de str,
    elements: PhantomData<fn() -> T>,
}

impl<'de, T: Shape<'de>> Iterator for Elements<'de, T> {
    type Item = Given<T>;

    fn next(&mut self) -> Option<Given<T>> {
        let element = self.rest.trim_start_matches([',', ' ', '\n', '\t', '\r']);
        if element.is_empty() || element.starts_with(']') {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(element).into_iter::<Given<T>>();
        match values.next() {
            Some(Ok(given)) => {
                self.rest = element.get(values.byte_offset()..).unwrap_or_default();
                Some(given)
            }
            // The list as a whole is JSON; what is wrong is an escape that is no character, or its depth.
            Some(Err(_)) | None => {
                self.rest = "";
                Some(Given::Wrong(Kind::Broken))
            }
        }
    }
}

/// What kind of value `json` is, which is JSON.
pub(crate) fn kind_of(json: &str) -> Kind {
    match json.as_bytes().first() {
        Some(b'"') => Kind::Text,
        Some(b'[') => Kind::Array,
        Some(b'{') => Kind::Object,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') | None => Kind::Null,
        Some(_) if json.contains(['.', 'e', 'E']) => Kind::Decimal,
        Some(_) => Kind::Integer,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Given<Many<'_, i64>> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn elements_are_read_in_turn_whatever_stands_between_them() {
        let Given::Is(many) = read(" [ 1 ,\n\"two\",2.5,null , [3],{\"a\":[]} ] ") else { panic!("no list") };
        assert_eq!((many.len(), many.is_empty()), (6, false));
        let given: Vec<Given<i64>> = many.into_iter().collect();
        assert!(matches!(
            given[..],
            [
                Given::Is(1),
                Given::Wrong(Kind::Text),
                Given::Wrong(Kind::Decimal),
                Given::Null,
                Given::Wrong(Kind::Array),
                Given::Wrong(Kind::Object)
            ]
        ));
        assert!(matches!(read("[ ]"), Given::Is(many) if (many.is_empty(), many.len()) == (true, 0)));
        assert!(matches!(read("null"), Given::Null));
        assert!(matches!(read("{}"), Given::Wrong(Kind::Object)));
    }

    #[test]
    fn what_is_no_character_is_found_when_its_turn_comes_and_ends_the_list() {
        let many: Given<Many<'_, std::borrow::Cow<'_, str>>> = serde_json::from_str(r#"["a","\ud800","b"]"#).unwrap();
        let Given::Is(many) = many else { panic!("no list") };
        assert!(matches!(many.into_iter().collect::<Vec<_>>()[..], [Given::Is(_), Given::Wrong(Kind::Broken)]));
    }

    #[test]
    fn bounds_are_checked_without_reading_elements() {
        let root = Path::root(false);
        let counted = |json, most| {
            let Given::Is(many) = read(json) else { panic!("no list") };
            many.counted(root.field("n"), 1, most).map(|_| ()).map_err(|mistake| mistake.to_string())
        };
        assert_eq!(counted("[1,2]", 2), Ok(()));
        assert_eq!(counted("[]", 2).unwrap_err(), "`n` has 0 elements and must have at least 1");
        assert_eq!(counted("[1,2,{}]", 2).unwrap_err(), "`n` has 3 elements and must have at most 2");
    }

    proptest! {
        #[test]
        fn every_list_has_the_elements_that_it_was_made_of(values in prop::collection::vec(any::<i64>(), 0..20), gap in "[ \n\t\r]{0,2}") {
            let inside = values.iter().map(i64::to_string).collect::<Vec<_>>().join(&format!("{gap},{gap}"));
            let json = format!("[{gap}{inside}{gap}]");
            let Given::Is(many) = read(&json) else { panic!("no list") };
            prop_assert_eq!(many.len(), values.len());
            let read: Vec<i64> = many.into_iter().filter_map(|given| if let Given::Is(value) = given { Some(value) } else { None }).collect();
            prop_assert_eq!(read, values);
        }
    }
}
