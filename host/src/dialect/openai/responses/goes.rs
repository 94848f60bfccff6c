//! What a response goes on from: an earlier response, named by its id, and single items of earlier ones, which stand in the input by
//! their ids.
//!
//! Reading a request needs none of it. Once whoever keeps responses has looked them up, the conversation is read again, from its beginning,
//! as if the client had sent all of it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::Options;
use super::body::{Input, Raw, RawList, Text};
use super::items::Conversation;
use super::read::{no_item, no_previous};
use crate::dialect::json::given::{Given, Shape, object};
use crate::dialect::json::path::Path;
use crate::dialect::kept::Kept;
use crate::dialect::openai::ids::common_end;
use crate::types::api_error::ApiError;
use crate::types::limits::BODY_BYTES_MAX;
use crate::types::request::{Message, Request};

/// What of earlier responses a request goes on from.
#[derive(Debug, Clone, Default)]
pub(super) struct Goes {
    previous: Option<Box<str>>,
    /// Places in the input at which an item of an earlier response stands, and its id.
    references: Vec<(usize, Box<str>)>,
    /// How many messages are instructions: they stay in front.
    instructions: usize,
    keys: Vec<Box<str>>,
}

object! {
    /// What is read of a response that is kept.
    Answered<'de> {
        output "output": Raw<'de>,
    }
}

object! {
    /// What is read of an item that is kept.
    Identified<'de> {
        id "id": Text<'de>,
    }
}

impl Goes {
    pub(super) fn of(previous: Option<&str>, references: Vec<(usize, Box<str>)>, instructions: usize) -> Self {
        let ids = previous.into_iter().chain(references.iter().map(|(_, id)| &**id));
        let keys = ids.map(|id| common_end(id).into()).collect();
        Self { previous: previous.map(Into::into), references, instructions, keys }
    }

    /// Keys of the responses that must be looked up.
    pub(super) fn keys(&self) -> &[Box<str>] {
        &self.keys
    }
}

impl Options {
    /// Refuses what can only be judged once the whole conversation is there; nothing as long as parts of it are not.
    pub(super) fn check(&self, conversation: &Conversation) -> Result<(), ApiError> {
        if !self.goes.keys.is_empty() {
            return Ok(());
        }
        self.judge(conversation)
    }

    fn judge(&self, conversation: &Conversation) -> Result<(), ApiError> {
        conversation.check()?;
        let names_json = |message: &Message| message.text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"));
        if self.needs_json && !conversation.messages.iter().any(names_json) {
            let message =
                "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.";
            return Err(ApiError::invalid("input", message));
        }
        Ok(())
    }

    /// Puts what was said earlier between the instructions and what is said now.
    pub(super) fn resume(&mut self, found: &[Option<Arc<Kept>>], request: &mut Request) -> Result<(), ApiError> {
        let mut found = found.iter().map(Option::as_deref);
        let mut conversation = Conversation::default();
        conversation.messages = std::mem::take(&mut request.messages);
        conversation.messages.truncate(self.goes.instructions);
        if let Some(previous) = &self.goes.previous {
            let kept = found.next().flatten().filter(|kept| kept.id == *previous).ok_or_else(|| no_previous(previous))?;
            self.before.clone_from(&kept.exchanges);
        }
        if !self.goes.references.is_empty() {
            self.input = self.referred(found)?;
        }
        for exchange in &self.before {
            add::<Input<'_>>(&exchange.asked, |input| conversation.add(input, Path::root(false)))?;
            for item in outputs(&exchange.answered) {
                let list = [&b"["[..], item.get().as_bytes(), b"]"].concat();
                add::<Input<'_>>(&list, |input| conversation.add(input, Path::root(false)))?;
            }
        }
        let root = Path::root(false);
        add::<Input<'_>>(&self.input, |input| conversation.add(input, root.field("input")))?;
        self.judge(&conversation)?;
        request.messages = conversation.messages;
        Ok(())
    }

    /// The input with the items that it refers to in their place.
    fn referred<'a>(&self, mut found: impl Iterator<Item = Option<&'a Kept>>) -> Result<Bytes, ApiError> {
        let mut items: Vec<&str> = raws(&self.input).into_iter().map(RawValue::get).collect();
        // Each response is read once, however many of its items are named.
        let mut read: HashMap<&str, HashMap<Box<str>, &str>> = HashMap::new();
        let mut bytes = self.input.len();
        for (index, id) in &self.goes.references {
            let kept = found.next().flatten().ok_or_else(|| no_item(id))?;
            let named =
                read.entry(&kept.id).or_insert_with(|| kept.newest().map(|one| items_by_id(&one.answered)).unwrap_or_default());
            let item = named.get(id).ok_or_else(|| no_item(id))?;
            bytes += item.len();
            if bytes > BODY_BYTES_MAX {
                return Err(ApiError::invalid(
                    "input",
                    format!("With the items it refers to, the input is longer than {BODY_BYTES_MAX} bytes."),
                ));
            }
            *items.get_mut(*index).ok_or_else(|| no_item(id))? = item;
        }
        let mut list = BytesMut::from(&b"["[..]);
        list.put_slice(items.join(",").as_bytes());
        list.put_u8(b']');
        Ok(list.freeze())
    }
}

/// The items of the response `body`.
pub(super) fn outputs(body: &[u8]) -> Vec<&RawValue> {
    read::<Answered<'_>>(body).and_then(|answered| answered.output).map_or_else(Vec::new, |output| raws(output.get().as_bytes()))
}

/// The elements of the list `json`.
fn raws(json: &[u8]) -> Vec<&RawValue> {
    read::<RawList<'_>>(json).unwrap_or_default().0.into_iter().filter_map(Given::value).collect()
}

/// The items of the response `body`, by their ids.
fn items_by_id(body: &[u8]) -> HashMap<Box<str>, &str> {
    let id_of = |item: &RawValue| match read::<Identified<'_>>(item.get().as_bytes()) {
        Some(Identified { id: Given::Is(id), .. }) => Some(Box::from(id)),
        _ => None,
    };
    outputs(body).into_iter().filter_map(|item| Some((id_of(item)?, item.get()))).collect()
}

/// What `json`, which has been read before, holds.
fn read<'de, T: Shape<'de>>(json: &'de [u8]) -> Option<T> {
    match serde_json::from_str(std::str::from_utf8(json).ok()?).ok()? {
        Given::Is(value) => Some(value),
        Given::Absent | Given::Null | Given::Wrong(_) => None,
    }
}

fn add<'de, T: Shape<'de>>(json: &'de [u8], add: impl FnOnce(T) -> Result<(), ApiError>) -> Result<(), ApiError> {
    read(json).map_or(Ok(()), add)
}
