//! Prompts as clients write them where there is no conversation: a text, a list of texts, a list of tokens, or a list of such lists.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::dialect::json::given::{Given, Shape};
use crate::dialect::json::many::{Many, kind_of};
use crate::dialect::json::path::Path;
use crate::types::limits::PROMPTS_MAX;
use crate::types::mistake::{Kind, Mistake};
use crate::types::request::{Attachment, Message, Role};

const EXPECTED: &str = "one of a string, array of strings, array of integers, or array of arrays of integers";

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt<'de> {
    /// As text.
    Text(Cow<'de, str>),
    /// As tokens that the client made itself.
    Tokens(Vec<u32>),
}

/// All prompts of a request.
#[derive(Debug, Default)]
pub(super) struct Prompts<'de> {
    /// The first [`PROMPTS_MAX`].
    list: Vec<Prompt<'de>>,
    /// How many there are.
    count: usize,
    /// The first element that does not fit those before it: what it should be, and what it is.
    wrong: Option<(usize, &'static str, Kind)>,
}

impl<'de> Prompts<'de> {
    /// One prompt without a word.
    pub(super) fn empty() -> Self {
        Self::one(Prompt::Text(Cow::Borrowed("")))
    }

    fn one(prompt: Prompt<'de>) -> Self {
        Self { list: vec![prompt], count: 1, wrong: None }
    }

    fn add(&mut self, prompt: Prompt<'de>) {
        self.count += 1;
        // What is too long is refused; so that much is kept to know it.
        if self.list.len() < PROMPTS_MAX {
            self.list.push(prompt);
        }
    }

    /// The prompts, if all of them can be understood.
    pub(super) fn checked(self, path: Path<'_>) -> Result<Vec<Prompt<'de>>, Mistake> {
        if let Some((index, expected, kind)) = self.wrong {
            return Err(path.element(index).wrong_kind(expected, kind));
        }
        path.count(self.count, 1, PROMPTS_MAX)?;
        Ok(self.list)
    }
}

impl Prompt<'_> {
    /// The message that it is in a neutral request. Tokens of the client's own count as what they are and say nothing.
    pub(super) fn message(&self) -> Message {
        match self {
            Self::Text(text) => Message::new(Role::User, &**text),
            Self::Tokens(tokens) => {
                let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
                let attachment = Attachment { digest: xxh3_64(&bytes), tokens: u32::try_from(tokens.len()).unwrap_or(u32::MAX) };
                Message::new(Role::User, "").with_attachments(vec![attachment])
            }
        }
    }

    /// Is there nothing in it?
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Tokens(tokens) => tokens.is_empty(),
        }
    }
}

impl<'de> Shape<'de> for Prompts<'de> {
    const EXPECTED: &'static str = EXPECTED;

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        let json = <&RawValue>::deserialize(source)?.get();
        match kind_of(json) {
            Kind::Text => serde_json::from_str::<Given<Cow<'de, str>>>(json)
                .map(|text| text.map(|text| Self::one(Prompt::Text(text))))
                .map_err(D::Error::custom),
            Kind::Array => Ok(Given::Is(Self::of_list(json))),
            Kind::Null => Ok(Given::Null),
            other => Ok(Given::Wrong(other)),
        }
    }
}

impl<'de> Prompts<'de> {
    /// The prompts in the list `json`.
    fn of_list(json: &'de str) -> Self {
        let begins_with = |letter: char| json[1..].trim_ascii_start().starts_with(letter);
        // A list of numbers is one prompt.
        if let Some(tokens) = tokens_of(json).filter(|_| !begins_with(']')) {
            return Self::one(Prompt::Tokens(tokens));
        }
        // It is a list of prompts, or there is a mistake in it.
        let mut prompts = Self::default();
        let mut has_tokens = false;
        for (index, value) in Many::<Element<'de>>::of(json).into_iter().enumerate() {
            let first = prompts.list.first();
            match (value, first) {
                (Given::Is(Element::Text(text)), None | Some(Prompt::Text(_))) if !has_tokens => {
                    prompts.add(Prompt::Text(text));
                }
                (Given::Is(Element::Tokens(list)), None | Some(Prompt::Tokens(_))) if !has_tokens => {
                    prompts.add(Prompt::Tokens(list));
                }
                (Given::Is(Element::Token), None) => has_tokens = true,
                (other, first) => {
                    let expected = match first {
                        _ if has_tokens => "an integer",
                        Some(Prompt::Text(_)) => "a string",
                        Some(Prompt::Tokens(_)) => "an array of integers",
                        None => "one of a string, integer, or array of integers",
                    };
                    prompts.wrong = Some((index, expected, other.kind()));
                    break;
                }
            }
            if prompts.count > PROMPTS_MAX {
                prompts.count = Many::<Element<'de>>::of(json).len();
                break;
            }
        }
        prompts
    }
}

