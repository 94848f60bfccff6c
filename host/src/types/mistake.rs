//! A mistake in what a client sent: what is wrong and where, in no vendor's words. Each dialect has a sentence for each kind.

use std::borrow::Cow;
use std::fmt;

/// A mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The way from the body to the culprit; empty for the body itself.
    pub at: Vec<Step>,
    /// What is wrong there.
    pub what: What,
}

/// One step of the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field of an object.
    Field(Cow<'static, str>),
    /// An element of a list.
    Element(usize),
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is no JSON at all, in the parser's words.
    NotJson(Box<str>),
    /// It must be there and is not.
    Missing,
    /// It is a value of another kind.
    Kind {
        /// The kinds that fit, such as `an array of objects`.
        expected: &'static str,
        /// The kind that came.
        found: Kind,
    },
    /// Nobody knows this field.
    Unknown,
    /// A word that is not one of the known ones.
    Word {
        /// The beginning of what came.
        found: Box<str>,
        /// The words that are known.
        known: &'static [&'static str],
    },
    /// A number that is too small or too large.
    Range {
        /// Must it be a whole number?
        whole: bool,
        /// Is it too small?
        below: bool,
        /// The smallest, or the largest.
        bound: Number,
        /// What came.
        found: Number,
    },
    /// A list or a text that is too short or too long.
    Length {
        /// Is it a text?
        text: bool,
        /// Is it too short?
        below: bool,
        /// The fewest, or the most.
        bound: usize,
        /// How many came.
        found: usize,
    },
    /// A text that does not look as it must, which is this regular expression.
    Pattern(&'static str),
    /// A JSON Schema that cannot be used.
    Schema {
        /// Whose it is, such as `function 'get_weather'`.
        owner: Box<str>,
        /// Why it cannot be used.
        reason: Box<str>,
    },
}

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one.
    Integer(i64),
    /// Any.
    Decimal(f64),
}

impl Eq for Number {}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(out),
            Self::Decimal(number) => number.fmt(out),
        }
    }
}

/// Kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// A number with one.
    Decimal,
    /// A text.
    Text,
    /// A list.
    Array,
    /// An object.
    Object,
    /// What looks like JSON and cannot be read: an escape that is no character, or nesting without end.
    Broken,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Decimal => "a decimal",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
            Self::Broken => "broken JSON",
        })
    }
}

impl Mistake {
    /// The culprit's path, as `messages[0].role`; empty for the body itself.
    pub fn path(&self) -> String {
        self.path_with(|index, out| *out += &format!("[{index}]"))
    }

    /// The same as some vendors write it, `messages.0.role`.
    pub fn dotted(&self) -> String {
        self.path_with(|index, out| *out += &format!(".{index}"))
    }

    fn path_with(&self, element: impl Fn(usize, &mut String)) -> String {
        let mut out = String::new();
        for step in &self.at {
            match step {
                Step::Field(name) if out.is_empty() => out += name,
                Step::Field(name) => {
                    out.push('.');
                    out += name;
                }
                Step::Element(index) => element(*index, &mut out),
            }
        }
        out
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let place = if path.is_empty() { "the body".to_owned() } else { format!("`{path}`") };
        match &self.what {
            What::NotJson(reason) => write!(out, "{place} is no JSON: {reason}"),
            What::Missing => write!(out, "{place} is missing"),
            What::Kind { expected, found } => write!(out, "{place} must be {expected}, not {found}"),
            What::Unknown => write!(out, "{place} is no field that is known"),
            What::Word { found, known } => write!(out, "{place} is `{found}`; known are {}", known.join(", ")),
            What::Range { below, bound, found, .. } => {
                let side = if *below { "at least" } else { "at most" };
                write!(out, "{place} is {found} and must be {side} {bound}")
            }
            What::Length { below, bound, found, text } => {
                let (side, unit) = (if *below { "at least" } else { "at most" }, if *text { "characters" } else { "elements" });
                write!(out, "{place} has {found} {unit} and must have {side} {bound}")
            }
            What::Pattern(pattern) => write!(out, "{place} must match {pattern}"),
            What::Schema { owner, reason } => write!(out, "the schema of {owner} cannot be used: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_code_or_with_dots() {
        let at = vec![Step::Field("messages".into()), Step::Element(3), Step::Field("role".into())];
        let mistake = Mistake { at, what: What::Missing };
        assert_eq!((mistake.path().as_str(), mistake.dotted().as_str()), ("messages[3].role", "messages.3.role"));
        assert_eq!(mistake.to_string(), "`messages[3].role` is missing");
        assert_eq!(Mistake { at: Vec::new(), what: What::NotJson("line 1".into()) }.to_string(), "the body is no JSON: line 1");
    }
}
