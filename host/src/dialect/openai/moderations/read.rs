//! A request for moderations, from the body's bytes to the neutral [`Request`] and what is to be judged.

use std::borrow::Cow;

use serde::de::SeqAccess;
use xxhash_rust::xxh3::xxh3_64;

use super::{Input, Inputs};
use crate::dialect::Inbound;
use crate::dialect::json::given::{Given, Shape, object};
use crate::dialect::json::path::{Path, read as read_json};
use crate::dialect::json::shapes::WordOrObject;
use crate::dialect::openai::sampling;
use crate::types::api_error::ApiError;
use crate::types::limits::PROMPTS_MAX;
use crate::types::mistake::{Kind, Mistake};
use crate::types::request::{Attachment, Message, Operation, Request, Role};

/// The model that is asked unless the client names one.
const USUAL_MODEL: &str = "omni-moderation-latest";
const EXPECTED: &str = "one of a string, array of strings, or array of objects";

object! {
    /// The body.
    Body<'de> {
        model "model": Given<Cow<'de, str>>,
        input "input": Given<GivenInput<'de>>,
    }
}

object! {
    /// One part of an input that has several.
    Part<'de> {
        kind "type": Given<Cow<'de, str>>,
        text "text": Given<Cow<'de, str>>,
        image_url "image_url": Given<ImageUrl<'de>>,
    }
}

object! {
    /// Where an image is.
    ImageUrl<'de> {
        url "url": Given<Cow<'de, str>>,
    }
}

/// A text, or a list of texts or parts; of a list the first elements are kept.
#[derive(Debug)]
pub(super) enum GivenInput<'de> {
    Text(Cow<'de, str>),
    List { kept: Vec<Given<Element<'de>>>, count: usize },
}

impl<'de> Shape<'de> for GivenInput<'de> {
    const EXPECTED: &'static str = EXPECTED;

    fn of_text(value: Cow<'de, str>) -> Given<Self> {
        Given::Is(Self::Text(value))
    }

    fn of_array<A: SeqAccess<'de>>(mut values: A) -> Result<Given<Self>, A::Error> {
        let (mut kept, mut count) = (Vec::new(), 0);
        while let Some(value) = values.next_element()? {
            count += 1;
            if count <= PROMPTS_MAX {
                kept.push(value);
            }
        }
        Ok(Given::Is(Self::List { kept, count }))
    }
}

/// A text or a part.
pub(super) type Element<'de> = WordOrObject<'de, Box<Part<'de>>>;

/// Reads a request for moderations, and what is judged.
pub(super) fn read(inbound: Inbound<'_>) -> Result<(Request, Inputs), ApiError> {
    let root = Path::root(inbound.manners.is_strict);
    let body: Body<'_> = read_json(&inbound.body, root)?;
    let model = match body.model {
        Given::Absent | Given::Null => Cow::Borrowed(USUAL_MODEL),
        given => sampling::model(given, root)?,
    };
    let path = root.field("input");
    let (inputs, messages) = match body.input.required(path)? {
        GivenInput::Text(text) => of_texts(vec![text]),
        GivenInput::List { kept, count } => {
            path.count(count, 1, PROMPTS_MAX)?;
            match kept.first() {
                Some(Given::Is(Element::Object(_))) => of_parts(kept, path)?,
                _ => of_texts(texts(kept, path)?),
            }
        }
    };
    let request = Request {
        operation: Operation::Moderation,
        target: inbound.target.into(),
        body: inbound.body.clone(),
        headers: inbound.headers,
        ..Request::chat(&model, messages)
    };
    Ok((request, Inputs(inputs)))
}

/// The elements of a list that are all texts.
fn texts<'de>(list: Vec<Given<Element<'de>>>, path: Path<'_>) -> Result<Vec<Cow<'de, str>>, Mistake> {
    let text = |(index, element): (usize, Given<Element<'de>>)| match element.required(path.element(index))? {
        Element::Word(text) => Ok(text),
        Element::Object(_) => Err(path.element(index).wrong_kind("a string", Kind::Object)),
    };
    list.into_iter().enumerate().map(text).collect()
}

/// Texts, each judged alone.
fn of_texts(texts: Vec<Cow<'_, str>>) -> (Vec<Input>, Vec<Message>) {
    let messages = texts.iter().map(|text| Message::new(Role::User, &**text)).collect();
    let input = |text: Cow<'_, str>| Input { text: text.into_owned(), has_text: true, ..Input::default() };
    (texts.into_iter().map(input).collect(), messages)
}

/// Parts, judged together.
fn of_parts(list: Vec<Given<Element<'_>>>, path: Path<'_>) -> Result<(Vec<Input>, Vec<Message>), Mistake> {
    let (mut input, mut attachments) = (Input::default(), Vec::new());
    for (index, element) in list.into_iter().enumerate() {
        let path = path.element(index);
        let part = match element.required(path)? {
            Element::Object(part) => part,
            Element::Word(_) => return Err(path.wrong_kind("an object", Kind::Text)),
        };
        match &*part.kind.required(path.field("type"))? {
            "text" => {
                input.text.push_str(&part.text.required(path.field("text"))?);
                input.text.push('\n');
                input.has_text = true;
            }
            "image_url" => {
                let path = path.field("image_url");
                let url = part.image_url.required(path)?.url.required(path.field("url"))?;
                attachments.push(Attachment { digest: xxh3_64(url.as_bytes()), tokens: 0 });
                if !url.starts_with("data:") {
                    input.images.push_str(&url);
                    input.images.push('\n');
                }
                input.has_images = true;
            }
            other => return Err(path.field("type").unknown_word(other, &["text", "image_url"])),
        }
    }
    let message = Message::new(Role::User, input.text.as_str()).with_attachments(attachments);
    Ok((vec![input], vec![message]))
}
