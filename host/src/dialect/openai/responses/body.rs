//! A request for a response as clients write it: one declaration an object, nothing checked yet.
//!
//! An item of the input is one declaration for all types of items: which of its fields count, its type says. What must be shown again
//! in the reply is kept as it was written ([`RawValue`]).

use std::borrow::Cow;

use serde::de::{Deserializer, MapAccess};
use serde_json::value::RawValue;

use crate::dialect::json::given::{Given, Name, Shape, object};
use crate::dialect::json::many::Many;
pub(super) use crate::dialect::json::shapes::{List, Text};
use crate::dialect::json::shapes::{TextOrList, WordOrObject};

/// Anything, as it was written.
pub(super) type Raw<'de> = Option<&'de RawValue>;

object! {
    /// The body.
    Body<'de> {
        model "model": Text<'de>,
        input "input": Raw<'de>,
        instructions "instructions": Raw<'de>,
        previous_response_id "previous_response_id": Text<'de>,
        conversation "conversation": Raw<'de>,
        prompt "prompt": Raw<'de>,
        stream "stream": Given<bool>,
        stream_options "stream_options": Given<StreamOptions>,
        background "background": Given<bool>,
        store "store": Given<bool>,
        include "include": List<'de, Cow<'de, str>>,
        max_output_tokens "max_output_tokens": Given<i64>,
        max_tool_calls "max_tool_calls": Given<i64>,
        tools "tools": Raw<'de>,
        tool_choice "tool_choice": Raw<'de>,
        parallel_tool_calls "parallel_tool_calls": Given<bool>,
        text "text": Given<TextConfig<'de>>,
        reasoning "reasoning": Given<Reasoning<'de>>,
        temperature "temperature": Given<f64>,
        top_p "top_p": Given<f64>,
        top_logprobs "top_logprobs": Given<i64>,
        truncation "truncation": Text<'de>,
        metadata "metadata": Given<Metadata<'de>>,
        user "user": Text<'de>,
        safety_identifier "safety_identifier": Text<'de>,
        prompt_cache_key "prompt_cache_key": Text<'de>,
        prompt_cache_retention "prompt_cache_retention": Text<'de>,
        service_tier "service_tier": Text<'de>,
        _ "moderation" "context_management" "prompt_cache_options" "personality"
    }
}

object! {
    /// How to stream.
    StreamOptions {
        include_obfuscation "include_obfuscation": Given<bool>,
    }
}

/// What the response shall answer: one text or items.
pub(super) type Input<'de> = TextOrList<'de, Item<'de>>;

object! {
    /// One item of the input, of any type.
    Item<'de> {
        kind "type": Text<'de>,
        role "role": Text<'de>,
        content "content": Given<Content<'de>>,
        id "id": Text<'de>,
        call_id "call_id": Text<'de>,
        name "name": Text<'de>,
        arguments "arguments": Text<'de>,
        output "output": Given<Content<'de>>,
        input "input": Text<'de>,
        _ "status" "phase" "summary" "encrypted_content" "namespace" "caller" "action" "actions" "queries" "results" "code" "outputs"
          "container_id" "server_label" "tools" "approval_request_id" "approve" "reason" "error" "pending_safety_checks"
          "acknowledged_safety_checks" "operation" "environment" "max_output_length" "result" "execution"
    }
}

/// What a message says or a tool gave: one text or parts.
pub(super) type Content<'de> = TextOrList<'de, Part<'de>>;

object! {
    /// A part of a message's content.
    Part<'de> {
        kind "type": Text<'de>,
        text "text": Text<'de>,
        refusal "refusal": Text<'de>,
        image_url "image_url": Text<'de>,
        file_id "file_id": Text<'de>,
        file_data "file_data": Text<'de>,
        file_url "file_url": Text<'de>,
        _ "detail" "filename" "annotations" "logprobs" "prompt_cache_breakpoint"
    }
}

object! {
    /// A tool as declared. Of those that the vendor runs itself only the type counts.
    Tool<'de> {
        kind "type": Text<'de>,
        name "name": Text<'de>,
        description "description": Raw<'de>,
        parameters "parameters": Raw<'de>,
        strict "strict": Given<bool>,
        _ "output_schema" "defer_loading" "allowed_callers" "format" "vector_store_ids" "max_num_results" "ranking_options" "filters"
          "display_width" "display_height" "environment" "user_location" "search_context_size" "external_web_access" "server_label"
          "server_url" "server_description" "connector_id" "authorization" "headers" "allowed_tools" "require_approval" "container"
          "model" "quality" "size" "output_format" "output_compression" "moderation" "background" "input_fidelity" "input_image_mask"
          "partial_images" "action" "tools" "execution"
    }
}

/// A list whose elements are kept as they were written.
#[derive(Debug, Default)]
pub(crate) struct RawList<'de>(pub(crate) Many<'de, &'de RawValue>);

impl<'de> Shape<'de> for RawList<'de> {
    const EXPECTED: &'static str = "an array of objects";

    fn read<D: Deserializer<'de>>(source: D) -> Result<Given<Self>, D::Error> {
        Ok(Many::read(source)?.map(Self))
    }
}

/// Whether and which tool must be called.
pub(super) type ToolChoice<'de> = WordOrObject<'de, ToolChoiceObject<'de>>;

object! {
    /// A choice of one tool, or of several allowed ones.
    ToolChoiceObject<'de> {
        kind "type": Text<'de>,
        name "name": Text<'de>,
        mode "mode": Text<'de>,
        tools "tools": List<'de, AllowedTool<'de>>,
        _ "server_label"
    }
}

object! {
    /// A tool that may be called this time.
    AllowedTool<'de> {
        kind "type": Text<'de>,
        name "name": Text<'de>,
        _ "server_label"
    }
}

object! {
    /// What form the reply's text must have, and how long-winded it may be.
    TextConfig<'de> {
        format "format": Raw<'de>,
        verbosity "verbosity": Text<'de>,
    }
}

object! {
    /// What form the reply's text must have.
    TextFormat<'de> {
        kind "type": Text<'de>,
        name "name": Text<'de>,
        schema "schema": Raw<'de>,
        description "description": Raw<'de>,
        strict "strict": Given<bool>,
    }
}

object! {
    /// How to think.
    Reasoning<'de> {
        effort "effort": Text<'de>,
        summary "summary": Text<'de>,
        generate_summary "generate_summary": Text<'de>,
        _ "mode" "context"
    }
}

/// Pairs of metadata at most: the vendor's documented bound.
pub(super) const METADATA_MAX: usize = 16;

/// Texts by names that the client chose.
#[derive(Debug, Default)]
pub(crate) struct Metadata<'de> {
    /// The first of them, as many as there may be.
    pub(crate) pairs: Vec<(Cow<'de, str>, Text<'de>)>,
    /// How many there are.
    pub(crate) count: usize,
}

impl<'de> Shape<'de> for Metadata<'de> {
    const EXPECTED: &'static str = "an object";

    fn of_object<A: MapAccess<'de>>(mut entries: A) -> Result<Given<Self>, A::Error> {
        let (mut pairs, mut count) = (Vec::new(), 0);
        while let Some((Name(name), value)) = entries.next_entry::<Name<'de>, Text<'de>>()? {
            count += 1;
            if count <= METADATA_MAX {
                pairs.push((name, value));
            }
        }
        Ok(Given::Is(Self { pairs, count }))
    }
}
