//! A request as clients write it: one declaration an object, nothing checked yet.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::dialect::json::given::{Given, Shape, object};
pub(super) use crate::dialect::json::shapes::List;
use crate::dialect::json::shapes::{Text, TextOrList};

object! {
    /// The body.
    Body<'de> {
        model "model": Text<'de>,
        messages "messages": List<'de, Message<'de>>,
        max_tokens "max_tokens": Given<i64>,
        system "system": Given<Content<'de>>,
        stop_sequences "stop_sequences": List<'de, std::borrow::Cow<'de, str>>,
        stream "stream": Given<bool>,
        temperature "temperature": Given<f64>,
        top_p "top_p": Given<f64>,
        top_k "top_k": Given<i64>,
        tools "tools": List<'de, Tool<'de>>,
        tool_choice "tool_choice": Given<ToolChoice<'de>>,
        thinking "thinking": Given<Thinking<'de>>,
        output_config "output_config": Given<OutputConfig<'de>>,
        output_format "output_format": Given<OutputFormat<'de>>,
        cache_control "cache_control": Option<&'de RawValue>,
        _ "metadata" "service_tier" "speed" "container" "inference_geo" "diagnostics" "context_management" "mcp_servers" "user_profile_id"
          "billing_policy" "compaction" "fallback_credit_token" "fallbacks" "thread"
    }
}

object! {
    /// One message.
    Message<'de> {
        role "role": Text<'de>,
        content "content": Given<Content<'de>>,
    }
}

/// A message's content: one text, or blocks.
pub(super) type Content<'de> = TextOrList<'de, Block<'de>>;

object! {
    /// A block of a message's content, of any type.
    Block<'de> {
        kind "type": Text<'de>,
        text "text": Text<'de>,
        source "source": Given<Source<'de>>,
        id "id": Text<'de>,
        name "name": Text<'de>,
        input "input": Option<&'de RawValue>,
        tool_use_id "tool_use_id": Text<'de>,
        content "content": Given<Content<'de>>,
        thinking "thinking": Text<'de>,
        citations "citations": Given<Citations>,
        cache_control "cache_control": Option<&'de RawValue>,
        _ "is_error" "signature" "data" "title" "context" "caller" "transformations" "toolset_name" "file_id" "tool_name"
    }
}

/// Citations of a block: a setting, or a list of which only the length counts.
#[derive(Debug)]
pub(crate) enum Citations {
    Setting,
    List(usize),
}

impl<'de> Shape<'de> for Citations {
    const EXPECTED: &'static str = "an object or an array";

    fn of_object<A: MapAccess<'de>>(mut entries: A) -> Result<Given<Self>, A::Error> {
        while entries.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(Given::Is(Self::Setting))
    }

    fn of_array<A: SeqAccess<'de>>(mut values: A) -> Result<Given<Self>, A::Error> {
        let mut count = 0;
        while values.next_element::<serde::de::IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Given::Is(Self::List(count)))
    }
}

object! {
    /// Where an image or a document is.
    Source<'de> {
        kind "type": Text<'de>,
        media_type "media_type": Text<'de>,
        data "data": Text<'de>,
        url "url": Text<'de>,
        file_id "file_id": Text<'de>,
        content "content": Given<Content<'de>>,
    }
}

object! {
    /// A tool as declared.
    Tool<'de> {
        name "name": Text<'de>,
        kind "type": Text<'de>,
        input_schema "input_schema": Option<&'de RawValue>,
        cache_control "cache_control": Option<&'de RawValue>,
        _ "description" "strict" "defer_loading" "allowed_callers" "input_examples" "eager_input_streaming" "max_uses" "allowed_domains"
          "blocked_domains" "user_location" "display_width_px" "display_height_px" "display_number" "max_characters" "citations"
          "configs" "max_content_tokens" "response_inclusion" "url_sources" "use_cache" "enable_zoom"
    }
}

object! {
    /// Whether and which tool must be used.
    ToolChoice<'de> {
        kind "type": Text<'de>,
        name "name": Text<'de>,
        disable_parallel_tool_use "disable_parallel_tool_use": Given<bool>,
    }
}

object! {
    /// Whether the model thinks before it answers.
    Thinking<'de> {
        kind "type": Text<'de>,
        budget_tokens "budget_tokens": Given<i64>,
        display "display": Text<'de>,
    }
}

object! {
    /// What the reply shall be like.
    OutputConfig<'de> {
        format "format": Given<OutputFormat<'de>>,
        _ "effort" "task_budget"
    }
}

object! {
    /// What form the reply's text must have.
    OutputFormat<'de> {
        kind "type": Text<'de>,
        schema "schema": Option<&'de RawValue>,
    }
}
