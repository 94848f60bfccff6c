//! What clients of a realtime session write: one declaration an object, nothing checked yet.
//!
//! Objects that are kept and shown again (a session's settings, an item) are taken out of their event as they are written, and read
//! with these declarations to be checked.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::dialect::json::given::{Given, Shape, object};
pub(super) use crate::dialect::json::shapes::List;
use crate::dialect::json::shapes::{Text, WordOrObject};

object! {
    /// One event of a client.
    Event<'de> {
        kind "type": Text<'de>,
        event_id "event_id": Text<'de>,
        session "session": Option<&'de RawValue>,
        item "item": Option<&'de RawValue>,
        previous_item_id "previous_item_id": Text<'de>,
        item_id "item_id": Text<'de>,
        content_index "content_index": Given<i64>,
        audio_end_ms "audio_end_ms": Given<i64>,
        response "response": Option<&'de RawValue>,
        response_id "response_id": Text<'de>,
        _ "audio"
    }
}

object! {
    /// A response that is asked for, with the conversation before it: what a session makes of `response.create`.
    Ask<'de> {
        session "session": Given<Settings<'de>>,
        items "items": List<'de, Item<'de>>,
        response "response": Given<Settings<'de>>,
        conversation_id "conversation_id": Text<'de>,
        _ "type"
    }
}

object! {
    /// What is said of a session, or of one response alone.
    Settings<'de> {
        kind "type": Text<'de>,
        model "model": Text<'de>,
        instructions "instructions": Text<'de>,
        output_modalities "output_modalities": List<'de, Cow<'de, str>>,
        tools "tools": List<'de, Tool<'de>>,
        tool_choice "tool_choice": Given<ToolChoice<'de>>,
        parallel_tool_calls "parallel_tool_calls": Given<bool>,
        max_output_tokens "max_output_tokens": Given<Tokens>,
        conversation "conversation": Text<'de>,
        input "input": List<'de, Item<'de>>,
        metadata "metadata": Option<&'de RawValue>,
        _ "id" "object" "expires_at" "audio" "include" "prompt" "reasoning" "tracing" "truncation"
    }
}

object! {
    /// An item of a conversation.
    Item<'de> {
        kind "type": Text<'de>,
        id "id": Text<'de>,
        role "role": Text<'de>,
        content "content": List<'de, Part<'de>>,
        call_id "call_id": Text<'de>,
        name "name": Text<'de>,
        arguments "arguments": Text<'de>,
        output "output": Text<'de>,
        _ "object" "status" "phase"
    }
}

object! {
    /// A part of a message.
    Part<'de> {
        kind "type": Text<'de>,
        text "text": Text<'de>,
        transcript "transcript": Text<'de>,
        audio "audio": Text<'de>,
        image_url "image_url": Text<'de>,
        _ "detail"
    }
}

object! {
    /// A tool as declared.
    Tool<'de> {
        kind "type": Text<'de>,
        name "name": Text<'de>,
        parameters "parameters": Option<&'de RawValue>,
        _ "description"
    }
}

object! {
    /// A choice of one tool.
    ToolChoiceObject<'de> {
        kind "type": Text<'de>,
        name "name": Text<'de>,
    }
}

/// Whether and which tool must be called.
pub(super) type ToolChoice<'de> = WordOrObject<'de, ToolChoiceObject<'de>>;

/// A bound on tokens: a number, or the word for none.
#[derive(Debug)]
pub(crate) enum Tokens {
    Number(i64),
    Word(Box<str>),
}

impl<'de> Shape<'de> for Tokens {
    const EXPECTED: &'static str = "one of an integer or 'inf'";

    fn of_integer(value: i64) -> Given<Self> {
        Given::Is(Self::Number(value))
    }

    fn of_text(value: Cow<'de, str>) -> Given<Self> {
        Given::Is(Self::Word(value.into()))
    }
}
