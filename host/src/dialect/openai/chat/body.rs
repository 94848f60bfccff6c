//! A chat request as clients write it: one declaration an object, nothing checked yet.
//!
//! Fields that change nothing here (`seed`, `user`, `metadata`, `logit_bias` and the like) are known by name and skipped.

use serde::de::Deserializer;
use serde_json::value::RawValue;

use crate::dialect::json::given::{Given, Shape, object};
use crate::dialect::json::many::Many;
pub(super) use crate::dialect::json::shapes::List;
use crate::dialect::json::shapes::{Text, TextOrList, WordOrObject};
use crate::dialect::openai::sampling::{Stop, StreamOptions};

object! {
    /// The body.
    Body<'de> {
        model "model": Text<'de>,
        messages "messages": Given<Messages<'de>>,
        stream "stream": Given<bool>,
        stream_options "stream_options": Given<StreamOptions>,
        max_completion_tokens "max_completion_tokens": Given<i64>,
        max_tokens "max_tokens": Given<i64>,
        n "n": Given<i64>,
        stop "stop": Given<Stop<'de>>,
        temperature "temperature": Given<f64>,
        top_p "top_p": Given<f64>,
        presence_penalty "presence_penalty": Given<f64>,
        frequency_penalty "frequency_penalty": Given<f64>,
        logprobs "logprobs": Given<bool>,
        top_logprobs "top_logprobs": Given<i64>,
        tools "tools": List<'de, Tool<'de>>,
        tool_choice "tool_choice": Given<ToolChoice<'de>>,
        parallel_tool_calls "parallel_tool_calls": Given<bool>,
        response_format "response_format": Given<ResponseFormat<'de>>,
        reasoning_effort "reasoning_effort": Text<'de>,
        functions "functions": Option<&'de RawValue>,
        function_call "function_call": Option<&'de RawValue>,
        ignore_eos "ignore_eos": Given<bool>,
        min_tokens "min_tokens": Given<i64>,
        _ "seed" "user" "metadata" "logit_bias" "store" "verbosity" "modalities" "audio" "prediction"
          "web_search_options" "service_tier" "moderation" "safety_identifier" "prompt_cache_key" "prompt_cache_options"
          "prompt_cache_retention"
    }
}

/// The list of messages: a type of its own because the vendor names what it must contain.
#[derive(Debug)]
pub(crate) struct Messages<'de>(pub(crate) Many<'de, Message<'de>>);

impl<'de> Shape<'de> for Messages<'de> {
    const EXPECTED: &'static str = "an array of objects";

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        Ok(Many::read(source)?.map(Self))
    }
}

object! {
    /// One message. Clients hand a reply back as they got it, with everything that is in it.
    Message<'de> {
        role "role": Text<'de>,
        content "content": Given<Content<'de>>,
        refusal "refusal": Text<'de>,
        name "name": Text<'de>,
        audio "audio": Option<&'de RawValue>,
        tool_calls "tool_calls": List<'de, ToolCall<'de>>,
        tool_call_id "tool_call_id": Text<'de>,
        function_call "function_call": Given<Call<'de>>,
        _ "annotations" "reasoning_content"
    }
}

/// A message's content: one text or parts.
pub(super) type Content<'de> = TextOrList<'de, Part<'de>>;

object! {
    /// A part of a message's content.
    Part<'de> {
        kind "type": Text<'de>,
        text "text": Text<'de>,
        refusal "refusal": Text<'de>,
        image_url "image_url": Given<ImageUrl<'de>>,
        input_audio "input_audio": Given<InputAudio<'de>>,
        file "file": Given<File<'de>>,
        audio "audio": Given<Audio<'de>>,
    }
}

object! {
    /// Where an image is.
    ImageUrl<'de> {
        url "url": Text<'de>,
        detail "detail": Text<'de>,
    }
}

object! {
    /// A sound.
    InputAudio<'de> {
        data "data": Text<'de>,
        format "format": Text<'de>,
    }
}

object! {
    /// A file: its bytes, or where they are.
    File<'de> {
        file_data "file_data": Text<'de>,
        file_id "file_id": Text<'de>,
        filename "filename": Text<'de>,
    }
}

object! {
    /// An earlier sound of the model's own.
    Audio<'de> {
        id "id": Text<'de>,
    }
}

object! {
    /// A tool call of an earlier reply.
    ToolCall<'de> {
        id "id": Text<'de>,
        kind "type": Text<'de>,
        function "function": Given<Call<'de>>,
        custom "custom": Given<CustomCall<'de>>,
    }
}

object! {
    /// A function with its arguments.
    Call<'de> {
        name "name": Text<'de>,
        arguments "arguments": Text<'de>,
    }
}

object! {
    /// A custom tool with its input.
    CustomCall<'de> {
        name "name": Text<'de>,
        input "input": Text<'de>,
    }
}

object! {
    /// A tool as declared.
    Tool<'de> {
        kind "type": Text<'de>,
        function "function": Given<Function<'de>>,
        custom "custom": Given<Named<'de>>,
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

object! {
    /// Something of which only the name counts.
    Named<'de> {
        name "name": Text<'de>,
        _ "description" "format"
    }
}

/// Whether and which tool must be called.
pub(super) type ToolChoice<'de> = WordOrObject<'de, ToolChoiceObject<'de>>;

object! {
    /// A choice of one tool, or of several allowed ones.
    ToolChoiceObject<'de> {
        kind "type": Text<'de>,
        function "function": Given<Named<'de>>,
        custom "custom": Given<Named<'de>>,
        allowed_tools "allowed_tools": Given<AllowedTools<'de>>,
    }
}

object! {
    /// The tools that may be called this time.
    AllowedTools<'de> {
        mode "mode": Text<'de>,
        tools "tools": List<'de, ToolChoiceObject<'de>>,
    }
}

object! {
    /// What form the reply's text must have.
    ResponseFormat<'de> {
        kind "type": Text<'de>,
        json_schema "json_schema": Given<NamedSchema<'de>>,
    }
}

object! {
    /// A schema with its name.
    NamedSchema<'de> {
        name "name": Text<'de>,
        schema "schema": Option<&'de RawValue>,
        _ "description" "strict"
    }
}
