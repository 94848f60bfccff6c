//! A request as clients write it: one declaration an object, nothing checked yet. Keys come in camelCase and, from some clients, in
//! snake_case.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::dialect::json::given::{Given, object};
pub(in crate::dialect::gemini) use crate::dialect::json::shapes::{List, Text};

object! {
    /// The body; that of a count may hold the request to count.
    Body<'de> {
        contents "contents": List<'de, Content<'de>>,
        system_instruction "systemInstruction" | "system_instruction": Given<Content<'de>>,
        generation_config "generationConfig" | "generation_config": Given<GenerationConfig<'de>>,
        tools "tools": List<'de, Tool<'de>>,
        tool_config "toolConfig" | "tool_config": Given<ToolConfig<'de>>,
        counted "generateContentRequest" | "generate_content_request": Option<&'de RawValue>,
        _ "safetySettings" "safety_settings" "cachedContent" "cached_content" "labels" "model" "store" "serviceTier" "service_tier"
          "continuationToken" "continuation_token"
    }
}

object! {
    /// One turn of the conversation.
    Content<'de> {
        role "role": Text<'de>,
        parts "parts": List<'de, Part<'de>>,
    }
}

object! {
    /// A part of a turn.
    Part<'de> {
        text "text": Text<'de>,
        is_thought "thought": Given<bool>,
        inline "inlineData" | "inline_data": Given<Blob<'de>>,
        file "fileData" | "file_data": Given<FileData<'de>>,
        call "functionCall" | "function_call": Given<FunctionCall<'de>>,
        response "functionResponse" | "function_response": Given<FunctionResponse<'de>>,
        signature "thoughtSignature" | "thought_signature": Text<'de>,
        _ "videoMetadata" "video_metadata" "executableCode" "executable_code"
          "codeExecutionResult" "code_execution_result" "mediaResolution" "media_resolution" "partMetadata" "part_metadata" "toolCall"
          "tool_call" "toolResponse" "tool_response" "audioTranscription" "mediaProcessing" "speechMetadata" "documentMetadata"
          "spreadsheetMetadata" "audioMetadata"
    }
}

object! {
    /// Bytes in the request itself.
    Blob<'de> {
        mime_type "mimeType" | "mime_type": Text<'de>,
        data "data": Text<'de>,
        _ "displayName" "display_name"
    }
}

object! {
    /// A file that was uploaded.
    FileData<'de> {
        mime_type "mimeType" | "mime_type": Text<'de>,
        uri "fileUri" | "file_uri": Text<'de>,
        _ "displayName" "display_name"
    }
}

object! {
    /// A call that the model made earlier.
    FunctionCall<'de> {
        name "name": Text<'de>,
        args "args": Option<&'de RawValue>,
        id "id": Text<'de>,
        _ "partialArgs" "willContinue"
    }
}

object! {
    /// What a function answered.
    FunctionResponse<'de> {
        name "name": Text<'de>,
        response "response": Option<&'de RawValue>,
        id "id": Text<'de>,
        _ "parts" "scheduling" "willContinue"
    }
}

object! {
    /// How to generate.
    GenerationConfig<'de> {
        max_output_tokens "maxOutputTokens" | "max_output_tokens": Given<i64>,
        stop_sequences "stopSequences" | "stop_sequences": List<'de, Cow<'de, str>>,
        candidate_count "candidateCount" | "candidate_count": Given<i64>,
        temperature "temperature": Given<f64>,
        top_p "topP" | "top_p": Given<f64>,
        mime_type "responseMimeType" | "response_mime_type": Text<'de>,
        schema "responseSchema" | "response_schema": Option<&'de RawValue>,
        json_schema "responseJsonSchema" | "response_json_schema" | "_responseJsonSchema": Option<&'de RawValue>,
        thinking "thinkingConfig" | "thinking_config": Given<ThinkingConfig<'de>>,
        wants_logprobs "responseLogprobs" | "response_logprobs": Given<bool>,
        logprobs "logprobs": Given<i64>,
        _ "topK" "top_k" "seed" "presencePenalty" "presence_penalty" "frequencyPenalty" "frequency_penalty"
          "responseModalities" "response_modalities" "mediaResolution" "media_resolution"
          "speechConfig" "speech_config" "audioTimestamp" "enableAffectiveDialog" "imageConfig" "image_config" "routingConfig"
          "enableEnhancedCivicAnswers" "audioTranscriptionConfig"
    }
}

object! {
    /// Whether the model thinks before it answers, and shows it.
    ThinkingConfig<'de> {
        budget "thinkingBudget" | "thinking_budget": Given<i64>,
        includes "includeThoughts" | "include_thoughts": Given<bool>,
        level "thinkingLevel" | "thinking_level": Text<'de>,
    }
}

object! {
    /// Tools: functions of the client, or tools of the vendor, of which nothing counts.
    Tool<'de> {
        functions "functionDeclarations" | "function_declarations": List<'de, Function<'de>>,
        _ "googleSearch" "google_search" "codeExecution" "code_execution" "urlContext" "url_context" "googleSearchRetrieval"
          "google_search_retrieval" "googleMaps" "google_maps" "fileSearch" "file_search" "computerUse" "computer_use" "retrieval"
          "mcpServers" "mcp_servers"
    }
}

object! {
    /// A function as declared.
    Function<'de> {
        name "name": Text<'de>,
        parameters "parameters": Option<&'de RawValue>,
        json_parameters "parametersJsonSchema" | "parameters_json_schema": Option<&'de RawValue>,
        _ "description" "response" "responseJsonSchema" "response_json_schema" "behavior"
    }
}

object! {
    /// Whether and which function must be called.
    ToolConfig<'de> {
        calling "functionCallingConfig" | "function_calling_config": Given<Calling<'de>>,
        _ "retrievalConfig" "retrieval_config" "includeServerSideToolInvocations"
    }
}

object! {
    /// The same, one level below.
    Calling<'de> {
        mode "mode": Text<'de>,
        allowed "allowedFunctionNames" | "allowed_function_names": List<'de, Cow<'de, str>>,
        _ "streamFunctionCallArguments"
    }
}
