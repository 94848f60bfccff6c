//! Requests as clients write them: one declaration an object, nothing checked yet.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::keep_alive::KeepAlive;
use super::options::Options;
use crate::dialect::json::given::{Given, Shape, object};
pub(super) use crate::dialect::json::shapes::{List, Text};

object! {
    /// The body of a request to continue a conversation.
    ChatBody<'de> {
        model "model": Text<'de>,
        messages "messages": List<'de, Message<'de>>,
        tools "tools": List<'de, Tool<'de>>,
        stream "stream": Given<bool>,
        format "format": Option<&'de RawValue>,
        think "think": Given<Think<'de>>,
        options "options": Given<Options<'de>>,
        keep_alive "keep_alive": Given<KeepAlive>,
        logprobs "logprobs": Given<bool>,
        top_logprobs "top_logprobs": Given<i64>,
        _ "truncate" "shift" "runner"
    }
}

object! {
    /// The body of a request to continue a prompt.
    GenerateBody<'de> {
        model "model": Text<'de>,
        prompt "prompt": Text<'de>,
        suffix "suffix": Text<'de>,
        system "system": Text<'de>,
        template "template": Text<'de>,
        context "context": List<'de, i64>,
        raw "raw": Given<bool>,
        images "images": List<'de, Cow<'de, str>>,
        stream "stream": Given<bool>,
        format "format": Option<&'de RawValue>,
        think "think": Given<Think<'de>>,
        options "options": Given<Options<'de>>,
        keep_alive "keep_alive": Given<KeepAlive>,
        logprobs "logprobs": Given<bool>,
        top_logprobs "top_logprobs": Given<i64>,
        _ "truncate" "shift" "runner" "width" "height" "steps"
    }
}

object! {
    /// One message.
    Message<'de> {
        role "role": Text<'de>,
        content "content": Text<'de>,
        thinking "thinking": Text<'de>,
        images "images": List<'de, Cow<'de, str>>,
        tool_calls "tool_calls": List<'de, ToolCall<'de>>,
        _ "tool_name" "tool_call_id" "name"
    }
}

object! {
    /// A tool call of an earlier reply.
    ToolCall<'de> {
        function "function": Given<Call<'de>>,
        _ "id" "type"
    }
}

object! {
    /// A function with its arguments, which are an object.
    Call<'de> {
        name "name": Text<'de>,
        arguments "arguments": Option<&'de RawValue>,
        _ "index" "description"
    }
}

object! {
    /// A tool as declared.
    Tool<'de> {
        function "function": Given<Function<'de>>,
        _ "type" "items"
    }
}

object! {
    /// A function as declared.
    Function<'de> {
        name "name": Text<'de>,
        parameters "parameters": Option<&'de RawValue>,
        _ "description" "strict"
    }
}

/// Whether the model thinks before it answers: yes, no, or how hard.
#[derive(Debug)]
pub(crate) enum Think<'de> {
    Flag(bool),
    Word(Cow<'de, str>),
}

impl<'de> Shape<'de> for Think<'de> {
    const EXPECTED: &'static str = "a boolean or a string";

    fn of_boolean(value: bool) -> Given<Self> {
        Given::Is(Self::Flag(value))
    }

    fn of_text(value: Cow<'de, str>) -> Given<Self> {
        Given::Is(Self::Word(value))
    }
}

object! {
    /// The body of a request that names a model and nothing else that matters.
    NamedBody<'de> {
        model "model": Text<'de>,
        name "name": Text<'de>,
        _ "stream" "insecure" "verbose" "system" "template" "options" "username" "password" "runner"
    }
}
