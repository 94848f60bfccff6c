//! Where in a body a value is, and the checks that name it when it is wrong.
//!
//! A [`Path`] costs nothing until a mistake is made. Whoever reads a body begins with [`Path::root`], which also says whether fields that
//! nobody knows are a mistake; then that is found wherever an object is taken out of its [`Given`].

use std::borrow::Cow;

use super::given::{Given, Shape};
use crate::types::mistake::{Kind, Mistake, Number, Step, What};

/// Where in the body a value is.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    place: Place<'a>,
    /// Is a field that nobody knows a mistake?
    is_strict: bool,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Field(&'a Path<'a>, &'static str),
    Element(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The body itself; `is_strict` if a field that nobody knows is a mistake.
    pub(crate) const fn root(is_strict: bool) -> Self {
        Self { place: Place::Root, is_strict }
    }

    /// The field `name` of the object at this place.
    pub(crate) fn field(&'a self, name: &'static str) -> Path<'a> {
        Path { place: Place::Field(self, name), is_strict: self.is_strict }
    }

    /// The element `index` of the list at this place.
    pub(crate) fn element(&'a self, index: usize) -> Path<'a> {
        Path { place: Place::Element(self, index), is_strict: self.is_strict }
    }

    /// The mistake `what` at this place.
    pub(crate) fn mistake(self, what: What) -> Mistake {
        let mut at = Vec::new();
        self.walk(&mut at);
        Mistake { at, what }
    }

    fn walk(self, at: &mut Vec<Step>) {
        match self.place {
            Place::Root => {}
            Place::Field(parent, name) => {
                parent.walk(at);
                at.push(Step::Field(Cow::Borrowed(name)));
            }
            Place::Element(parent, index) => {
                parent.walk(at);
                at.push(Step::Element(index));
            }
        }
    }

    /// A required value is not there.
    pub(crate) fn missing(self) -> Mistake {
        self.mistake(What::Missing)
    }

    /// A value of the wrong kind.
    pub(crate) fn wrong_kind(self, expected: &'static str, found: Kind) -> Mistake {
        self.mistake(What::Kind { expected, found })
    }

    /// A word that is not one of the `known` ones.
    pub(crate) fn unknown_word(self, found: &str, known: &'static [&'static str]) -> Mistake {
        self.mistake(What::Word { found: excerpt(found).into(), known })
    }

    /// `value` if it is a whole number from `floor` to `ceiling`.
    pub(crate) fn integer(self, value: i64, floor: i64, ceiling: i64) -> Result<i64, Mistake> {
        let range = |below, bound| {
            let (bound, found) = (Number::Integer(bound), Number::Integer(value));
            Err(self.mistake(What::Range { whole: true, below, bound, found }))
        };
        match value {
            _ if value < floor => range(true, floor),
            _ if value > ceiling => range(false, ceiling),
            _ => Ok(value),
        }
    }

    /// `value` if it is a number from `floor` to `ceiling`.
    pub(crate) fn decimal(self, value: f64, floor: f64, ceiling: f64) -> Result<f64, Mistake> {
        let range = |below, bound| {
            let (bound, found) = (Number::Decimal(bound), Number::Decimal(value));
            Err(self.mistake(What::Range { whole: false, below, bound, found }))
        };
        match value {
            _ if value < floor => range(true, floor),
            _ if value > ceiling => range(false, ceiling),
            _ => Ok(value),
        }
    }

    /// Checks the length of a list.
    pub(crate) fn count(self, found: usize, fewest: usize, most: usize) -> Result<(), Mistake> {
        self.length(false, found, fewest, most)
    }

    /// Checks a name of a tool or schema: 1 to `most` letters, digits, `_` and `-`.
    pub(crate) fn name(self, name: &str, most: usize) -> Result<(), Mistake> {
        self.length(true, name.chars().count(), 1, most)?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
            return Err(self.mistake(What::Pattern("^[a-zA-Z0-9_-]+$")));
        }
        Ok(())
    }

    /// Checks the length of a text, in characters.
    pub(crate) fn text(self, text: &str, fewest: usize, most: usize) -> Result<(), Mistake> {
        self.length(true, text.chars().count(), fewest, most)
    }

    fn length(self, text: bool, found: usize, fewest: usize, most: usize) -> Result<(), Mistake> {
        let wrong = |below, bound| Err(self.mistake(What::Length { text, below, bound, found }));
        match found {
            _ if found < fewest => wrong(true, fewest),
            _ if found > most => wrong(false, most),
            _ => Ok(()),
        }
    }
}

impl<T> Given<T> {
    /// The value, which must be there.
    pub(crate) fn required<'de>(self, path: Path<'_>) -> Result<T, Mistake>
    where
        T: Shape<'de>,
    {
        match self {
            Given::Null => Err(path.wrong_kind(T::EXPECTED, Kind::Null)),
            other => other.optional(path)?.ok_or_else(|| path.missing()),
        }
    }

    /// The value, if it is there and not `null`, left where it is.
    pub(crate) fn look<'de>(&self, path: Path<'_>) -> Result<Option<&T>, Mistake>
    where
        T: Shape<'de>,
    {
        match self {
            Given::Is(value) => Ok(Some(value)),
            Given::Absent | Given::Null => Ok(None),
            Given::Wrong(kind) => Err(path.wrong_kind(T::EXPECTED, *kind)),
        }
    }

    /// The value, if it is there and not `null`.
    pub(crate) fn optional<'de>(self, path: Path<'_>) -> Result<Option<T>, Mistake>
    where
        T: Shape<'de>,
    {
        match self {
            Given::Is(value) => match value.unknown() {
                Some(name) if path.is_strict => {
                    let mut mistake = path.mistake(What::Unknown);
                    mistake.at.push(Step::Field(Cow::Owned(excerpt(name).to_owned())));
                    Err(mistake)
                }
                _ => Ok(Some(value)),
            },
            Given::Absent | Given::Null => Ok(None),
            Given::Wrong(kind) => Err(path.wrong_kind(T::EXPECTED, kind)),
        }
    }
}

/// The body's JSON, read as `T`.
pub(crate) fn read<'de, T: Shape<'de>>(body: &'de [u8], root: Path<'_>) -> Result<T, Mistake> {
    let not_json = |error: String| root.mistake(What::NotJson(error.into()));
    // Checked once here, so that the reader below need not check every text.
    let json = std::str::from_utf8(body).map_err(|error| not_json(error.to_string()))?;
    match serde_json::from_str(json).map_err(|error| not_json(error.to_string()))? {
        Given::Wrong(kind) => Err(not_json(format!("expected an object, but got {kind}"))),
        Given::Absent | Given::Null => Err(not_json("expected an object, but got null".to_owned())),
        given @ Given::Is(_) => given.required(root),
    }
}

/// The beginning of a client's own word, so that a megabyte of it is not sent back.
pub(crate) fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_range() {
        let root = Path::root(false);
        let path = root.field("n");
        assert_eq!(path.integer(1, 1, 128), Ok(1));
        assert_eq!(path.integer(128, 1, 128), Ok(128));
        let mistake = path.integer(129, 1, 128).unwrap_err();
        assert_eq!(mistake.to_string(), "`n` is 129 and must be at most 128");
    }

    #[test]
    fn a_long_word_is_not_sent_back_whole() {
        assert_eq!(excerpt(&"ä".repeat(100)).len(), 64);
    }
}