/// An empty list for the tokens at the beginning of the list `json`: one that grows costs three times as much.
fn room(json: &str) -> Vec<u32> {
    let numbers = json.get(1..).and_then(|inside| inside.split(['[', '{', '"']).next()).unwrap_or_default();
    Vec::with_capacity(memchr::memchr_iter(b',', numbers.as_bytes()).count() + 1)
}

/// One element of a list of prompts.
enum Element<'de> {
    Text(Cow<'de, str>),
    Token,
    Tokens(Vec<u32>),
}

impl Given<Element<'_>> {
    /// What it is, where something else should be.
    fn kind(&self) -> Kind {
        match self {
            Self::Is(Element::Text(_)) => Kind::Text,
            Self::Is(Element::Token) => Kind::Integer,
            Self::Is(Element::Tokens(_)) => Kind::Array,
            Self::Wrong(kind) => *kind,
            Self::Absent | Self::Null => Kind::Null,
        }
    }
}

impl<'de> Shape<'de> for Element<'de> {
    const EXPECTED: &'static str = EXPECTED;

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        let json = <&RawValue>::deserialize(source)?.get();
        match kind_of(json) {
            Kind::Array => Ok(tokens_of(json).map_or(Given::Wrong(Kind::Array), |tokens| Given::Is(Self::Tokens(tokens)))),
            Kind::Text => {
                serde_json::from_str::<Given<Cow<'de, str>>>(json).map(|text| text.map(Self::Text)).map_err(D::Error::custom)
            }
            Kind::Null => Ok(Given::Null),
            kind => Ok(json.parse::<u32>().map_or(Given::Wrong(kind), |_| Given::Is(Self::Token))),
        }
    }
}

/// A list of tokens.
#[derive(Debug)]
pub(super) struct Tokens(pub(super) Vec<u32>);

impl<'de> Shape<'de> for Tokens {
    const EXPECTED: &'static str = "an array of integers";

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        let json = <&RawValue>::deserialize(source)?.get();
        Ok(match kind_of(json) {
            Kind::Array => tokens_of(json).map_or(Given::Wrong(Kind::Array), |tokens| Given::Is(Self(tokens))),
            Kind::Null => Given::Null,
            other => Given::Wrong(other),
        })
    }
}

/// The tokens that the list `json` holds, if it holds nothing else.
fn tokens_of(json: &str) -> Option<Vec<u32>> {
    struct Filler(Vec<u32>);
    impl<'de> Visitor<'de> for Filler {
        type Value = Vec<u32>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an array of integers")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut values: A) -> Result<Vec<u32>, A::Error> {
            while let Some(token) = values.next_element()? {
                self.0.push(token);
            }
            Ok(self.0)
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_seq(Filler(room(json))).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Result<Vec<Prompt<'_>>, String> {
        let Given::Is(prompts) = serde_json::from_str::<Given<Prompts<'_>>>(json).unwrap() else {
            return Err("another kind".to_owned());
        };
        let root = Path::root(false);
        prompts.checked(root.field("prompt")).map_err(|mistake| mistake.to_string())
    }

    fn text(text: &str) -> Prompt<'_> {
        Prompt::Text(text.into())
    }

    #[test]
    fn all_four_forms_are_understood() {
        assert_eq!(read(r#""a\nb""#), Ok(vec![text("a\nb")]));
        assert_eq!(read(r#"["a",""]"#), Ok(vec![text("a"), text("")]));
        assert_eq!(read("[1,2,3]"), Ok(vec![Prompt::Tokens(vec![1, 2, 3])]));
        assert_eq!(read("[[1],[2,3]]"), Ok(vec![Prompt::Tokens(vec![1]), Prompt::Tokens(vec![2, 3])]));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        for (json, expected) in [
            ("5", "another kind"),
            ("[]", "`prompt` has 0 elements and must have at least 1"),
            (r#"["a",1]"#, "`prompt[1]` must be a string, not an integer"),
            (r#"[1,"a"]"#, "`prompt[1]` must be an integer, not a string"),
            (r#"["a",null]"#, "`prompt[1]` must be a string, not null"),
            ("[[1],2]", "`prompt[1]` must be an array of integers, not an integer"),
            ("[[1],[2.5]]", "`prompt[1]` must be an array of integers, not an array"),
            ("[-1]", "`prompt[0]` must be"),
            (r#"[{"a":1}]"#, "`prompt[0]` must be"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.starts_with(expected), "{json}: {error}");
        }
        let many = format!("[{}\"x\"]", "\"x\",".repeat(PROMPTS_MAX));
        assert_eq!(
            read(&many).unwrap_err(),
            format!("`prompt` has {} elements and must have at most {PROMPTS_MAX}", PROMPTS_MAX + 1)
        );
    }

    proptest! {
        #[test]
        fn no_json_is_too_much_for_it(json in "[\\[\\]0-9,\"a-z{}:.-]{0,40}") {
            let _ = serde_json::from_str::<Given<Prompts<'_>>>(&json);
        }
    }
}
